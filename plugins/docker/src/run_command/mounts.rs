//! The value of `docker run`'s flag `--mount`.

use bollard::models::{
    Mount, MountBindOptions, MountBindOptionsPropagationEnum, MountImageOptions, MountTmpfsOptions,
    MountType, MountVolumeOptions, MountVolumeOptionsDriverConfig,
};

use super::values::{absolute, bytes_of, fields, pair};

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
