//! From nothing to a page: one command, and a template that comes with Ingot.

use crate::shelf::first_link;
use crate::visitor::Visitor;
use ingot_test_support::ingot_with;
use ingot_test_support::registry_server::Server;

#[tokio::test]
async fn one_command_and_a_template_fill_a_page() {
    let dir = tempfile::tempdir().expect("a directory");
    let server = Server::start(&dir.path().join("data"), &[]);
    let mut env: Vec<(&str, &str)> =
        server.env.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let examples = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/registry");
    let run = |args: &[&str], env: &[(&str, &str)]| {
        let run = ingot_with(dir.path(), args, env);
        assert_eq!(run.code, Some(0), "{args:?}: {}{}", run.stdout, run.stderr);
        run.stdout
    };
    env.push(("HCP_PACKER_BUILD_FINGERPRINT", "first"));
    let message = run(&["build", &format!("{examples}/base")], &env);
    assert!(message.contains("registry packer/example-base/versions/"), "{message}");
    let args = ["registry", "channels", "create", "example-base", "production", "-assign=v1"];
    run(&args, &env);
    run(&["build", &format!("{examples}/app")], &env);

    let link = first_link(&server);
    let path = link.strip_prefix(&server.url()).expect("a link of this server").to_owned();
    let mut visitor = Visitor::new(&server);
    let page = visitor.get(&path).await;
    let answer = visitor.submit(&page, &path, &[]).await;
    let home = visitor.get(answer.location()).await;
    let buckets = visitor.get(home.location()).await;
    for part in ["2 buckets", ">example-base<", ">example-app<", "packer.file"] {
        assert!(buckets.text.contains(part), "{part} is not in {}", buckets.text);
    }
    let family = visitor.get("/projects/default/buckets/example-app/ancestry").await;
    for part in [">example-base <", "v1 · production", "Up to date"] {
        assert!(family.text.contains(part), "{part} is not in {}", family.text);
    }
}
