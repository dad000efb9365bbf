//! Revoking does what its page says, and nothing else does it.

use ingot_test_support::require;
use std::time::Duration;

use serde_json::json;
use thirtyfour::prelude::*;

use crate::browser::{Browser, there_is_a_browser};
use crate::shelf::{assign, bucket, first_link};
use crate::visitor::Visitor;
use ingot_test_support::registry_server::{Caller, Server};

const ROOT: &str = "/projects/default/buckets";

async fn status(admin: &Caller, print: &str) -> String {
    let answer = admin.get(&format!("/buckets/base/versions/{print}")).await;
    answer["version"]["status"].as_str().expect("a status").to_owned()
}

async fn is_shown(browser: &Browser, css: &str) -> bool {
    browser.find(css).await.is_displayed().await.expect("it tells")
}

#[tokio::test]
async fn revoking_does_not_surprise() {
    require!(there_is_a_browser());
    let dir = tempfile::tempdir().expect("a directory");
    let server = Server::start(dir.path(), &[]);
    let admin = server.admin().await;
    bucket(&admin, "base", "Debian", json!({})).await;
    for print in ["one", "two"] {
        admin.publish("base", print, None).await;
        assign(&admin, "base", "production", print).await;
    }
    // Without JavaScript: nothing of this may need it.
    let browser = Browser::start(false).await;
    browser.sign_in(&first_link(&server)).await;
    let path = format!("{ROOT}/base/versions/two/revoke");
    browser.open(&server, &path).await;

    // The date is shown only where it applies, with the time at which the page was loaded.
    assert!(!is_shown(&browser, "#at").await);
    let now = time::OffsetDateTime::now_utc();
    let dialogue = browser.text("form.dialogue").await;
    let today = format!("It was {}-{:02}-{:02} ", now.year(), u8::from(now.month()), now.day());
    assert!(dialogue.contains(&today) && dialogue.contains(" UTC when this page was loaded"));
    assert_eq!(browser.text("#revoke").await, "Revoke v2 now");

    // Enter does not revoke, wherever it is pressed but on the button itself.
    browser.click("input[value=at]").await;
    assert!(is_shown(&browser, "#at").await);
    assert_eq!(browser.text("#revoke").await, "Revoke v2 at this date");
    for field in ["input[value=at]", "#at", "input[value=now]", "input[name=rollback]"] {
        let enter = Key::Enter.value().to_string();
        browser.find(field).await.send_keys(enter).await.expect("it types");
        tokio::time::sleep(Duration::from_millis(150)).await;
        assert_eq!(browser.path().await, path, "{field}");
        assert!(is_shown(&browser, "#revoke").await);
        assert_eq!(status(&admin, "two").await, "VERSION_ACTIVE", "{field}");
    }

    // A date with “now” is refused, and both can be seen.
    browser.click("input[value=at]").await;
    browser.find("#at").await.send_keys("12312099\u{e004}1130PM").await.expect("it types");
    browser.click("input[value=now]").await;
    browser.click("#revoke").await;
    browser
        .wait_for("div[role=alert]", "“Now” is chosen, and there is a date, 2099-12-31 23:30")
        .await;
    assert_eq!(status(&admin, "two").await, "VERSION_ACTIVE");
    assert!(is_shown(&browser, "#at").await);

    // So is what would do something else by now than what the page shows.
    browser.find("#at").await.clear().await.expect("it can be emptied");
    assign(&admin, "base", "canary", "two").await;
    browser.click("#revoke").await;
    browser.wait_for("div[role=alert]", "Channels or descendants have changed").await;
    assert_eq!(status(&admin, "two").await, "VERSION_ACTIVE");
    let dialogue = browser.text("form.dialogue").await;
    assert!(dialogue.contains("canary has no valid version to go to"), "{dialogue}");

    // Now, and without a reason.
    browser.click("#revoke").await;
    browser.wait_for("[role=status]", "v2 is revoked.").await;
    assert_eq!(status(&admin, "two").await, "VERSION_REVOKED");

    // A scheduled revocation is carried out now by choosing that alone: the date was there.
    let body = json!({ "revoke_at": "2099-12-31T23:30:00Z", "revocation_message": "old" });
    admin.patch("/buckets/base/versions/one", body).await;
    browser.open(&server, &format!("{ROOT}/base/versions/one/revoke")).await;
    assert!(is_shown(&browser, "#at").await);
    browser.click("input[value=now]").await;
    browser.click("#revoke").await;
    browser.wait_for("[role=status]", "v1 is revoked.").await;
    assert_eq!(status(&admin, "one").await, "VERSION_REVOKED");
    browser.end().await;
}

/// What it was built from is to be revoked, and it with that: a later time would change nothing.
#[tokio::test]
async fn a_revocation_that_is_inherited_is_not_put_off() {
    let dir = tempfile::tempdir().expect("a directory");
    let server = Server::start(dir.path(), &[]);
    let admin = server.admin().await;
    bucket(&admin, "base", "", json!({})).await;
    bucket(&admin, "app", "", json!({})).await;
    let base = admin.publish("base", "b1", None).await;
    admin.publish("app", "a1", Some((base["id"].as_str().expect("an id"), ""))).await;
    let body = json!({ "revoke_at": "2099-12-01T00:00:30Z" });
    admin.patch("/buckets/base/versions/b1", body).await;
    let mut visitor = Visitor::admin(&server).await;
    let path = format!("{ROOT}/app/versions/a1/revoke");
    let page = visitor.get(&path).await;
    // Later, and the time that the field has from the start.
    for at in ["2099-12-10T00:00", "2099-12-01T00:00"] {
        let refused = visitor.submit(&page, &path, &[("when", "at"), ("at", at)]).await;
        assert_eq!(refused.status, 422, "{at}: {}", refused.text);
        let why = "It is revoked with base v1 at 2099-12-01 00:00 UTC already.";
        assert!(refused.text.contains(why), "{at}: {}", refused.text);
    }
    let fields = [("when", "at"), ("at", "2099-11-10T00:00"), ("descendants", "yes")];
    let done = visitor.submit(&page, &path, &fields).await;
    assert_eq!(done.status, 303, "{}", done.text);
    let version = admin.get("/buckets/app/versions/a1").await["version"].clone();
    assert_eq!(version["revocation_type"], "MANUAL", "{version}");
    assert!(version["revoke_at"].as_str().is_some_and(|at| at.starts_with("2099-11-10")));
    // Nothing shows that of the ancestor now. It holds again if this one is put off for longer.
    let page = visitor.get(&path).await;
    let fields = [("when", "at"), ("at", "2099-12-10T00:00"), ("descendants", "yes")];
    let done = visitor.submit(&page, &path, &fields).await;
    assert_eq!(done.status, 303, "{}", done.text);
    let page = visitor.get(done.location()).await;
    let notice = "<strong>v1</strong> is revoked with base v1 at <time";
    assert!(page.text.contains(notice), "{}", page.text);
    let until = "2099-12-01 00:00 UTC</time> already, which is earlier.";
    assert!(page.text.contains(until), "{}", page.text);
}
