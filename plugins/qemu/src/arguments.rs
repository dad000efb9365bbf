//! QEMU's command line. What is on it, and how the user's `qemuargs` are merged into it, is
//! Packer's, so that templates written against it work unchanged.

use std::path::{Path, PathBuf};

use ingot_sdk::{Context, PrepareContext, Result};
use serde_json::Value;

use crate::disk_format::of_firmware;
use crate::options::given;
use crate::settings::Settings;

/// The name by which QEMU knows the password of the server that it reads the installation disc from.
pub(crate) const ISO_PASSWORD: &str = "ingot-iso-password";

/// What is only known once the build runs.
#[derive(Debug, Clone, Default)]
pub(crate) struct RuntimeSettings {
    /// The accelerator in use; `none` leaves it to QEMU.
    pub accelerator: String,
    /// The port of the host that leads to the machine's SSH server.
    pub forwarded_port: Option<u16>,
    /// The VNC server's port.
    pub vnc_port: u16,
    /// The disks.
    pub disks: Vec<PathBuf>,
    /// The installation disc; a file or a URL. None when booting from a disk image.
    pub iso: Option<String>,
    /// The user to log in as where it is a URL; [`ISO_PASSWORD`] names the password.
    pub iso_user: Option<String>,
    /// The disc made of `cd_files` and `cd_content`.
    pub cd: Option<PathBuf>,
    /// The floppy.
    pub floppy: Option<PathBuf>,
    /// The machine's copy of the UEFI variables.
    pub efi_variables: Option<PathBuf>,
    /// The software TPM's socket.
    pub tpm_socket: Option<PathBuf>,
}

/// Switches with their values, in order. A switch that may be given several times has several.
pub(crate) type Switches = Vec<(String, Vec<String>)>;

/// The command line without the program: the defaults, with `qemuargs` merged in.
///
/// # Errors
/// A template in `qemuargs` cannot be rendered; the error names it.
pub(crate) fn arguments(
    settings: &Settings,
    runtime: &RuntimeSettings,
    ctx: &PrepareContext,
    data: &Value,
) -> Result<Vec<String>> {
    let users = users(settings, ctx, data)?;
    Ok(merge(defaults(settings, runtime), users, settings.raw.net_device()))
}

/// `qemuargs` rendered, one entry per switch.
///
/// # Errors
/// A template cannot be rendered.
pub(crate) fn users(settings: &Settings, ctx: &PrepareContext, data: &Value) -> Result<Switches> {
    let mut switches: Switches = Vec::new();
    for row in &settings.raw.qemuargs {
        let mut rendered = Vec::new();
        for text in row {
            rendered.push(ctx.render(text, data).with_context(|| "qemuargs")?);
        }
        let Some((switch, parts)) = rendered.split_first() else { continue };
        let value = parts.concat();
        let at = match switches.iter().position(|(name, _)| name == switch) {
            Some(at) => at,
            None => {
                switches.push((switch.clone(), Vec::new()));
                switches.len() - 1
            }
        };
        if !value.is_empty() {
            switches[at].1.push(value);
        }
    }
    Ok(switches)
}

/// A switch of the user's replaces ours of the same name, all its values at once. A network
/// device is added back when the user's devices leave it out.
fn merge(defaults: Switches, mut users: Switches, net_device: &str) -> Vec<String> {
    let mut merged: Switches = Vec::new();
    for (switch, values) in defaults {
        match users.iter().position(|(name, _)| *name == switch) {
            Some(at) => merged.push(users.remove(at)),
            None => merged.push((switch, values)),
        }
    }
    merged.extend(users);
    if let Some((_, devices)) = merged.iter_mut().find(|(switch, _)| switch == "-device")
        && !devices.iter().any(|device| device.contains(net_device))
    {
        devices.push(format!("{net_device},netdev=user.0"));
    }
    let mut line = Vec::new();
    for (switch, values) in merged {
        if values.is_empty() {
            line.push(switch);
        } else {
            values.into_iter().for_each(|value| line.extend([switch.clone(), value]));
        }
    }
    line
}

fn defaults(settings: &Settings, runtime: &RuntimeSettings) -> Switches {
    let raw = &settings.raw;
    let mut switches: Switches = Vec::new();
    let mut add = |switch: &str, value: String| switches.push((switch.to_owned(), vec![value]));
    add("-name", settings.vm_name.clone());
    add(
        "-machine",
        match runtime.accelerator.as_str() {
            "none" => format!("type={}", raw.machine_type()),
            accelerator => format!("type={},accel={accelerator}", raw.machine_type()),
        },
    );
    if let Some(model) = given(&raw.cpu_model) {
        add("-cpu", model.to_owned());
    }
    add("-smp", settings.smp.clone());
    add("-m", format!("{}M", settings.memory));
    if !settings.efi.enabled {
        add("-boot", if raw.disk_image { "c" } else { "once=d" }.to_owned());
    }
    if let Some(firmware) = given(&raw.firmware).filter(|_| !raw.use_pflash) {
        add("-bios", firmware.to_owned());
    }
    if let Some(vga) = given(&raw.vga) {
        add("-vga", vga.to_owned());
    }
    if let Some(display) = settings.display() {
        add("-display", display);
    }
    let password = if raw.vnc_use_password { ",password" } else { "" };
    // QEMU counts from 5900.
    let display = runtime.vnc_port.saturating_sub(5900);
    add("-vnc", format!("{}:{display}{password}", raw.vnc_bind_address()));
    if let Some(socket) = &settings.qmp_socket {
        add("-qmp", format!("unix:{},server,nowait", escaped(socket)));
    }
    if let Some(floppy) = &runtime.floppy {
        add("-fda", floppy.display().to_string());
    }
    if let Some(socket) = &runtime.tpm_socket {
        add("-chardev", format!("socket,id=vtpm,path={}", escaped(socket)));
        add("-tpmdev", "emulator,id=tpm0,chardev=vtpm".to_owned());
    }
    add(
        "-netdev",
        match (given(&raw.net_bridge), runtime.forwarded_port) {
            (Some(bridge), _) => format!("bridge,id=user.0,br={bridge}"),
            (None, None) => "user,id=user.0".to_owned(),
            (None, Some(port)) => {
                format!("user,id=user.0,hostfwd=tcp::{port}-:{}", settings.guest_port())
            }
        },
    );
    let (devices, drives) = devices_and_drives(settings, runtime);
    switches.push(("-drive".to_owned(), drives));
    switches.push(("-device".to_owned(), devices));
    switches
}

fn devices_and_drives(
    settings: &Settings,
    runtime: &RuntimeSettings,
) -> (Vec<String>, Vec<String>) {
    let raw = &settings.raw;
    let (mut devices, mut drives) = (Vec::new(), Vec::new());
    // How many drives hang on the SCSI controller.
    let mut on_scsi = 0;
    let controller = "virtio-scsi-pci,id=scsi0";
    let (interface, format) = (raw.disk_interface(), raw.format());
    let how = format!("cache={},discard={},format={format}", raw.disk_cache(), raw.disk_discard());
    for (number, disk) in runtime.disks.iter().enumerate() {
        let file = escaped(disk);
        let mut drive = if interface == "virtio-scsi" {
            if on_scsi == 0 {
                devices.push(controller.to_owned());
            }
            on_scsi += 1;
            devices.push(format!("scsi-hd,bus=scsi0.0,drive=drive{number}"));
            format!("if=none,file={file},id=drive{number},{how}")
        } else {
            format!("file={file},if={interface},{how}")
        };
        if raw.disk_detect_zeroes() != "off" {
            drive.push_str(&format!(",detect-zeroes={}", raw.disk_detect_zeroes()));
        }
        drives.push(drive);
    }
    devices.push(format!("{},netdev=user.0", raw.net_device()));
    let iso = runtime.iso.iter().map(|iso| installation_disc(iso, runtime.iso_user.as_deref()));
    let discs = iso.chain(runtime.cd.iter().map(|cd| format!("file={}", escaped(cd))));
    for (number, disc) in discs.enumerate() {
        match given(&raw.cdrom_interface) {
            None => drives.push(format!("{disc},media=cdrom")),
            Some("virtio-scsi") => {
                if on_scsi == 0 {
                    devices.push(controller.to_owned());
                }
                drives.push(format!("{disc},if=none,index={on_scsi},id=cdrom{number},media=cdrom"));
                // Packer adds a second controller, `virtio-scsi-device`, that machines with PCI
                // do not have a bus for; the one above serves discs as well.
                devices.push(format!("scsi-cd,bus=scsi0.0,drive=cdrom{number}"));
                on_scsi += 1;
            }
            Some(interface) => drives
                .push(format!("{disc},if={interface},index={number},id=cdrom{number},media=cdrom")),
        }
    }
    if let Some(firmware) = given(&raw.firmware).filter(|_| raw.use_pflash) {
        let format = of_firmware(Path::new(firmware));
        drives.push(format!("file={},if=pflash,format={format},readonly=on", doubled(firmware)));
    }
    if let Some(variables) = &runtime.efi_variables {
        let code = escaped(&settings.efi.code);
        let format = of_firmware(&settings.efi.code);
        drives.push(format!("file={code},if=pflash,unit=0,format={format},readonly=on"));
        let format = of_firmware(variables);
        drives.push(format!("file={},if=pflash,unit=1,format={format}", escaped(variables)));
    }
    if runtime.tpm_socket.is_some() {
        devices.push(format!("{},tpmdev=tpm0", raw.tpm_device_type()));
    }
    (devices, drives)
}

/// Where an installation disc is: a file, or a URL where `user` may have to log in.
fn installation_disc(iso: &str, user: Option<&str>) -> String {
    match (user, iso.split_once("://")) {
        (Some(user), Some((scheme, _))) => format!(
            "file.driver={scheme},file.url={},file.username={},file.password-secret={ISO_PASSWORD}",
            doubled(iso),
            doubled(user)
        ),
        _ => format!("file={}", doubled(iso)),
    }
}

/// A path inside a value of the form `key=value,key=value`, where QEMU reads a comma as two.
fn escaped(path: impl AsRef<Path>) -> String {
    doubled(&path.as_ref().display().to_string())
}

fn doubled(text: &str) -> String {
    text.replace(',', ",,")
}

#[cfg(test)]
mod tests {
    use ingot_sdk::{Config, Decoded};
    use serde_json::{Map, json};

    use super::*;
    use crate::settings::sample_data;

    /// The command line for options and what is known at run time.
    fn line(options: Value, runtime: &RuntimeSettings) -> String {
        let base = json!({
            "iso_url": "/x.iso", "iso_checksum": "none", "ssh_username": "root", "headless": true,
        });
        let mut values = base.as_object().cloned().unwrap_or_else(Map::new);
        values.extend(options.as_object().cloned().unwrap_or_default());
        let ctx = PrepareContext { build_name: "m".to_owned(), ..PrepareContext::default() };
        let config = Config::new(values);
        let given = Decoded { options: config.decode().unwrap(), config: &config };
        let settings = Settings::prepare(given, &ctx).unwrap().ready;
        let runtime = RuntimeSettings { disks: settings.disks(), ..runtime.clone() };
        arguments(&settings, &runtime, &ctx, &sample_data()).unwrap().join(" ")
    }

    fn from_disc() -> RuntimeSettings {
        RuntimeSettings {
            accelerator: "kvm".to_owned(),
            forwarded_port: Some(2345),
            vnc_port: 5912,
            iso: Some("/x.iso".to_owned()),
            ..RuntimeSettings::default()
        }
    }

    #[test]
    fn defaults_are_packers() {
        assert_eq!(
            line(json!({}), &from_disc()),
            "-name packer-m -machine type=pc,accel=kvm -smp 1 -m 512M -boot once=d \
             -vnc 127.0.0.1:12 -netdev user,id=user.0,hostfwd=tcp::2345-:22 \
             -drive file=output-m/packer-m,if=virtio,cache=writeback,discard=ignore,format=qcow2 \
             -drive file=/x.iso,media=cdrom -device virtio-net,netdev=user.0"
        );
    }

    #[test]
    fn the_users_switches_replace_ours() {
        let options = json!({ "qemuargs": [
            ["-m", "1024M"],
            ["--no-acpi", ""],
            ["-netdev", "user,id=user.0,", "hostfwd=tcp::{{ .SSHHostPort }}-:22"],
            ["-device", "virtio-rng-pci"],
            ["-device", "virtio-balloon"],
        ] });
        let line = line(options, &from_disc());
        assert!(line.contains("-m 1024M") && !line.contains("512M"), "{line}");
        assert!(line.contains("-netdev user,id=user.0,hostfwd=tcp::2222-:22"), "{line}");
        assert!(
            line.contains(
                "-device virtio-rng-pci -device virtio-balloon -device virtio-net,netdev=user.0"
            ),
            "{line}"
        );
        assert!(line.ends_with(" --no-acpi"), "{line}");
    }

    #[test]
    fn disks_discs_and_firmware() {
        let runtime = RuntimeSettings {
            cd: Some("/tmp/a,b/cd.iso".into()),
            floppy: Some("/tmp/floppy".into()),
            efi_variables: Some("output-m/efivars.fd".into()),
            tpm_socket: Some("/tmp/tpm".into()),
            ..from_disc()
        };
        let line = line(
            json!({
                "disk_interface": "virtio-scsi", "disk_additional_size": ["1G"],
                "disk_detect_zeroes": "unmap", "cdrom_interface": "virtio-scsi",
                "efi_boot": true, "vtpm": true, "cpus": 2, "cpu_model": "host", "vga": "qxl",
                "format": "raw", "disk_cache": "none",
            }),
            &runtime,
        );
        let how = "cache=none,discard=ignore,format=raw,detect-zeroes=unmap";
        for part in [
            "-cpu host -smp 2 ",
            "-vga qxl ",
            "-fda /tmp/floppy ",
            "-chardev socket,id=vtpm,path=/tmp/tpm -tpmdev emulator,id=tpm0,chardev=vtpm ",
            &format!("-drive if=none,file=output-m/packer-m,id=drive0,{how} "),
            &format!("-drive if=none,file=output-m/packer-m-1,id=drive1,{how} "),
            "-drive file=/x.iso,if=none,index=2,id=cdrom0,media=cdrom ",
            "-drive file=/tmp/a,,b/cd.iso,if=none,index=3,id=cdrom1,media=cdrom ",
            "-drive file=/usr/share/OVMF/OVMF_CODE.fd,if=pflash,unit=0,format=raw,readonly=on ",
            "-drive file=output-m/efivars.fd,if=pflash,unit=1,format=raw ",
            "-device virtio-scsi-pci,id=scsi0 -device scsi-hd,bus=scsi0.0,drive=drive0 ",
            "-device scsi-cd,bus=scsi0.0,drive=cdrom1 ",
            "-device tpm-tis,tpmdev=tpm0",
        ] {
            assert!(line.contains(part), "{part:?} is not in {line}");
        }
        assert!(!line.contains("-boot"), "{line}");
    }

    #[test]
    fn the_password_for_a_disc_is_not_on_the_command_line() {
        let (iso, user) = ("https://h/a,b.iso".to_owned(), "me".to_owned());
        let runtime = RuntimeSettings { iso: Some(iso), iso_user: Some(user), ..from_disc() };
        let line = line(json!({}), &runtime);
        let drive = "-drive file.driver=https,file.url=https://h/a,,b.iso,file.username=me,\
                     file.password-secret=ingot-iso-password,media=cdrom ";
        assert!(line.contains(drive), "{line}");
    }

    #[test]
    fn windows_passwords_and_networks() {
        let runtime = RuntimeSettings { accelerator: "none".to_owned(), ..from_disc() };
        let options = json!({
            "headless": false, "vnc_use_password": true, "net_bridge": "br0", "disk_image": true,
        });
        let shown = line(options, &runtime);
        for part in [
            "-machine type=pc ",
            "-boot c ",
            "-display gtk ",
            "-vnc 127.0.0.1:12,password ",
            "-qmp unix:output-m/packer-m.monitor,server,nowait ",
            "-netdev bridge,id=user.0,br=br0 ",
        ] {
            assert!(shown.contains(part), "{part:?} is not in {shown}");
        }
        let options = json!({ "headless": false, "display": "none", "use_default_display": true });
        assert!(!line(options, &runtime).contains("-display"));
    }
}
