//! The table of fixers, in the order they run.

use serde_json::Value;

use super::object::Object;
use super::types::{AMAZON, HYPERV, PARALLELS, SPOT, Types};
use super::{builders, steps};

/// One kind of repair.
pub struct Fixer {
    /// Packer's name for it.
    pub name: &'static str,
    /// What it does.
    pub synopsis: &'static str,
    /// The options that it replaces or removes, for which types.
    pub replaces: &'static [(Types, &'static [&'static str])],
    run: fn(&mut Object) -> Result<(), String>,
}

use Types::{Builders, Named, Prefix};

/// All fixers, in the order they run.
pub const FIXERS: &[Fixer] = &[
    Fixer {
        name: "iso-md5",
        synopsis: "Turns iso_md5 into iso_checksum",
        replaces: &[(Builders, &["iso_md5"])],
        run: builders::iso_md5,
    },
    Fixer {
        name: "createtime",
        synopsis: "Turns {{.CreateTime}} in names into {{timestamp}}",
        replaces: &[],
        run: builders::create_time,
    },
    Fixer {
        name: "virtualbox-gaattach",
        synopsis: "Turns guest_additions_attach of VirtualBox into guest_additions_mode",
        replaces: &[(Prefix("virtualbox"), &["guest_additions_attach"])],
        run: builders::guest_additions,
    },
    Fixer {
        name: "pp-vagrant-override",
        synopsis: "Moves options of providers in vagrant post-processors into override",
        replaces: &[],
        run: steps::vagrant_override,
    },
    Fixer {
        name: "virtualbox-rename",
        synopsis: "Turns virtualbox builders into virtualbox-iso",
        replaces: &[],
        run: steps::virtualbox_rename,
    },
    Fixer {
        name: "vmware-rename",
        synopsis: "Turns vmware builders into vmware-iso",
        replaces: &[],
        run: |template| builders::rename_type(template, "vmware", "vmware-iso"),
    },
    Fixer {
        name: "parallels-headless",
        synopsis: "Removes headless from Parallels builders",
        replaces: &[(PARALLELS, &["headless"])],
        run: |template| builders::remove(template, PARALLELS, "headless"),
    },
    Fixer {
        name: "parallels-deprecations",
        synopsis: "Removes parallels_tools_host_path, and turns guest_os_distribution into \
                   guest_os_type",
        replaces: &[(PARALLELS, &["parallels_tools_host_path", "guest_os_distribution"])],
        run: |template| {
            builders::remove(template, PARALLELS, "parallels_tools_host_path")?;
            builders::rename(template, PARALLELS, "guest_os_distribution", "guest_os_type")
        },
    },
    Fixer {
        name: "sshkeypath",
        synopsis: "Turns ssh_key_path into ssh_private_key_file",
        replaces: &[(Builders, &["ssh_key_path"])],
        run: |template| {
            builders::replace(template, Builders, "ssh_key_path", "ssh_private_key_file", |value| {
                value.is_string()
            })
        },
    },
    Fixer {
        name: "sshdisableagent",
        synopsis: "Turns ssh_disable_agent into ssh_disable_agent_forwarding",
        replaces: &[(Builders, &["ssh_disable_agent"])],
        run: |template| {
            let new = "ssh_disable_agent_forwarding";
            builders::replace(template, Builders, "ssh_disable_agent", new, Value::is_boolean)
        },
    },
    Fixer {
        name: "scaleway-access-key",
        synopsis: "Turns access_key of Scaleway into organization_id",
        replaces: &[(Named(&["scaleway"]), &["access_key"])],
        run: |template| {
            let scaleway = Named(&["scaleway"]);
            builders::replace(template, scaleway, "access_key", "organization_id", Value::is_string)
        },
    },
    Fixer {
        name: "manifest-filename",
        synopsis: "Turns filename of the manifest post-processor into output",
        replaces: &[(Named(&["manifest"]), &["filename"])],
        run: steps::manifest_filename,
    },
    Fixer {
        name: "amazon-shutdown_behavior",
        synopsis: "Turns shutdown_behaviour of Amazon builders into shutdown_behavior",
        replaces: &[(AMAZON, &["shutdown_behaviour"])],
        run: |template| {
            builders::rename(template, AMAZON, "shutdown_behaviour", "shutdown_behavior")
        },
    },
    Fixer {
        name: "amazon-enhanced-networking",
        synopsis: "Turns enhanced_networking of Amazon builders into ena_support",
        replaces: &[(AMAZON, &["enhanced_networking"])],
        run: builders::enhanced_networking,
    },
    Fixer {
        name: "amazon-private-ip",
        synopsis: "Turns ssh_private_ip of Amazon builders into ssh_interface",
        replaces: &[(AMAZON, &["ssh_private_ip"])],
        run: builders::private_ip,
    },
    Fixer {
        name: "amazon-temp-sec-cidrs",
        synopsis: "Turns temporary_security_group_source_cidr into a list of such",
        replaces: &[(AMAZON, &["temporary_security_group_source_cidr"])],
        run: builders::source_cidrs,
    },
    Fixer {
        name: "docker-email",
        synopsis: "Removes login_email of Docker",
        replaces: &[(Prefix("docker"), &["login_email"])],
        run: steps::docker_email,
    },
    Fixer {
        name: "docker-tag-tags",
        synopsis: "Turns tag of the docker-tag post-processor into tags",
        replaces: &[],
        run: steps::docker_tags,
    },
    Fixer {
        name: "powershell-escapes",
        synopsis: "Removes PowerShell's escapes from environment_vars, elevated_user and \
                   elevated_password",
        replaces: &[],
        run: steps::powershell_escapes,
    },
    Fixer {
        name: "vmware-compaction",
        synopsis: "Sets skip_compaction where vmware-iso builds on ESXi with disks that cannot be \
                   compacted",
        replaces: &[],
        run: builders::vmware_compaction,
    },
    Fixer {
        name: "hyperv-deprecations",
        synopsis: "Removes vhd_temp_path from hyperv-iso builders",
        replaces: &[(Named(&["hyperv-iso"]), &["vhd_temp_path"])],
        run: |template| builders::remove(template, Named(&["hyperv-iso"]), "vhd_temp_path"),
    },
    Fixer {
        name: "hyperv-vmxc-typo",
        synopsis: "Turns clone_from_vmxc_path of Hyper-V into clone_from_vmcx_path",
        replaces: &[(Named(&["hyperv-vmcx"]), &["clone_from_vmxc_path"])],
        run: |template| {
            let vmcx = Named(&["hyperv-vmcx"]);
            builders::rename(template, vmcx, "clone_from_vmxc_path", "clone_from_vmcx_path")
        },
    },
    Fixer {
        name: "hyperv-cpu-and-ram",
        synopsis: "Turns cpu of Hyper-V into cpus, and ram_size into memory",
        replaces: &[(HYPERV, &["cpu", "ram_size"])],
        run: |template| {
            builders::rename(template, HYPERV, "cpu", "cpus")?;
            builders::rename(template, HYPERV, "ram_size", "memory")
        },
    },
    Fixer {
        name: "clean-image-name",
        synopsis: "Turns clean_image_name and clean_ami_name into clean_resource_name",
        replaces: &[],
        run: builders::clean_names,
    },
    Fixer {
        name: "spot-price-auto-product",
        synopsis: "Removes spot_price_auto_product from Amazon builders",
        replaces: &[(SPOT, &["spot_price_auto_product"])],
        run: |template| builders::remove(template, SPOT, "spot_price_auto_product"),
    },
    Fixer {
        name: "qemu-disk-size",
        synopsis: "Writes the unit of a disk_size of QEMU that is a number",
        replaces: &[],
        run: builders::qemu_disk_size,
    },
    Fixer {
        name: "galaxy-command",
        synopsis: "Turns galaxycommand of ansible-local into galaxy_command",
        replaces: &[(Named(&["ansible-local"]), &["galaxycommand"])],
        run: steps::galaxy_command,
    },
    Fixer {
        name: "comm-config",
        synopsis: "Removes ssh_ from host_port_min, host_port_max and skip_nat_mapping of VirtualBox",
        replaces: &[(
            Prefix("virtualbox"),
            &["ssh_host_port_min", "ssh_host_port_max", "ssh_skip_nat_mapping"],
        )],
        run: builders::virtualbox_ports,
    },
    Fixer {
        name: "ssh-wait-timeout",
        synopsis: "Turns ssh_wait_timeout into ssh_timeout",
        replaces: &[(Builders, &["ssh_wait_timeout"])],
        run: builders::ssh_wait_timeout,
    },
    Fixer {
        name: "vsphere-iso-net-disk",
        synopsis: "Moves the network and disk options of vsphere-iso into network_adapters and \
                   storage",
        replaces: &[(
            Named(&["vsphere-iso"]),
            &[
                "network",
                "networkCard",
                "network_card",
                "disk_size",
                "disk_thin_provisioned",
                "disk_eagerly_scrub",
            ],
        )],
        run: builders::vsphere,
    },
    Fixer {
        name: "iso-checksum-type-and-url",
        synopsis: "Puts iso_checksum_type and iso_checksum_url into iso_checksum",
        replaces: &[(Builders, &["iso_checksum_type", "iso_checksum_url"])],
        run: builders::iso_checksum,
    },
    Fixer {
        name: "qemu-host-port",
        synopsis: "Removes ssh_ from host_port_min and host_port_max of QEMU",
        replaces: &[(Named(&["qemu"]), &["ssh_host_port_min", "ssh_host_port_max"])],
        run: |template| {
            let qemu = Named(&["qemu"]);
            builders::rename(template, qemu, "ssh_host_port_min", "host_port_min")?;
            builders::rename(template, qemu, "ssh_host_port_max", "host_port_max")
        },
    },
    Fixer {
        name: "azure-exclude_from_latest",
        synopsis: "Corrects the spelling of exclude_from_latest of azure-chroot",
        replaces: &[],
        run: builders::azure_exclude,
    },
    Fixer {
        name: "proxmox-type",
        synopsis: "Turns proxmox builders into proxmox-iso",
        replaces: &[],
        run: |template| builders::rename_type(template, "proxmox", "proxmox-iso"),
    },
];

/// Runs all fixers over a template.
///
/// # Errors
/// What cannot be fixed, as its form is not that of a template.
pub fn fix(template: &mut Object) -> Result<(), String> {
    FIXERS.iter().try_for_each(|fixer| (fixer.run)(template))
}

/// Whether a fixer replaces or removes the option `option` of a component of type `ty`.
pub fn replaces(ty: &str, option: &str) -> bool {
    FIXERS
        .iter()
        .flat_map(|fixer| fixer.replaces)
        .any(|(types, options)| types.has(ty) && options.contains(&option))
}
