//! Plans in the format that Terraform documents for `terraform show -json`.

use serde_json::{Value, json};

use crate::stock::{AZURE, CHILD, CURRENT, GOOGLE, OLD, REVOKED, REVOKED_EAST, SCHEDULED, STRANGE};

/// What must not be seen anywhere.
pub(crate) const SECRET: &str = "hidden-secret-7f3a";
/// An image that a resource says is sensitive.
pub(crate) const SENSITIVE: &str = "ami-05ec2e7000000000f";

/// A plan of these changes.
pub(crate) fn plan(changes: Vec<Value>) -> Value {
    json!({
        "format_version": "1.2",
        "terraform_version": "1.11.4",
        "planned_values": { "root_module": {} },
        "resource_changes": changes,
        "configuration": { "root_module": {} },
        "errored": false,
    })
}

/// A resource that is made.
pub(crate) fn created(address: &str, kind: &str, after: Value) -> Value {
    change(address, kind, &["create"], Value::Null, after)
}

pub(crate) fn change(
    address: &str,
    kind: &str,
    actions: &[&str],
    before: Value,
    after: Value,
) -> Value {
    json!({
        "address": address,
        "mode": "managed",
        "type": kind,
        "name": "x",
        "provider_name": "registry.terraform.io/hashicorp/aws",
        "change": {
            "actions": actions, "before": before, "after": after, "after_unknown": {},
            "before_sensitive": false, "after_sensitive": {},
        },
    })
}

/// A data source that was read.
pub(crate) fn data(address: &str, kind: &str, values: Value) -> Value {
    json!({
        "address": address, "mode": "data", "type": kind, "name": "x",
        "values": values, "sensitive_values": {},
    })
}

/// A resource of the configuration.
pub(crate) fn configured(address: &str, expressions: Value) -> Value {
    let kind = address.split('.').next();
    json!({
        "address": address, "mode": "managed", "type": kind, "name": "x",
        "provider_config_key": "x", "expressions": expressions,
    })
}

/// A plan with one image of each kind.
pub(crate) fn simple() -> Value {
    plan(vec![
        created("aws_instance.old", "aws_instance", json!({ "ami": OLD, "region": "eu-west-1" })),
        created(
            "aws_instance.bad",
            "aws_instance",
            json!({ "ami": REVOKED, "region": "eu-west-1" }),
        ),
        created("aws_instance.good", "aws_instance", json!({ "ami": CURRENT })),
        created("aws_instance.strange", "aws_instance", json!({ "ami": STRANGE })),
    ])
}

/// A plan with modules, count, for_each, values that are not known yet, sensitive ones, data
/// sources that were read and such that are read later, and what goes.
pub(crate) fn large() -> Value {
    let module = json!({
        "resources": [
            {
                "address": "aws_instance.fleet", "mode": "managed", "type": "aws_instance",
                "name": "fleet", "provider_config_key": "aws",
                "expressions": { "ami": { "references": ["var.image"] } },
            },
            {
                "address": "aws_instance.plain", "mode": "managed", "type": "aws_instance",
                "name": "plain", "provider_config_key": "aws",
                "expressions": { "instance_type": { "constant_value": "t3.micro" } },
            },
        ],
        "variables": { "image": {} },
    });
    json!({
        "format_version": "1.2",
        "terraform_version": "1.11.4",
        "variables": { "region": { "value": "eu-west-1" } },
        "planned_values": { "root_module": { "child_modules": [{
            "address": "module.only_planned",
            "resources": [{
                "address": "module.only_planned.azurerm_linux_virtual_machine.v",
                "mode": "managed", "type": "azurerm_linux_virtual_machine", "name": "v",
                "values": { "source_image_id": AZURE, "location": "westeurope" },
                "sensitive_values": {},
            }],
        }] } },
        "resource_changes": [
            // A module that is called once for each of a map, with a resource of a count.
            change(
                "module.app[\"eu.1\"].module.tier.aws_instance.fleet[1]", "aws_instance",
                &["delete", "create"], json!({ "ami": OLD }), json!({ "ami": REVOKED }),
            ),
            // Its image comes from a data source through a module's variable, and is not known yet.
            {
                "address": "module.late.aws_instance.fleet[0]", "mode": "managed",
                "type": "aws_instance", "name": "fleet", "index": 0,
                "change": {
                    "actions": ["create"], "before": null, "after": {},
                    "after_unknown": { "ami": true, "id": true }, "after_sensitive": {},
                },
            },
            // Nobody set this one's image: it is the provider's to choose.
            {
                "address": "module.late.aws_instance.plain", "mode": "managed",
                "type": "aws_instance", "name": "plain",
                "change": {
                    "actions": ["create"], "before": null, "after": {},
                    "after_unknown": { "ami": true }, "after_sensitive": {},
                },
            },
            // A data source that is read when the plan is applied.
            {
                "address": "data.hcp_packer_artifact.late", "mode": "data",
                "type": "hcp_packer_artifact", "name": "late",
                "change": {
                    "actions": ["read"], "before": null,
                    "after": {
                        "bucket_name": "golden", "channel_name": "production",
                        "platform": "aws", "region": "eu-west-1",
                    },
                    "after_unknown": { "external_identifier": true },
                },
            },
            // Launch templates are changed in place.
            change(
                "aws_launch_template.changed", "aws_launch_template", &["update"],
                json!({ "image_id": OLD }), json!({ "image_id": REVOKED_EAST, "region": "us-east-1" }),
            ),
            // It has the image already.
            change(
                "aws_launch_template.kept", "aws_launch_template", &["update"],
                json!({ "image_id": REVOKED, "tags": {} }),
                json!({ "image_id": REVOKED, "tags": { "a": STRANGE } }),
            ),
            // Blocks in blocks.
            created(
                "google_compute_instance.vm[\"a\"]", "google_compute_instance",
                json!({
                    "boot_disk": [{ "initialize_params": [{
                        "image": format!("projects/p/global/images/{GOOGLE}"),
                    }] }],
                    "zone": "europe-west1-b",
                }),
            ),
            // An image in an attribute that nobody knows of.
            created(
                "helm_release.web", "helm_release",
                json!({ "set": [{ "name": "image", "value": format!("registry/web@{CHILD}") }] }),
            ),
            // By its channel it is fine, wherever else its version stands.
            created("aws_instance.by_channel", "aws_instance", json!({ "ami": SCHEDULED })),
            // Sensitive, and unknown to the registry.
            {
                "address": "aws_instance.hidden", "mode": "managed", "type": "aws_instance",
                "name": "hidden",
                "change": {
                    "actions": ["create"], "before": null,
                    "after": { "ami": SENSITIVE, "user_data": SECRET, "monitoring": SECRET },
                    "after_unknown": {}, "after_sensitive": { "ami": true, "monitoring": true },
                },
            },
            // These go.
            change("aws_instance.gone", "aws_instance", &["delete"], json!({ "ami": REVOKED }), Value::Null),
            change("aws_instance.forgotten", "aws_instance", &["forget"], json!({ "ami": REVOKED }), Value::Null),
        ],
        "prior_state": {
            "format_version": "1.0",
            "values": { "root_module": { "resources": [
                data("data.hcp_packer_version.base", "hcp_packer_version", json!({
                    "bucket_name": "golden", "channel_name": "production", "fingerprint": "two",
                    "id": "01", "name": "v2",
                })),
                data("data.hcp_packer_artifact.base", "hcp_packer_artifact", json!({
                    "bucket_name": "golden", "channel_name": null, "version_fingerprint": "two",
                    "platform": "aws", "region": "eu-west-1", "external_identifier": OLD,
                })),
                // What managed resources were is no matter.
                {
                    "address": "aws_instance.gone", "mode": "managed", "type": "aws_instance",
                    "name": "gone", "values": { "ami": REVOKED }, "sensitive_values": {},
                },
            ] } },
        },
        "configuration": {
            "provider_config": { "aws": {
                "name": "aws",
                "expressions": {
                    "region": { "references": ["var.region"] },
                    "secret_key": { "constant_value": SECRET },
                },
            } },
            "root_module": {
                "resources": [{
                    "address": "data.hcp_packer_artifact.late", "mode": "data",
                    "type": "hcp_packer_artifact", "name": "late", "provider_config_key": "hcp",
                    "expressions": { "region": { "references": ["null_resource.x"] } },
                }],
                "module_calls": { "late": {
                    "source": "./app",
                    "expressions": { "image": { "references": [
                        "data.hcp_packer_artifact.late.external_identifier",
                        "data.hcp_packer_artifact.late",
                    ] } },
                    "module": module,
                } },
            },
        },
        "errored": false,
    })
}
