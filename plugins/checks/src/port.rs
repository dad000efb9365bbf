//! Ports that something listens on, as Linux lists its sockets.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ingot_sdk::{ConfigError, ConfigErrors, Error, Result};

use crate::options::{PortOptions, refuse_details};
use crate::shell::Shell;

/// Prints the tables of sockets, each after its name.
const SCRIPT: &str = r#"
for kind in tcp tcp6 udp udp6; do
  if [ -r "/proc/net/$kind" ]; then echo "table $kind"; cat "/proc/net/$kind"; fi
done
exit 0
"#;

/// The state of a socket that listens, by `include/net/tcp_states.h` of Linux.
const TCP_LISTEN: &str = "0A";
/// The state of a UDP socket that takes from anybody.
const UDP_OPEN: &str = "07";

/// A port that something must listen on, or must not.
#[derive(Debug, Clone)]
pub(crate) struct PortCheck {
    udp: bool,
    /// Whether addresses of IPv6 alone count.
    only_v6: bool,
    number: u16,
    pub(crate) listening: bool,
    addresses: Vec<IpAddr>,
}

impl PortCheck {
    pub(crate) fn new(name: &str, options: PortOptions, errors: &mut ConfigErrors) -> Self {
        let (protocol, number) = name.split_once(':').unwrap_or(("tcp", name));
        let udp = protocol.starts_with("udp");
        let number = match number.parse() {
            Ok(number) if matches!(protocol, "tcp" | "tcp6" | "udp" | "udp6") && number > 0 => {
                number
            }
            _ => {
                errors.push(
                    ConfigError::new(format!("{name:?} is not a port"))
                        .hint("write it like \"tcp:22\", with tcp, tcp6, udp or udp6"),
                );
                0
            }
        };
        let listening = options.listening.unwrap_or(true);
        if !listening {
            refuse_details("listening", &[("ip", !options.ip.is_empty())], errors);
        }
        let mut addresses = Vec::new();
        for (index, text) in options.ip.iter().enumerate() {
            match text.parse() {
                Ok(address) => addresses.push(address),
                Err(_) => errors.push(ConfigError::on(
                    format!("ip[{index}]"),
                    format!("{text:?} is not an IP address"),
                )),
            }
        }
        PortCheck { udp, only_v6: protocol.ends_with('6'), number, listening, addresses }
    }

    pub(crate) async fn examine(&self, shell: Shell<'_>) -> Result<Vec<String>> {
        let tables = shell.script(SCRIPT, &[]).await?;
        if !tables.contains("table ") {
            return Err(Error::new("the machine does not list its sockets in /proc/net"));
        }
        let found = self.listeners(&tables);
        let shown: Vec<String> = found.iter().map(IpAddr::to_string).collect();
        Ok(match (found.is_empty(), self.listening) {
            (true, true) => vec!["nothing listens on it".to_owned()],
            (true, false) => Vec::new(),
            (false, false) => vec![format!("something listens on it, at {}", shown.join(", "))],
            (false, true) => {
                let missing = self.addresses.iter().filter(|address| !found.contains(address));
                let problem = |address: &IpAddr| {
                    format!("nothing listens at {address}, but at {}", shown.join(", "))
                };
                missing.map(problem).collect()
            }
        })
    }

    /// The addresses that something listens at on the port.
    fn listeners(&self, tables: &str) -> Vec<IpAddr> {
        let mut found = Vec::new();
        let mut counts = false;
        for line in tables.lines() {
            if let Some(table) = line.strip_prefix("table ") {
                let v6 = table.ends_with('6');
                counts = table.starts_with("udp") == self.udp && (v6 || !self.only_v6);
                continue;
            }
            let mut columns = line.split_whitespace();
            let (Some(local), Some(state)) = (columns.nth(1), columns.nth(1)) else { continue };
            let wanted = if self.udp { UDP_OPEN } else { TCP_LISTEN };
            let Some((address, port)) = local.split_once(':').filter(|_| counts) else { continue };
            if state == wanted && u16::from_str_radix(port, 16) == Ok(self.number) {
                found.extend(parse_address(address).filter(|address| !found.contains(address)));
            }
        }
        found
    }
}

/// An address as the kernel prints it: words of 32 bits in hexadecimal, each in the machine's byte
/// order. All machines that images are built for are little-endian.
fn parse_address(text: &str) -> Option<IpAddr> {
    let words = text.as_bytes().chunks(8).map(|word| {
        let word = std::str::from_utf8(word).ok()?;
        Some(u32::from_str_radix(word, 16).ok()?.swap_bytes().to_be_bytes())
    });
    let bytes: Vec<u8> = words.collect::<Option<Vec<_>>>()?.concat();
    match <[u8; 4]>::try_from(bytes.as_slice()) {
        Ok(bytes) => Some(Ipv4Addr::from(bytes).into()),
        Err(_) => Some(Ipv6Addr::from(<[u8; 16]>::try_from(bytes.as_slice()).ok()?).into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLES: &str = "\
table tcp
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1
   1: 0100007F:0016 0200007F:C000 01 00000000:00000000 00:00000000 00000000     0        0 2
table tcp6
  sl  local_address                         remote_address                        st
   0: 00000000000000000000000000000000:0050 00000000000000000000000000000000:0000 0A 0
   1: 00000000000000000000000001000000:1F91 00000000000000000000000000000000:0000 0A 0
table udp
   0: 00000000:0035 00000000:0000 07 00000000:00000000 00:00000000 00000000 0 0 3
";

    fn listeners(port: &str) -> Vec<String> {
        let mut errors = ConfigErrors::default();
        let check = PortCheck::new(port, PortOptions::default(), &mut errors);
        assert!(errors.is_empty(), "{errors:?}");
        check.listeners(TABLES).iter().map(IpAddr::to_string).collect()
    }

    #[test]
    fn sockets_that_listen_are_found_by_their_port() {
        assert_eq!(listeners("tcp:8080"), ["127.0.0.1"]);
        assert!(listeners("tcp6:8080").is_empty());
        assert_eq!(listeners("tcp:80"), ["::"]);
        assert_eq!(listeners("tcp6:8081"), ["::1"]);
        // One that is connected does not listen.
        assert!(listeners("tcp:22").is_empty());
        assert_eq!(listeners("udp:53"), ["0.0.0.0"]);
        assert!(listeners("53").is_empty());
    }
}
