//! The values of `docker run`'s flags about networks and ports.

use std::collections::HashMap;

use bollard::models::{EndpointIpamConfig, EndpointSettings, PortBinding};

use super::values::{fields, pair};

/// `--network`: a name, or fields such as `name=net,alias=web`.
pub(super) fn network(value: &str) -> Result<(String, EndpointSettings), String> {
    let mut settings = EndpointSettings::default();
    if !value.contains('=') {
        return Ok((value.to_owned(), settings));
    }
    let mut name = String::new();
    for field in fields(value).map_err(|why| format!("--network: {why}"))? {
        let (key, text) = field
            .split_once('=')
            .ok_or_else(|| format!("--network: {field:?} is not a field such as name=net"))?;
        let text = text.trim().to_owned();
        match key.trim().to_ascii_lowercase().as_str() {
            "name" => name = text,
            "alias" => settings.aliases.get_or_insert_default().push(text),
            "mac-address" => settings.mac_address = Some(text),
            "ip" => addresses(&mut settings).ipv4_address = Some(text),
            "ip6" => addresses(&mut settings).ipv6_address = Some(text),
            "link-local-ip" => {
                addresses(&mut settings).link_local_ips.get_or_insert_default().push(text);
            }
            "driver-opt" => {
                let (key, text) = pair(&text);
                settings.driver_opts.get_or_insert_default().insert(key, text);
            }
            "gw-priority" => {
                let number = text.parse();
                settings.gw_priority = Some(number.map_err(|_| {
                    format!("--network: gw-priority: {text:?} is not a whole number")
                })?);
            }
            other => return Err(format!("--network: the field {other:?} is not known")),
        }
    }
    match name.is_empty() {
        true => Err(format!("--network: {value:?} names no network: add name=NETWORK")),
        false => Ok((name, settings)),
    }
}

/// The addresses of a container in a network.
pub(super) fn addresses(settings: &mut EndpointSettings) -> &mut EndpointIpamConfig {
    settings.ipam_config.get_or_insert_default()
}

/// Adds the networks' settings to those of the container's own flags, which are for the first.
pub(super) fn endpoints(
    networks: Vec<(String, EndpointSettings)>,
    own: EndpointSettings,
) -> (String, Option<HashMap<String, EndpointSettings>>) {
    let mut networks = networks;
    if networks.is_empty() {
        networks.push(("default".to_owned(), EndpointSettings::default()));
    }
    let first = &mut networks[0].1;
    if let Some(aliases) = own.aliases {
        first.aliases.get_or_insert_default().extend(aliases);
    }
    if let Some(address) = own.mac_address {
        first.mac_address = Some(address);
    }
    if let Some(more) = own.ipam_config {
        let config = addresses(first);
        config.ipv4_address = more.ipv4_address.or(config.ipv4_address.take());
        config.ipv6_address = more.ipv6_address.or(config.ipv6_address.take());
        if let Some(addresses) = more.link_local_ips {
            config.link_local_ips.get_or_insert_default().extend(addresses);
        }
    }
    let mode = networks[0].0.clone();
    let plain = networks.len() == 1 && networks[0].1 == EndpointSettings::default();
    (mode, (!plain).then(|| networks.into_iter().collect()))
}

/// A port or a range of them.
fn range(text: &str) -> Option<(u16, u16)> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last) = (first.parse().ok()?, last.parse().ok()?);
    (first <= last).then_some((first, last))
}

fn protocol_of(value: &str) -> Option<(&str, &str)> {
    let (ports, protocol) = value.split_once('/').unwrap_or((value, "tcp"));
    matches!(protocol.to_ascii_lowercase().as_str(), "tcp" | "udp" | "sctp")
        .then_some((ports, protocol))
}

/// `80`, `53/udp` or `8000-8010` as the Engine writes them.
pub(super) fn exposed(value: &str) -> Option<Vec<String>> {
    let (ports, protocol) = protocol_of(value)?;
    let (first, last) = range(ports)?;
    let protocol = protocol.to_ascii_lowercase();
    Some((first..=last).map(|port| format!("{port}/{protocol}")).collect())
}

/// `[[ADDRESS:][HOST_PORT]:]PORT[/PROTOCOL]`, where a port may be a range.
pub(super) fn published(value: &str) -> Option<Vec<(String, PortBinding)>> {
    let (outside, inside) = value.rsplit_once(':').unwrap_or(("", value));
    let (address, outside) = match outside.rsplit_once(':') {
        // An address of IPv6 alone has colons of its own.
        _ if outside.ends_with(']') => return None,
        Some((address, port)) => (address, port),
        None => ("", outside),
    };
    let address = address.trim_start_matches('[').trim_end_matches(']');
    let (ports, protocol) = protocol_of(inside)?;
    let protocol = protocol.to_ascii_lowercase();
    let (first, last) = range(ports)?;
    let count = last - first;
    let outer = match outside {
        "" => None,
        outside => Some(range(outside)?),
    };
    // One port may get any of a range; otherwise they must be as many.
    let free_choice = outer.filter(|(low, high)| count == 0 && high > low);
    if free_choice.is_none() && outer.is_some_and(|(low, high)| high - low != count) {
        return None;
    }
    let binding = |port: u16| {
        let host_port = match (free_choice, outer) {
            (Some((low, high)), _) => format!("{low}-{high}"),
            (None, Some((low, _))) => (low + (port - first)).to_string(),
            (None, None) => String::new(),
        };
        let host_ip = Some(address.to_owned());
        (format!("{port}/{protocol}"), PortBinding { host_ip, host_port: Some(host_port) })
    };
    Some((first..=last).map(binding).collect())
}
