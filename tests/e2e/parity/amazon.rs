//! The same template on the same (simulated) AWS: the AMIs are alike, and Ingot calls no more.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::peer::peer;
use ingot_test_support::moto::Moto;
use ingot_test_support::require;
use ingot_test_support::sshd::{self, Server};

/// What is left in both regions, without what differs from build to build.
const LEFT: &str = r#"
import boto3, json, os
url = os.environ["AWS_ENDPOINT_URL"]
def plain(thing):
    if isinstance(thing, dict):
        skip = ("ImageId", "SnapshotId", "CreationDate", "SourceInstanceId", "ImageLocation",
                "StartTime", "VolumeId", "Description", "ResponseMetadata", "DeprecationTime")
        kept = {k: plain(v) for k, v in thing.items() if k not in skip}
        if "ImageId" in thing: kept["Description"] = thing.get("Description")
        return kept
    if isinstance(thing, list):
        return sorted((plain(one) for one in thing), key=lambda one: json.dumps(one, default=str))
    return thing
left = {}
for region in ("us-east-1", "eu-west-1"):
    ec2 = boto3.client("ec2", region_name=region, endpoint_url=url)
    images = ec2.describe_images(Owners=["self"])["Images"]
    for image in images:
        id = image["ImageId"]
        image["launch"] = ec2.describe_image_attribute(ImageId=id, Attribute="launchPermission")["LaunchPermissions"]
        for device in image["BlockDeviceMappings"]:
            id = device["Ebs"]["SnapshotId"]
            device["share"] = ec2.describe_snapshot_attribute(SnapshotId=id, Attribute="createVolumePermission").get("CreateVolumePermissions")
            device["tags"] = ec2.describe_snapshots(SnapshotIds=[id])["Snapshots"][0].get("Tags")
    states = [i["State"]["Name"] for r in ec2.describe_instances()["Reservations"] for i in r["Instances"]]
    left[region] = {
        "images": plain(images), "instances": states,
        "keys": len(ec2.describe_key_pairs()["KeyPairs"]),
        "groups": len(ec2.describe_security_groups()["SecurityGroups"]),
        "volumes": len(ec2.describe_volumes()["Volumes"]),
    }
iam = boto3.client("iam", region_name="us-east-1", endpoint_url=url)
left["iam"] = len(iam.list_roles()["Roles"]) + len(iam.list_instance_profiles()["InstanceProfiles"])
print(json.dumps(left, default=str, sort_keys=True))
"#;

struct Built {
    left: Value,
    calls: Vec<String>,
    requests: Vec<BTreeMap<String, String>>,
    took: Duration,
    said: String,
}

#[test]
fn amazon_ebs_makes_the_same_amis_with_no_more_calls() {
    let peer = require!(peer());
    if !has_amazon(&peer.program) {
        return;
    }
    require!(sshd::available());
    let any = "AuthorizedKeysCommand /bin/echo %t %k\nAuthorizedKeysCommandUser root";
    let server = Server::start(any);
    for (what, more) in [
        ("plain", ""),
        (
            "everything",
            r#"
  ami_regions     = ["eu-west-1"]
  ami_description = "made from {{ .SourceAMIName }} in {{ .BuildRegion }}"
  ami_users       = ["111111111111", "222222222222"]
  snapshot_users  = ["111111111111"]
  tags            = { Base = "{{ .SourceAMI }}", Owner = "{{ .SourceAMIOwner }}" }
  tag {
    key   = "Release"
    value = "1"
  }
  snapshot_tags = { Base = "snapshot of {{ .SourceAMI }}" }
  run_tags      = { Name = "a build" }
  skip_ami_run_tags = true
"#,
        ),
        (
            "encrypted",
            r#"
  ami_regions  = ["eu-west-1"]
  encrypt_boot = true
"#,
        ),
        ("spot", "  spot_price = \"auto\"\n"),
        (
            "profile",
            r#"
  temporary_iam_instance_profile_policy_document {
    Statement {
      Action   = ["s3:GetObject"]
      Effect   = "Allow"
      Resource = ["*"]
    }
    Version = "2012-10-17"
  }
"#,
        ),
    ] {
        let text = template(&server, more);
        let Some(theirs) = build(&peer.program, &text) else { return };
        let Some(ours) = build(&ingot_test_support::ingot_program(), &text) else { return };
        let both = format!("\n--- Packer ---\n{}\n--- Ingot ---\n{}", theirs.said, ours.said);
        println!(
            "{what}: Packer {} calls in {:.1} s, Ingot {} calls in {:.1} s\n  Packer: {}\n  Ingot: {}",
            theirs.calls.len(),
            theirs.took.as_secs_f64(),
            ours.calls.len(),
            ours.took.as_secs_f64(),
            theirs.calls.join(" "),
            ours.calls.join(" ")
        );
        let images = |built: &Built| {
            ["us-east-1", "eu-west-1"].map(|region| built.left[region]["images"].clone())
        };
        assert_eq!(images(&theirs), images(&ours), "{what}{both}");
        assert!(!ours.left["us-east-1"]["images"].as_array().expect("a list").is_empty());
        assert_eq!(ours.left["us-east-1"]["instances"], serde_json::json!(["terminated"]));
        assert_eq!(ours.left["iam"], 0, "{what}{both}");
        for (name, left) in [("keys", 0), ("groups", 1), ("volumes", 0)] {
            assert_eq!(ours.left["us-east-1"][name], left, "{what}: {name}{both}");
        }
        let (theirs, ours) = (theirs.calls, ours.calls);
        assert!(ours.len() <= theirs.len(), "{what}: {theirs:?}\n{ours:?}");
    }
}

fn template(server: &Server, more: &str) -> String {
    let name = "  ami_name      = \"learn-packer-linux-aws\"\n";
    template_of("amazon-ebs", server, &format!("{name}{more}"))
}

fn template_of(builder: &str, server: &Server, more: &str) -> String {
    format!(
        r#"
source "{builder}" "ubuntu" {{
  instance_type = "t2.micro"
  region        = "us-east-1"
  source_ami_filter {{
    filters = {{
      name                = "ubuntu/images/*ubuntu-xenial-16.04-amd64-server-*"
      root-device-type    = "ebs"
      virtualization-type = "hvm"
    }}
    most_recent = true
    owners      = ["099720109477"]
  }}
  ssh_username = "{}"
  ssh_host     = "127.0.0.1"
  ssh_port     = {}
{more}
}}
build {{
  name    = "learn-packer"
  sources = ["source.{builder}.ubuntu"]
  provisioner "shell" {{
    inline = ["echo provisioned ${{build.ID}} from ${{build.SourceAMI}}"]
  }}
}}
"#,
        sshd::USER,
        server.port
    )
}

/// Builds in an account of its own.
fn build(program: &Path, text: &str) -> Option<Built> {
    let dir = ingot_test_support::template(text);
    let recording = dir.path().join("recording").display().to_string();
    let moto = Moto::start_with(&[("MOTO_RECORDER_FILEPATH", &recording)])?;
    moto.http("POST", "/moto-api/recorder/start-recording", "").expect("moto answers");
    let started = Instant::now();
    let output = Command::new(program)
        .args(["build", "-color=false", "."])
        .current_dir(dir.path())
        .envs(moto.environment())
        .env("CHECKPOINT_DISABLE", "1")
        .env("INGOT_STATE_DIR", dir.path().join("state"))
        .output()
        .expect("the program can be run");
    let took = started.elapsed();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    assert!(said.contains("provisioned i-"), "{said}");
    let recorded = moto.http("GET", "/moto-api/recorder/download-recording", "");
    let recorded = recorded.expect("moto answers");
    let calls = recorded.lines().filter_map(action).collect();
    let requests = recorded.lines().filter_map(request).collect();
    let output = Command::new("python3")
        .args(["-c", LEFT])
        .envs(moto.environment())
        .output()
        .expect("python3 is there, as moto is");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let left = serde_json::from_slice(&output.stdout).expect("an answer in JSON");
    Some(Built { left, calls, requests, took, said })
}

/// The fields of a recorded request, with ids and times that differ from run to run made alike,
/// and disks in the order of their names.
fn request(line: &str) -> Option<BTreeMap<String, String>> {
    let body = body_of(line)?;
    let url = reqwest::Url::parse(&format!("http://moto/?{body}")).ok()?;
    let mut fields = BTreeMap::new();
    let mut disks: BTreeMap<String, BTreeMap<String, String>> = BTreeMap::new();
    for (name, value) in url.query_pairs() {
        let id = value.split_once('-').filter(|(_, id)| id.len() == 17);
        let value = match (&*name, id) {
            ("ClientToken" | "Version", _) => continue,
            ("Description", _) if value.starts_with("Packer: ") => "Packer: TIME".to_owned(),
            (_, Some((kind, id))) if id.bytes().all(|byte| byte.is_ascii_hexdigit()) => {
                kind.to_owned()
            }
            _ => value.into_owned(),
        };
        match name.strip_prefix("BlockDeviceMapping.").and_then(|rest| rest.split_once('.')) {
            Some((index, field)) => {
                disks.entry(index.to_owned()).or_default().insert(field.to_owned(), value);
            }
            None => drop(fields.insert(name.into_owned(), value)),
        }
    }
    for disk in disks.into_values() {
        let name = disk.get("DeviceName").cloned().unwrap_or_default();
        fields.extend(disk.into_iter().map(|(field, value)| (format!("{name} {field}"), value)));
    }
    Some(fields)
}

#[test]
fn the_other_builders_make_the_same_calls() {
    let peer = require!(peer());
    if !has_amazon(&peer.program) {
        return;
    }
    require!(sshd::available());
    let any = "AuthorizedKeysCommand /bin/echo %t %k\nAuthorizedKeysCommandUser root";
    let server = Server::start(any);
    let surrogate = r#"
  ami_name                = "surrogate"
  ami_virtualization_type = "hvm"
  boot_mode               = "uefi"
  ena_support             = true
  snapshot_tags           = { Base = "{{ .SourceAMI }}" }
  tags                    = { Name = "surrogate" }
  launch_block_device_mappings {
    device_name           = "/dev/xvdf"
    volume_size           = 8
    volume_type           = "gp3"
    delete_on_termination = true
  }
  launch_block_device_mappings {
    device_name           = "/dev/xvdg"
    volume_size           = 1
    delete_on_termination = true
    omit_from_artifact    = true
  }
  ami_root_device {
    source_device_name = "/dev/xvdf"
    device_name        = "/dev/xvda"
  }
"#;
    let volumes = r#"
  run_volume_tags = { Temporary = "yes" }
  ebs_volumes {
    device_name = "/dev/xvdf"
    volume_size = 3
    tags        = { Base = "{{ .SourceAMI }}" }
  }
  ebs_volumes {
    device_name           = "/dev/xvdg"
    volume_size           = 1
    delete_on_termination = true
    snapshot_volume       = true
    snapshot_tags         = { Kind = "seed" }
    snapshot_users        = ["123456789012"]
  }
"#;
    for (builder, more, compared) in [
        ("amazon-ebssurrogate", surrogate, &["CreateSnapshot", "RegisterImage"][..]),
        ("amazon-ebsvolume", volumes, &["CreateSnapshot"][..]),
    ] {
        let text = template_of(builder, &server, more);
        let Some(theirs) = build(&peer.program, &text) else { return };
        let Some(ours) = build(&ingot_test_support::ingot_program(), &text) else { return };
        for action in compared {
            let of = |built: &Built| {
                let requests = built.requests.iter();
                let mut found: Vec<_> = requests
                    .filter(|call| call.get("Action").is_some_and(|a| a == action))
                    .collect();
                found.sort();
                format!("{found:#?}")
            };
            assert_eq!(of(&ours), of(&theirs), "{builder} {action}");
        }
        let images = |built: &Built| built.left["us-east-1"]["images"].clone();
        assert_eq!(images(&ours), images(&theirs), "{builder}");
        for name in ["keys", "groups", "volumes", "instances"] {
            let left = |built: &Built| built.left["us-east-1"][name].clone();
            assert_eq!(left(&ours), left(&theirs), "{builder}: {name}");
        }
    }
}

/// Whether this Packer has the plugin for Amazon.
fn has_amazon(packer: &Path) -> bool {
    let plugins = Command::new(packer).args(["plugins", "installed"]).output();
    let found = plugins.is_ok_and(|plugins| {
        String::from_utf8_lossy(&plugins.stdout).contains("packer-plugin-amazon")
    });
    if !found {
        eprintln!("skipped: this Packer has no plugin for Amazon that takes AWS_ENDPOINT_URL");
    }
    found
}

/// The operation of a recorded request.
fn action(line: &str) -> Option<String> {
    let body = body_of(line)?;
    let (_, rest) = body.split_once("Action=")?;
    Some(rest.chars().take_while(char::is_ascii_alphanumeric).collect())
}

/// The body of a recorded request.
fn body_of(line: &str) -> Option<String> {
    let request: Value = serde_json::from_str(line).ok()?;
    let body = request["body"].as_str()?;
    Some(match request["body_encoded"].as_bool() {
        Some(true) => String::from_utf8(STANDARD.decode(body).ok()?).ok()?,
        _ => body.to_owned(),
    })
}
