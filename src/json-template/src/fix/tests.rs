//! One template for every fixer; `tests/conformance` holds all of them against Packer's.

use serde_json::{Value, json};

use super::{FIXERS, fix, replaces};

fn fixed(template: Value) -> Value {
    let Value::Object(mut template) = template else { unreachable!("a template is an object") };
    fix(&mut template).unwrap();
    template.into()
}

#[test]
fn keys_keep_their_place() {
    let fixed = fixed(json!({
        "variables": {},
        "builders": [{ "type": "qemu", "iso_url": "u", "iso_checksum_type": "sha256",
            "iso_checksum": "ab", "ssh_wait_timeout": "1m", "disk_size": 5000 }],
        "_comment": "stays",
    }));
    let text = serde_json::to_string(&fixed).unwrap();
    assert_eq!(
        text,
        r#"{"variables":{},"builders":[{"type":"qemu","iso_url":"u","iso_checksum":"sha256:ab","ssh_timeout":"1m","disk_size":"5000M"}],"_comment":"stays"}"#
    );
}

#[test]
fn no_checksum_stays_no_checksum() {
    let fixed = fixed(json!({ "builders": [{ "type": "qemu", "iso_checksum_type": "none" }] }));
    assert_eq!(fixed["builders"][0], json!({ "type": "qemu", "iso_checksum": "none" }));
}

#[test]
fn what_is_up_to_date_stays() {
    let template = json!({ "builders": [{ "type": "docker", "image": "debian" }],
        "post-processors": ["manifest", ["docker-import"]] });
    assert_eq!(fixed(template.clone()), template);
    assert_eq!(fixed(json!({})), json!({}));
}

#[test]
fn what_cannot_be_fixed_is_reported() {
    let fix = |template: Value| fix(template.as_object().cloned().as_mut().unwrap());
    let wrong = fix(json!({ "builders": [1] })).unwrap_err();
    assert!(wrong.contains("not an object"), "{wrong}");
    let wrong = fix(json!({ "builders": [{ "type": "amazon-ebs", "ssh_private_ip": "maybe" }] }))
        .unwrap_err();
    assert!(wrong.contains("ssh_private_ip"), "{wrong}");
}

#[test]
fn options_that_are_replaced_are_known() {
    assert_eq!(FIXERS.len(), 34);
    assert!(replaces("qemu", "iso_checksum_type") && replaces("amazon-ebs", "shutdown_behaviour"));
    assert!(!replaces("qemu", "shutdown_behaviour") && !replaces("qemu", "disk_size"));
}
