//! What `qemuargs` takes away: a switch of the user's replaces ours of the same name.

use ingot_sdk::{ConfigWarning, PrepareContext, Result};

use crate::arguments::{self, Switches};
use crate::options::given;
use crate::settings::{Settings, sample_data};

/// Warnings about what the machine lacks, and about options that have no effect, because
/// `qemuargs` has the switch that we would give it with.
///
/// # Errors
/// A template in `qemuargs` cannot be rendered.
pub(crate) fn warnings(settings: &Settings, ctx: &PrepareContext) -> Result<Vec<ConfigWarning>> {
    let mut data = sample_data();
    data["OutputDir"] = settings.output.display().to_string().into();
    data["Name"] = settings.vm_name.as_str().into();
    let users = arguments::users(settings, ctx, &data)?;
    let mut warnings = Vec::new();
    let missing = [("-drive", drives(settings, &users)), ("-device", devices(settings, &users))];
    for (switch, lost) in missing {
        if lost.is_empty() {
            continue;
        }
        let them = if lost.len() == 1 { "it" } else { "them" };
        let mut warning = format!(
            "qemuargs: your {switch} replaces all of ours, so that the machine lacks {}; add {them} \
             to qemuargs if it needs {them}",
            lost.join(", ")
        );
        if switch == "-drive" && lost[0].starts_with("the disk ") {
            warning.push_str(&format!(
                ", as in [\"-drive\", \"file={{{{ .OutputDir }}}}/{{{{ .Name }}}},if={},format={}\"]",
                settings.raw.disk_interface(),
                settings.raw.format()
            ));
        }
        warnings.push(ConfigWarning::on("qemuargs", warning));
    }
    if let Some(networks) = values(&users, "-netdev")
        && settings.communication.port().is_some()
        && given(&settings.raw.net_bridge).is_none()
        && settings.communication.host().is_none()
        && !networks.iter().any(|value| value.contains("fwd=") || !value.starts_with("user"))
    {
        let message = format!(
            "qemuargs: your -netdev replaces ours, so that nothing leads to port {} of the machine; \
             add hostfwd=tcp::{{{{ .SSHHostPort }}}}-:{0} to it",
            settings.guest_port()
        );
        warnings.push(ConfigWarning::on("qemuargs", message));
    }
    if values(&users, "-k").is_some() && settings.raw.boot.is_set() {
        let message = "qemuargs: -k has no effect on the boot command, whose keys are those of a US \
                       keyboard; have the machine use that layout while it is typed";
        warnings.push(ConfigWarning::on("qemuargs", message));
    }
    for (switch, options) in overruled(settings) {
        if values(&users, switch).is_some() && !options.is_empty() {
            let have = if options.len() == 1 { "has" } else { "have" };
            let names = options.join(", ");
            let message = format!("{names} {have} no effect: qemuargs has its own {switch}");
            warnings.push(ConfigWarning::on(options[0], message));
        }
    }
    Ok(warnings)
}

/// The values of a switch of the user's, if it is there.
fn values<'a>(users: &'a Switches, switch: &str) -> Option<&'a Vec<String>> {
    users.iter().find(|(name, _)| name == switch).map(|(_, values)| values)
}

/// Our drives that nothing of the user's stands for.
fn drives(settings: &Settings, users: &Switches) -> Vec<String> {
    let Some(theirs) = values(users, "-drive") else { return Vec::new() };
    let raw = &settings.raw;
    let has = |part: &str| theirs.iter().any(|value| value.contains(part));
    let mut lost = Vec::new();
    for disk in settings.disks() {
        let name = disk.file_name().unwrap_or_default().to_string_lossy();
        let is_it = |value: &String| {
            let file = value.split(',').find_map(|field| field.trim().strip_prefix("file="));
            file.and_then(|file| file.rsplit('/').next()) == Some(&*name)
        };
        if !theirs.iter().any(is_it) {
            lost.push(format!("the disk {}", disk.display()));
        }
    }
    let disc = has("media=cdrom") || has(".iso") || values(users, "-cdrom").is_some();
    if !raw.disk_image && !disc {
        lost.push("the installation disc".to_owned());
    }
    if !raw.cd.cd_files.is_empty() || !raw.cd.cd_content.is_empty() {
        lost.push("the disc of cd_files and cd_content".to_owned());
    }
    if settings.efi.enabled && !has("if=pflash") {
        lost.push("the UEFI firmware".to_owned());
    }
    if raw.use_pflash && given(&raw.firmware).is_some() && !has("if=pflash") {
        lost.push("the firmware".to_owned());
    }
    lost
}

/// Our devices that nothing of the user's stands for. The network card comes back by itself.
fn devices(settings: &Settings, users: &Switches) -> Vec<String> {
    let Some(theirs) = values(users, "-device") else { return Vec::new() };
    let raw = &settings.raw;
    let has = |part: &str| theirs.iter().any(|value| value.contains(part));
    // With drives of the user's own, these belong to nothing.
    let ours = values(users, "-drive").is_none();
    let mut lost = Vec::new();
    if ours && raw.disk_interface() == "virtio-scsi" {
        for (number, disk) in settings.disks().iter().enumerate() {
            if !has(&format!("drive=drive{number}")) {
                lost.push(format!("the disk {} (drive{number})", disk.display()));
            }
        }
    }
    let by_scsi = given(&raw.cdrom_interface) == Some("virtio-scsi") && !raw.disk_image;
    if ours && by_scsi && !has("drive=cdrom0") {
        lost.push("the installation disc (cdrom0)".to_owned());
    }
    if raw.vtpm && !has("tpmdev=tpm0") {
        lost.push("the TPM (tpm0)".to_owned());
    }
    lost
}

/// Options that are only given by one switch, as far as the template has them.
fn overruled(settings: &Settings) -> Vec<(&'static str, Vec<&'static str>)> {
    let raw = &settings.raw;
    let set = |options: &[(&'static str, bool)]| {
        options.iter().filter(|(_, set)| *set).map(|(name, _)| *name).collect::<Vec<_>>()
    };
    let floppy = !raw.floppy.floppy_files.is_empty()
        || !raw.floppy.floppy_dirs.is_empty()
        || !raw.floppy.floppy_content.is_empty();
    vec![
        ("-m", set(&[("memory", raw.memory.is_some())])),
        (
            "-smp",
            set(&[
                ("cpus", raw.cpus.is_some()),
                ("sockets", raw.sockets.is_some()),
                ("cores", raw.cores.is_some()),
                ("threads", raw.threads.is_some()),
            ]),
        ),
        ("-cpu", set(&[("cpu_model", given(&raw.cpu_model).is_some())])),
        (
            "-machine",
            set(&[
                ("machine_type", given(&raw.machine_type).is_some()),
                ("accelerator", given(&raw.accelerator).is_some()),
            ]),
        ),
        ("-vga", set(&[("vga", given(&raw.vga).is_some())])),
        ("-display", set(&[("display", given(&raw.display).is_some() && !raw.headless)])),
        ("-bios", set(&[("firmware", given(&raw.firmware).is_some() && !raw.use_pflash)])),
        ("-fda", set(&[("floppy_files, floppy_dirs or floppy_content", floppy)])),
        ("-netdev", set(&[("net_bridge", given(&raw.net_bridge).is_some())])),
        (
            "-vnc",
            set(&[
                ("vnc_bind_address", given(&raw.vnc_bind_address).is_some()),
                ("vnc_port_min", raw.vnc_port_min.is_some()),
                ("vnc_port_max", raw.vnc_port_max.is_some()),
                ("vnc_use_password", raw.vnc_use_password),
            ]),
        ),
    ]
}

#[cfg(test)]
mod tests {
    use ingot_sdk::{Config, Decoded, PrepareContext};
    use serde_json::{Value, json};

    use crate::settings::Settings;

    /// The warnings about options.
    fn warnings(options: Value) -> Vec<String> {
        let mut all = json!({
            "iso_url": "/x.iso", "iso_checksum": "none", "ssh_username": "root", "headless": true,
            "output_directory": "out", "vm_name": "disk.qcow2",
        });
        for (name, value) in options.as_object().unwrap() {
            all[name] = value.clone();
        }
        let ctx = PrepareContext { build_name: "m".to_owned(), ..PrepareContext::default() };
        let config = Config::new(all.as_object().unwrap().clone());
        let given = Decoded { options: config.decode().unwrap(), config: &config };
        let prepared = Settings::prepare(given, &ctx).unwrap();
        let mut warnings: Vec<String> =
            prepared.warnings.into_iter().map(|warning| warning.message).collect();
        warnings.retain(|warning| !warning.contains("iso_checksum"));
        warnings
    }

    #[test]
    fn rows_that_are_null_are_left_out() {
        assert_eq!(warnings(json!({ "qemuargs": [null, ["-display", "none"]] })), [""; 0]);
    }

    #[test]
    fn drives_that_go_are_named() {
        let said = warnings(json!({ "qemuargs": [["-drive", "file=seed.img,if=virtio"]] }));
        assert_eq!(said.len(), 1, "{said:?}");
        for part in [
            "your -drive replaces all of ours",
            "the disk out/disk.qcow2, the installation disc;",
            "[\"-drive\", \"file={{ .OutputDir }}/{{ .Name }},if=virtio,format=qcow2\"]",
        ] {
            assert!(said[0].contains(part), "{part:?} is not in {said:?}");
        }
        // What public templates do: all drives by hand.
        let rows = json!([
            ["-drive", "file={{ .OutputDir }}/{{ .Name }},if=virtio,cache=writeback"],
            ["-drive", "file=cache/x.iso,media=cdrom"],
        ]);
        assert_eq!(warnings(json!({ "qemuargs": rows })), [""; 0]);
        let rows = json!([["-drive", "file=out/disk.qcow2,if=virtio"], ["-cdrom", "x.iso"]]);
        let said = warnings(json!({
            "qemuargs": rows, "efi_boot": true, "cd_content": { "a": "b" },
            "disk_additional_size": ["1G"],
        }));
        for lost in ["out/disk.qcow2-1", "cd_files", "the UEFI firmware"] {
            assert!(said[0].contains(lost), "{lost} is not in {said:?}");
        }
        assert!(!said[0].contains("installation"), "{said:?}");
    }

    #[test]
    fn devices_networks_and_options_that_go_are_named() {
        let said = warnings(json!({
            "disk_interface": "virtio-scsi", "vtpm": true, "memory": 1024, "cpus": 2,
            "qemuargs": [
                ["-device", "virtio-rng-pci"], ["-netdev", "user,id=user.0"], ["-m", "2048M"],
                ["-smp", "4"],
            ],
        }));
        let said = said.join("\n");
        for part in [
            "your -device replaces all of ours",
            "the disk out/disk.qcow2 (drive0), the TPM (tpm0)",
            "nothing leads to port 22 of the machine; add hostfwd=tcp::{{ .SSHHostPort }}-:22",
            "memory has no effect: qemuargs has its own -m",
            "cpus has no effect: qemuargs has its own -smp",
        ] {
            assert!(said.contains(part), "{part:?} is not in {said}");
        }
        let rows = json!([["-device", "virtio-rng-pci"], ["-m", "2048M"]]);
        assert_eq!(warnings(json!({ "qemuargs": rows })), [""; 0]);
    }

    #[test]
    fn a_keyboard_that_the_boot_command_does_not_use_is_named() {
        let rows = json!([["-k", "de"]]);
        assert_eq!(warnings(json!({ "qemuargs": rows })), [""; 0]);
        let said = warnings(json!({ "qemuargs": rows, "boot_command": ["yes<enter>"] }));
        assert!(said.len() == 1 && said[0].contains("-k has no effect on the boot"), "{said:?}");
    }
}
