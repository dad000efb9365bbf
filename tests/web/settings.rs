//! What administrators do on pages: Terraform's run task, access, removal, what was done.

use std::time::Duration;

use serde_json::{Value, json};
use thirtyfour::prelude::*;

use crate::browser::{Browser, there_is_a_browser};
use crate::shelf::{assign, bucket, first_link};
use crate::visitor::{Response, Visitor};
use ingot_test_support::registry_server::{Caller, Server};
use ingot_test_support::{eventually_async, ingot_with, require};

const ROOT: &str = "/projects/default/buckets";
const SETTINGS: &str = "/projects/default/settings";

/// Waits until the API tells something.
async fn until(admin: &Caller, path: &str, is_so: impl Fn(&Value) -> bool) {
    eventually_async(format!("{path} changes"), async || {
        let message = admin.get(path).await;
        if is_so(&message) { Ok(()) } else { Err(message) }
    })
    .await;
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
    let message = admin.get("/runtasks/validation").await;
    let task = "section[aria-labelledby=terraform]";
    assert!(browser.text(task).await.contains(message["api_url"].as_str().expect("a URL")));
    let key = message["hmac_key"].as_str().expect("a key").to_owned();
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

    // Members and webhooks.
    assert!(browser.text("section[aria-labelledby=members]").await.contains("admin"));
    let hooks = "section[aria-labelledby=webhooks]";
    assert!(browser.text(hooks).await.contains("https://hooks.example/a"));
    browser.press("Remove").await;
    browser.wait_for(hooks, "No events of this project are posted").await;

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

#[tokio::test]
async fn deliveries_that_fail_are_shown() {
    let dir = tempfile::tempdir().expect("a directory");
    let server = Server::start(dir.path(), &[]);
    let admin = server.admin().await;
    // Nobody listens there.
    let args = ["registry", "webhook", "create", "http://127.0.0.1:9/hook?token=abc"];
    let data = server.data.to_str().expect("a plain name");
    let run = ingot_with(dir.path(), &args, &[("INGOT_DATA_DIR", data)]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    let mut visitor = Visitor::admin(&server).await;
    let page = visitor.get(SETTINGS).await;
    assert!(page.text.contains("none waiting"), "{}", page.text);
    bucket(&admin, "base", "", json!({})).await;
    admin.publish("base", "one", None).await;
    let page = eventually_async("the failure is shown", async || {
        let page = visitor.get(SETTINGS).await;
        let is_shown = page.text.contains("waiting; the last attempt failed: ");
        if is_shown { Ok(page) } else { Err(page.text) }
    })
    .await;
    assert!(page.text.contains("2 waiting; the last attempt failed: "), "{}", page.text);
    assert!(!page.text.contains("token=abc"), "{}", page.text);
}

/// Fills a field in the place of what is in it.
async fn fill_in(browser: &Browser, css: &str, text: &str) {
    let field = browser.find(css).await;
    field.clear().await.expect("it can be emptied");
    field.send_keys(text).await.expect("it types");
}

#[tokio::test]
async fn administrators_add_members_and_webhooks() {
    require!(there_is_a_browser());
    let dir = tempfile::tempdir().expect("a directory");
    let server = Server::start(dir.path(), &["-webhook-host", "127.0.0.1:9"]);
    let browser = Browser::start(true).await;
    browser.sign_in(&first_link(&server)).await;
    browser.open(&server, SETTINGS).await;

    // Every invalid name has its message at the field, and what was filled in stays.
    let long = "x".repeat(70);
    for (name, why) in [("", "must have a name"), ("admin", "a principal \"admin\" already")] {
        fill_in(&browser, "#member-name", name).await;
        browser.click("#member-role option[value=contributor]").await;
        browser.press("Add member").await;
        browser.wait_for("#member-hint [role=alert]", why).await;
        let field = browser.find("#member-name").await;
        assert_eq!(field.attr("aria-invalid").await.expect("it"), Some("true".into()));
        assert_eq!(field.prop("value").await.expect("a value").as_deref(), Some(name));
        let role = browser.find("#member-role").await.prop("value").await.expect("a value");
        assert_eq!(role.as_deref(), Some("contributor"));
    }
    // The secret is shown once, and good.
    fill_in(&browser, "#member-name", "ci").await;
    browser.press("Add member").await;
    browser.wait_for(".notice", "The member ci was added").await;
    let id = browser.text(".notice code.id").await;
    let secret = browser.text("#secret").await;
    assert_eq!(server.token(&id, &secret).await.0, 200);
    browser.open(&server, SETTINGS).await;
    let page = browser.driver.source().await.expect("a page");
    assert!(page.contains(&id) && !page.contains(&secret));
    assert!(browser.text("section[aria-labelledby=members]").await.contains("This project"));

    // A webhook: nothing of the server's own network but what was named.
    for (url, why) in [
        ("", "not a URL"),
        ("http://hooks.example/a", "https://"),
        ("https://127.0.0.1:10/", "-webhook-host 127.0.0.1"),
        ("https://nowhere.invalid/", "cannot find the host"),
    ] {
        fill_in(&browser, "#webhook-url", url).await;
        browser.press("Add webhook").await;
        browser.wait_for("#webhook-hint [role=alert]", why).await;
        let value = browser.find("#webhook-url").await.prop("value").await.expect("a value");
        assert_eq!(value.as_deref(), Some(url));
    }
    fill_in(&browser, "#webhook-url", "http://127.0.0.1:9/hook?token=abc").await;
    browser.click("input[name='version.revoked']").await;
    browser.press("Add webhook").await;
    browser.wait_for(".notice", "was added").await;
    assert!(browser.text("#secret").await.len() == 64);
    let hooks = browser.text("section[aria-labelledby=webhooks]").await;
    assert!(hooks.contains("http://127.0.0.1:9/hook") && hooks.contains("version.revoked"));
    assert!(!browser.driver.source().await.expect("a page").contains("token=abc"));

    // Removed, the member is locked out; nobody removes themselves.
    browser.open(&server, SETTINGS).await;
    browser.click("section[aria-labelledby=members] tbody details summary").await;
    browser.press("Remove ci").await;
    browser.wait_for("h1", "Settings").await;
    eventually_async("it is locked out", async || server.token(&id, &secret).await.0 == 401).await;
    browser.open(&server, SETTINGS).await;
    let audit = browser.text("section[aria-labelledby=audit]").await;
    for part in ["create principal", "delete principal", "create webhook"] {
        assert!(audit.contains(part), "{part} is not in {audit}");
    }
    assert!(!audit.contains("token=abc") && !audit.contains(&secret), "{audit}");
    browser.end().await;

    // What browsers do not send is refused as well.
    let mut admin = Visitor::admin(&server).await;
    let page = admin.get(SETTINGS).await;
    let alert = |answer: &Response| {
        assert_eq!(answer.status, 422, "{}", answer.text);
        let start = answer.text.find("role=\"alert\">").expect("an alert");
        answer.text[start..].split('<').next().unwrap_or_default().to_owned()
    };
    for (name, role, why) in [
        (long.as_str(), "viewer", "64 bytes"),
        ("a\u{1}", "viewer", "control characters"),
        ("a", "root", "one of the roles"),
    ] {
        let fields = [("name", name), ("role", role)];
        let refused = admin.submit(&page, &format!("{SETTINGS}/members"), &fields).await;
        assert!(alert(&refused).contains(why), "{}", refused.text);
    }
    let hooks = format!("{SETTINGS}/webhooks");
    let again = [("url", "http://127.0.0.1:9/hook?token=abc"), ("version.revoked", "yes")];
    let refused = admin.submit(&page, &hooks, &again).await;
    assert!(alert(&refused).contains("already"), "{}", refused.text);
    let own = ("id", server.env["HCP_CLIENT_ID"].as_str());
    let refused = admin.submit(&page, &format!("{SETTINGS}/members/remove"), &[own]).await;
    assert_eq!(refused.status, 409, "{}", refused.text);
    assert_eq!(admin.post(&hooks, &[("url", "https://1.1.1.1/")]).await.status, 403);

    // Roles: a contributor adds nobody; who administers one project makes nobody for all of them.
    let (id, secret) = server.principal(&["dev", "-role", "contributor"]);
    let mut contributor = Visitor::signed_in(&server, &id, &secret).await;
    let page = contributor.get(SETTINGS).await;
    assert!(!page.text.contains("Add member"));
    let member = [("name", "x"), ("role", "admin"), ("all", "yes")];
    for (path, fields) in [("members", &member[..]), ("webhooks", &[("url", "https://1.1.1.1/")])] {
        let refused = contributor.submit(&page, &format!("{SETTINGS}/{path}"), fields).await;
        assert_eq!(refused.status, 403, "{}", refused.text);
    }
    let (id, secret) = server.principal(&["lead", "-role", "admin", "-project", "default"]);
    let mut lead = Visitor::signed_in(&server, &id, &secret).await;
    let page = lead.get(SETTINGS).await;
    assert!(page.text.contains("Add member") && !page.text.contains("For all projects"));
    let refused = lead.submit(&page, &format!("{SETTINGS}/members"), &member).await;
    assert_eq!(refused.status, 403, "{}", refused.text);
    let refused = lead.submit(&page, &format!("{SETTINGS}/members/remove"), &[own]).await;
    assert_eq!(refused.status, 403, "{}", refused.text);
    let fields = [("name", "mine"), ("role", "admin")];
    let added = lead.submit(&page, &format!("{SETTINGS}/members"), &fields).await;
    assert_eq!(added.status, 200, "{}", added.text);
}
