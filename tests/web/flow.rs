//! A person at work: signs in, promotes, revokes, rolls back and restores; with JavaScript and
//! without.

use ingot_test_support::require;
use serde_json::{Value, json};

use crate::browser::{Browser, there_is_a_browser};
use crate::shelf::{Image, assign, bucket, first_link, publish};
use ingot_test_support::registry_server::{Caller, Server};

/// Where a channel of `base` points.
async fn points(admin: &Caller, channel: &str) -> Value {
    let answer = admin.get(&format!("/buckets/base/channels/{channel}")).await;
    answer["channel"]["version"]["name"].clone()
}

async fn status(admin: &Caller, bucket: &str, print: &str) -> Value {
    let answer = admin.get(&format!("/buckets/{bucket}/versions/{print}")).await;
    answer["version"]["status"].clone()
}

async fn work(javascript: bool) {
    require!(there_is_a_browser());
    let dir = tempfile::tempdir().expect("a directory");
    let server = Server::start(dir.path(), &[]);
    let admin = server.admin().await;
    bucket(&admin, "base", "Debian", json!({})).await;
    for print in ["one", "two"] {
        let image = format!("ami-{print}");
        let images: &[(&str, &[Image<'_>])] =
            &[("amazon-ebs.base", &[("aws", "eu-central-1", &image)])];
        publish(&admin, "base", print, images, None).await;
    }
    let channel = assign(&admin, "base", "production", "one").await;
    let two = admin.get("/buckets/base/versions/two").await["version"]["id"].clone();
    bucket(&admin, "web", "", json!({})).await;
    let images: &[(&str, &[Image<'_>])] = &[("docker.web", &[("docker", "docker", "sha256:web")])];
    publish(&admin, "web", "w", images, Some((two.as_str().expect("an id"), &channel))).await;

    let browser = Browser::start(javascript).await;
    assert_eq!(runs_scripts(&browser).await, javascript);
    browser.sign_in(&first_link(&server)).await;
    assert_eq!(browser.text("[role=status]").await, "You are signed in as admin.");

    // Promote by one click on the version's page.
    browser.follow("base").await;
    browser.wait_for("h1", "base").await;
    browser.follow("v2").await;
    browser.wait_for("h1", "v2").await;
    let choice = browser.text("#channel").await;
    assert_eq!(choice.trim(), "production: v1 → v2");
    browser.press("Promote").await;
    browser
        .wait_for("[role=status]", "production now points at v2; before, it pointed at v1.")
        .await;
    assert_eq!(points(&admin, "production").await, "v2");

    // Revoke it.
    browser.follow("Revoke…").await;
    browser.wait_for("h1", "Revoke base v2?").await;
    let dialogue = browser.text("form.dialogue").await;
    assert!(dialogue.contains("production goes to v1"), "{dialogue}");
    assert!(dialogue.contains("1 version was built from it"), "{dialogue}");
    browser.find("#reason").await.send_keys("CVE-2026-1234 in openssl").await.expect("it types");
    assert_eq!(browser.text("#revoke").await, "Revoke v2 now");
    browser.click("#revoke").await;
    browser.wait_for("[role=status]", "v2 is revoked.").await;
    let shown = browser.text("section.alert").await;
    assert!(shown.contains("CVE-2026-1234 in openssl") && shown.contains("by admin"), "{shown}");
    assert_eq!(status(&admin, "base", "two").await, "VERSION_REVOKED");
    assert_eq!(status(&admin, "web", "w").await, "VERSION_REVOKED");
    assert_eq!(points(&admin, "production").await, "v1");

    // Restore it and what was built from it; the channel stays where it was rolled back to.
    browser.follow("Restore…").await;
    browser.wait_for("form.dialogue", "Channels stay where they are.").await;
    browser.wait_for("form.dialogue", "becomes valid again, too: 1 version.").await;
    browser.press("Restore v2").await;
    browser.wait_for("[role=status]", "v2 is valid again.").await;
    assert_eq!(status(&admin, "base", "two").await, "VERSION_ACTIVE");
    assert_eq!(status(&admin, "web", "w").await, "VERSION_ACTIVE");
    assert_eq!(points(&admin, "production").await, "v1");

    // Promote on the channels' page, and roll back by one click.
    browser.follow("base").await;
    browser.wait_for(".tabs a[aria-current=page]", "Overview").await;
    browser.follow("Channels").await;
    browser.wait_for("h3", "latest").await;
    browser.press("Promote v2 to production").await;
    browser.wait_for("[role=status]", "production now points at v2").await;
    assert_eq!(points(&admin, "production").await, "v2");
    browser.press("Roll production back to v1").await;
    browser.wait_for(".alert", "It goes back. v1 is older than v2").await;
    assert_eq!(points(&admin, "production").await, "v2");
    browser.press("Assign v1 to production").await;
    browser.wait_for("[role=status]", "production now points at v1").await;
    assert_eq!(points(&admin, "production").await, "v1");

    // Later, without channels and descendants, and called off again.
    browser.open(&server, "/projects/default/buckets/base/versions/two/revoke").await;
    for choice in ["input[value=at]", "input[name=rollback]", "input[name=descendants]"] {
        browser.find(choice).await.click().await.expect("it can be chosen");
    }
    let at = browser.find("#at").await;
    at.send_keys("12312099\u{e004}1130PM").await.expect("it types");
    browser.find("#reason").await.send_keys("End of life").await.expect("it types");
    assert_eq!(browser.text("#revoke").await, "Revoke v2 at this date");
    browser.click("#revoke").await;
    browser.wait_for("[role=status]", "v2 will be revoked at 2099-12-31 23:30 UTC.").await;
    let version = admin.get("/buckets/base/versions/two").await["version"].clone();
    assert_eq!(version["status"], "VERSION_REVOCATION_SCHEDULED");
    assert_eq!(version["revoke_at"], "2099-12-31T23:30:00.000000Z");
    assert_eq!(status(&admin, "web", "w").await, "VERSION_ACTIVE");
    browser.follow("Cancel scheduled revocation…").await;
    browser.press("Cancel scheduled revocation").await;
    browser.wait_for("[role=status]", "The scheduled revocation of v2 is cancelled.").await;
    assert_eq!(status(&admin, "base", "two").await, "VERSION_ACTIVE");

    // A new channel, and the choice of any version for it.
    browser.open(&server, "/projects/default/buckets/base/channels").await;
    browser.find("#name").await.send_keys("not a name!").await.expect("it types");
    browser.press("Create channel").await;
    browser.wait_for("#name-hint", "A channel's name must be").await;
    browser.find("#name").await.clear().await.expect("it can be emptied");
    browser.find("#name").await.send_keys("canary").await.expect("it types");
    browser.press("Create channel").await;
    browser.wait_for("[role=status]", "The channel canary was created.").await;
    browser.press("Assign").await;
    browser.wait_for("[role=status]", "canary now points at v2; before, it was unassigned.").await;
    assert_eq!(points(&admin, "canary").await, "v2");

    browser.press("Sign out").await;
    browser.wait_for("h1", "Sign in").await;
    browser.open(&server, "/projects/default/buckets").await;
    browser.wait_for("h1", "Sign in").await;
    browser.end().await;

    // All of it under the principal's name.
    let data = server.data.to_str().expect("a plain name");
    let env = [("INGOT_DATA_DIR", data)];
    let audit = ingot_test_support::ingot_with(&server.data, &["registry", "audit"], &env).stdout;
    let id = &server.env["HCP_CLIENT_ID"];
    for deed in [
        "sign in  with a link",
        "assign channel  base/production two",
        "revoke version  base/two at ",
        "restore version  base/two",
        "create channel  base/canary",
        "sign out",
    ] {
        let line = audit.lines().find(|line| line.contains(deed));
        let line = line.unwrap_or_else(|| panic!("no {deed:?} in {audit}"));
        assert!(line.contains(id.as_str()), "{line}");
    }
}

/// Whether the browser runs the scripts of pages.
async fn runs_scripts(browser: &Browser) -> bool {
    let page = "data:text/html,<title>off</title><script>document.title='on'</script>";
    browser.driver.goto(page).await.expect("the page can be opened");
    browser.driver.title().await.expect("a title") == "on"
}

#[tokio::test]
async fn somebody_promotes_revokes_and_rolls_back() {
    work(true).await;
}

#[tokio::test]
async fn somebody_promotes_revokes_and_rolls_back_without_javascript() {
    work(false).await;
}
