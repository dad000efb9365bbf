//! The values of `docker run`'s flags about devices.

use bollard::models::{DeviceMapping, DeviceRequest, ResourcesBlkioWeightDevice, ThrottleDevice};

use super::values::{bytes_of, fields, pair};

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
