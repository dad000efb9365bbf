//! Lists and pictures of much: sorted, filtered, found, folded, and on any screen.

use ingot_test_support::require;
use serde_json::json;

use crate::browser::{Browser, LAPTOP, PHONE, there_is_a_browser};
use crate::shelf::{Image, assign, bucket, fill, first_link, publish};
use ingot_test_support::registry_server::Server;

const ROOT: &str = "/projects/default/buckets";

/// The names of the buckets that the list has.
async fn names(browser: &Browser) -> Vec<String> {
    let script = "return [...document.querySelectorAll('tbody th > a')].map(it => it.textContent)";
    let names = browser.driver.execute(script, Vec::new()).await.expect("the names");
    names.convert().expect("strings")
}

async fn choose(browser: &Browser, css: &str, value: &str) {
    browser.click(&format!("{css} option[value='{value}']")).await;
}

#[tokio::test]
async fn buckets_are_sorted_filtered_and_found() {
    require!(there_is_a_browser());
    let dir = tempfile::tempdir().expect("a directory");
    let server = Server::start(dir.path(), &["-rate-limit=0"]);
    let admin = server.admin().await;
    fill(&admin).await;
    for number in 0..55 {
        bucket(&admin, &format!("more-{number:02}"), "", json!({})).await;
    }
    let browser = Browser::start(true).await;
    browser.sign_in(&first_link(&server)).await;
    assert_eq!(browser.text("caption").await, "1–50 of 62 buckets");
    browser.follow("Next page").await;
    browser.wait_for("caption", "51–62 of 62 buckets").await;
    browser.follow("Previous page").await;
    browser.wait_for("caption", "1–50 of 62 buckets").await;

    // Two words, in any order; a label; part of a fingerprint, and of an image's id.
    for (text, found) in [
        ("hardening debian", &["base"][..]),
        ("platform", &["base"]),
        ("c3b85f", &["base"]),
        ("0124C1B2", &["base"]),
        ("base debian nothing", &[]),
    ] {
        let field = browser.find("#q").await;
        field.clear().await.expect("it can be emptied");
        field.send_keys(text).await.expect("it types");
        browser.press("Search").await;
        let caption = if found.is_empty() { "h2" } else { "caption" };
        browser
            .wait_for(caption, if found.is_empty() { "No bucket was found" } else { text })
            .await;
        assert_eq!(names(&browser).await, found, "{text}");
    }
    // A whole id is found as an image, and then nothing is "not found".
    browser.open(&server, &format!("{ROOT}?q=ami-0124c1b2a9f8e7d6")).await;
    let page = browser.text("main").await;
    assert!(page.contains("Images with this id") && !page.contains("No bucket"), "{page}");

    for (css, value, found) in [
        ("#status", "failed", &["gpu"][..]),
        ("#platform", "aws", &["base"]),
        ("#status", "revoked", &[]),
    ] {
        browser.open(&server, ROOT).await;
        browser.click(".filters summary").await;
        choose(&browser, css, value).await;
        browser.press("Apply").await;
        browser.wait_for(".filters[open]", "Status").await;
        assert_eq!(names(&browser).await, found, "{css} {value}");
    }
    browser.open(&server, ROOT).await;
    browser.click(".filters summary").await;
    browser.find("#label").await.send_keys("team=web").await.expect("it types");
    browser.press("Apply").await;
    browser.wait_for("caption", "2 buckets: label team=web").await;
    assert_eq!(names(&browser).await, ["web", "worker"]);
    browser.open(&server, &format!("{ROOT}?outdated=yes")).await;
    assert_eq!(names(&browser).await, ["database"]);
    browser.open(&server, &format!("{ROOT}?sort=created")).await;
    assert_eq!(names(&browser).await[..2], ["more-54", "more-53"]);
    admin.patch("/buckets/empty", json!({ "description": "Changed" })).await;
    browser.open(&server, ROOT).await;
    browser.click(".filters summary").await;
    choose(&browser, "#sort", "updated").await;
    browser.press("Apply").await;
    browser.wait_for("tbody th", "empty").await;
    browser.follow("Next page").await;
    browser.wait_for("caption", "51–62 of 62 buckets").await;

    // A bucket's versions, too.
    admin.patch("/buckets/base/versions/4f1c09ab", json!({ "revoke_in": "0s" })).await;
    let versions = format!("{ROOT}/base/versions");
    for (query, caption, found) in [
        ("", "3 versions, newest first", &["v3", "v2", "v1"][..]),
        ("?sort=oldest", "3 versions, oldest first", &["v1", "v2", "v3"]),
        ("?status=revoked", "1 version, status Revoked", &["v1"]),
        ("?status=active", "2 versions, status Active, newest first", &["v3", "v2"]),
        (
            "?platform=aws&sort=oldest",
            "3 versions, platform aws, oldest first",
            &["v1", "v2", "v3"],
        ),
        ("?status=failed", "", &[]),
    ] {
        browser.open(&server, &format!("{versions}{query}")).await;
        match caption {
            "" => browser.wait_for("main", "No version was found").await,
            caption => browser.wait_for("caption", caption).await,
        }
        assert_eq!(names(&browser).await, found, "{query}: {}", browser.text("main").await);
    }
    browser.open(&server, &versions).await;
    browser.click(".filters summary").await;
    choose(&browser, "#status", "revoked").await;
    browser.press("Apply").await;
    browser.wait_for("caption", "1 version, status Revoked").await;
    browser.open(&server, &format!("{ROOT}/gpu/versions?status=failed")).await;
    assert_eq!(browser.text("caption").await, "1 version, status Failed");

    // Nothing is wider than the screen, however wide that is.
    for width in [360_u32, 740, 800, 850, 900, 1280] {
        browser.size((width, 800), "light").await;
        for path in
            ["", "/base", "/base/versions", "/base/versions/v3", "/base/channels/production"]
        {
            browser.open(&server, &format!("{ROOT}{path}")).await;
            // Not against the window's own width: a phone's grows with what does not fit.
            let script = "return document.documentElement.scrollWidth";
            let wide = browser.driver.execute(script, Vec::new()).await.expect("a width");
            let wide = wide.json().as_u64();
            assert!(wide <= Some(u64::from(width)), "{path} at {width}: {wide:?}");
            // Nor is a tab cut.
            let script = "const it = document.querySelector('.tabs');\
                          return !it || it.scrollWidth <= it.clientWidth";
            let whole = browser.driver.execute(script, Vec::new()).await.expect("a width");
            assert_eq!(whole.json(), &json!(true), "{path} at {width}: a tab is cut");
        }
    }
    browser.end().await;
}

#[tokio::test]
async fn ancestry_begins_with_what_is_near() {
    require!(there_is_a_browser());
    let dir = tempfile::tempdir().expect("a directory");
    let server = Server::start(dir.path(), &["-rate-limit=0"]);
    let admin = server.admin().await;
    fill(&admin).await;
    let version = admin.get("/buckets/base/versions/c3b85f60").await["version"]["id"].clone();
    let version = version.as_str().expect("an id");
    let channel = assign(&admin, "base", "edge", "c3b85f60").await;
    for number in 0..8 {
        let name = format!("child-{number}");
        bucket(&admin, &name, "", json!({})).await;
        let images: &[(&str, &[Image<'_>])] = &[("docker.c", &[("docker", "", "sha256:c")])];
        publish(&admin, &name, "c", images, Some((version, &channel))).await;
    }
    let browser = Browser::start(true).await;
    browser.sign_in(&first_link(&server)).await;

    // Direct relatives, those first that are out of date, and the rest folded.
    browser.open(&server, &format!("{ROOT}/base/ancestry")).await;
    let picture = browser.text(".picture").await;
    assert!(picture.contains("database") && picture.contains("5 more children"), "{picture}");
    assert!(!picture.contains("shop") && !picture.contains("worker"), "{picture}");
    browser.click(".picture a.more").await;
    browser.wait_for(".picture", "worker").await;
    assert!(!browser.text(".picture").await.contains("more children"));
    browser.follow("Show all").await;
    browser.wait_for(".picture", "shop").await;

    browser.open(&server, &format!("{ROOT}/base/ancestry")).await;
    browser.click("input[name=outdated]").await;
    browser.press("Apply").await;
    browser.wait_for("table", "database v1").await;
    assert!(!browser.text("main").await.contains("worker"));
    browser.open(&server, &format!("{ROOT}/base/ancestry")).await;
    choose(&browser, "#direction", "parents").await;
    browser.press("Apply").await;
    browser.wait_for(".empty", "There are no such relations").await;
    browser.open(&server, &format!("{ROOT}/shop/ancestry?depth=2")).await;
    let picture = browser.text(".picture").await;
    assert!(picture.contains("web") && picture.contains("base"), "{picture}");
    assert!(!picture.contains("worker"), "what is beside it is no relative: {picture}");

    // The bucket is in view, on a laptop in the picture and on a phone between its relatives.
    for (size, here) in [(LAPTOP, ".picture .here"), (PHONE, ".generations .here")] {
        browser.size(size, "light").await;
        browser.open(&server, &format!("{ROOT}/web/ancestry")).await;
        let script = format!(
            "const box = document.querySelector('{here}').getBoundingClientRect();\
             return box.width > 0 && box.left >= 0 && box.right <= innerWidth \
             && box.top >= 0 && box.bottom <= innerHeight"
        );
        let seen = browser.driver.execute(script, Vec::new()).await.expect("a box");
        assert_eq!(seen.json(), &json!(true), "{here}");
    }
    let phone = browser.text(".generations").await;
    let places = ["Parents", "base", "This bucket", "web", "Children", "shop"];
    let places = places.map(|it| phone.find(it).unwrap_or_else(|| panic!("{it} in {phone}")));
    assert!(places.is_sorted(), "{phone}");
    browser.end().await;
}
