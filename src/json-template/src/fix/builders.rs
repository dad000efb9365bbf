//! Fixers of builders.

use std::sync::LazyLock;

use regex::Regex;
use serde_json::{Value, json};

use super::object::{self, Object, string};
use super::types::{AMAZON, Types};
use Types::{Builders, Named, Prefix};

type Result = std::result::Result<(), String>;

/// Calls `work` for all builders of some types.
fn each(
    template: &mut Object,
    types: Types,
    mut work: impl FnMut(&mut Object) -> Result,
) -> Result {
    let builders = match template.get_mut("builders") {
        None | Some(Value::Null) => return Ok(()),
        Some(Value::Array(builders)) => builders,
        Some(_) => return Err("`builders` is not a list".to_owned()),
    };
    for builder in builders {
        let Value::Object(builder) = builder else {
            return Err("a builder is not an object".to_owned());
        };
        let fits = match (types, builder.get("type")) {
            (Builders, _) => true,
            (types, Some(Value::String(ty))) => types.has(ty),
            _ => false,
        };
        if fits {
            work(builder)?;
        }
    }
    Ok(())
}

/// Gives an option another name.
pub(super) fn rename(template: &mut Object, types: Types, old: &str, new: &str) -> Result {
    each(template, types, |builder| {
        object::rename(builder, old, new);
        Ok(())
    })
}

/// Gives an option whose value `fits` another name; if there is a new one already, that stays.
pub(super) fn replace(
    template: &mut Object,
    types: Types,
    old: &str,
    new: &str,
    fits: fn(&Value) -> bool,
) -> Result {
    each(template, types, |builder| {
        if !builder.get(old).is_some_and(fits) {
            return Ok(());
        }
        match builder.contains_key(new) {
            true => drop(builder.shift_remove(old)),
            false => object::rename(builder, old, new),
        }
        Ok(())
    })
}

/// Removes an option.
pub(super) fn remove(template: &mut Object, types: Types, option: &str) -> Result {
    each(template, types, |builder| {
        builder.shift_remove(option);
        Ok(())
    })
}

/// Gives a type of builders another name.
pub(super) fn rename_type(template: &mut Object, old: &str, new: &str) -> Result {
    each(template, Builders, |builder| {
        if string(builder, "type") == old {
            builder.insert("type".to_owned(), new.into());
        }
        Ok(())
    })
}

pub(super) fn iso_md5(template: &mut Object) -> Result {
    each(template, Builders, |builder| {
        let Some(Value::String(md5)) = builder.get("iso_md5").cloned() else { return Ok(()) };
        object::replace(builder, "iso_md5", "iso_checksum", md5.into());
        builder.insert("iso_checksum_type".to_owned(), "md5".into());
        Ok(())
    })
}

static CREATE_TIME: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"\{\{\s*\.CreateTime\s*\}\}").ok());

pub(super) fn create_time(template: &mut Object) -> Result {
    each(template, Builders, |builder| {
        for key in ["ami_name", "bundle_prefix", "snapshot_name"] {
            if let Some(Value::String(name)) = builder.get_mut(key) {
                substitute(&CREATE_TIME, name, "{{timestamp}}");
            }
        }
        Ok(())
    })
}

fn substitute(pattern: &Option<Regex>, text: &mut String, with: &str) {
    if let Some(pattern) = pattern {
        *text = pattern.replace_all(text, with).into_owned();
    }
}

pub(super) fn guest_additions(template: &mut Object) -> Result {
    each(template, Named(&["virtualbox"]), |builder| {
        let Some(Value::Bool(attach)) = builder.get("guest_additions_attach") else {
            return Ok(());
        };
        let mode = if *attach { "attach" } else { "upload" };
        object::replace(builder, "guest_additions_attach", "guest_additions_mode", mode.into());
        Ok(())
    })
}

pub(super) fn enhanced_networking(template: &mut Object) -> Result {
    each(template, AMAZON, |builder| {
        if builder.get("enhanced_networking").is_some_and(Value::is_boolean) {
            object::rename(builder, "enhanced_networking", "ena_support");
        }
        Ok(())
    })
}

pub(super) fn private_ip(template: &mut Object) -> Result {
    each(template, AMAZON, |builder| {
        if builder.contains_key("ssh_interface") {
            return Ok(());
        }
        let private = match builder.get("ssh_private_ip") {
            None => return Ok(()),
            Some(Value::Bool(private)) => *private,
            Some(Value::String(text)) => match text.as_str() {
                "1" | "t" | "T" | "true" | "TRUE" | "True" => true,
                "0" | "f" | "F" | "false" | "FALSE" | "False" => false,
                _ => return Err("ssh_private_ip is neither true nor false".to_owned()),
            },
            Some(_) => return Err("ssh_private_ip is neither true nor false".to_owned()),
        };
        let interface = if private { "private_ip" } else { "public_ip" };
        object::replace(builder, "ssh_private_ip", "ssh_interface", interface.into());
        Ok(())
    })
}

pub(super) fn source_cidrs(template: &mut Object) -> Result {
    let (old, new) =
        ("temporary_security_group_source_cidr", "temporary_security_group_source_cidrs");
    each(template, AMAZON, |builder| {
        if let Some(Value::String(cidr)) = builder.get(old).cloned() {
            object::replace(builder, old, new, json!([cidr]));
        }
        Ok(())
    })
}

pub(super) fn vmware_compaction(template: &mut Object) -> Result {
    each(template, Named(&["vmware-iso"]), |builder| {
        if string(builder, "remote_type") != "esx5" {
            return Ok(());
        }
        match builder.get("disk_type_id") {
            None => drop(builder.insert("disk_type_id".to_owned(), "zeroedthick".into())),
            Some(Value::String(ty)) if ty != "thin" => {}
            // A thin disk can be compacted.
            Some(_) => return Ok(()),
        }
        if builder.get("skip_compaction").is_none_or(Value::is_boolean) {
            builder.insert("skip_compaction".to_owned(), true.into());
        }
        Ok(())
    })
}

static CLEAN_NAME: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new("clean_(image|ami)_name").ok());

pub(super) fn clean_names(template: &mut Object) -> Result {
    let clean = |value: &mut Value| {
        if let Value::String(text) = value {
            substitute(&CLEAN_NAME, text, "clean_resource_name");
        }
    };
    each(template, Builders, |builder| {
        for (_, value) in builder.iter_mut() {
            match value {
                Value::Object(inner) => inner.iter_mut().for_each(|(_, value)| clean(value)),
                value => clean(value),
            }
        }
        Ok(())
    })
}

pub(super) fn qemu_disk_size(template: &mut Object) -> Result {
    each(template, Named(&["qemu"]), |builder| {
        if let Some(Value::Number(size)) = builder.get("disk_size") {
            let size = size.as_i64().or_else(|| size.as_f64().map(|size| size as i64));
            let size = size.unwrap_or_default();
            builder.insert("disk_size".to_owned(), format!("{size}M").into());
        }
        Ok(())
    })
}

pub(super) fn virtualbox_ports(template: &mut Object) -> Result {
    let any: fn(&Value) -> bool = |_| true;
    let virtualbox = Prefix("virtualbox");
    replace(template, virtualbox, "ssh_host_port_min", "host_port_min", any)?;
    replace(template, virtualbox, "ssh_host_port_max", "host_port_max", any)?;
    each(template, virtualbox, |builder| {
        match (builder.contains_key("skip_nat_mapping"), builder.get("ssh_skip_nat_mapping")) {
            (true, _) => drop(builder.shift_remove("ssh_skip_nat_mapping")),
            (false, Some(Value::Bool(_))) => {
                object::rename(builder, "ssh_skip_nat_mapping", "skip_nat_mapping");
            }
            _ => {}
        }
        Ok(())
    })
}

pub(super) fn ssh_wait_timeout(template: &mut Object) -> Result {
    each(template, Builders, |builder| {
        if builder.contains_key("ssh_timeout") {
            builder.shift_remove("ssh_wait_timeout");
        } else if builder.get("ssh_wait_timeout").is_some_and(Value::is_string) {
            object::rename(builder, "ssh_wait_timeout", "ssh_timeout");
        }
        Ok(())
    })
}

pub(super) fn vsphere(template: &mut Object) -> Result {
    each(template, Named(&["vsphere-iso"]), |builder| {
        // The last of two that mean the same counts.
        let network = [
            ("network", "network"),
            ("networkCard", "network_card"),
            ("network_card", "network_card"),
        ];
        gather(builder, &network, "network_adapters")?;
        let disk = ["disk_size", "disk_thin_provisioned", "disk_eagerly_scrub"];
        gather(builder, &disk.map(|option| (option, option)), "storage")
    })
}

/// Moves options into an object at the start of the list `into`.
fn gather(builder: &mut Object, options: &[(&str, &str)], into: &str) -> Result {
    let mut first = Object::new();
    let mut place = None;
    for (old, new) in options {
        let at = builder.keys().position(|key| key == old);
        let Some(value) = builder.shift_remove(*old) else { continue };
        first.insert((*new).to_owned(), value);
        place = place.into_iter().chain(at).min();
    }
    let Some(place) = place else { return Ok(()) };
    let mut list = vec![Value::Object(first)];
    match builder.get_mut(into) {
        Some(Value::Array(items)) => {
            list.append(items);
            builder.insert(into.to_owned(), list.into());
        }
        Some(_) => return Err(format!("`{into}` is not a list")),
        None => {
            let place = place.min(builder.len());
            builder.shift_insert(place, into.to_owned(), list.into());
        }
    }
    Ok(())
}

pub(super) fn iso_checksum(template: &mut Object) -> Result {
    each(template, Builders, |builder| {
        let [url, ty, sum] = ["iso_checksum_url", "iso_checksum_type", "iso_checksum"]
            .map(|key| string(builder, key).to_owned());
        let places = ["iso_checksum", "iso_checksum_url", "iso_checksum_type"];
        let place = places.into_iter().find(|key| builder.contains_key(*key)).unwrap_or_default();
        let checksum = match (url.is_empty(), ty.is_empty(), sum.is_empty()) {
            // Packer removes it, and with it all that said that there is no checksum.
            (true, ..) if ty == "none" => Some(ty.clone()),
            (false, ..) => Some(format!("file:{url}")),
            (true, false, false) => Some(format!("{ty}:{sum}")),
            (true, ..) => None,
        };
        if let Some(checksum) = checksum {
            object::replace(builder, place, "iso_checksum", checksum.into());
        }
        builder.shift_remove("iso_checksum_url");
        builder.shift_remove("iso_checksum_type");
        Ok(())
    })
}

pub(super) fn azure_exclude(template: &mut Object) -> Result {
    each(template, Prefix("azure-chroot"), |builder| {
        if let Some(Value::Object(image)) = builder.get_mut("shared_image_destination") {
            object::rename(image, "exlude_from_latest", "exclude_from_latest");
        }
        Ok(())
    })
}
