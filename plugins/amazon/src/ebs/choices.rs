//! What options choose among.

use std::net::IpAddr;

use super::options::{EbsVolume, Surrogate};

/// What a build makes.
#[derive(Clone, Default)]
pub(super) enum Product {
    /// An AMI of the instance: `amazon-ebs`.
    #[default]
    Image,
    /// An AMI of volumes of the instance: `amazon-ebssurrogate`.
    Surrogate(Box<Surrogate>),
    /// Volumes and snapshots: `amazon-ebsvolume`.
    Volumes(Vec<EbsVolume>),
}

impl Product {
    /// Whether the AMI is registered of snapshots, and not made of the instance.
    pub(super) fn is_registered(&self) -> bool {
        matches!(self, Product::Surrogate(own) if !own.use_create_image)
    }
}

/// The key that the instance lets in.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) enum KeyChoice {
    /// None: there is a password, or no communicator.
    #[default]
    None,
    /// The one in this file, which is that of the key pair, if there is one, or of the AMI.
    File(String),
    /// An agent has it.
    Agent,
    /// One that EC2 makes for the build, under this name.
    Temporary(String),
}

/// A block of addresses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Cidr {
    /// As written.
    pub text: String,
    /// Whether it is one of IPv6.
    pub v6: bool,
}

impl Cidr {
    /// Reads `address/bits`.
    pub(super) fn parse(text: &str) -> Option<Cidr> {
        let (address, bits) = text.split_once('/')?;
        let address: IpAddr = address.parse().ok()?;
        let most = if address.is_ipv6() { 128 } else { 32 };
        let plain = bits.bytes().all(|byte| byte.is_ascii_digit());
        (plain && bits.parse::<u8>().is_ok_and(|bits| bits <= most))
            .then(|| Cidr { text: text.to_owned(), v6: address.is_ipv6() })
    }
}
