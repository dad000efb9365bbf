//! The values of `docker run`'s flags.

use std::collections::HashMap;
use std::path::Path;

use bollard::models::{
    DeviceMapping, DeviceRequest, EndpointIpamConfig, EndpointSettings, Mount, MountBindOptions,
    MountBindOptionsPropagationEnum, MountImageOptions, MountTmpfsOptions, MountType,
    MountVolumeOptions, MountVolumeOptionsDriverConfig, PortBinding, ResourcesBlkioWeightDevice,
    ResourcesUlimits, RestartPolicy, RestartPolicyNameEnum, ThrottleDevice,
};
use ingot_sdk::file_work::read_small_text;

/// The largest file that a flag names, in bytes.
const LARGEST: u64 = 16 << 20;

/// A size in bytes: a number with an optional unit b, k, m, g, t or p (powers of 1024), which may
/// be followed by `b` or `ib`.
pub(super) fn bytes_of(value: &str) -> Option<i64> {
    let lower = value.trim().to_ascii_lowercase();
    let digits = lower.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(lower.len());
    let number: f64 = lower[..digits].parse().ok()?;
    let unit = lower[digits..].trim_start();
    let unit = unit.strip_suffix("ib").or(unit.strip_suffix('b')).unwrap_or(unit);
    let power = match unit {
        "" => 0,
        "k" => 1,
        "m" => 2,
        "g" => 3,
        "t" => 4,
        "p" => 5,
        _ => return None,
    };
    let bytes = number * 1024f64.powi(power);
    #[expect(clippy::cast_possible_truncation, reason = "it is in range")]
    (bytes < 9e18).then_some(bytes as i64)
}

/// `KEY=VALUE`, or a key alone.
pub(super) fn pair(text: &str) -> (String, String) {
    let (key, value) = text.split_once('=').unwrap_or((text, ""));
    (key.to_owned(), value.to_owned())
}

/// The lines of a file of variables or labels that count.
pub(super) fn lines_of(flag: &str, path: &str) -> Result<Vec<String>, String> {
    let text = read_small_text(Path::new(path), "list", LARGEST)
        .map_err(|error| format!("--{flag}: {error}"))?;
    let lines = text.trim_start_matches('\u{feff}').lines().map(str::trim_start);
    Ok(lines.filter(|line| !line.is_empty() && !line.starts_with('#')).map(str::to_owned).collect())
}

/// A variable without a value takes it from this process's environment; none where it is not set.
pub(super) fn environment(entry: &str) -> Option<String> {
    if entry.contains('=') {
        return Some(entry.to_owned());
    }
    std::env::var(entry).ok().map(|value| format!("{entry}={value}"))
}

/// The fields of a value that is written as a line of a CSV file.
pub(super) fn fields(value: &str) -> Result<Vec<String>, String> {
    let mut fields = Vec::new();
    let mut rest = value;
    loop {
        let field;
        if let Some(quoted) = rest.strip_prefix('"') {
            let mut text = String::new();
            let mut after = quoted;
            loop {
                let (part, more) = after
                    .split_once('"')
                    .ok_or_else(|| format!("{value:?} ends in a quotation"))?;
                text.push_str(part);
                // Two stand for one.
                match more.strip_prefix('"') {
                    Some(more) => {
                        text.push('"');
                        after = more;
                    }
                    None => {
                        after = more;
                        break;
                    }
                }
            }
            field = text;
            rest = after;
        } else {
            let end = rest.find(',').unwrap_or(rest.len());
            field = rest[..end].to_owned();
            rest = &rest[end..];
        }
        fields.push(field);
        match rest.strip_prefix(',') {
            Some(after) => rest = after,
            None if rest.is_empty() => return Ok(fields),
            None => return Err(format!("in {value:?}, a comma must follow the quotation")),
        }
    }
}

/// Splits `SOURCE:TARGET[:OPTIONS]`; none for an anonymous volume.
pub(super) fn split_volume(value: &str) -> Option<(&str, &str)> {
    value.split_once(':').filter(|(source, _)| !source.is_empty())
}

/// A path relative to the current directory made absolute; names of volumes stay as they are.
pub(super) fn absolute(source: &str) -> String {
    if source == "." || source == ".." || source.starts_with("./") || source.starts_with("../") {
        return std::path::absolute(source)
            .map_or_else(|_| source.to_owned(), |path| path.display().to_string());
    }
    source.to_owned()
}

/// A device of the host, or one that a CDI driver makes: `VENDOR/CLASS=NAME`.
pub(super) enum Device {
    /// Of the host.
    Host(DeviceMapping),
    /// By CDI.
    Cdi(String),
}

/// `--device`.
pub(super) fn device(value: &str) -> Device {
    let is_cdi = !value.starts_with('/')
        && value.split_once('=').is_some_and(|(kind, _)| {
            kind.split_once('/')
                .is_some_and(|(vendor, class)| !vendor.is_empty() && !class.is_empty())
        });
    if is_cdi {
        return Device::Cdi(value.to_owned());
    }
    let parts: Vec<&str> = value.splitn(3, ':').collect();
    let (inside, permissions) = match parts[..] {
        [_, inside, permissions] => (inside, permissions),
        // The second part is either a path or permissions.
        [path, permissions] if permissions.chars().all(|c| "rwm".contains(c)) => {
            (path, permissions)
        }
        [_, inside] => (inside, "rwm"),
        _ => (value, "rwm"),
    };
    Device::Host(DeviceMapping {
        path_on_host: parts.first().map(|&path| path.to_owned()),
        path_in_container: Some(inside.to_owned()),
        cgroup_permissions: Some(permissions.to_owned()),
    })
}

/// `--gpus`: `all`, a number, or fields such as `device=0`.
pub(super) fn gpus(value: &str) -> Result<DeviceRequest, String> {
    let bad = |what: String| format!("--gpus: {what}, in {value:?}");
    let count_of = |text: &str| match text {
        "all" => Ok(-1),
        text => text.parse::<i64>().map_err(|_| {
            bad(format!("{text:?} is neither \"all\" nor a number nor a field such as device=0"))
        }),
    };
    let mut request = DeviceRequest::default();
    for field in fields(value).map_err(bad)? {
        match field.split_once('=') {
            None => request.count = Some(count_of(&field)?),
            Some(("count", text)) => request.count = Some(count_of(text)?),
            Some(("driver", name)) => request.driver = Some(name.to_owned()),
            Some(("device", ids)) => {
                request.device_ids = Some(ids.split(',').map(str::to_owned).collect());
            }
            Some(("capabilities", names)) => {
                let names = names.split(',').chain(["gpu"]).map(str::to_owned);
                request.capabilities = Some(vec![names.collect()]);
            }
            Some(("options", options)) => {
                let options = fields(options).map_err(bad)?;
                request.options = Some(options.iter().map(|option| pair(option)).collect());
            }
            Some((name, _)) => return Err(bad(format!("the field {name:?} is not known"))),
        }
    }
    if request.count.is_none() && request.device_ids.is_none() {
        request.count = Some(1);
    }
    request.options.get_or_insert_default();
    request.capabilities.get_or_insert_with(|| vec![vec!["gpu".to_owned()]]);
    Ok(request)
}

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

/// What `--security-opt` asks for.
pub(super) enum Security {
    /// An option for the Engine.
    Option(String),
    /// That nothing below /proc and /sys is hidden or read-only.
    AllSystemPaths,
}

/// `--security-opt`. The docker client reads a seccomp profile's file and sends its text.
pub(super) fn security_option(value: &str) -> Result<Security, String> {
    let (name, setting) = match (value.split_once('='), value.split_once(':')) {
        (Some(both), _) => both,
        (None, _) if value == "no-new-privileges" => return Ok(Security::Option(value.to_owned())),
        (None, Some(both)) => both,
        (None, None) => return Err(format!("--security-opt: {value:?} is not NAME=VALUE")),
    };
    match (name, setting) {
        ("systempaths", "unconfined") => Ok(Security::AllSystemPaths),
        ("seccomp", "unconfined" | "builtin") => Ok(Security::Option(format!("seccomp={setting}"))),
        ("seccomp", path) => {
            let text = read_small_text(Path::new(path), "seccomp profile", LARGEST)
                .map_err(|error| format!("--security-opt: {error}"))?;
            let json: serde_json::Value = serde_json::from_str(&text)
                .map_err(|error| format!("--security-opt: {path} is not JSON: {error}"))?;
            Ok(Security::Option(format!("seccomp={json}")))
        }
        _ => Ok(Security::Option(value.to_owned())),
    }
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

/// `--ulimit NAME=SOFT[:HARD]`.
pub(super) fn ulimit(value: &str) -> Option<ResourcesUlimits> {
    let (name, limits) = value.split_once('=')?;
    let (soft, hard) = limits.split_once(':').unwrap_or((limits, limits));
    Some(ResourcesUlimits {
        name: Some(name.to_owned()),
        soft: Some(soft.parse().ok()?),
        hard: Some(hard.parse().ok()?),
    })
}

/// `--restart`: `no`, `always`, `unless-stopped` or `on-failure[:TIMES]`.
pub(super) fn restart(value: &str) -> Option<RestartPolicy> {
    let (name, times) = match value.split_once(':') {
        Some((name, times)) => (name, Some(times.parse().ok()?)),
        None => (value, None),
    };
    let name = match name {
        "no" => RestartPolicyNameEnum::NO,
        "always" => RestartPolicyNameEnum::ALWAYS,
        "unless-stopped" => RestartPolicyNameEnum::UNLESS_STOPPED,
        "on-failure" => RestartPolicyNameEnum::ON_FAILURE,
        _ => return None,
    };
    Some(RestartPolicy { name: Some(name), maximum_retry_count: times })
}

/// `--device-read-bps` and its kin: `PATH:RATE`.
pub(super) fn throttle(value: &str, in_bytes: bool) -> Option<ThrottleDevice> {
    let (path, rate) = value.split_once(':').filter(|(path, _)| path.starts_with("/dev/"))?;
    let rate = if in_bytes { bytes_of(rate)? } else { rate.parse().ok()? };
    Some(ThrottleDevice { path: Some(path.to_owned()), rate: Some(rate) })
}

/// `--blkio-weight-device PATH:WEIGHT`.
pub(super) fn weighted(value: &str) -> Option<ResourcesBlkioWeightDevice> {
    let (path, weight) = value.split_once(':').filter(|(path, _)| path.starts_with("/dev/"))?;
    let weight =
        weight.parse().ok().filter(|weight| *weight == 0 || (10..=1000).contains(weight))?;
    Some(ResourcesBlkioWeightDevice { path: Some(path.to_owned()), weight: Some(weight) })
}

/// `--mount type=bind,source=/a,target=/b,readonly`.
pub(super) fn mount(value: &str) -> Result<Mount, String> {
    let bad = |what: String| format!("--mount: {what}, in {value:?}");
    let mut mount = Mount { typ: Some(MountType::VOLUME), ..Mount::default() };
    let mut bind = MountBindOptions::default();
    let mut volume = MountVolumeOptions::default();
    let mut driver = MountVolumeOptionsDriverConfig::default();
    let mut tmpfs = MountTmpfsOptions::default();
    let mut image = MountImageOptions::default();
    for field in fields(value).map_err(bad)? {
        let (key, setting) = match field.split_once('=') {
            Some((key, setting)) => (key.to_ascii_lowercase(), Some(setting)),
            None => (field.to_ascii_lowercase(), None),
        };
        let text =
            || setting.map(str::to_owned).ok_or_else(|| bad(format!("{key:?} needs a value")));
        let switch = || match setting {
            None | Some("true" | "1" | "t" | "T" | "TRUE" | "True") => Ok(true),
            Some("false" | "0" | "f" | "F" | "FALSE" | "False") => Ok(false),
            Some(other) => Err(bad(format!("{key}: {other:?} is not true or false"))),
        };
        match key.as_str() {
            "type" => {
                mount.typ = Some(match text()?.to_ascii_lowercase().as_str() {
                    "bind" => MountType::BIND,
                    "volume" => MountType::VOLUME,
                    "tmpfs" => MountType::TMPFS,
                    "image" => MountType::IMAGE,
                    "npipe" => MountType::NPIPE,
                    "cluster" => MountType::CLUSTER,
                    other => return Err(bad(format!("there is no type {other:?}"))),
                });
            }
            "source" | "src" => mount.source = Some(absolute(&text()?)),
            "target" | "destination" | "dst" => mount.target = Some(text()?),
            "readonly" | "ro" => mount.read_only = Some(switch()?),
            "consistency" => mount.consistency = Some(text()?.to_ascii_lowercase()),
            "bind-propagation" => {
                use MountBindOptionsPropagationEnum as Propagation;
                bind.propagation = Some(match text()?.to_ascii_lowercase().as_str() {
                    "private" => Propagation::PRIVATE,
                    "rprivate" => Propagation::RPRIVATE,
                    "shared" => Propagation::SHARED,
                    "rshared" => Propagation::RSHARED,
                    "slave" => Propagation::SLAVE,
                    "rslave" => Propagation::RSLAVE,
                    other => return Err(bad(format!("{other:?} is not a kind of propagation"))),
                });
            }
            "bind-nonrecursive" => bind.non_recursive = Some(switch()?),
            "bind-recursive" => match text()?.as_str() {
                "enabled" => {}
                "disabled" => bind.non_recursive = Some(true),
                "writable" => bind.read_only_non_recursive = Some(true),
                "readonly" => bind.read_only_force_recursive = Some(true),
                other => {
                    return Err(bad(format!(
                        "bind-recursive: {other:?} is not enabled, disabled, writable or readonly"
                    )));
                }
            },
            "bind-create-src" => bind.create_mountpoint = Some(switch()?),
            "volume-nocopy" => volume.no_copy = Some(switch()?),
            "volume-subpath" => volume.subpath = Some(text()?),
            "volume-label" => {
                let (key, value) = pair(&text()?);
                volume.labels.get_or_insert_default().insert(key, value);
            }
            "volume-driver" => driver.name = Some(text()?),
            "volume-opt" => {
                let (key, value) = pair(&text()?);
                driver.options.get_or_insert_default().insert(key, value);
            }
            "image-subpath" => image.subpath = Some(text()?),
            "tmpfs-size" => {
                let size = text()?;
                let bytes =
                    bytes_of(&size).ok_or_else(|| bad(format!("{size:?} is not a size")))?;
                tmpfs.size_bytes = Some(bytes);
            }
            "tmpfs-mode" => {
                let mode = text()?;
                let bits = i64::from_str_radix(&mode, 8);
                tmpfs.mode = Some(bits.map_err(|_| bad(format!("{mode:?} is not an octal mode")))?);
            }
            _ => return Err(bad(format!("the field {key:?} is not known"))),
        }
    }
    if mount.target.is_none() {
        return Err(bad("no target is named".to_owned()));
    }
    if driver != MountVolumeOptionsDriverConfig::default() {
        volume.driver_config = Some(driver);
    }
    // Options of another type of mount would be lost.
    let typ = mount.typ.unwrap_or(MountType::VOLUME);
    let of_type = |set: bool, ty: MountType, name: &str| match set && typ != ty {
        true => Err(bad(format!("{name}-… is for mounts of type {ty}"))),
        false => Ok(set),
    };
    if of_type(bind != MountBindOptions::default(), MountType::BIND, "bind")? {
        mount.bind_options = Some(bind);
    }
    if of_type(volume != MountVolumeOptions::default(), MountType::VOLUME, "volume")? {
        mount.volume_options = Some(volume);
    }
    if of_type(tmpfs != MountTmpfsOptions::default(), MountType::TMPFS, "tmpfs")? {
        mount.tmpfs_options = Some(tmpfs);
    }
    if of_type(image != MountImageOptions::default(), MountType::IMAGE, "image")? {
        mount.image_options = Some(image);
    }
    Ok(mount)
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
