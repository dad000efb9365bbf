//! Networks of IP addresses, as `10.0.0.0/8`.

use std::net::IpAddr;
use std::str::FromStr;

/// An address, or an address and how many of its first bits count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    bits: u32,
}

impl Network {
    /// Whether an address is in it. An IPv4 address in the form of IPv6 counts as IPv4.
    pub fn contains(&self, address: IpAddr) -> bool {
        let cut = |all: u128, length: u32| all.checked_shr(length - self.bits).unwrap_or(0);
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(one), IpAddr::V4(two)) => {
                cut(one.to_bits().into(), 32) == cut(two.to_bits().into(), 32)
            }
            (IpAddr::V6(one), IpAddr::V6(two)) => {
                cut(one.to_bits(), 128) == cut(two.to_bits(), 128)
            }
            _ => false,
        }
    }
}

impl FromStr for Network {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is not an address or a network such as 10.0.0.0/8");
        let (address, bits) =
            text.split_once('/').map_or((text, None), |(it, bits)| (it, Some(bits)));
        let address = address.parse::<IpAddr>().map_err(|_| wrong())?.to_canonical();
        let most = if address.is_ipv4() { 32 } else { 128 };
        let bits = bits.map_or(Ok(most), str::parse).map_err(|_| wrong())?;
        match bits <= most {
            true => Ok(Network { address, bits }),
            false => Err(wrong()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_in_their_networks() {
        let contains = |network: &str, address: &str| {
            network.parse::<Network>().unwrap().contains(address.parse().unwrap())
        };
        assert!(contains("10.0.0.0/8", "10.1.2.3") && contains("10.9.9.9/8", "10.1.2.3"));
        assert!(contains("10.0.0.0/8", "::ffff:10.1.2.3") && contains("0.0.0.0/0", "192.0.2.1"));
        assert!(contains("fd00::/8", "fdff::1") && contains("192.0.2.1", "192.0.2.1"));
        assert!(!contains("10.0.0.0/8", "11.0.0.1") && !contains("fd00::/8", "10.0.0.1"));
        assert!(!contains("192.0.2.1", "192.0.2.2") && !contains("::/0", "10.0.0.1"));
        for wrong in ["", "10.0.0.0/33", "example.com", "10.0.0.0/x"] {
            assert!(wrong.parse::<Network>().is_err(), "{wrong}");
        }
    }
}
