//! What administrators do on pages: Terraform's run task, access, removal, what was done.

use ingot_test_support::require;
use std::time::Duration;

use serde_json::{Value, json};
use thirtyfour::prelude::*;

use crate::browser::{Browser, there_is_a_browser};
use crate::shelf::{assign, bucket, first_link};
use crate::visitor::Visitor;
use ingot_test_support::ingot_with;
use ingot_test_support::registry_server::{Caller, Server};

const ROOT: &str = "/projects/default/buckets";
const SETTINGS: &str = "/projects/default/settings";

/// Waits until the API tells something.
async fn until(admin: &Caller, path: &str, is_so: impl Fn(&Value) -> bool) {
    let mut told = Value::Null;
    for _ in 0..100 {
        told = admin.get(path).await;
        if is_so(&told) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("{path} stays {told}");
}

#[tokio::test]
async fn administrators_look_after_a_project() {
    require!(there_is_a_browser());
    let dir = tempfile::tempdir().expect("a directory");
    let server = Server::start(dir.path(), &[]);
    let admin = server.admin().await;
    bucket(&admin, "base", "", json!({})).await;
    admin.publish("base", "one", None).await;
    assign(&admin, "base", "production", "one").await;
    let data = server.data.to_str().expect("a plain name");
    let args = ["registry", "webhook", "create", "https://hooks.example/a"];
    let run = ingot_with(dir.path(), &args, &[("INGOT_DATA_DIR", data)]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);

    let browser = Browser::start(true).await;
    browser.sign_in(&first_link(&server)).await;
    // Pages come in gzip's form.
    let script = "const it = performance.getEntriesByType('navigation')[0];\
                  return it.encodedBodySize < it.decodedBodySize / 2";
    let packed = browser.driver.execute(script, Vec::new()).await.expect("sizes");
    assert_eq!(packed.json(), &json!(true));

    // Terraform's run task: what the API tells, and a new key.
    browser.follow("Settings").await;
    browser.wait_for("h1", "Settings").await;
    let told = admin.get("/runtasks/validation").await;
    let task = "section[aria-labelledby=terraform]";
    assert!(browser.text(task).await.contains(told["api_url"].as_str().expect("a URL")));
    let key = told["hmac_key"].as_str().expect("a key").to_owned();
    assert!(!browser.text(task).await.contains(&key), "it is shown only when asked for");
    browser.click(&format!("{task} dl summary")).await;
    assert!(browser.text(task).await.contains(&key));
    browser.click(&format!("{task} > details > summary")).await;
    browser.press("Replace the key").await;
    browser.wait_for("h1", "Settings").await;
    until(&admin, "/runtasks/validation", |it| it["hmac_key"] != key.as_str()).await;
    browser.open(&server, SETTINGS).await;
    browser.click("#untracked option[value=FAIL]").await;
    browser.press("Save").await;
    until(&admin, "/runtasks/config", |it| it["on_untracked_image"] == "FAIL").await;

    // Who may use it, and who is told.
    assert!(browser.text("section[aria-labelledby=members]").await.contains("admin"));
    let hooks = "section[aria-labelledby=webhooks]";
    assert!(browser.text(hooks).await.contains("https://hooks.example/a"));
    browser.press("Remove").await;
    browser.wait_for(hooks, "Nobody is told").await;

    // A channel that only some may read, and none any more.
    let (id, secret) = server.principal(&["eve", "-role", "viewer"]);
    let mut viewer = Visitor::signed_in(&server, &id, &secret).await;
    let channel = format!("{ROOT}/base/channels/production");
    browser.open(&server, &channel).await;
    browser.click("input[name=restricted]").await;
    browser.press("Save").await;
    browser.wait_for(".title", "Restricted").await;
    assert_eq!(viewer.get(&channel).await.status, 403);
    assert_eq!(viewer.get(SETTINGS).await.status, 403);
    browser.follow("Delete channel…").await;
    browser.wait_for("h1", "Delete the channel production of base?").await;
    browser.press("Delete production").await;
    browser.wait_for("h1", "base").await;
    assert!(!browser.text("main").await.contains("production"));

    // A bucket goes when its name is typed, and Enter is not enough.
    browser.open(&server, &format!("{ROOT}/base")).await;
    browser.follow("Delete bucket…").await;
    browser.wait_for("form.dialogue", "Versions that go with it: 1").await;
    browser.find("#name").await.send_keys("bse").await.expect("it types");
    browser.press("Delete base").await;
    browser.wait_for("#name-hint", "Nothing was deleted.").await;
    let enter = format!("base{}", Key::Enter.value());
    browser.find("#name").await.send_keys(enter).await.expect("it types");
    tokio::time::sleep(Duration::from_millis(200)).await;
    admin.get("/buckets/base").await;
    browser.press("Delete base").await;
    browser.wait_for(".empty", "There are no buckets yet").await;

    browser.open(&server, SETTINGS).await;
    let audit = browser.text("section[aria-labelledby=audit]").await;
    for part in ["delete bucket", "delete channel", "rotate_hmac_key", "delete webhook"] {
        assert!(audit.contains(part), "{part} is not in {audit}");
    }
    browser.end().await;
}
