//! Where the machine and the host find each other.

use std::net::IpAddr;
use std::time::Duration;

use ingot_sdk::{Error, Result};
use serde_json::{Value, json};

use crate::machine::Machine;
use crate::qmp::Qmp;

/// The host, as a machine on QEMU's own network sees it.
const HOST_ON_USER_NETWORK: &str = "10.0.2.2";
/// The name of the machine's network in QEMU's arguments.
const NETDEV: &str = "user.0";
/// How often to look for the machine's address.
const POLL: Duration = Duration::from_secs(2);
/// The flag in `/proc/net/arp` that says that an entry is complete (`ATF_COM`).
const COMPLETE: u32 = 0x02;

/// The address at which the machine finds this host.
///
/// # Errors
/// The bridge is not there, or has no IPv4 address.
pub(crate) fn host_address(bridge: Option<&str>) -> Result<String> {
    let Some(bridge) = bridge else { return Ok(HOST_ON_USER_NETWORK.to_owned()) };
    let interfaces = if_addrs::get_if_addrs().map_err(Error::from)?;
    let mut addresses = interfaces.iter().filter(|one| one.name == bridge).map(|one| one.ip());
    match addresses.find(IpAddr::is_ipv4) {
        Some(address) => Ok(address.to_string()),
        None => Err(Error::new(format!("net_bridge: {bridge} has no IPv4 address on this host"))
            .hint("list bridges and their addresses with `ip -brief address`")),
    }
}

/// Waits until the machine has an address on the bridge.
pub(crate) async fn machine_address(machine: &Machine, bridge: &str) -> Result<String> {
    loop {
        if let Some(mac) = mac_address(&mut machine.qmp().await?).await? {
            let table = tokio::fs::read_to_string("/proc/net/arp").await.unwrap_or_default();
            if let Some(address) = neighbour(&table, bridge, &mac) {
                return Ok(address);
            }
        }
        tokio::time::sleep(POLL).await;
    }
}

/// The hardware address of the machine's card on our network.
async fn mac_address(qmp: &mut Qmp) -> Result<Option<String>> {
    for parent in ["/machine/peripheral", "/machine/peripheral-anon"] {
        let children = qmp.execute("qom-list", json!({ "path": parent })).await?;
        for child in children.as_array().into_iter().flatten() {
            let is_child = child["type"].as_str().is_some_and(|ty| ty.starts_with("child<"));
            let (true, Some(name)) = (is_child, child["name"].as_str()) else { continue };
            let path = format!("{parent}/{name}");
            let mut get = async |property: &str| -> Option<String> {
                let arguments = json!({ "path": path, "property": property });
                // Most devices have no such property.
                let value = qmp.execute("qom-get", arguments).await.ok()?;
                value.as_str().map(str::to_owned)
            };
            if get("netdev").await.as_deref() == Some(NETDEV) {
                return Ok(get("mac").await);
            }
        }
    }
    Ok(None)
}

/// The address of the neighbour `mac` in the kernel's table: address, type, flags, hardware
/// address, mask, device.
fn neighbour(table: &str, device: &str, mac: &str) -> Option<String> {
    table.lines().skip(1).find_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let &[address, _, flags, hardware, _, interface] = fields.as_slice() else { return None };
        let flags = u32::from_str_radix(flags.trim_start_matches("0x"), 16).ok()?;
        let found = interface == device && hardware.eq_ignore_ascii_case(mac);
        (found && flags & COMPLETE != 0).then(|| address.to_owned())
    })
}

/// Sets the password of the VNC server.
///
/// # Errors
/// QEMU refused it.
pub(crate) async fn set_vnc_password(machine: &Machine, password: &str) -> Result<()> {
    let arguments = json!({ "protocol": "vnc", "password": password });
    machine.qmp().await?.execute("set_password", arguments).await.map(|_: Value| ())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_are_found_by_bridge_and_card() {
        let table = "\
IP address       HW type     Flags       HW address            Mask     Device
192.168.1.9      0x1         0x0         52:54:00:12:34:56     *        br0
192.168.1.5      0x1         0x2         52:54:00:12:34:56     *        br1
192.168.1.7      0x1         0x2         52:54:00:12:34:56     *        br0
";
        assert_eq!(neighbour(table, "br0", "52:54:00:12:34:56").as_deref(), Some("192.168.1.7"));
        assert_eq!(neighbour(table, "br0", "52:54:00:12:34:57"), None);
        assert_eq!(host_address(None).unwrap(), "10.0.2.2");
        assert!(host_address(Some("no-such-bridge")).is_err());
    }
}
