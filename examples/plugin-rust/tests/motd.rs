//! The provisioner, prepared and run as the engine does it, with this machine for the one that is
//! built.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "tests and benchmarks may")]

use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;

use ingot_example_motd::{Motd, register};
use ingot_sdk::testing::{RecordedOutput, ThisMachine, context, prepare};
use ingot_sdk::{GeneratedData, PluginSet, PrepareContext, Provision};
use serde_json::json;

#[tokio::test]
async fn the_message_is_written() {
    let root = tempfile::tempdir().unwrap();
    let said = Arc::new(RecordedOutput::default());
    let facts = PrepareContext { build_name: "web".to_owned(), ..PrepareContext::default() };
    let ctx = context(facts, &said);
    let options = json!({ "text": "Built from {{ build_name }}.\n\n" });
    let motd = prepare(&Motd, options, &ctx.prepare).unwrap().ready;
    let machine = Arc::new(ThisMachine(root.path().to_owned()));
    motd.provision(&ctx, machine, &GeneratedData::new()).await.unwrap();
    let path = root.path().join("etc/motd");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "Built from web.\n");
    assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o644);
    assert_eq!(said.lines(), ["Writing the message of the day to /etc/motd"]);
}

#[test]
fn all_that_is_wrong_is_named() {
    let ctx = PrepareContext::default();
    let wrong = |options| prepare(&Motd, options, &ctx).map(|_| ()).unwrap_err().0;
    let errors = wrong(json!({ "text": " ", "path": "motd" }));
    let options: Vec<_> = errors.iter().map(|error| error.option.as_deref()).collect();
    assert_eq!(options, [Some("text"), Some("path")]);
    assert_eq!(errors[1].message, "`motd` is not an absolute path");
    assert!(wrong(json!({ "text": "a", "pth": "/x" }))[0].message.contains("no such option"));
    let odd = prepare(&Motd, json!({ "text": "a", "path": "/etc/motd" }), &ctx).unwrap();
    assert_eq!(odd.warnings[0].message, "motd: `path` is /etc/motd anyway");
}

#[test]
fn a_program_knows_it_by_its_name_and_options() {
    let mut set = PluginSet::default();
    register(&mut set);
    let schema = set.provisioners["motd"].schema();
    assert!(schema.get("text").unwrap().required);
    let path = schema.get("path").unwrap();
    assert_eq!((path.required, &path.default), (false, &json!("/etc/motd")));
    assert_eq!(path.description, "The file to write, with its directory.");
}
