//! Options: all errors are reported at once, offline.

use serde_json::{Value, json};

use crate::harness::prepare;

/// Options that are right, and `more`.
fn with(more: Value) -> Value {
    let mut options = json!({
        "ami_name": "web-1", "source_ami": "ami-1", "instance_type": "t3.micro",
        "region": "us-east-1", "ssh_username": "ubuntu",
    });
    for (name, value) in more.as_object().unwrap() {
        options[name] = value.clone();
    }
    options
}

#[test]
fn mistakes_are_named() {
    for (more, option, message) in [
        (json!({ "ami_name": "ab" }), "ami_name", "3 to 128 characters"),
        (json!({ "ami_name": "x".repeat(129) }), "ami_name", "3 to 128 characters"),
        (json!({ "ami_name": "web:1" }), "ami_name", "can only hold"),
        (json!({ "source_ami": "" }), "", "no AMI to start from"),
        (
            json!({ "source_ami": "", "source_ami_filter": { "filters": { "name": "a" } } }),
            "source_ami_filter",
            "without `owners`",
        ),
        (json!({ "instance_type": "" }), "", "type of the instance is missing"),
        (
            json!({ "spot_price": "auto", "spot_instance_types": ["t3.nano"] }),
            "spot_instance_types",
            "exclude each other",
        ),
        (json!({ "spot_tags": { "a": "b" } }), "spot_tags", "needs a spot instance"),
        (json!({ "spot_price": "cheap" }), "spot_price", "not a price"),
        (
            json!({ "spot_price": "auto", "spot_allocation_strategy": "random" }),
            "spot_allocation_strategy",
            "`random`",
        ),
        (json!({ "spot_price": "auto", "ena_support": true }), "ena_support", "cannot be modified"),
        (json!({ "user_data": "a", "user_data_file": "b" }), "user_data_file", "exclude"),
        (json!({ "user_data_file": "/nowhere" }), "user_data_file", "no file /nowhere"),
        (
            json!({ "security_group_id": "sg-1", "security_group_ids": ["sg-2"] }),
            "security_group_id",
            "exclude",
        ),
        (
            json!({ "temporary_security_group_source_cidrs": ["10.0.0.0"] }),
            "temporary_security_group_source_cidrs",
            "not a block of addresses",
        ),
        (
            json!({ "ssh_interface": "session_manager" }),
            "ssh_interface",
            "instances with an instance profile only",
        ),
        (
            json!({
                "ssh_interface": "session_manager", "iam_instance_profile": "ssm",
                "communicator": "winrm", "winrm_username": "a", "winrm_password": "b",
            }),
            "ssh_interface",
            "the communicator is winrm",
        ),
        (json!({ "ssh_interface": "wifi" }), "ssh_interface", "`wifi`"),
        (json!({ "ssh_keypair_name": "mine" }), "ssh_keypair_name", "private key"),
        (json!({ "temporary_key_pair_type": "ecdsa" }), "temporary_key_pair_type", "`ecdsa`"),
        (json!({ "shutdown_behavior": "sleep" }), "shutdown_behavior", "`sleep`"),
        (json!({ "deprecate_at": "tomorrow" }), "deprecate_at", "not a time"),
        (json!({ "imds_support": "v1" }), "imds_support", "`v1`"),
        (json!({ "kms_key_id": "alias/a" }), "kms_key_id", "needs encrypt_boot"),
        (json!({ "encrypt_boot": true, "kms_key_id": "?" }), "kms_key_id", "no KMS key"),
        (json!({ "encrypt_boot": true, "ami_users": ["1"] }), "ami_users", "default key"),
        (
            json!({ "encrypt_boot": true, "region_kms_key_ids": { "eu-west-1": "" } }),
            "region_kms_key_ids",
            "not one of ami_regions",
        ),
        (
            json!({ "metadata_options": { "http_tokens": "maybe" } }),
            "metadata_options.http_tokens",
            "`maybe`",
        ),
        (
            json!({ "metadata_options": { "http_put_response_hop_limit": 65 } }),
            "metadata_options.http_put_response_hop_limit",
            "1 to 64",
        ),
        (json!({ "tenancy": "shared" }), "tenancy", "`shared`"),
        (
            json!({ "placement": { "host_id": "h-1", "tenancy": "dedicated" } }),
            "placement.tenancy",
            "`host`",
        ),
        (
            json!({ "capacity_reservation_id": "cr-1", "capacity_reservation_preference": "open" }),
            "capacity_reservation_preference",
            "exclude",
        ),
        (
            json!({ "launch_block_device_mappings": [{ "volume_size": 8 }] }),
            "launch_block_device_mappings[0]",
            "device_name",
        ),
        (
            json!({ "ami_block_device_mappings": [
                { "device_name": "/dev/sda1", "volume_type": "gp2", "throughput": 200 },
            ] }),
            "ami_block_device_mappings[0]",
            "only gp3",
        ),
        (
            json!({ "ami_block_device_mappings": [{
                "device_name": "/dev/sda1", "volume_type": "io1", "volume_size": -1,
                "iops": i32::MIN,
            }] }),
            "ami_block_device_mappings[0]",
            "/dev/sda1: volume_size cannot be negative, and is -1",
        ),
        (
            json!({ "launch_block_device_mappings": [
                { "device_name": "/dev/sda1", "volume_type": "io2", "iops": -3 },
            ] }),
            "launch_block_device_mappings[0]",
            "/dev/sda1: iops cannot be negative",
        ),
        (
            json!({
                "communicator": "winrm", "winrm_username": "a", "winrm_password": "b",
                "ssh_keypair_name": "mine",
            }),
            "ssh_keypair_name",
            "private key of this key pair is missing",
        ),
        (
            json!({
                "instance_type": "", "spot_price": "auto", "spot_instance_types": ["t3.nano"],
                "enable_unlimited_credits": true,
            }),
            "enable_unlimited_credits",
            "need an instance_type",
        ),
        (
            json!({ "fast_launch": { "max_parallel_launches": 5 } }),
            "fast_launch.max_parallel_launches",
            "at least 6 instances",
        ),
        (
            json!({ "fast_launch": { "template_id": "lt-1", "template_name": "a" } }),
            "fast_launch",
            "exclude each other",
        ),
        (
            json!({ "fast_launch": { "enable_fast_launch": true, "template_version": 2 } }),
            "fast_launch",
            "needs a launch template",
        ),
        (
            json!({ "fast_launch": { "target_resource_count": -1 } }),
            "fast_launch.target_resource_count",
            "at least one snapshot",
        ),
        (
            json!({
                "ami_regions": ["eu-west-1"],
                "fast_launch": { "region_launch_templates": [
                    { "region": "eu-west-1", "template_id": "lt-1" },
                    { "region": "eu-west-1", "template_id": "lt-2" },
                ] },
            }),
            "fast_launch.region_launch_templates",
            "eu-west-1 has two launch templates",
        ),
        // The copy would go out with no key, and AWS refuse to share it at the very end.
        (
            json!({
                "encrypt_boot": true, "kms_key_id": "alias/a", "ami_regions": ["eu-west-1"],
                "ami_users": ["111111111111"],
            }),
            "ami_users",
            "eu-west-1 has no other key",
        ),
        (
            json!({
                "encrypt_boot": true, "kms_key_id": "alias/a",
                "ami_regions": ["us-east-1", "eu-west-1"], "snapshot_users": ["111111111111"],
            }),
            "snapshot_users",
            "eu-west-1 has no other key",
        ),
        (
            json!({
                "encrypt_boot": true, "ami_regions": ["eu-west-1"],
                "region_kms_key_ids": { "eu-west-1": "alias/a" }, "ami_org_arns": ["arn:o"],
            }),
            "ami_org_arns",
            "us-east-1 has no other key",
        ),
        // Whichever of the two is the build's own, the other has no key.
        (
            json!({
                "region": "", "encrypt_boot": true, "kms_key_id": "alias/a",
                "ami_regions": ["eu-west-1", "eu-west-2"], "ami_ou_arns": ["arn:o"],
            }),
            "ami_ou_arns",
            "no other key",
        ),
        (
            json!({ "skip_save_build_region": true }),
            "skip_save_build_region",
            "no AMI would be left",
        ),
        (
            json!({ "skip_save_build_region": true, "ami_regions": ["us-east-1"] }),
            "skip_save_build_region",
            "no AMI would be left",
        ),
        (json!({ "tags": { "a": "{{ .SourceAmi }}" } }), "tags", "SourceAmi"),
        (json!({ "enable_nitro_enclave": true }), "enable_nitro_enclave", "no enclaves"),
        (
            json!({ "instance_type": "m5.large", "enable_unlimited_credits": true }),
            "enable_unlimited_credits",
            "no CPU credits",
        ),
    ] {
        let errors = prepare(with(more.clone())).err().unwrap_or_else(|| panic!("{more}")).0;
        let [error] = &errors[..] else { panic!("{more}: {errors:?}") };
        assert_eq!(error.option.as_deref().unwrap_or_default(), option, "{more}");
        assert!(error.message.contains(message), "{more}: {}", error.message);
    }
}

#[test]
fn all_mistakes_are_reported_at_once() {
    let options = json!({ "ami_name": "a:", "region": "us-east-1" });
    let errors = prepare(options).err().unwrap().0;
    let texts: Vec<&str> = errors.iter().map(|error| error.message.as_str()).collect();
    assert_eq!(texts.len(), 5, "{texts:?}");
}

#[test]
fn what_packer_takes_is_taken() {
    for more in [
        json!({}),
        json!({ "fast_launch": { "enable_fast_launch": false } }),
        json!({ "ami_name": "a (b) [c] ./-'@_" }),
        json!({ "tags": { "Base": "{{ .SourceAMIName }} {{ .SourceAMITags.Any }}" } }),
        json!({ "tags": { "Base": "{{ clean_resource_name .SourceAMIName }}" } }),
        json!({ "communicator": "winrm", "winrm_username": "Administrator" }),
        json!({ "ssh_keypair_name": "mine", "ssh_agent_auth": true }),
        json!({ "ssh_password": "secret" }),
        json!({ "communicator": "none" }),
        json!({ "spot_price": "0.05" }),
        json!({ "deregistration_protection": { "with_cooldown": true } }),
        json!({ "ssh_interface": "session_manager", "iam_instance_profile": "ssm" }),
        json!({
            "fast_launch": { "enable_fast_launch": true, "max_parallel_launches": 6,
                "region_launch_templates": [{ "region": "us-east-1", "template_name": "a" }] },
        }),
        // The region that the build has by the environment may be this one.
        json!({
            "region": "", "encrypt_boot": true, "kms_key_id": "alias/a",
            "ami_regions": ["eu-west-1"], "ami_users": ["111111111111"],
        }),
        json!({ "region": "", "skip_save_build_region": true, "ami_regions": ["us-east-1"] }),
        json!({ "skip_save_build_region": true, "skip_create_ami": true }),
        // The image is not kept in the build's own region.
        json!({
            "encrypt_boot": true, "ami_regions": ["eu-west-1"], "skip_save_build_region": true,
            "region_kms_key_ids": { "eu-west-1": "alias/a" }, "ami_users": ["111111111111"],
        }),
        json!({ "launch_block_device_mappings": [
            { "device_name": "/dev/sda1", "volume_type": "gp3", "volume_size": 65536,
              "iops": 80000, "throughput": 2000, "delete_on_termination": true },
            { "device_name": "/dev/sdb", "volume_type": "io2", "volume_size": 256,
              "iops": 256000, "delete_on_termination": false },
        ] }),
    ] {
        let prepared = prepare(with(more.clone()));
        let prepared = prepared.unwrap_or_else(|errors| panic!("{more}: {errors:?}"));
        assert_eq!(prepared.warnings, [], "{more}");
        assert!(prepared.generated.contains(&"SourceAMI".to_owned()));
    }
}

#[test]
fn what_has_no_effect_is_a_warning() {
    for (more, start) in [
        (json!({ "temporary_key_pair_bits": 4096 }), "`temporary_key_pair_bits` has no effect"),
        (
            json!({ "encrypt_boot": true, "kms_key_id": "alias/a", "ami_groups": ["all"] }),
            "`ami_groups`: AWS makes nothing public that is encrypted",
        ),
        (
            json!({ "spot_price": "auto", "block_duration_minutes": 60 }),
            "`block_duration_minutes` has no effect",
        ),
        (json!({ "spot_price_auto_product": "Linux" }), "`spot_price_auto_product` has no effect"),
        (json!({ "enable_t2_unlimited": true }), "`enable_t2_unlimited` is now called"),
        (
            json!({ "spot_allocation_strategy": "lowest-price" }),
            "`spot_allocation_strategy` has no effect without",
        ),
        (
            json!({ "spot_price": "auto", "shutdown_behavior": "terminate" }),
            "`shutdown_behavior` has no effect with a spot_price",
        ),
        (
            json!({ "spot_price": "auto", "placement": { "tenancy": "dedicated" } }),
            "`placement.tenancy` has no effect with a spot_price",
        ),
        (
            json!({ "spot_price": "auto", "tenancy": "dedicated" }),
            "`tenancy` has no effect with a spot_price",
        ),
        (
            json!({ "spot_price": "auto", "capacity_reservation_id": "cr-1" }),
            "`capacity_reservation_id` has no effect with a spot_price",
        ),
        (
            json!({ "spot_price": "auto", "license_specifications": [{}] }),
            "`license_specifications` has no effect with a spot_price",
        ),
        (
            json!({ "spot_price": "auto", "disable_stop_instance": true }),
            "`disable_stop_instance` has no effect with a spot_price",
        ),
        (
            json!({ "spot_price": "auto", "ena_support": false }),
            "`ena_support` has no effect with a spot_price",
        ),
        (
            json!({
                "iam_instance_profile": "p",
                "temporary_iam_instance_profile_policy_document": { "Version": "2012-10-17" },
            }),
            "`temporary_iam_instance_profile_policy_document` has no effect",
        ),
        (
            json!({
                "security_group_id": "sg-1",
                "temporary_security_group_source_cidrs": ["10.0.0.0/8"],
            }),
            "`temporary_security_group_source_cidrs` has no effect",
        ),
        (
            json!({ "security_group_ids": ["sg-1"], "temporary_security_group_source_public_ip": true }),
            "`temporary_security_group_source_public_ip` has no effect",
        ),
        (
            json!({ "ami_block_device_mappings": [
                { "device_name": "/dev/sda1", "volume_type": "gp2", "iops": 300 },
            ] }),
            "ami_block_device_mappings: `iops` of /dev/sda1 has no effect",
        ),
        (
            json!({ "launch_block_device_mappings": [
                { "device_name": "/dev/sdb", "virtual_name": "data" },
            ] }),
            "launch_block_device_mappings: `virtual_name` of /dev/sdb has no effect",
        ),
        (json!({ "ami_virtualization_type": "banana" }), "`ami_virtualization_type` has no effect"),
        (
            json!({ "session_manager_port": 8000 }),
            "`session_manager_port` has no effect without ssh_interface",
        ),
        (json!({ "pause_before_ssm": "5s" }), "`pause_before_ssm` has no effect"),
        (
            json!({
                "ssh_interface": "session_manager", "iam_instance_profile": "ssm",
                "communicator": "none",
            }),
            "`ssh_interface` has no effect with communicator",
        ),
        (
            json!({ "fast_launch": { "enable_fast_launch": true }, "skip_create_ami": true }),
            "`fast_launch` has no effect with skip_create_ami",
        ),
        // AWS's limits change, so that AWS decides.
        (
            json!({ "ami_block_device_mappings": [
                { "device_name": "/dev/sda1", "volume_type": "gp3", "iops": 80001 },
            ] }),
            "ami_block_device_mappings: `iops` of /dev/sda1 is 80001; AWS documents 3000 to 80000",
        ),
        (
            json!({ "ami_block_device_mappings": [
                { "device_name": "/dev/sda1", "volume_type": "gp3", "throughput": 2001 },
            ] }),
            "ami_block_device_mappings: `throughput` of /dev/sda1 is 2001 MiB/s; AWS documents 125",
        ),
        (
            json!({ "ami_block_device_mappings": [
                { "device_name": "/dev/sda1", "volume_type": "gp3", "volume_size": 65537 },
            ] }),
            "ami_block_device_mappings: `volume_size` of /dev/sda1 is 65537 GiB; AWS documents 1 to",
        ),
        (
            json!({ "ami_block_device_mappings": [{
                "device_name": "/dev/sda1", "volume_type": "io1", "volume_size": 10, "iops": 600,
            }] }),
            "ami_block_device_mappings: `iops` of /dev/sda1 is 600; AWS documents at most 50 for",
        ),
        (
            json!({ "launch_block_device_mappings": [
                { "device_name": "/dev/sda1", "volume_size": 20 },
            ] }),
            "launch_block_device_mappings: the volume of /dev/sda1 is left behind",
        ),
        (
            json!({
                "ami_block_device_mappings": [{ "device_name": "/dev/sda1", "encrypted": true }],
                "snapshot_users": ["111111111111"],
            }),
            "ami_block_device_mappings: /dev/sda1 is encrypted with the account's default key",
        ),
        (
            json!({
                "ami_block_device_mappings": [
                    { "device_name": "/dev/sda1", "encrypted": true, "kms_key_id": "alias/a" },
                ],
                "ami_regions": ["eu-west-1"],
                "ami_users": ["111111111111"],
            }),
            "ami_block_device_mappings: copies of /dev/sda1 in other regions are encrypted with",
        ),
    ] {
        let warnings = prepare(with(more)).unwrap().warnings;
        assert!(warnings.len() == 1 && warnings[0].message.starts_with(start), "{warnings:?}");
    }
}
