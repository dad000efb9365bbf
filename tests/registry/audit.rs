//! The audit log: who asks for what is not theirs cannot fill it.

use reqwest::Method;
use serde_json::Value;

use ingot_test_support::ingot_with;
use ingot_test_support::registry_server::Server;

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
}
