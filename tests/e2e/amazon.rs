//! Amazon's data sources, functions and keys, against a real moto server; and what is known of its
//! builders offline.

mod credentials;

use std::path::Path;

use serde_json::{Value, json};

use ingot_test_support::moto::Moto;
use ingot_test_support::{Run, ingot, ingot_with, null_template, require, template};

/// Runs a build in whose output stands what `expression` is, after `found `.
fn show(data: &str, expression: &str) -> tempfile::TempDir {
    let steps = format!(
        "provisioner \"shell-local\" {{\n  inline = [\"echo 'found ${{{expression}}}'\"]\n}}"
    );
    template(&format!("{data}\n{}", null_template(&steps)))
}

fn build(dir: &Path, env: &[(&str, String)]) -> Run {
    let env: Vec<(&str, &str)> = env.iter().map(|(name, value)| (*name, &**value)).collect();
    ingot_with(dir, &["build", "."], &env)
}

/// What a build showed, as JSON.
fn found(run: &Run) -> Value {
    let line = run.stdout.lines().find_map(|line| line.split_once("found "));
    let (_, text) = line.unwrap_or_else(|| panic!("{}{}", run.stdout, run.stderr));
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

/// Asks moto as AWS's own tools do.
fn aws(moto: &Moto, target: &str, request: Value) -> Value {
    let service = match target.split('.').next() {
        Some("AmazonSSM") => "ssm",
        Some("TrentService") => "kms",
        _ => "secretsmanager",
    };
    let script = format!(
        "import json, sys, urllib.request\n\
         r = urllib.request.Request({endpoint:?}, data=sys.argv[1].encode(), headers={{\n\
         'X-Amz-Target': {target:?}, 'Content-Type': 'application/x-amz-json-1.1',\n\
         'Authorization': 'AWS4-HMAC-SHA256 Credential=k/20260101/us-east-1/{service}/aws4_request, \
         SignedHeaders=host, Signature=0'}})\n\
         print(urllib.request.urlopen(r).read().decode())",
        endpoint = moto.endpoint(),
    );
    let output = std::process::Command::new("python3")
        .args(["-c", &script, &request.to_string()])
        .output()
        .expect("python3 is there, as moto is");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("an answer in JSON")
}

const UBUNTU: &str = r#"
data "amazon-ami" "ubuntu" {
  filters = {
    name                = "ubuntu/images/*trusty-14.04-amd64-server-*"
    virtualization-type = "hvm"
  }
  owners      = ["099720109477"]
  most_recent = true
}"#;

#[test]
fn an_ami_is_found_by_its_name_and_owner() {
    let moto = require!(Moto::start());
    let dir = show(UBUNTU, "jsonencode(data.amazon-ami.ubuntu)");
    let run = build(dir.path(), &moto.environment());
    let ami = found(&run);
    assert_eq!(ami["name"], "ubuntu/images/hvm-ssd/ubuntu-trusty-14.04-amd64-server-20170727");
    assert_eq!(ami["id"], "ami-1e749f67");
    assert_eq!((&ami["owner"], &ami["owner_name"]), (&json!("099720109477"), &json!("amazon")));
    assert!(ami["creation_date"].as_str().unwrap().ends_with('Z') && ami["tags"] == json!({}));
}

#[test]
fn no_ami_and_too_many_are_errors_that_name_the_filters() {
    let moto = require!(Moto::start());
    let none = UBUNTU.replace("trusty", "nonesuch");
    let run = build(show(&none, "data.amazon-ami.ubuntu.id").path(), &moto.environment());
    assert_eq!(run.code, Some(1));
    for part in [
        "no AMI in us-east-1 matches owners 099720109477",
        r#"name = "ubuntu/images/*nonesuch-14.04-amd64-server-*""#,
        "check the region and the owners",
        "t.pkr.hcl:2",
    ] {
        assert!(run.stdout.contains(part), "{part}: {}", run.stdout);
    }
    let many = UBUNTU.replace("ubuntu/images/*trusty-14.04-amd64-server-*", "*");
    let many = many.replace("most_recent = true", "");
    let run = build(show(&many, "data.amazon-ami.ubuntu.id").path(), &moto.environment());
    for part in ["2 AMIs in us-east-1 match", "(ubuntu/images/", "most_recent = true"] {
        assert!(run.stdout.contains(part), "{part}: {}", run.stdout);
    }
}

#[test]
fn parameters_are_read_and_secure_ones_hidden() {
    let moto = require!(Moto::start());
    let put = |name: &str, kind: &str, value: &str| {
        let request = json!({ "Name": name, "Type": kind, "Value": value, "Overwrite": true });
        aws(&moto, "AmazonSSM.PutParameter", request);
    };
    put("/app/ami", "String", "ami-old");
    put("/app/ami", "String", "ami-new");
    put("/app/key", "SecureString", "hush-hush");
    let data = |name: &str| {
        format!(
            "data \"amazon-parameterstore\" \"it\" {{\n  name = {name:?}\n  with_decryption = \
             true\n}}"
        )
    };
    let show = |name: &str| {
        let dir = show(&data(name), "jsonencode(data.amazon-parameterstore.it)");
        build(dir.path(), &moto.environment())
    };
    let parameter = found(&show("/app/ami"));
    assert_eq!((&parameter["value"], &parameter["version"]), (&json!("ami-new"), &json!("2")));
    let arn = parameter["arn"].as_str().unwrap();
    assert!(arn.starts_with("arn:aws:ssm:us-east-1:") && arn.ends_with("/app/ami"), "{arn}");
    assert_eq!(found(&show("/app/ami:1"))["value"], "ami-old");
    assert_eq!(found(&show("/app/key"))["value"], "<sensitive>");
    let run = show("/app/none");
    assert!(run.stdout.contains("there is no parameter /app/none in us-east-1"), "{}", run.stdout);
}

#[test]
fn secrets_are_read_and_never_shown() {
    let moto = require!(Moto::start());
    let secret = r#"{"user":"builder","password":"pa55-w0rd-long","port":5432}"#;
    let create = |name: &str, what: Value| {
        let mut request = json!({ "Name": name });
        request.as_object_mut().unwrap().extend(what.as_object().unwrap().clone());
        aws(&moto, "secretsmanager.CreateSecret", request)
    };
    create("db", json!({ "SecretString": secret }));
    create("plain", json!({ "SecretString": "only-a-word" }));
    create("bytes", json!({ "SecretBinary": "YmluYXJ5LXRleHQ=" }));
    let check = |options: &str, attribute: &str| {
        let it = format!("data.amazon-secretsmanager.it.{attribute}");
        let data = format!(
            "data \"amazon-secretsmanager\" \"it\" {{\n  {options}\n}}\nsource \"file\" \"f\" {{\n  \
             content = {it}\n  target = \"out\"\n}}"
        );
        let dir = show(&data, &it);
        let text = std::fs::read_to_string(dir.path().join("t.pkr.hcl")).unwrap();
        let text = text.replace("[\"source.null.n\"]", "[\"source.null.n\", \"source.file.f\"]");
        std::fs::write(dir.path().join("t.pkr.hcl"), text).unwrap();
        let run = build(dir.path(), &moto.environment());
        for secret in ["pa55-w0rd-long", "only-a-word", "binary-text"] {
            assert!(!run.stdout.contains(secret), "{}", run.stdout);
        }
        (std::fs::read_to_string(dir.path().join("out")).ok(), run.stdout)
    };
    for (options, attribute, value) in [
        ("name = \"db\"\n  key = \"password\"", "value", "pa55-w0rd-long"),
        ("name = \"db\"", "value", "builder"),
        ("name = \"db\"\n  key = \"port\"", "value", "5432"),
        ("name = \"db\"", "secret_string", secret),
        ("name = \"plain\"", "value", "only-a-word"),
        ("name = \"bytes\"", "secret_binary", "binary-text"),
    ] {
        let (written, said) = check(options, attribute);
        assert_eq!(written.as_deref(), Some(value), "{options}: {said}");
        assert!(said.contains("found <sensitive>"), "{options}: {said}");
    }
    let (_, said) = check("name = \"db\"\n  key = \"nope\"", "value");
    assert!(said.contains("the secret db has no key `nope`"), "{said}");
    let (_, said) = check("name = \"none\"", "value");
    assert!(said.contains("there is no secret none of version AWSCURRENT"), "{said}");
}

#[test]
fn functions_read_secrets_that_are_never_shown() {
    let moto = require!(Moto::start());
    let create = |name: &str, text: &str| {
        let request = json!({ "Name": name, "SecretString": text });
        aws(&moto, "secretsmanager.CreateSecret", request);
    };
    let one = r#"{"password":"pa55-w0rd-long"}"#;
    create("plain", "pa55-w0rd-long");
    create("one", one);
    create("two", r#"{"password":"pa55-w0rd-long","port":5432}"#);
    let check = |call: &str| {
        let locals = format!("locals {{\n  it = {call}\n}}\n");
        let dir = show(&locals, "local.it");
        let file = "source \"file\" \"f\" {\n  content = local.it\n  target = \"out\"\n}\n";
        let text = std::fs::read_to_string(dir.path().join("t.pkr.hcl")).unwrap();
        let text = text.replace("[\"source.null.n\"]", "[\"source.null.n\", \"source.file.f\"]");
        std::fs::write(dir.path().join("t.pkr.hcl"), format!("{text}{file}")).unwrap();
        let run = build(dir.path(), &moto.environment());
        assert!(!run.stdout.contains("pa55-w0rd-long"), "{}", run.stdout);
        (std::fs::read_to_string(dir.path().join("out")).ok(), run.stdout)
    };
    for (call, value) in [
        ("aws_secretsmanager(\"plain\", null)", "pa55-w0rd-long"),
        ("aws_secretsmanager(\"plain\", \"password\")", "pa55-w0rd-long"),
        ("aws_secretsmanager(\"one\", null)", "pa55-w0rd-long"),
        ("aws_secretsmanager(\"two\", \"port\")", "5432"),
        ("aws_secretsmanager_raw(\"one\")", one),
    ] {
        let (written, said) = check(call);
        assert_eq!(written.as_deref(), Some(value), "{call}: {said}");
        assert!(said.contains("found <sensitive>"), "{call}: {said}");
    }
    // Legacy JSON templates may leave the key out.
    for (action, value) in [
        ("{{ aws_secretsmanager `plain` }}", "pa55-w0rd-long"),
        ("{{ aws_secretsmanager `one` }}", "pa55-w0rd-long"),
        ("{{ aws_secretsmanager `two` `password` }}", "pa55-w0rd-long"),
        ("{{ aws_secretsmanager_raw `one` }}", one),
    ] {
        let dir = template("");
        let file = json!({ "type": "file", "target": "out", "content": "{{ user `it` }}" });
        let show = json!({ "type": "shell-local", "inline": ["echo 'found {{ user `it` }}'"] });
        let text = json!({ "variables": { "it": action }, "builders": [file],
            "provisioners": [show] });
        std::fs::write(dir.path().join("t.json"), text.to_string()).unwrap();
        let environment = moto.environment();
        let env: Vec<(&str, &str)> =
            environment.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let run = ingot_with(dir.path(), &["build", "t.json"], &env);
        assert_eq!(run.code, Some(0), "{action}: {}", run.stdout);
        let shown = run.stdout.contains("pa55-w0rd-long");
        assert!(!shown && run.stdout.contains("found <sensitive>"), "{action}: {}", run.stdout);
        let written = std::fs::read_to_string(dir.path().join("out")).ok();
        assert_eq!(written.as_deref(), Some(value), "{action}");
    }
    for (call, wanted) in [
        ("aws_secretsmanager(\"two\", null)", "several values, and no key says which"),
        ("aws_secretsmanager(\"two\", \"nope\")", "has no key `nope`"),
        ("aws_secretsmanager_raw(\"nope\")", "there is no secret nope"),
    ] {
        let (_, said) = check(call);
        assert!(said.contains("t.pkr.hcl:2:8") && said.contains(wanted), "{call}: {said}");
    }
}

/// Nobody is asked with the system's certificates alone.
#[test]
fn a_bundle_without_a_certificate_is_an_error() {
    let dir = show("locals {\n  it = aws_secretsmanager_raw(\"one\")\n}\n", "local.it");
    std::fs::write(dir.path().join("ca.der"), [0x30, 0x82, 0xff]).unwrap();
    let env = [
        ("AWS_CA_BUNDLE", "ca.der"),
        ("AWS_ACCESS_KEY_ID", "testing"),
        ("AWS_SECRET_ACCESS_KEY", "testing"),
        ("AWS_REGION", "us-east-1"),
        ("AWS_ENDPOINT_URL", "https://127.0.0.1:1"),
    ];
    let run = ingot_with(dir.path(), &["build", "."], &env);
    let said = format!("{}{}", run.stdout, run.stderr);
    assert_eq!(run.code, Some(1), "{said}");
    assert!(said.contains("reading AWS_CA_BUNDLE, ca.der: it has no certificate"), "{said}");
}

#[test]
fn attestations_are_signed_with_keys_of_kms() {
    let moto = require!(Moto::start());
    let environment = moto.environment();
    let env: Vec<(&str, &str)> =
        environment.iter().map(|(name, value)| (*name, value.as_str())).collect();
    for spec in ["ECC_NIST_P256", "RSA_2048"] {
        let request = json!({ "KeyUsage": "SIGN_VERIFY", "KeySpec": spec });
        let created = aws(&moto, "TrentService.CreateKey", request);
        let key = format!("awskms:///{}", created["KeyMetadata"]["Arn"].as_str().unwrap());
        let dir = template(&format!(
            "source \"file\" \"f\" {{\n  content = \"x\"\n  target = \"out/x\"\n}}\nbuild {{\n  \
             sources = [\"source.file.f\"]\n  post-processor \"provenance\" {{\n    signing_mode = \
             \"kms\"\n    signer = \"{key}\"\n  }}\n}}\n"
        ));
        let built = ingot_with(dir.path(), &["build", "."], &env);
        assert_eq!(built.code, Some(0), "{spec}: {}", built.stdout);
        let path = "out/f.x.provenance.json";
        let by_key = format!("-key={key}");
        let flags = ["verify-attestation", &by_key, "-artifact=out/x", path];
        let verified = ingot_with(dir.path(), &flags, &env);
        assert_eq!(verified.code, Some(0), "{spec}: {}", verified.stderr);
        // What was signed there verifies without it.
        let request = json!({ "KeyId": created["KeyMetadata"]["Arn"] });
        let public = aws(&moto, "TrentService.GetPublicKey", request);
        let public = public["PublicKey"].as_str().unwrap();
        let pem = format!("-----BEGIN PUBLIC KEY-----\n{public}\n-----END PUBLIC KEY-----\n");
        std::fs::write(dir.path().join("key.pub"), pem).unwrap();
        let flags = ["verify-attestation", "-verifier=key.pub", path];
        assert_eq!(ingot(dir.path(), &flags).code, Some(0), "{spec}");
    }
    let flags = ["verify-attestation", "-key=awskms:///alias/none", "x.json"];
    let dir = template("");
    std::fs::write(
        dir.path().join("x.json"),
        r#"{"payloadType": "application/vnd.in-toto+json", "payload": "", "signatures": []}"#,
    )
    .unwrap();
    let failed = ingot_with(dir.path(), &flags, &env);
    assert!(failed.stderr.contains("asking KMS for alias/none"), "{}", failed.stderr);
}

#[test]
fn invalid_options_are_reported_offline() {
    let data = |options: &str| {
        let data = UBUNTU.replace("most_recent = true", options);
        let dir = show(&data, "data.amazon-ami.ubuntu.id");
        ingot(dir.path(), &["validate", "."]).stdout
    };
    for (options, part) in [
        ("access_key = \"a\"", "`access_key` needs `secret_key`"),
        ("vault_aws_engine {\n name = \"r\"\n}", "Vault's AWS engine are not supported"),
        ("custom_endpoint_ec2 = \"ec2.example.com\"", "not the URL of a service"),
        ("assume_role {\n duration_seconds = 60\n}", "from 900 to 43200 seconds"),
        ("most_recnt = true", "most_recent"),
    ] {
        let said = data(options);
        assert!(said.contains(part), "{part}: {said}");
    }
    let bare = UBUNTU.replace("owners      = [\"099720109477\"]", "");
    let dir = show(&bare, "data.amazon-ami.ubuntu.id");
    let said = ingot(dir.path(), &["validate", "."]).stdout;
    assert!(said.contains("`owners` must say whose AMIs are trusted"), "{said}");
    for builder in ["amazon-chroot", "amazon-instance"] {
        let text =
            format!("source \"{builder}\" \"x\" {{}}\nbuild {{\n sources = [\"{builder}.x\"]\n}}");
        let said = ingot(template(&text).path(), &["validate", "."]).stdout;
        assert!(said.contains(&format!("the builder `{builder}` is not built in")), "{said}");
        assert!(said.contains("part of the plugin github.com/hashicorp/amazon"), "{said}");
    }
}

/// A source of `amazon-ebs`, with more options.
fn ebs(name: &str, more: &str) -> String {
    format!(
        "source \"amazon-ebs\" \"{name}\" {{\n  ami_name      = \"web-1\"\n  source_ami    = \
         \"ami-1\"\n  instance_type = \"t3.micro\"\n  ssh_username  = \"ubuntu\"\n{more}\n}}\n"
    )
}

#[test]
fn invalid_options_are_reported_beside_values_that_are_not_known() {
    let build = "build {\n  sources = [\"amazon-ebs.a\"]\n}\n";
    let validate = |options: &str| {
        let dir = template(&format!("{}{build}", ebs("a", options)));
        ingot(dir.path(), &["validate", "."])
    };
    let tag = |value: &str| format!("  tag {{\n    key = \"base\"\n    value = {value}\n  }}\n");
    for value in ["\"q\"", "consul_key(\"a\")"] {
        let valid = validate(&tag(value));
        assert_eq!(valid.code, Some(0), "{}", valid.stdout);
        for wrong in ["  imds_support = \"v7\"", "  ssh_port = 70000", "  ssh_timeout = \"5x\""] {
            let run = validate(&format!("{}{wrong}", tag(value)));
            assert_eq!(run.code, Some(1), "{wrong}: {}", run.stdout);
            // It points at the option.
            assert!(run.stdout.contains(wrong), "{wrong}: {}", run.stdout);
        }
    }
}

#[test]
fn two_sources_that_create_one_ami_are_a_warning() {
    let build = "build {\n  sources = [\"amazon-ebs.a\", \"amazon-ebs.b\"]\n}\n";
    let checked = |a: &str, b: &str| {
        let dir = template(&format!("{}{}{build}", ebs("a", a), ebs("b", b)));
        let run = ingot(dir.path(), &["validate", "."]);
        assert_eq!(run.code, Some(0), "{}", run.stdout);
        run.stdout
    };
    let us = "  region = \"us-east-1\"";
    let said = checked(us, us);
    let text = "`amazon-ebs.a` and `amazon-ebs.b` both create the AMI web-1 in us-east-1: the one \
                that comes later fails";
    assert!(said.contains(text), "{said}");
    assert!(said.contains("t.pkr.hcl:8"), "{said}");
    // In a region that both copy to.
    let said = checked(
        "  region = \"us-east-1\"\n  ami_regions = [\"eu-west-1\"]",
        "  region = \"us-west-2\"\n  ami_regions = [\"eu-west-1\"]",
    );
    assert!(said.contains("both create the AMI web-1 in eu-west-1"), "{said}");
    for other in [
        "  region = \"us-west-2\"",
        "  region = \"us-east-1\"\n  profile = \"other-account\"",
        "  region = \"us-east-1\"\n  skip_create_ami = true",
    ] {
        let said = checked(us, other);
        assert!(!said.contains("both create"), "{other}: {said}");
    }
    // Rendered names are compared as they are rendered.
    let created = |name: &str| {
        let one = ebs("a", us).replace("web-1", name);
        let other = ebs("b", us).replace("web-1", name);
        let dir = template(&format!("{one}{other}{build}"));
        ingot(dir.path(), &["validate", "."]).stdout
    };
    assert!(created("web-{{timestamp}}").contains("both create the AMI web-"));
    assert!(!created("web-{{uuid}}").contains("both create"));
    // One of the two is left out.
    let dir = template(&format!("{}{}{build}", ebs("a", us), ebs("b", us)));
    let run = ingot(dir.path(), &["validate", "-only=amazon-ebs.a", "."]);
    assert!(!run.stdout.contains("both create"), "{}", run.stdout);
}

#[test]
fn a_build_without_an_ami_has_nothing_to_process_or_publish() {
    let skip = "  region = \"us-east-1\"\n  skip_create_ami = true";
    let build = "build {\n  sources = [\"amazon-ebs.a\"]\n  post-processor \"manifest\" {}\n}\n";
    let dir = template(&format!("{}{build}", ebs("a", skip)));
    let run = ingot(dir.path(), &["validate", "."]);
    assert_eq!(run.code, Some(0), "{}", run.stdout);
    let text = "the post-processor `manifest` is not run for `amazon-ebs.a`, which leaves nothing \
                to process: skip_create_ami is set";
    assert!(run.stdout.contains(text), "{}", run.stdout);

    let registry = "hcp_packer_registry {\n  bucket_name = \"images\"\n}\n";
    let dir = template(&format!("{registry}{}{build}", ebs("a", skip)));
    for command in ["validate", "build"] {
        let env = [("INGOT_REGISTRY", "registry.db"), ("AWS_EC2_METADATA_DISABLED", "true")];
        let run = ingot_with(dir.path(), &[command, "."], &env);
        assert_eq!(run.code, Some(1), "{}", run.stdout);
        let text = "`amazon-ebs.a` is to be published, and leaves nothing to publish: \
                    skip_create_ami is set";
        assert!(run.stdout.contains(text), "{}", run.stdout);
        assert!(run.stdout.contains("t.pkr.hcl:4"), "{}", run.stdout);
        assert!(!dir.path().join("registry.db").exists(), "nothing was begun");
    }
    let run = ingot_with(dir.path(), &["validate", "."], &[("HCP_PACKER_REGISTRY", "off")]);
    assert_eq!(run.code, Some(0), "{}", run.stdout);
}

#[test]
fn variables_that_are_not_numbers_are_a_warning() {
    let build = "build {\n  sources = [\"amazon-ebs.a\"]\n}\n";
    let dir = template(&format!("{}{build}", ebs("a", "  region = \"us-east-1\"")));
    let run = ingot_with(dir.path(), &["validate", "."], &[("AWS_MAX_ATTEMPTS", "10,")]);
    assert_eq!(run.code, Some(0), "{}", run.stdout);
    let text = "AWS_MAX_ATTEMPTS has no effect: \"10,\" is not a whole number";
    assert!(run.stdout.contains(text), "{}", run.stdout);
}
