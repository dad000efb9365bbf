//! The audit log: who asks for what is not theirs cannot fill it.

use reqwest::Method;
use serde_json::{Value, json};

use ingot_test_support::registry_server::Server;
use ingot_test_support::{eventually_async, ingot_with};

#[tokio::test(flavor = "multi_thread")]
async fn refused_requests_are_counted_and_the_log_is_exported() {
    let dir = tempfile::tempdir().expect("a directory");
    let server = Server::start(dir.path(), &["-rate-limit=0"]);
    let (id, secret) = server.principal(&["viewer", "-role", "viewer", "-project", "default"]);
    let viewer = server.sign_in(&id, &secret).await;
    let path = "/packer/2023-01-01/organizations/x/projects/y/buckets";
    for _ in 0..200 {
        assert_eq!(viewer.send(Method::GET, path, Vec::new()).await.0, 403);
    }
    let data = dir.path().to_str().expect("a plain name");
    let env = [("INGOT_DATA_DIR", data)];
    let export = |since: &str| {
        let args = ["registry", "audit", "-json", "-limit=0", "-since", since];
        let run = ingot_with(dir.path(), &args, &env);
        assert_eq!(run.code, Some(0), "{}", run.stderr);
        let lines = run.stdout.lines();
        lines.map(|line| serde_json::from_str(line).expect("an object")).collect::<Vec<Value>>()
    };
    let lines = export("2020-01-01T00:00:00Z");
    let refused: Vec<&Value> = lines.iter().filter(|line| line["outcome"] == "refused").collect();
    // One, or two if the minute ended in between.
    assert!((1..=2).contains(&refused.len()), "{refused:?}");
    assert_eq!(refused[0]["principal"], *id);
    assert_eq!(refused[0]["target"], path);
    assert!(lines.iter().any(|line| line["action"] == "create principal"), "{lines:?}");
    assert!(export("2999-01-01T00:00:00Z").is_empty());
    // A day is its beginning.
    assert!(!export("2020-01-01").is_empty() && export("2999-01-01").is_empty());
    let run = ingot_with(dir.path(), &["registry", "audit", "-since=yesterday"], &env);
    assert!(run.stderr.contains("write a time such as 2026-12-31T23:59:59Z"), "{}", run.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn lines_name_principals_and_what_a_schedule_did() {
    let dir = tempfile::tempdir().expect("a directory");
    let server = Server::start(dir.path(), &["-rate-limit=0"]);
    let admin = server.admin().await;
    let id = &server.env["HCP_CLIENT_ID"];
    admin.put("/buckets", json!({ "name": "base" })).await;
    admin.publish("base", "p1", None).await;
    admin.patch("/buckets/base/versions/p1", json!({ "revoke_in": "1s" })).await;

    let env = [("INGOT_DATA_DIR", dir.path().to_str().expect("a plain name"))];
    let audit = |more: &[&str]| {
        let run = ingot_with(dir.path(), &[&["registry", "audit"], more].concat(), &env);
        assert_eq!(run.code, Some(0), "{}", run.stderr);
        run.stdout
    };
    let carried_out = "schedule    done  carry out revocation  base/p1 by admin\n";
    let log = eventually_async("it is revoked", async || {
        let log = audit(&[]);
        if log.contains(carried_out) { Ok(log) } else { Err(log) }
    })
    .await;
    assert_eq!(log.matches("carry out revocation").count(), 1, "{log}");
    let first = format!("done  create principal  admin admin ({id})\n");
    assert!(log.contains(&first), "{log}");
    let line = log.lines().find(|line| line.ends_with("create bucket  base"));
    assert!(line.is_some_and(|line| line.contains(&format!("  admin ({id})  "))), "{log}");
    let lines = audit(&["-json"]);
    let lines = lines.lines().map(|line| serde_json::from_str::<Value>(line).expect("an object"));
    let named = lines.filter(|line| line["principal_name"] == "admin" && line["principal"] == **id);
    assert!(named.count() >= 2, "{log}");
}
