//! What the pages of a version and of a bucket tell.

use ingot_test_support::require;
use serde_json::json;
use thirtyfour::prelude::*;

use crate::browser::{Browser, there_is_a_browser};
use crate::shelf::{fill, first_link};
use ingot_test_support::ingot_with;
use ingot_test_support::registry_server::Server;

const ROOT: &str = "/projects/default/buckets";

/// What a click on an element selects.
async fn selected_by_click(browser: &Browser, css: &str) -> String {
    browser.click(css).await;
    let script = "return String(getSelection())";
    let selected = browser.driver.execute(script, Vec::new()).await.expect("a selection");
    selected.json().as_str().expect("a string").to_owned()
}

/// Chooses an option of a list.
async fn choose(browser: &Browser, css: &str, text: &str) {
    let path = format!("option[normalize-space()={text:?}]");
    let list = browser.find(css).await;
    let option = list.find(By::XPath(path)).await;
    let Ok(option) = option else { panic!("there is no {text:?} in {}", browser.text(css).await) };
    option.click().await.expect("it can be chosen");
}

#[tokio::test]
async fn versions_and_buckets_show_what_one_needs() {
    require!(there_is_a_browser());
    let dir = tempfile::tempdir().expect("a directory");
    let server = Server::start(dir.path(), &[]);
    let admin = server.admin().await;
    fill(&admin).await;
    let browser = Browser::start(true).await;
    browser.sign_in(&first_link(&server)).await;

    // By its number, with the versions around it and the bucket's other pages.
    browser.open(&server, &format!("{ROOT}/base/versions/v2")).await;
    assert_eq!(browser.path().await, format!("{ROOT}/base/versions/a94d7e21"));
    let tabs = browser.text(".tabs").await;
    for tab in ["Overview", "Versions", "Channels", "Ancestry"] {
        assert!(tabs.contains(tab), "{tabs}");
    }
    browser.follow("Next version").await;
    browser.wait_for("h1", "base v3").await;
    browser.follow("Previous version").await;
    browser.wait_for("h1", "base v2").await;
    browser.open(&server, &format!("{ROOT}/base/versions/v9")).await;
    browser.wait_for("h1", "Not found").await;

    // Beside the version before it, or any other.
    browser.open(&server, &format!("{ROOT}/base/versions/v2")).await;
    browser.follow("Compare…").await;
    browser.wait_for("h1", "base v2 compared").await;
    let published = browser.text("section[aria-labelledby=published]").await;
    assert!(published.contains("Changed") && published.contains("v1"), "{published}");
    let packages = browser.text("section[aria-labelledby=packages]").await;
    assert!(packages.contains("v1 has no SBOM."), "{packages}");
    choose(&browser, "#with", "v3").await;
    browser.click("form.search button").await;
    browser.wait_for("main p", "v3 → v2").await;

    // Its images in one table, each id selected by one click.
    browser.open(&server, &format!("{ROOT}/base/versions/v3")).await;
    let images = browser.text("section[aria-labelledby=images]").await;
    for part in ["3 images", "eu-central-1", "us-east-1", "aws", "docker", "sha256:6b4e1c7f2a9d"] {
        assert!(images.contains(part), "{part} is not in {images}");
    }
    let id = browser.text("section[aria-labelledby=images] code.id").await;
    let selected = selected_by_click(&browser, "section[aria-labelledby=images] code.id").await;
    assert_eq!(selected.trim(), id);

    // How it was built, as fields.
    let build = browser.text("article.build").await;
    for part in ["9f2b7c1d", "images/base", "Packer 1.16.0", "amazon 1.8.0", "Duration", "github"] {
        assert!(build.contains(part), "{part} is not in {build}");
    }
    let link = browser.find("article.build dd a").await.attr("href").await.expect("a link");
    assert_eq!(link.as_deref(), Some("https://git.example/images/actions/runs/1234567"));
    browser.open(&server, &format!("{ROOT}/gpu/versions/failed-1")).await;
    let build = browser.text("article.build").await;
    assert!(build.contains("The build failed after"), "{build}");
    assert_eq!(browser.text("pre.reason").await, "no g5.xlarge is free in eu-central-1\n<b>a</b>");

    // What was built from it, and whether what it was built from is revoked.
    let body = json!({ "revoke_in": "0s", "skip_descendants_revocation": true });
    admin.patch("/buckets/base/versions/4f1c09ab", body).await;
    browser.open(&server, &format!("{ROOT}/base/versions/v1")).await;
    let children = browser.text("section[aria-labelledby=children]").await;
    assert!(children.contains("database v1") && children.contains("Out of date"), "{children}");
    browser.follow("database v1").await;
    browser.wait_for(".alert", "It was built from base v1, which is revoked.").await;
    let parents = browser.text("section[aria-labelledby=parents]").await;
    assert!(parents.contains("Revoked") && parents.contains("production"), "{parents}");

    // The bucket: how it is, and how to use it.
    browser.open(&server, &format!("{ROOT}/base")).await;
    let channels = browser.text("section[aria-labelledby=channels]").await;
    assert!(channels.contains("production") && channels.contains("v2"), "{channels}");
    let family = browser.text("section[aria-labelledby=family]").await;
    assert!(family.contains("Children 3") && family.contains("Out of date"), "{family}");
    assert!(family.contains("worker") && family.contains("Up to date"), "{family}");
    let images = browser.text("section[aria-labelledby=images]").await;
    assert!(images.contains("The images of v3") && images.contains("us-east-1"), "{images}");
    let usage = "section[aria-labelledby=usage]";
    assert!(browser.text(usage).await.contains("channel_name = \"production\""));
    choose(&browser, "#usage-channel", "staging").await;
    choose(&browser, "#usage-place", "aws · us-east-1").await;
    browser.press("Show").await;
    browser.wait_for(usage, "channel_name = \"staging\"").await;
    let texts = browser.text(usage).await;
    for part in [
        "data \"hcp-packer-artifact\" \"base\"",
        "data \"hcp_packer_artifact\" \"base\"",
        "region              = \"us-east-1\"",
        "ingot registry channels show base staging",
        "ingot registry artifacts list base v3",
    ] {
        assert!(texts.contains(part), "{part} is not in {texts}");
    }
    // One click selects a text, and the text is one that works: the image is found with it.
    let text = selected_by_click(&browser, "pre.select").await;
    browser.end().await;
    let template = format!(
        "{text}\nsource \"null\" \"a\" {{\n  communicator = \"none\"\n}}\nbuild {{\n  \
         sources = [\"source.null.a\"]\n  provisioner \"shell-local\" {{\n    \
         inline = [\"echo found ${{data.hcp-packer-artifact.base.external_identifier}}\"]\n  }}\n}}\n"
    );
    std::fs::write(dir.path().join("a.pkr.hcl"), template).expect("it is written");
    let env: Vec<(&str, &str)> =
        server.env.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let run = ingot_with(dir.path(), &["build", "a.pkr.hcl"], &env);
    assert_eq!(run.code, Some(0), "{}{}", run.stdout, run.stderr);
    assert!(run.stdout.contains("found ami-0224c1b2a9f8e7d6"), "{}", run.stdout);
    for command in texts.lines().filter_map(|line| line.strip_prefix("ingot ")) {
        let args: Vec<&str> = command.split_whitespace().collect();
        let run = ingot_with(dir.path(), &args, &env);
        assert_eq!(run.code, Some(0), "{command}: {}", run.stderr);
    }
}
