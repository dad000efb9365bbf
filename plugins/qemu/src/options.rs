//! The options of a `qemu` source block. Names and defaults are Packer's.

use ingot_communicator::CommunicatorConfig;
use ingot_sdk::Schema;
use ingot_vm::boot_command::BootOptions;
use ingot_vm::cd::CdOptions;
use ingot_vm::floppy::FloppyOptions;
use ingot_vm::http_server::HttpOptions;
use ingot_vm::iso::IsoOptions;
use ingot_vm::shutdown::ShutdownOptions;
use schemars::JsonSchema;
use serde::Deserialize;

/// The options as written.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
pub struct Options {
    /// The file is a disk image to start from, not an installation disc.
    #[serde(default)]
    pub disk_image: bool,
    /// With `disk_image`: let the new qcow2 disk hold only what differs from the image. It then
    /// needs the image to stay where it is.
    #[serde(default)]
    pub use_backing_file: bool,
    /// The disk's size: a number with `k`, `M` (the default), `G` or `T`. Default 40960M.
    pub disk_size: Option<String>,
    /// The sizes of further disks, called `VM_NAME-1` and so on.
    #[serde(default)]
    pub disk_additional_size: Vec<String>,
    /// How disks are attached: `virtio` (the default), `virtio-scsi`, `ide`, `sata`, `scsi` or
    /// `sd`.
    pub disk_interface: Option<String>,
    /// How the host caches disks: `writeback` (the default), `writethrough`, `none`, `unsafe` or
    /// `directsync`.
    pub disk_cache: Option<String>,
    /// What becomes of discarded blocks: `ignore` (the default) or `unmap`.
    pub disk_discard: Option<String>,
    /// Whether written zeroes are detected: `off` (the default), `on` or `unmap`.
    pub disk_detect_zeroes: Option<String>,
    /// The format of the disks: `qcow2` (the default) or `raw`.
    pub format: Option<String>,
    /// Compress the finished qcow2 disk.
    #[serde(default)]
    pub disk_compression: bool,
    /// Leave out the copy that frees unused space in the finished qcow2 disk.
    #[serde(default)]
    pub skip_compaction: bool,
    /// With `disk_image`: keep the image's size.
    #[serde(default)]
    pub skip_resize_disk: bool,
    /// What runs the machine's code: `kvm`, `tcg`, `hvf`, `xen`, `hax`, `whpx`, or `none` for
    /// QEMU's own choice. By default the best there is.
    pub accelerator: Option<String>,
    /// The machine type. Default `pc`.
    pub machine_type: Option<String>,
    /// The number of processors. Default 1, or what the topology gives.
    pub cpus: Option<u32>,
    /// The number of processor sockets.
    pub sockets: Option<u32>,
    /// The number of cores in each socket.
    pub cores: Option<u32>,
    /// The number of threads in each core.
    pub threads: Option<u32>,
    /// The processor model. By default QEMU's for the machine.
    pub cpu_model: Option<String>,
    /// Memory in megabytes. Default 512.
    pub memory: Option<u32>,
    /// The network card. Default `virtio-net`.
    pub net_device: Option<String>,
    /// Connects the network to this bridge of the host, rather than to QEMU's own network.
    pub net_bridge: Option<String>,
    /// The lowest port of this host to forward to the machine's SSH server. Default 2222.
    pub host_port_min: Option<u16>,
    /// The highest of these ports. Default 4444.
    pub host_port_max: Option<u16>,
    /// The old name of `host_port_min`.
    pub ssh_host_port_min: Option<u16>,
    /// The old name of `host_port_max`.
    pub ssh_host_port_max: Option<u16>,
    /// Use `ssh_port` on this host as it is, rather than a free port of the range.
    #[serde(default)]
    pub skip_nat_mapping: bool,
    /// Run without a window.
    #[serde(default)]
    pub headless: bool,
    /// The kind of window. Default `gtk`; `none` for QEMU's own choice.
    pub display: Option<String>,
    /// Leave the kind of window to QEMU.
    #[serde(default)]
    pub use_default_display: bool,
    /// The address the VNC server listens on. Default 127.0.0.1.
    pub vnc_bind_address: Option<String>,
    /// Protect the VNC server with a password.
    #[serde(default)]
    pub vnc_use_password: bool,
    /// That password, at most 8 characters. By default one is made up.
    #[schemars(extend("sensitive" = true))]
    pub vnc_password: Option<String>,
    /// The VNC server's lowest port. Default, and least, 5900.
    pub vnc_port_min: Option<u16>,
    /// The VNC server's highest port. Default 6000.
    pub vnc_port_max: Option<u16>,
    /// Type nothing.
    #[serde(default)]
    pub disable_vnc: bool,
    /// How installation discs are attached: `ide`, `scsi`, `virtio` or `virtio-scsi`. By default
    /// QEMU's choice for the machine.
    pub cdrom_interface: Option<String>,
    /// Boot by UEFI.
    #[serde(default)]
    pub efi_boot: bool,
    /// The UEFI firmware. Default /usr/share/OVMF/OVMF_CODE.fd.
    #[schemars(extend("reads" = "paths"))]
    pub efi_firmware_code: Option<String>,
    /// The UEFI variables to start with. Default /usr/share/OVMF/OVMF_VARS.fd.
    #[schemars(extend("reads" = "paths"))]
    pub efi_firmware_vars: Option<String>,
    /// Leave the machine's UEFI variables out of the artifact.
    #[serde(default)]
    pub efi_drop_efivars: bool,
    /// The firmware, other than UEFI.
    pub firmware: Option<String>,
    /// Give the machine `firmware` as flash memory.
    #[serde(default)]
    pub use_pflash: bool,
    /// Give the machine a TPM. Needs `swtpm`.
    #[serde(default)]
    pub vtpm: bool,
    /// Make that a TPM 1.2, rather than 2.0.
    #[serde(default)]
    pub use_tpm1: bool,
    /// The TPM device. Default `tpm-tis`.
    pub tpm_device_type: Option<String>,
    /// The graphics card. By default QEMU's choice for the machine.
    pub vga: Option<String>,
    /// The program to run. Default `qemu-system-x86_64`.
    pub qemu_binary: Option<String>,
    /// Switches of that program; each replaces ours of the same name. A row is a switch and the
    /// parts of its value. They are `{{ }}` templates that know `.HTTPIP`, `.HTTPPort`,
    /// `.HTTPDir`, `.OutputDir`, `.Name` and `.SSHHostPort`.
    #[serde(default, deserialize_with = "rows")]
    #[schemars(extend("rendered_late" = true))]
    pub qemuargs: Vec<Vec<String>>,
    /// More arguments for `qemu-img`.
    #[serde(default)]
    pub qemu_img_args: Option<ImageArguments>,
    /// Open a QMP socket for others to use.
    #[serde(default)]
    pub qmp_enable: bool,
    /// Where that socket is. Default `OUTPUT_DIRECTORY/VM_NAME.monitor`.
    pub qmp_socket_path: Option<String>,
    /// The directory for what is built; it must not exist, unless `-force` is given. Default
    /// `output-NAME`.
    pub output_directory: Option<String>,
    /// The name of the machine and its disk. Default `packer-NAME`.
    pub vm_name: Option<String>,
    /// Has no effect; Packer still knows it.
    pub run_once: Option<bool>,
    /// Let QEMU read the installation disc from its URL, without a download. The checksum is
    /// then not checked.
    #[serde(default)]
    pub iso_skip_cache: bool,
    /// `iso_*`.
    #[serde(flatten)]
    pub iso: IsoOptions,
    /// `http_*`.
    #[serde(flatten)]
    pub http: HttpOptions,
    /// `floppy_*`.
    #[serde(flatten)]
    pub floppy: FloppyOptions,
    /// `cd_*`.
    #[serde(flatten)]
    pub cd: CdOptions,
    /// `boot_*`.
    #[serde(flatten)]
    pub boot: BootOptions,
    /// `shutdown_*`.
    #[serde(flatten)]
    pub shutdown: ShutdownOptions,
    /// `communicator`, `ssh_*`.
    #[serde(flatten)]
    pub communicator: CommunicatorConfig,
}

/// More arguments for `qemu-img`, by its command.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
pub struct ImageArguments {
    /// For `convert`.
    #[serde(default)]
    pub convert: Vec<String>,
    /// For `create`.
    #[serde(default)]
    pub create: Vec<String>,
    /// For `resize`.
    #[serde(default)]
    pub resize: Vec<String>,
}

/// A text that was given; an empty one is the same as none, as in Packer.
pub(crate) fn given(text: &Option<String>) -> Option<&str> {
    text.as_deref().filter(|text| !text.is_empty())
}

/// The schema of the source block.
pub(crate) fn schema() -> Schema {
    Schema::of::<Options>()
}

macro_rules! texts {
    ($($(#[$doc:meta])* $name:ident = $default:literal;)*) => {
        $($(#[$doc])* pub fn $name(&self) -> &str {
            given(&self.$name).unwrap_or($default)
        })*
    };
}

/// Options that are texts, with their defaults.
impl Options {
    texts! {
        /// See the option.
        disk_interface = "virtio";
        /// See the option.
        disk_cache = "writeback";
        /// See the option.
        disk_discard = "ignore";
        /// See the option.
        disk_detect_zeroes = "off";
        /// See the option.
        format = "qcow2";
        /// See the option.
        machine_type = "pc";
        /// See the option.
        net_device = "virtio-net";
        /// See the option.
        tpm_device_type = "tpm-tis";
        /// See the option.
        qemu_binary = "qemu-system-x86_64";
        /// See the option.
        vnc_bind_address = "127.0.0.1";
    }

    /// The arguments for `qemu-img`.
    pub fn image_arguments(&self) -> ImageArguments {
        self.qemu_img_args.clone().unwrap_or_default()
    }
}

/// Reads rows of a table. One that is null is left out: `cond ? ["-bios", "x"] : null`.
fn rows<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Vec<Vec<String>>, D::Error> {
    let rows: Vec<Option<Vec<String>>> = serde::Deserialize::deserialize(deserializer)?;
    Ok(rows.into_iter().flatten().collect())
}
