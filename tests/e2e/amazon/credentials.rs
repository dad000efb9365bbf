//! Where credentials come from.

use serde_json::json;

use super::{UBUNTU, build, found, show};
use ingot_test_support::http::{HttpServer, response};
use ingot_test_support::moto::Moto;
use ingot_test_support::{ingot, null_template, require, template};

/// The address of a server that answers everything with `body`.
fn serve(body: String) -> String {
    HttpServer::answering(move |_| response(&[], body.as_bytes())).url()
}

#[test]
fn without_credentials_one_message_says_where_they_were_looked_for() {
    let dir = show(UBUNTU, "data.amazon-ami.ubuntu.id");
    let mut env: Vec<(&str, String)> = vec![
        ("AWS_REGION", "us-east-1".into()),
        ("AWS_EC2_METADATA_DISABLED", "true".into()),
        ("AWS_CONFIG_FILE", "/nonexistent".into()),
        ("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent".into()),
        ("HOME", dir.path().display().to_string()),
    ];
    let run = build(dir.path(), &env);
    for part in [
        "no AWS credentials were found",
        "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (",
        "the profile `default` (",
        "AWS_WEB_IDENTITY_TOKEN_FILE (",
        "the container's task role (",
        "the instance's metadata service (",
        "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
    ] {
        assert!(run.stdout.contains(part), "{part}: {}", run.stdout);
    }
    assert_eq!(run.stdout.matches("no AWS credentials").count(), 1);
    env.push(("AWS_PROFILE", "work".into()));
    let run = build(dir.path(), &env);
    assert!(run.stdout.contains("the profile `work`"), "{}", run.stdout);
    env.retain(|(name, _)| *name != "AWS_REGION");
    let run = build(dir.path(), &env);
    assert!(run.stdout.contains("no AWS region is set"), "{}", run.stdout);
    // None of this is needed to check a template.
    assert_eq!(ingot(dir.path(), &["validate", "."]).code, Some(0));
}

#[test]
fn credentials_come_from_where_aws_tools_find_them() {
    let moto = require!(Moto::start());
    let dir = show(UBUNTU, "jsonencode(data.amazon-ami.ubuntu.id)");
    let at = |name: &str| dir.path().join(name).display().to_string();
    let keys = "aws_access_key_id = AKIAIOSFODNN7EXAMPLE\naws_secret_access_key = from-a-file-1\n";
    std::fs::write(at("credentials"), format!("[default]\n{keys}[work]\n{keys}")).unwrap();
    let config = format!(
        "[profile work]\nregion = us-east-1\nendpoint_url = {}\n[profile process]\nregion = \
         us-east-1\ncredential_process = {}\n",
        moto.endpoint(),
        at("helper")
    );
    std::fs::write(at("config"), config).unwrap();
    let answer = json!({ "Version": 1, "AccessKeyId": "AKIAIOSFODNN7EXAMPLE",
        "SecretAccessKey": "from-a-program" });
    std::fs::write(at("helper"), format!("#!/bin/sh\necho '{answer}'\n")).unwrap();
    std::process::Command::new("chmod").args(["+x", &at("helper")]).status().unwrap();
    std::fs::write(at("token"), "a.web.token").unwrap();
    let only = |more: &[(&'static str, String)]| {
        let mut env = moto.environment();
        env.retain(|(name, _)| {
            !name.contains("KEY") && !more.iter().any(|(other, _)| other == name)
        });
        env.extend(more.iter().cloned());
        env
    };
    let files =
        [("AWS_CONFIG_FILE", at("config")), ("AWS_SHARED_CREDENTIALS_FILE", at("credentials"))];
    let profile = |name: &str| [&files[..], &[("AWS_PROFILE", name.to_owned())]].concat();
    let mut work = only(&profile("work"));
    work.retain(|(name, _)| !matches!(*name, "AWS_ENDPOINT_URL" | "AWS_REGION"));
    let web = [
        ("AWS_WEB_IDENTITY_TOKEN_FILE", at("token")),
        ("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/builder".to_owned()),
    ];
    for (what, env) in [
        ("the default profile", only(&files)),
        ("a profile with region and endpoint", work),
        ("a program", only(&profile("process"))),
        ("a web identity", only(&web)),
        ("a container", {
            let role = json!({ "AccessKeyId": "AKIAIOSFODNN7EXAMPLE", "SecretAccessKey": "s",
                "Token": "from-a-container", "Expiration": "2099-01-01T00:00:00Z" });
            let mut env = only(&[("AWS_CONTAINER_CREDENTIALS_FULL_URI", serve(role.to_string()))]);
            env.retain(|(name, _)| *name != "AWS_EC2_METADATA_DISABLED");
            env
        }),
        ("the endpoint of one service", {
            let mut env = moto.environment();
            env.retain(|(name, _)| *name != "AWS_ENDPOINT_URL");
            env.push(("AWS_ENDPOINT_URL_EC2", moto.endpoint()));
            env
        }),
    ] {
        let run = build(dir.path(), &env);
        assert_eq!(run.code, Some(0), "{what}: {}", run.stdout);
        assert_eq!(found(&run), json!("ami-1e749f67"), "{what}");
    }
}

#[test]
fn a_code_opens_the_role_of_a_profile() {
    let moto = require!(Moto::start());
    let data = UBUNTU.replace(
        "most_recent = true",
        "most_recent = true\n  profile = \"role\"\n  mfa_code = \"482913\"",
    );
    let dir = show(&data, "jsonencode(data.amazon-ami.ubuntu.id)");
    let config = dir.path().join("config");
    let mut env = moto.environment();
    env.retain(|(name, _)| *name != "AWS_CONFIG_FILE" && !name.contains("KEY"));
    env.push(("AWS_CONFIG_FILE", config.display().to_string()));
    let me = "[profile me]\naws_access_key_id = k\naws_secret_access_key = sec-ret\n";
    let role = "[profile role]\nsource_profile = me\n\
                role_arn = arn:aws:iam::123456789012:role/builder\n";
    std::fs::write(&config, format!("{me}{role}")).unwrap();
    let run = build(dir.path(), &env);
    assert!(run.stdout.contains("the profile `role` has no mfa_serial"), "{}", run.stdout);
    let serial = "mfa_serial = arn:aws:iam::123456789012:mfa/me\n";
    std::fs::write(&config, format!("{me}{role}{serial}")).unwrap();
    let run = build(dir.path(), &env);
    assert_eq!(found(&run), json!("ami-1e749f67"), "{}", run.stdout);
    assert!(!run.stdout.contains("482913"), "{}", run.stdout);
}

#[test]
fn keys_are_hidden_and_what_stands_in_for_them_is_not() {
    let Some(moto) = Moto::start() else { return };
    let real = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
    for (key, shown) in [("test", "the latest test"), (real, "the latest <sensitive>")] {
        let data = UBUNTU.replace("most_recent = true", "most_recent = true\n  secret_key = KEY");
        let data =
            data.replace("KEY", &format!("{key:?}\n  access_key = \"AKIAIOSFODNN7EXAMPLE\""));
        let steps = format!(
            "provisioner \"shell-local\" {{\n  inline = [\"echo 'found \
             ${{data.amazon-ami.ubuntu.id}}: the latest {key}'\"]\n}}"
        );
        let dir = template(&format!("{data}\n{}", null_template(&steps)));
        let run = build(dir.path(), &moto.environment());
        assert_eq!(run.code, Some(0), "{}", run.stdout);
        assert!(run.stdout.contains(&format!(": {shown}")), "{}", run.stdout);
    }
}

#[test]
fn options_lead_to_a_role() {
    let moto = require!(Moto::start());
    let options = format!(
        "most_recent = true\n  region = \"us-east-1\"\n  access_key = \"AKIAIOSFODNN7EXAMPLE\"\n  \
         secret_key = \"very-secret-key\"\n  custom_endpoint_ec2 = {:?}\n  assume_role {{\n    \
         role_arn = \"arn:aws:iam::123456789012:role/builder\"\n    session_name = \"s\"\n    \
         external_id = \"x\"\n    duration_seconds = 900\n    tags = {{ team = \"a\" }}\n    \
         transitive_tag_keys = [\"team\"]\n  }}",
        moto.endpoint()
    );
    let data = UBUNTU.replace("most_recent = true", &options);
    let dir = show(&data, "jsonencode(data.amazon-ami.ubuntu.id)");
    let mut env = moto.environment();
    env.retain(|(name, _)| *name != "AWS_ENDPOINT_URL" && !name.contains("KEY"));
    env.push(("AWS_ENDPOINT_URL_STS", moto.endpoint()));
    let run = build(dir.path(), &env);
    assert_eq!(found(&run), json!("ami-1e749f67"), "{}", run.stdout);
    // Where STS refuses or cannot be reached, the error names the role.
    env.retain(|(name, _)| *name != "AWS_ENDPOINT_URL_STS");
    env.push(("AWS_ENDPOINT_URL_STS", format!("{}/nowhere", moto.endpoint())));
    let run = build(dir.path(), &env);
    let message = "assuming the role arn:aws:iam::123456789012:role/builder";
    assert!(run.code == Some(1) && run.stdout.contains(message), "{}", run.stdout);
    assert!(!run.stdout.contains("very-secret-key"), "{}", run.stdout);
}
