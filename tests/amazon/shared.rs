//! What several blocks of a template would have at the same time, and there is once only.

use ingot_test_support::require;

use super::bench::{Bench, instances};
use super::cloud::{SECRET_KEY, cloud};
use super::proxy::{Act, Call};

fn count(bench: &Bench, action: &str) -> usize {
    bench.proxy.calls().iter().filter(|call| call.action == action).count()
}

#[test]
fn a_build_does_not_remove_the_key_pair_of_another_one() {
    let (cloud, instances) = (require!(cloud()), require!(instances()));
    // The first build has its key pair while the second one fails for want of it.
    let plan = |call: &Call| match (call.action.as_str(), call.nth) {
        ("CreateSecurityGroup", 0) => Act::After("CreateKeyPair", 1),
        // moto gives both one if they ask at the same moment; EC2 does not.
        ("CreateKeyPair", 1) => Act::After("CreateKeyPair", 0),
        _ => Act::Forward,
    };
    let source = "  temporary_key_pair_name = \"packer-{{timestamp}}\"\n";
    let bench = Bench::new(&cloud, &instances, source, "", plan);
    bench.in_one_region();
    bench.edit(|text| {
        let (first, build) = text.split_once("build {").expect("a build block");
        let second = first.replace("\"a\"", "\"b\"").replace("\"made\"", "\"made-2\"");
        let both = "[\"source.amazon-ebs.a\", \"source.amazon-ebs.b\"]";
        let build = build.replace("[\"source.amazon-ebs.a\"]", both);
        format!("{first}{second}build {{{build}")
    });
    let checked = bench.run(&["validate", "."]);
    let warning = "`amazon-ebs.a` and `amazon-ebs.b` both create the key pair packer-";
    assert!(checked.code == Some(0) && checked.said.contains(warning), "{}", checked.said);
    assert!(checked.said.contains("if both run at the same time"), "{}", checked.said);
    let ended = bench.run(&["build", "-color=false", "."]);
    assert_eq!(ended.code, Some(1), "{}", ended.said);
    assert!(ended.said.contains("InvalidKeyPair.Duplicate"), "{}", ended.said);
    assert!(ended.said.contains("remove temporary_key_pair_name"), "{}", ended.said);
    assert_eq!(count(&bench, "DeleteKeyPair"), 1, "{}", ended.said);
    let kinds: Vec<String> = bench
        .holds()
        .iter()
        .map(|line| line.split(' ').nth(1).unwrap_or_default().to_owned())
        .collect();
    assert_eq!(kinds, ["image", "snapshot-of-image"], "{}", ended.said);
}

#[test]
fn a_code_of_a_device_opens_one_session_for_all_blocks() {
    let (cloud, instances) = (require!(cloud()), require!(instances()));
    // STS takes a code once.
    let plan = |call: &Call| match (call.action.as_str(), call.nth) {
        ("AssumeRole", 1..) => Act::Refuse(403, "AccessDenied"),
        _ => Act::Forward,
    };
    let access = "  profile  = \"role\"\n  mfa_code = \"482913\"\n";
    let source = format!("{access}  ami_description = data.amazon-ami.base.id\n");
    let bench = Bench::new(&cloud, &instances, &source, "", plan);
    bench.in_one_region();
    bench.edit(|text| {
        format!(
            "data \"amazon-ami\" \"base\" {{\n  region = \"us-east-1\"\n  owners = [\"amazon\"]\n  \
             filters = {{ name = \"ingot-base-*\" }}\n  most_recent = true\n{access}}}\n{text}"
        )
    });
    let id = &bench.account.id;
    let profiles = format!(
        "[profile me]\naws_access_key_id = AKIAIOSFODNN7EXAMPLE\naws_secret_access_key = \
         {SECRET_KEY}\n[profile role]\nsource_profile = me\nrole_arn = \
         arn:aws:iam::{id}:role/builder\nmfa_serial = arn:aws:iam::{id}:mfa/me\n"
    );
    std::fs::create_dir(bench.path(".aws")).unwrap();
    std::fs::write(bench.path(".aws/config"), profiles).unwrap();
    let ended = bench.run(&["build", "-color=false", "."]);
    assert_eq!(ended.code, Some(0), "{}", ended.said);
    assert_eq!(count(&bench, "AssumeRole"), 1, "{}", ended.said);
}
