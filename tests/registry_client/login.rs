//! The ways to name a server and to log in to it.

use std::process::Command;

use crate::world::{World, run};
use ingot_test_support::Run;

/// Lists the buckets with an environment that `change` makes of the server's own.
fn list(world: &World, change: impl FnOnce(&mut Command)) -> Run {
    let mut command = world.command(&["registry", "buckets", "list", "-json"]);
    change(&mut command);
    run(command.output().expect("the program can be run"))
}

fn setting<'a>(world: &'a World, name: &str) -> &'a str {
    let found = world.env().iter().find(|(key, _)| key == name);
    &found.unwrap_or_else(|| panic!("the server does not say {name}")).1
}

fn works(run: Run, what: &str) {
    assert_eq!(run.code, Some(0), "{what}: {}{}", run.stdout, run.stderr);
    assert!(run.stdout.contains("\"here\""), "{what}: {}", run.stdout);
}

#[test]
fn each_way_leads_to_the_same_registry() {
    let world = World::served();
    world.ok(&["registry", "buckets", "create", "here"]);
    works(list(&world, |_| {}), "as the server says");
    // The registry is asked which organization and project the credentials are for.
    let alone = list(&world, |command| {
        command.env_remove("HCP_ORGANIZATION_ID").env_remove("HCP_PROJECT_ID");
    });
    works(alone, "without organization and project");
    works(
        list(&world, |command| {
            command.env_remove("HCP_ORGANIZATION_ID");
        }),
        "with a project",
    );
    works(
        list(&world, |command| {
            command.env_remove("HCP_PROJECT_ID");
        }),
        "with an organization",
    );

    let address = setting(&world, "HCP_API_ADDRESS");
    let by_url = list(&world, |command| {
        command.env_remove("HCP_API_ADDRESS").env_remove("HCP_AUTH_URL");
        command.env("INGOT_REGISTRY", format!("https://{address}"));
    });
    works(by_url, "with a URL");
    let by_host = list(&world, |command| {
        command.env_remove("HCP_API_ADDRESS").env("HCP_API_HOST", format!("https://{address}"));
    });
    works(by_host, "with the older name");

    let (id, secret) = (setting(&world, "HCP_CLIENT_ID"), setting(&world, "HCP_CLIENT_SECRET"));
    let file = serde_json::json!({
        "scheme": "service_principal_creds",
        "oauth": { "client_id": id, "client_secret": secret },
    });
    world.write("key.json", &file.to_string());
    let by_file = list(&world, |command| {
        command.env_remove("HCP_CLIENT_ID").env_remove("HCP_CLIENT_SECRET");
        command.env("HCP_CRED_FILE", "key.json");
    });
    works(by_file, "with a file of credentials");
    std::fs::create_dir_all(world.path().join(".config/hcp")).expect("a directory");
    world.write(".config/hcp/cred_file.json", &file.to_string());
    let by_default = list(&world, |command| {
        command.env_remove("HCP_CLIENT_ID").env_remove("HCP_CLIENT_SECRET");
    });
    works(by_default, "with the default file");
}

#[test]
fn certificates_are_checked_unless_told_not_to() {
    let world = World::served();
    world.ok(&["registry", "buckets", "create", "here"]);
    let unknown = list(&world, |command| {
        command.env_remove("SSL_CERT_FILE");
    });
    assert_eq!(unknown.code, Some(1), "{}", unknown.stdout);
    assert!(unknown.stderr.contains("certificate"), "{}", unknown.stderr);
    let half = list(&world, |command| {
        command.env_remove("SSL_CERT_FILE").env("HCP_AUTH_TLS", "insecure");
    });
    assert_eq!(half.code, Some(1), "{}", half.stdout);
    let insecure = list(&world, |command| {
        command.env_remove("SSL_CERT_FILE");
        command.env("HCP_AUTH_TLS", "insecure").env("HCP_API_TLS", "insecure");
    });
    works(insecure, "without checking");
}

#[test]
fn strangers_are_told_what_to_check() {
    let world = World::served();
    let wrong = list(&world, |command| {
        command.env("HCP_CLIENT_SECRET", "wrong-secret");
    });
    assert_eq!(wrong.code, Some(1), "{}", wrong.stdout);
    assert!(!wrong.stderr.contains("wrong-secret"), "{}", wrong.stderr);
    assert!(wrong.stderr.contains("HCP_CLIENT_SECRET"), "{}", wrong.stderr);
    let elsewhere = list(&world, |command| {
        command.env("HCP_PROJECT_ID", "no-such-project");
    });
    assert_eq!(elsewhere.code, Some(1), "{}", elsewhere.stdout);
    assert!(elsewhere.stdout.is_empty(), "{}", elsewhere.stdout);
}
