//! Functions of IP networks.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::{Accepts, Failure, Function, Outcome, Returns, function, param, text, whole};
use crate::Value;

const STRING: Accepts = Accepts::String;
const NUMBER: Accepts = Accepts::Number;

pub(super) static FUNCTIONS: &[Function] = &[
    function(
        "cidrhost",
        &[param("prefix", STRING), param("hostnum", NUMBER)],
        Returns::String,
        |args, _| {
            let (network, host) = (Network::parse(args)?, whole(args, 1)?);
            let address = network.host(host).ok_or_else(|| {
                Failure::argument(1, format!("{network} has no address of number {host}"))
            })?;
            Ok(address.to_string().into())
        },
    ),
    function("cidrnetmask", &[param("prefix", STRING)], Returns::String, |args, _| {
        let network = Network::parse(args)?;
        Ok(network.address(network.mask()).to_string().into())
    }),
    function(
        "cidrsubnet",
        &[param("prefix", STRING), param("newbits", NUMBER), param("netnum", NUMBER)],
        Returns::String,
        |args, _| {
            let network = Network::parse(args)?;
            let length = network.extended(args, 1)?;
            let subnet = network.subnet(length, whole(args, 2)?).ok_or_else(|| {
                Failure::argument(2, format!("{network} has no subnet of that number"))
            })?;
            Ok(subnet.to_string().into())
        },
    ),
    function("cidrsubnets", &[param("prefix", STRING)], Returns::Strings, |args, _| subnets(args))
        .rest(param("newbits", NUMBER)),
];

/// A range of addresses, which are all but `32 - length` or `128 - length` bits the same.
struct Network {
    /// The lowest address.
    base: u128,
    length: u32,
    /// How many bits an address has.
    bits: u32,
}

impl std::fmt::Display for Network {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.address(self.base), self.length)
    }
}

impl Network {
    /// Reads the first argument.
    fn parse(args: &[Value]) -> Result<Network, Failure> {
        let parse = |prefix: &str| {
            let (address, length) = prefix.split_once('/')?;
            let plain = !length.is_empty() && length.bytes().all(|byte| byte.is_ascii_digit());
            let length: u32 = length.parse().ok().filter(|_| plain)?;
            let (base, bits) = match address.parse().ok()? {
                IpAddr::V4(address) => (u128::from(u32::from(address)), 32),
                IpAddr::V6(address) => (u128::from(address), 128),
            };
            let network = Network { base, length, bits };
            (length <= bits).then(|| Network { base: base & network.mask(), ..network })
        };
        parse(text(&args[0])).ok_or_else(|| {
            Failure::argument(0, "a network like 10.0.0.0/16 or fd00::/64 is required")
        })
    }

    fn address(&self, number: u128) -> IpAddr {
        match self.bits {
            32 => Ipv4Addr::from(number as u32).into(),
            _ => Ipv6Addr::from(number).into(),
        }
    }

    /// How many addresses there are, less one.
    fn last(&self) -> u128 {
        u128::MAX.checked_shr(128 - (self.bits - self.length)).unwrap_or(0)
    }

    fn mask(&self) -> u128 {
        let all = u128::MAX >> (128 - self.bits);
        all & !self.last()
    }

    /// The address of a number, counted from the end if negative.
    fn host(&self, number: i64) -> Option<IpAddr> {
        let offset = match number {
            0.. => number as u128,
            _ => self.last().checked_sub(u128::from(number.unsigned_abs()) - 1)?,
        };
        (offset <= self.last()).then(|| self.address(self.base + offset))
    }

    /// The length of the prefix with as many more bits as an argument says.
    fn extended(&self, args: &[Value], index: usize) -> Result<u32, Failure> {
        let more = whole(args, index)?;
        if more > 32 {
            return Err(Failure::argument(index, "at most 32 bits can be added"));
        }
        let length = i64::from(self.length) + more;
        u32::try_from(length).ok().filter(|&length| length <= self.bits).ok_or_else(|| {
            Failure::argument(index, format!("an address has {} bits, not {length}", self.bits))
        })
    }

    fn subnet(&self, length: u32, number: i64) -> Option<Network> {
        let number = u128::try_from(number).ok()?;
        let more = length.saturating_sub(self.length);
        if number.checked_shr(more).unwrap_or(0) > 0 {
            return None;
        }
        let shifted = number.checked_shl(self.bits - length).unwrap_or(0);
        Some(Network { base: self.base | shifted, length, bits: self.bits })
    }
}

/// Subnets one after the other, each as soon after the one before as its size allows.
fn subnets(args: &[Value]) -> Outcome {
    let network = Network::parse(args)?;
    let mut next = Some(network.base);
    let mut found = Vec::new();
    for index in 1..args.len() {
        if whole(args, index)? < 1 {
            return Err(Failure::argument(index, "at least one bit must be added"));
        }
        let length = network.extended(args, index)?;
        let size = Network { base: 0, length, bits: network.bits }.last();
        let base = next.and_then(|next| next.checked_add(size)).map(|end| end & !size);
        let base = base.filter(|base| *base - network.base <= network.last()).ok_or_else(|| {
            Failure::argument(index, format!("{network} has no room left for a /{length}"))
        })?;
        next = base.checked_add(size).and_then(|last| last.checked_add(1));
        found.push(Network { base, length, bits: network.bits }.to_string());
    }
    Ok(Value::strings(found))
}
