//! The check of the options, and their defaults.

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use ingot_sdk::{
    ConfigError, ConfigErrors, ConfigWarning, Decoded, Error, PrepareContext, Prepared,
};
use ingot_vm::ports::PortRange;

use crate::disk_format::of_firmware;
use crate::options::{Options, given};
use crate::processors::Processors;
use crate::replaced;
use crate::settings::{Efi, Settings, sample_data};

/// What QEMU can be asked to run a machine with.
const ACCELERATORS: &[&str] = &["kvm", "tcg", "xen", "hax", "hvf", "whpx", "none"];

/// The least memory that makes sense; Packer takes less as no setting at all.
const LEAST_MEMORY: u32 = 10;
/// QEMU counts VNC displays from here.
const FIRST_VNC_PORT: u16 = 5900;

impl Settings {
    /// Checks the options, offline.
    ///
    /// # Errors
    /// All that is wrong.
    pub(crate) fn prepare(
        Decoded { options: mut raw, config }: Decoded<'_, Options>,
        ctx: &PrepareContext,
    ) -> Result<Prepared<Settings>, ConfigErrors> {
        let mut errors = ConfigErrors::default();
        let mut prepared = Prepared::default();

        if raw.iso_skip_cache {
            raw.iso.iso_checksum = Some("none".to_owned());
        }
        raw.iso.prepare(&mut prepared, &mut errors);
        raw.http.prepare(&mut prepared, &mut errors);
        raw.floppy.prepare(&mut prepared, &mut errors);
        raw.cd.prepare(&mut prepared, &mut errors);
        raw.boot.prepare(config, ctx, &mut prepared, &mut errors);
        let communication = raw.communicator.prepare_with(&mut prepared.warnings, &mut errors);
        if raw.run_once.is_some() {
            prepared.warnings.push(ConfigWarning::on("run_once", "run_once has no effect"));
        }
        check_texts(&raw, &mut errors);
        check_combinations(&raw, &mut errors);
        check_templates(&raw, ctx, &mut errors);

        let name = &ctx.build_name;
        let vm_name = given(&raw.vm_name).map_or_else(|| format!("packer-{name}"), str::to_owned);
        let output =
            given(&raw.output_directory).map_or_else(|| format!("output-{name}"), str::to_owned);
        if !ctx.force && !ctx.resumes && Path::new(&output).exists() {
            errors.push(
                ConfigError::on(
                    "output_directory",
                    format!("the directory {output} exists already"),
                )
                .hint("remove it, name another one, or replace it with -force"),
            );
        }
        let output = PathBuf::from(output);
        let shares_qmp = raw.qmp_enable || given(&raw.net_bridge).is_some() || raw.vnc_use_password;
        let qmp_socket = shares_qmp.then(|| match given(&raw.qmp_socket_path) {
            Some(path) => PathBuf::from(path),
            None => output.join(format!("{vm_name}.monitor")),
        });
        let host_ports = host_ports(&raw, &mut prepared, &mut errors);
        let format = raw.format();
        let settings = Settings {
            disk_size: disk_size(given(&raw.disk_size), &mut errors),
            smp: Processors::of(&raw).to_string(),
            memory: raw.memory.filter(|&memory| memory >= LEAST_MEMORY).unwrap_or(512),
            efi: efi(&raw),
            vnc_address: vnc_address(&raw, &mut errors),
            vnc_ports: vnc_ports(&raw, &mut errors),
            host_ports,
            qmp_socket,
            converts: format == "qcow2"
                && (raw.disk_compression || !(raw.skip_compaction || raw.use_backing_file)),
            compresses: format == "qcow2" && raw.disk_compression,
            communication,
            vm_name,
            output,
            raw,
        };
        // What is not known yet may be what seems to be missing.
        let known = ["qemuargs", "output_directory", "vm_name"].map(|name| config.is_known(name));
        if known == [true; 3]
            && let Ok(replaced) = replaced::warnings(&settings, ctx)
        {
            prepared.warnings.extend(replaced);
        }
        prepared.with(settings).or_errors(errors)
    }
}

/// Adds errors about options whose value is not one of a few strings.
fn check_texts(raw: &Options, errors: &mut ConfigErrors) {
    let accelerator = given(&raw.accelerator).unwrap_or("none");
    let choices: [(&str, &str, &[&str]); 7] = [
        ("format", raw.format(), &["qcow2", "raw"]),
        ("accelerator", accelerator, ACCELERATORS),
        (
            "disk_interface",
            raw.disk_interface(),
            &["ide", "sata", "scsi", "sd", "virtio", "virtio-scsi"],
        ),
        (
            "disk_cache",
            raw.disk_cache(),
            &["writethrough", "writeback", "none", "unsafe", "directsync"],
        ),
        ("disk_discard", raw.disk_discard(), &["unmap", "ignore"]),
        ("disk_detect_zeroes", raw.disk_detect_zeroes(), &["unmap", "on", "off"]),
        (
            "cdrom_interface",
            given(&raw.cdrom_interface).unwrap_or("ide"),
            &["ide", "scsi", "virtio", "virtio-scsi"],
        ),
    ];
    for (option, value, known) in choices {
        if !known.contains(&value) {
            errors.push(
                ConfigError::on(option, format!("{option} cannot be `{value}`"))
                    .hint(format!("choose one of {}", known.join(", "))),
            );
        }
    }
}

/// Adds errors about options that exclude or need each other.
fn check_combinations(raw: &Options, errors: &mut ConfigErrors) {
    let mut wrong = |option: &str, related: &[&'static str], message: &str, hint: &str| {
        let error = ConfigError::on(option, message).hint(hint);
        errors.push(error.related(related.iter().copied()));
    };
    if raw.use_backing_file && !(raw.disk_image && raw.format() == "qcow2") {
        wrong(
            "use_backing_file",
            &["disk_image", "format"],
            "only a qcow2 disk created from a disk image can have a backing file",
            "set disk_image = true and format = \"qcow2\"",
        );
    }
    if raw.skip_resize_disk && !raw.disk_image {
        wrong(
            "skip_resize_disk",
            &["disk_image"],
            "only a disk created from a disk image is resized",
            "remove the option, or set disk_image = true",
        );
    }
    if raw.iso_skip_cache && raw.disk_image {
        wrong(
            "iso_skip_cache",
            &[],
            "a disk image cannot be used without downloading it",
            "remove the option",
        );
    }
    if raw.iso_skip_cache && raw.iso.is_packed() {
        wrong(
            "iso_skip_cache",
            &["iso_url", "iso_urls"],
            "a packed file cannot be used without downloading it",
            "remove the option",
        );
    }
    if let Some(firmware) = given(&raw.firmware).filter(|_| !raw.use_pflash)
        && of_firmware(Path::new(firmware)) == "qcow2"
    {
        wrong(
            "firmware",
            &["use_pflash"],
            "the file is a qcow2 image, which QEMU takes as flash memory only",
            "set use_pflash = true, or give UEFI firmware with efi_firmware_code",
        );
    }
    if given(&raw.net_bridge).is_some() && !cfg!(target_os = "linux") {
        wrong("net_bridge", &[], "bridges are supported on Linux only", "remove the option");
    }
    if raw.disable_vnc && raw.boot.is_set() {
        let message = "this leaves nobody to type the boot command";
        wrong("disable_vnc", &["boot_command", "boot_steps"], message, "remove one of them");
    }
    let longest = given(&raw.vnc_password).map_or(0, str::len);
    if longest > 8 {
        wrong("vnc_password", &[], "a VNC password has at most 8 characters", "shorten it");
    }
    if let Err(error) = check_rows(&raw.qemuargs) {
        let hint = error.advice().unwrap_or_default().to_owned();
        wrong("qemuargs", &[], &error.to_string(), &hint);
    }
}

/// Checks that each row of `qemuargs` names a switch.
///
/// # Errors
/// One does not.
fn check_rows(rows: &[Vec<String>]) -> ingot_sdk::Result<()> {
    match rows.iter().position(|row| row.first().is_none_or(String::is_empty)) {
        Some(at) => Err(Error::new(format!("row {} names no switch", at + 1))
            .hint("a row is a switch and its value, such as [\"-m\", \"2048M\"]")),
        None => Ok(()),
    }
}

/// Renders what is rendered later with made-up values, to find mistakes now.
fn check_templates(raw: &Options, ctx: &PrepareContext, errors: &mut ConfigErrors) {
    let data = sample_data();
    let rows = |option: &'static str, rows: &'_ [Vec<String>]| {
        rows.concat().into_iter().map(|text| (option, text)).collect::<Vec<_>>()
    };
    let contents = [
        ("cd_content", &raw.cd.cd_content),
        ("http_content", &raw.http.http_content),
        ("floppy_content", &raw.floppy.floppy_content),
    ];
    let contents = contents.into_iter().flat_map(|(option, files)| {
        files.values().map(move |text| (option, text.clone())).collect::<Vec<_>>()
    });
    let texts = rows("qemuargs", &raw.qemuargs).into_iter().chain(contents);
    for (option, text) in texts {
        if let Err(error) = ctx.render(&text, &data) {
            errors.push(ConfigError::on(option, error.to_string()));
        }
    }
}

/// Packer's form: digits with at most one letter, megabytes where there is none.
fn disk_size(text: Option<&str>, errors: &mut ConfigErrors) -> String {
    let text = text.filter(|&text| text != "0").unwrap_or("40960M");
    let digits = text.trim_end_matches(|c: char| "bkmgtBKMGT".contains(c));
    let unit = &text[digits.len()..];
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) || unit.len() > 1 {
        errors.push(
            ConfigError::on("disk_size", format!("cannot read {text:?} as a size"))
                .hint("write a number with k, M, G or T, such as \"20G\""),
        );
    }
    if unit.is_empty() { format!("{text}M") } else { text.to_owned() }
}

fn efi(raw: &Options) -> Efi {
    let (code, variables) = (given(&raw.efi_firmware_code), given(&raw.efi_firmware_vars));
    Efi {
        enabled: raw.efi_boot || code.is_some() || variables.is_some(),
        code: code.unwrap_or("/usr/share/OVMF/OVMF_CODE.fd").into(),
        variables: variables.unwrap_or("/usr/share/OVMF/OVMF_VARS.fd").into(),
    }
}

fn vnc_address(raw: &Options, errors: &mut ConfigErrors) -> IpAddr {
    let text = raw.vnc_bind_address();
    let loopback = IpAddr::from([127, 0, 0, 1]);
    match text {
        "localhost" => loopback,
        text => text.parse().unwrap_or_else(|_| {
            errors.push(
                ConfigError::on("vnc_bind_address", format!("{text:?} is not an IP address"))
                    .hint("use 127.0.0.1, or 0.0.0.0 for all addresses of this machine"),
            );
            loopback
        }),
    }
}

fn vnc_ports(raw: &Options, errors: &mut ConfigErrors) -> PortRange {
    let set = |port: Option<u16>| port.filter(|&port| port != 0);
    let min = set(raw.vnc_port_min).unwrap_or(FIRST_VNC_PORT);
    let max = set(raw.vnc_port_max).unwrap_or(6000);
    if min < FIRST_VNC_PORT {
        let message = format!("vnc_port_min cannot be below {FIRST_VNC_PORT}");
        errors.push(ConfigError::on("vnc_port_min", message));
    }
    check_range(["vnc_port_min", "vnc_port_max"], &[], PortRange { min, max }, errors)
}

fn host_ports(raw: &Options, prepared: &mut Prepared, errors: &mut ConfigErrors) -> PortRange {
    let set = |port: Option<u16>| port.filter(|&port| port != 0);
    let mut chosen = |name: &str, old: Option<u16>, new: Option<u16>, default| {
        if set(old).is_some() {
            let message = format!("`ssh_{name}` is now called `{name}`; please rename it");
            prepared.warnings.push(ConfigWarning::on(format!("ssh_{name}"), message));
        }
        set(old).or(set(new)).unwrap_or(default)
    };
    let min = chosen("host_port_min", raw.ssh_host_port_min, raw.host_port_min, 2222);
    let max = chosen("host_port_max", raw.ssh_host_port_max, raw.host_port_max, 4444);
    let old = &["ssh_host_port_min", "ssh_host_port_max"];
    check_range(["host_port_min", "host_port_max"], old, PortRange { min, max }, errors)
}

/// `old` are names that the two options had before.
fn check_range(
    [low, high]: [&'static str; 2],
    old: &[&'static str],
    range: PortRange,
    errors: &mut ConfigErrors,
) -> PortRange {
    if range.min > range.max {
        let related = old.iter().copied().chain([high]);
        errors.push(ConfigError::on(low, format!("{low} is above {high}")).related(related));
        return PortRange { min: range.max, max: range.max };
    }
    range
}
