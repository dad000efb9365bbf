//! Whether everybody can use the pages: axe-core's rules, the keyboard, narrow screens. And their
//! pictures, for the documentation, into the directory that INGOT_SCREENSHOTS names.

use ingot_test_support::require;
use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;

use serde_json::Value;
use thirtyfour::prelude::*;

use crate::browser::{Browser, LAPTOP, PHONE, TABLET, there_is_a_browser};
use crate::shelf::{bucket, fill, first_link};
use ingot_test_support::registry_server::Server;

const ROOT: &str = "/projects/default/buckets";

/// The package that axe.min.js is taken from, of npm's registry. It is fetched for the tests and is
/// no part of Ingot.
const PACKAGE: &str = "axe-core@4.14.1";

/// axe-core, from the directory where tests keep such things.
fn axe() -> &'static str {
    static AXE: OnceLock<String> = OnceLock::new();
    AXE.get_or_init(|| {
        let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join(PACKAGE.replace('@', "-"));
        let file = dir.join("package/axe.min.js");
        if !file.exists() {
            fetch(&dir);
        }
        std::fs::read_to_string(&file).expect("axe.min.js is in the package")
    })
}

fn fetch(dir: &Path) {
    let temporary = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory");
    let run = |program: &str, args: &[&str]| {
        let run = Command::new(program).args(args).current_dir(temporary.path()).output();
        let run = run.unwrap_or_else(|error| panic!("{program} cannot be run: {error}"));
        assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
        String::from_utf8_lossy(&run.stdout).trim().to_owned()
    };
    let packed = run("npm", &["pack", "--silent", PACKAGE]);
    run("tar", &["-xzf", &packed]);
    // Another test may have been faster.
    let _ = std::fs::rename(temporary.path(), dir);
}

/// What axe-core finds on the page that is shown: serious and critical findings, in words.
pub(crate) async fn findings(browser: &Browser) -> Vec<String> {
    let there = browser.driver.execute("return typeof axe", Vec::new()).await.expect("an answer");
    // A page is looked at more than once.
    if there.json() == "undefined" {
        browser.driver.execute(axe(), Vec::new()).await.expect("axe is loaded");
    }
    let script = "const done = arguments[arguments.length - 1];\n\
                  axe.run(document, { resultTypes: ['violations'] }).then(\
                  results => done({ rules: results.passes.length, found: results.violations }),\
                  error => done({ error: String(error) }));";
    let results = browser.driver.execute_async(script, Vec::new()).await.expect("axe runs");
    let results = results.json();
    assert!(results["rules"].as_u64().is_some_and(|rules| rules > 10), "{results}");
    let found = results["found"].as_array().expect("a list");
    let serious = |finding: &&Value| {
        matches!(finding["impact"].as_str(), Some("serious" | "critical" | "moderate"))
    };
    found.iter().filter(serious).map(Value::to_string).collect()
}

/// Every kind of page, and what its picture is called if it has one.
const PAGES: &[(&str, Option<&str>)] = &[
    ("", Some("buckets")),
    ("?q=nothing-has-this-name", None),
    ("?q=ami-0104c1b2a9f8e7d6", None),
    ("/base", Some("bucket")),
    ("/base/versions", Some("versions")),
    ("/empty", None),
    ("/base/versions/c3b85f60", Some("version")),
    ("/gpu/versions/failed-1", None),
    ("/database/versions/51c7aa39", None),
    ("/legacy", None),
    ("/legacy/versions/0d1c2b3a", Some("revoked")),
    ("/base/versions/c3b85f60/compare?with=a94d7e21", None),
    ("/legacy/versions/next/compare", None),
    ("/base/versions/c3b85f60/revoke", Some("revoke")),
    ("/legacy/versions/0d1c2b3a/restore", None),
    ("/base/channels/production/assign?version=4f1c09ab&from=a94d7e21", Some("assign")),
    ("/base/channels", Some("channels")),
    ("/base/channels/production", Some("channel")),
    ("/base/channels/latest", None),
    ("/base/ancestry", Some("ancestry")),
    ("/base/ancestry?depth=all", None),
    ("/empty/ancestry", None),
    ("/base/delete", None),
    ("/base/channels/production/delete", None),
    ("/legacy/versions/next", None),
    ("/../enforced-blocks", None),
    ("/../enforced-blocks/harden", None),
    ("/../settings", Some("settings")),
    ("?status=failed&sort=updated", None),
    ("/nothing", None),
    ("/../../../projects", None),
];

async fn filled(dir: &Path) -> (Server, Browser) {
    let server = Server::start(dir, &[]);
    let admin = server.admin().await;
    fill(&admin).await;
    // A revoked version, to be seen.
    bucket(&admin, "legacy", "Debian 10", serde_json::json!({})).await;
    admin.publish("legacy", "0d1c2b3a", None).await;
    let body = serde_json::json!({
        "revoke_in": "0s", "revocation_message": "CVE-2026-1234 in openssl",
    });
    admin.patch("/buckets/legacy/versions/0d1c2b3a", body).await;
    // A build with an SBOM, and what is enforced in its bucket.
    let path = "/buckets/legacy/versions";
    admin.post(path, serde_json::json!({ "fingerprint": "next", "template_type": "HCL2" })).await;
    let body = serde_json::json!({ "component_type": "docker.a", "status": "BUILD_RUNNING" });
    let build = admin.post(&format!("{path}/next/builds"), body).await["build"].clone();
    let id = |value: &Value| value.as_str().expect("an id").to_owned();
    let packed = "KLUv/QRoqQEAeyJjb21wb25lbnRzIjpbeyJuYW1lIjoiYSJ9XSwiYm9tRm9ybWF0IjoiQ3ljbG9uZURYIn1g\
                  zvTE";
    let body = serde_json::json!({
        "name": "packages", "format": "CYCLONEDX", "compressed_sbom": packed,
    });
    admin.put(&format!("{path}/next/builds/{}/sboms", id(&build["id"])), body).await;
    let body = serde_json::json!({
        "name": "harden", "version": "1.0", "template_type": "HCL2", "labels": { "team": "security" },
        "additional_description": "CIS level 1", "block_content": "provisioner \"shell\" {}\n",
    });
    let block = admin.put("/enforced_blocks", body).await["enforced_block"].clone();
    let (block, version) = (id(&block["id"]), id(&block["latest_version"]["id"]));
    let links = format!("/enforced_blocks/{block}/versions/{version}/buckets");
    admin.post(&links, serde_json::json!({ "bucket_names": ["legacy"] })).await;
    let browser = Browser::start(true).await;
    (server, browser)
}

#[tokio::test]
async fn no_page_has_a_serious_finding() {
    require!(there_is_a_browser());
    let dir = tempfile::tempdir().expect("a directory");
    let (server, browser) = filled(dir.path()).await;
    let mut views = vec![(LAPTOP, "light"), (LAPTOP, "dark"), (PHONE, "light"), (PHONE, "dark")];
    if std::env::var_os("INGOT_SCREENSHOTS").is_some() {
        views.push((TABLET, "light"));
    }
    let mut wrong = Vec::new();
    let mut look = async |browser: &Browser, path: &str, picture: Option<&str>| {
        let mut shown = None;
        for &(size, scheme) in &views {
            browser.size(size, scheme).await;
            // Colours change on a page that is shown; its size is what it was loaded with.
            if shown.replace(size) != Some(size) {
                browser.driver.goto(path).await.expect("the page can be opened");
            }
            for finding in findings(browser).await {
                wrong.push(format!("{path} {size:?} {scheme}: {finding}"));
            }
            let wide = browser.driver.execute(
                "return [document.documentElement.scrollWidth, document.title]",
                Vec::new(),
            );
            let wide = wide.await.expect("sizes").json().clone();
            // Not the window's own width: a phone's grows with what does not fit.
            if wide[0].as_u64() > Some(size.0.into()) {
                wrong.push(format!("{path} {size:?} is wider than the screen: {wide}"));
            }
            let directory = std::env::var_os("INGOT_SCREENSHOTS");
            let Some((name, directory)) = picture.zip(directory) else { continue };
            let device = match size {
                PHONE => "phone",
                TABLET => "tablet",
                _ => "laptop",
            };
            let file = format!("registry-{name}-{device}-{scheme}.png");
            let png = browser.picture(size, scheme).await;
            std::fs::write(Path::new(&directory).join(file), png).expect("the picture is written");
        }
    };
    // It finds what there is to find.
    let bad = "data:text/html,<html lang=en><title>x</title><main><h1>x</h1><img src=x>\
               <p style=color:%23ddd>pale</p></main>";
    browser.driver.goto(bad).await.expect("the page can be opened");
    let found = findings(&browser).await.join(" ");
    assert!(found.contains("image-alt") && found.contains("color-contrast"), "{found}");
    let link = first_link(&server);
    look(&browser, &format!("{}/sign-in", server.url()), Some("sign-in")).await;
    look(&browser, &link, None).await;
    browser.sign_in(&link).await;
    look(&browser, &link, None).await;
    for (path, picture) in PAGES {
        look(&browser, &format!("{}{ROOT}{path}", server.url()), *picture).await;
    }
    browser.open(&server, &format!("{ROOT}/base/versions/c3b85f60/revoke")).await;
    browser.click("input[value=at]").await;
    browser.click("#revoke").await;
    browser.wait_for("div[role=alert]", "Give a date and a time").await;
    for finding in findings(&browser).await {
        wrong.push(format!("the dialogue with a mistake: {finding}"));
    }
    browser.end().await;
    assert!(wrong.is_empty(), "{} findings:\n{}", wrong.len(), wrong.join("\n\n"));
}

#[tokio::test]
async fn the_keyboard_is_enough() {
    require!(there_is_a_browser());
    let dir = tempfile::tempdir().expect("a directory");
    let (server, browser) = filled(dir.path()).await;
    browser.sign_in(&first_link(&server)).await;
    browser.open(&server, &format!("{ROOT}/base/channels")).await;
    // The first stop leads past what is on every page.
    let press = async |key: Key| {
        let page = browser.driver.active_element().await.expect("there is a focus");
        page.send_keys(key.value().to_string()).await.expect("it types");
        browser.driver.active_element().await.expect("there is a focus")
    };
    let first = press(Key::Tab).await;
    assert_eq!(first.text().await.expect("its text"), "Skip to the content");
    assert!(first.is_displayed().await.expect("it tells"));
    let ring = first.css_value("outline-style").await.expect("a style");
    assert_ne!(ring, "none", "the focus cannot be seen");
    let main = press(Key::Enter).await;
    assert_eq!(main.id().await.expect("an id").as_deref(), Some("main"));
    // From there on, to the first button of a form, which the keyboard presses.
    let mut stops = Vec::new();
    loop {
        let stop = press(Key::Tab).await;
        let text = stop.text().await.expect("its text");
        if text.starts_with("Promote v3 to production") {
            break;
        }
        stops.push(text);
        assert!(stops.len() < 40, "the button was never reached: {stops:?}");
    }
    press(Key::Enter).await;
    browser.wait_for("[role=status]", "production now points at v3").await;
    let admin = server.admin().await;
    let channel = admin.get("/buckets/base/channels/production").await["channel"].clone();
    assert_eq!(channel["version"]["name"], "v3");
    browser.end().await;
}
