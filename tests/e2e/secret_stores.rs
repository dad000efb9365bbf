//! The functions that read from Vault, Consul and AWS Secrets Manager, against the real servers.

use std::path::Path;

use ingot_test_support::secret_stores::{Server, TOKEN, consul, vault};
use ingot_test_support::{Run, ingot_with, require, template};

const SECRET: &str = "hunter2-Xy";

fn all(run: &Run) -> String {
    format!("{}{}", run.stdout, run.stderr)
}

/// Asserts that a run ended with `code`, says each of `wanted`, and nothing of the secret.
fn says(run: &Run, code: i32, wanted: &[&str]) {
    let said = all(run);
    assert_eq!(run.code, Some(code), "{said}");
    for text in wanted {
        assert!(said.contains(text), "{text:?} is not said: {said}");
    }
    assert!(!said.contains(SECRET), "the secret is shown: {said}");
}

/// A template that writes the value of an expression to a file, and says it.
fn writes(expression: &str) -> String {
    format!(
        "locals {{\n  value = {expression}\n}}\nsource \"file\" \"f\" {{\n  target = \"out\"\n  \
         content = local.value\n}}\nbuild {{\n  sources = [\"source.file.f\"]\n  provisioner \
         \"shell-local\" {{\n    inline = [\"echo got ${{local.value}}\"]\n  }}\n}}\n"
    )
}

/// Runs `ingot` with a home directory of its own.
fn run(dir: &Path, args: &[&str], env: &[(&str, &str)]) -> Run {
    let own = [
        ("HOME", dir.to_str().unwrap()),
        ("VAULT_TOKEN", ""),
        ("VAULT_ADDR", ""),
        ("VAULT_NAMESPACE", ""),
        ("VAULT_MAX_RETRIES", "0"),
        ("CONSUL_HTTP_ADDR", ""),
        ("CONSUL_HTTP_TOKEN", ""),
    ];
    ingot_with(dir, args, &[&own[..], env].concat())
}

/// A server with a secret at `secret/data/app`.
fn with_secret() -> Option<Server> {
    let server = vault()?;
    let body =
        format!(r#"{{"data": {{"password": "{SECRET}", "port": 5432, "more": {{"a": 1}}}}}}"#);
    server.put("/v1/secret/data/app", &body);
    Some(server)
}

#[test]
fn a_secret_of_vault_reaches_the_build_and_is_shown_nowhere() {
    let server = require!(with_secret());
    // Version 1 of the engine, and a policy for one read: the value is asked for once in a run.
    server.put("/v1/sys/mounts/old", r#"{"type": "kv", "options": {"version": "1"}}"#);
    server.put("/v1/old/app", &format!(r#"{{"password": "{SECRET}"}}"#));
    let (_, answer) =
        server.request("POST", "/v1/auth/token/create", Some(r#"{"num_uses": 1}"#)).unwrap();
    let answer: serde_json::Value = serde_json::from_str(&answer).unwrap();
    let once = answer["auth"]["client_token"].as_str().unwrap();
    for (path, token) in [("secret/data/app", once), ("old/app", TOKEN)] {
        let call = format!("vault(\"{path}\", \"password\")");
        let dir = template(&writes(&format!("\"${{{call}}}${{upper({call})}}\"")));
        let env = [("VAULT_ADDR", server.address.as_str()), ("VAULT_TOKEN", token)];
        let built = run(dir.path(), &["build", "."], &env);
        says(&built, 0, &["got <sensitive>"]);
        assert!(!all(&built).contains(&SECRET.to_uppercase()), "{}", all(&built));
        let written = std::fs::read_to_string(dir.path().join("out")).unwrap();
        assert_eq!(written, format!("{SECRET}{}", SECRET.to_uppercase()));
    }
}

#[test]
fn vault_takes_the_token_of_a_login_and_a_namespace() {
    let server = require!(with_secret());
    server.put("/v1/sys/namespaces/team", "{}");
    server.put("/v1/team/sys/mounts/kv", r#"{"type": "kv"}"#);
    server.put("/v1/team/kv/app", &format!(r#"{{"password": "{SECRET}-of-team"}}"#));
    let dir = template(&writes("vault(\"kv/app\", \"password\")"));
    std::fs::write(dir.path().join(".vault-token"), format!("{TOKEN}\n")).unwrap();
    let env = [("VAULT_ADDR", server.address.as_str()), ("VAULT_NAMESPACE", "team")];
    says(&run(dir.path(), &["build", "."], &env), 0, &["got <sensitive>"]);
    let written = std::fs::read_to_string(dir.path().join("out")).unwrap();
    assert_eq!(written, format!("{SECRET}-of-team"));
}

#[test]
fn errors_of_vault_are_reported_with_their_place() {
    let server = require!(with_secret());
    let there = server.address.as_str();
    // The path, the key, the address and the token; and parts of the message.
    let cases: &[(&str, &str, &str, &str, &[&str])] = &[
        ("secret/data/nope", "x", there, TOKEN, &["Vault has no secret at \"secret/data/nope\""]),
        ("secret/app", "password", there, TOKEN, &["secret/data/app"]),
        ("secret/data/app", "nope", there, TOKEN, &["has no key \"nope\""]),
        ("secret/data/app", "more", there, TOKEN, &["neither text, number nor bool"]),
        ("secret/data/app", "password", there, "wrong", &["403", "the token may be expired"]),
        ("secret/data/app", "password", there, "", &["no token for Vault is set", "VAULT_TOKEN"]),
        ("secret/data/app", "password", "http://127.0.0.1:1", TOKEN, &["http://127.0.0.1:1"]),
        ("secret/data/app", "password", "ftp://x", TOKEN, &["VAULT_ADDR is not the URL"]),
    ];
    for (path, key, address, token, wanted) in cases {
        let dir = template(&writes(&format!("vault(\"{path}\", \"{key}\")")));
        let env = [("VAULT_ADDR", *address), ("VAULT_TOKEN", token)];
        let failed = run(dir.path(), &["build", "."], &env);
        says(&failed, 1, &[&["t.pkr.hcl:2:11", "`vault` failed"], *wanted].concat());
    }
}

#[test]
fn validate_reads_no_store_by_default() {
    let server = require!(with_secret());
    let dir =
        template(&writes("\"${vault(\"secret/data/app\", \"password\")}${consul_key(\"a\")}\""));
    let nowhere = [("VAULT_ADDR", "http://127.0.0.1:1"), ("VAULT_TOKEN", TOKEN)];
    says(&run(dir.path(), &["validate", "."], &nowhere), 0, &["The configuration is valid."]);
    let asking = ["validate", "-evaluate-datasources", "."];
    says(&run(dir.path(), &asking, &nowhere), 1, &["asking Vault at http://127.0.0.1:1"]);
    let dir = template(&writes("vault(\"secret/data/app\", \"port\")"));
    let env = [("VAULT_ADDR", server.address.as_str()), ("VAULT_TOKEN", TOKEN)];
    says(&run(dir.path(), &asking, &env), 0, &["The configuration is valid."]);
}

#[test]
fn a_key_of_consul_is_read() {
    let server = require!(consul());
    server.put("/v1/kv/app/base%20image", "debian-12");
    server.put("/v1/kv/empty", "");
    let address = server.address.trim_start_matches("http://");
    let env = [("CONSUL_HTTP_ADDR", address), ("CONSUL_HTTP_TOKEN", TOKEN)];
    let dir = template(&writes("consul_key(\"app/base image\")"));
    // It is no secret.
    says(&run(dir.path(), &["build", "."], &env), 0, &["got debian-12"]);
    let cases: &[(&str, &str, &[&str])] = &[
        ("nope", TOKEN, &["Consul has no key \"nope\""]),
        ("empty", TOKEN, &["\"empty\" in Consul is empty"]),
        ("app/base image", "", &["does not allow to read the key", "CONSUL_HTTP_TOKEN"]),
        ("app/base image", "wrong", &["does not allow to read the key", "CONSUL_HTTP_TOKEN"]),
    ];
    for (key, token, wanted) in cases {
        let dir = template(&writes(&format!("consul_key(\"{key}\")")));
        let env = [("CONSUL_HTTP_ADDR", address), ("CONSUL_HTTP_TOKEN", token)];
        let failed = run(dir.path(), &["build", "."], &env);
        says(&failed, 1, &[&["t.pkr.hcl:2:11", "`consul_key` failed"], *wanted].concat());
    }
}

/// Whether or not there is a Consul.
#[test]
fn a_consul_that_does_not_answer_is_reported() {
    let dir = template(&writes("consul_key(\"a\")"));
    let env = [("CONSUL_HTTP_ADDR", "127.0.0.1:1")];
    let wanted = ["t.pkr.hcl:2:11", "asking Consul at http://127.0.0.1:1"];
    says(&run(dir.path(), &["build", "."], &env), 1, &wanted);
}

/// What looks like a certificate.
const PEM: &str = "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n";

/// A store whose certificates cannot be read is not asked with those of the system.
#[test]
fn variables_without_a_certificate_are_errors() {
    let dir = template(&writes("\"${vault(\"secret/data/app\", \"password\")}\""));
    let of_consul = template(&writes("consul_key(\"a\")"));
    for dir in [&dir, &of_consul] {
        std::fs::write(dir.path().join("ca.der"), [0x30, 0x82, 0xff]).unwrap();
        std::fs::create_dir(dir.path().join("empty")).unwrap();
    }
    for (dir, variable, value) in [
        (&dir, "VAULT_CACERT", "ca.der"),
        (&dir, "VAULT_CACERT_BYTES", "nonsense"),
        (&dir, "VAULT_CAPATH", "empty"),
        (&of_consul, "CONSUL_CACERT", "ca.der"),
        (&of_consul, "CONSUL_CAPATH", "empty"),
    ] {
        let env = [
            ("VAULT_ADDR", "https://127.0.0.1:1"),
            ("VAULT_TOKEN", TOKEN),
            ("CONSUL_HTTP_ADDR", "https://127.0.0.1:1"),
            (variable, value),
        ];
        let wanted = format!("{variable} has no certificate in PEM");
        says(&run(dir.path(), &["build", "."], &env), 1, &[&wanted]);
    }
    std::fs::create_dir(dir.path().join("there")).unwrap();
    std::fs::write(dir.path().join("there/ca.pem"), PEM).unwrap();
    // The file counts before the text, and that before the directory.
    for (set, wanted) in [
        (&[("VAULT_CACERT", "ca.der"), ("VAULT_CACERT_BYTES", PEM)][..], "VAULT_CACERT has no"),
        (
            &[("VAULT_CACERT_BYTES", "x"), ("VAULT_CAPATH", "there")][..],
            "VAULT_CACERT_BYTES has no",
        ),
    ] {
        let env =
            [&[("VAULT_ADDR", "https://127.0.0.1:1"), ("VAULT_TOKEN", TOKEN)][..], set].concat();
        says(&run(dir.path(), &["build", "."], &env), 1, &[wanted]);
    }
}

/// A legacy JSON template that writes the value of an action to a file, and says it.
fn writes_json(action: &str) -> tempfile::TempDir {
    let dir = template("");
    let text = format!(
        r#"{{
  "variables": {{
    "value": "{action}",
    "made": "{{{{ user `value` | upper }}}}"
  }},
  "builders": [{{ "type": "file", "target": "out", "content": "{{{{ user `value` }}}} {{{{ user `made` }}}}" }}],
  "provisioners": [{{ "type": "shell-local", "inline": ["echo got {{{{ user `value` }}}}"] }}]
}}"#
    );
    std::fs::remove_file(dir.path().join("t.pkr.hcl")).unwrap();
    std::fs::write(dir.path().join("t.json"), text).unwrap();
    dir
}

#[test]
fn json_templates_read_vault_as_hcl2_does() {
    let server = require!(with_secret());
    let env = [("VAULT_ADDR", server.address.as_str()), ("VAULT_TOKEN", TOKEN)];
    let dir = writes_json("{{ vault `secret/data/app` `password` }}");
    says(&run(dir.path(), &["build", "t.json"], &env), 0, &["got <sensitive>"]);
    let written = std::fs::read_to_string(dir.path().join("out")).unwrap();
    assert_eq!(written, format!("{SECRET} {}", SECRET.to_uppercase()));
    // Nobody is asked to validate.
    let nowhere = [("VAULT_ADDR", "http://127.0.0.1:1"), ("VAULT_TOKEN", TOKEN)];
    says(&run(dir.path(), &["validate", "t.json"], &nowhere), 0, &[]);
    for (action, wanted) in [
        ("{{ vault `secret/data/nope` `x` }}", "Vault has no secret at \"secret/data/nope\""),
        ("{{ vault `secret/data/app` `nope` }}", "has no key \"nope\""),
        ("{{ vault `secret/data/app` }}", "vault"),
    ] {
        let dir = writes_json(action);
        let failed = run(dir.path(), &["build", "t.json"], &env);
        says(&failed, 1, &["t.json:3:14", "the variable `value` cannot be filled in", wanted]);
    }
    // Only variables may ask.
    let dir = writes_json("x");
    let text = std::fs::read_to_string(dir.path().join("t.json")).unwrap();
    let text =
        text.replace("echo got {{ user `value` }}", "{{ vault `secret/data/app` `password` }}");
    std::fs::write(dir.path().join("t.json"), text).unwrap();
    says(&run(dir.path(), &["build", "t.json"], &env), 1, &["vault", "not allowed in options"]);
}

#[test]
fn json_templates_read_consul_as_hcl2_does() {
    let server = require!(consul());
    server.put("/v1/kv/app/base%20image", "debian-12");
    let address = server.address.trim_start_matches("http://");
    let env = [("CONSUL_HTTP_ADDR", address), ("CONSUL_HTTP_TOKEN", TOKEN)];
    let dir = writes_json("{{ consul_key `app/base image` }}");
    says(&run(dir.path(), &["build", "t.json"], &env), 0, &["got debian-12"]);
    let written = std::fs::read_to_string(dir.path().join("out")).unwrap();
    assert_eq!(written, "debian-12 DEBIAN-12");
}

/// Whether or not there is a Consul.
#[test]
fn a_consul_that_does_not_answer_is_reported_for_json_templates() {
    let dir = writes_json("{{ consul_key `a` }}");
    let env = [("CONSUL_HTTP_ADDR", "127.0.0.1:1")];
    let wanted = ["t.json:3:14", "asking Consul at http://127.0.0.1:1"];
    says(&run(dir.path(), &["build", "t.json"], &env), 1, &wanted);
}
