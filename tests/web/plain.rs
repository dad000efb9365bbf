//! What pages tell, by plain HTTP.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ruzstd::encoding::{CompressionLevel, compress_to_vec};
use serde_json::json;

use crate::shelf::bucket;
use crate::visitor::Visitor;
use ingot_test_support::postgres::Postgres;
use ingot_test_support::registry_server::Server;
use ingot_test_support::require;

const ROOT: &str = "/projects/default/buckets";

/// The part of a text between two others.
fn between<'a>(text: &'a str, start: &str, end: &str) -> &'a str {
    let rest = text.split_once(start).map_or("", |(_, rest)| rest);
    rest.split_once(end).map_or("", |(found, _)| found)
}

#[tokio::test]
async fn a_list_of_versions_says_which_part_of_it_is_shown() {
    let dir = tempfile::tempdir().expect("a directory");
    let server = Server::start(dir.path(), &["-rate-limit=0"]);
    let admin = server.admin().await;
    bucket(&admin, "base", "", json!({})).await;
    for number in 0..58 {
        let body = json!({ "fingerprint": format!("f{number}"), "template_type": "HCL2" });
        admin.post("/buckets/base/versions", body).await;
    }
    for print in ["done-1", "done-2"] {
        admin.publish("base", print, None).await;
    }
    let mut visitor = Visitor::admin(&server).await;
    let mut path = format!("{ROOT}/base/versions");
    let mut captions = Vec::new();
    for rel in ["next", "next", "prev", "prev", ""] {
        let page = visitor.get(&path).await;
        captions.push(between(&page.text, "<caption", "</caption>").to_owned());
        let found = page.text.split("<a ").find(|link| link.contains(&format!("rel=\"{rel}\"")));
        let link = found.map_or("", |link| between(link, "href=\"", "\"")).replace("&amp;", "&");
        assert_eq!(link.is_empty(), rel.is_empty(), "{rel}: {}", page.text);
        path = match link.strip_prefix('?') {
            Some(query) => format!("{ROOT}/base/versions?{query}"),
            None => link,
        };
    }
    for (caption, range) in captions.iter().zip(["1–25", "26–50", "51–60", "26–50", "1–25"])
    {
        assert!(caption.contains(&format!("{range} of 60 versions, newest first")), "{caption}");
    }
    for query in ["?status=active", "?platform=docker&sort=oldest"] {
        let page = visitor.get(&format!("{ROOT}/base/versions{query}")).await;
        let caption = between(&page.text, "<caption", "</caption>");
        assert!(caption.contains(">2 versions, "), "{query}: {caption}");
    }
}

#[tokio::test]
async fn short_fingerprints_are_found_by_search() {
    find_short_fingerprints(&[]).await;
}

#[tokio::test]
async fn short_fingerprints_are_found_by_search_with_postgresql() {
    let postgres = require!(Postgres::start());
    find_short_fingerprints(&["-database-url", &postgres.url()]).await;
}

async fn find_short_fingerprints(flags: &[&str]) {
    let dir = tempfile::tempdir().expect("a directory");
    let server = Server::start(dir.path(), flags);
    let admin = server.admin().await;
    for (name, print) in [("base", "a7"), ("web", "a71")] {
        bucket(&admin, name, "", json!({})).await;
        admin.publish(name, print, None).await;
    }
    let mut visitor = Visitor::admin(&server).await;
    // What is too short to be looked for within others finds the one that it is; more finds parts.
    for (text, found) in
        [("a7", &["base"][..]), ("a71", &["web"]), ("7", &[]), ("A71", &["web"]), ("a9", &[])]
    {
        let page = visitor.get(&format!("{ROOT}?q={text}")).await;
        let lists = |name: &str| page.text.contains(&format!("href=\"{ROOT}/{name}\""));
        let listed: Vec<&str> = ["base", "web"].into_iter().filter(|name| lists(name)).collect();
        assert_eq!(listed, found, "{text}");
    }
}

#[tokio::test]
async fn zero_characters_in_a_request_get_a_page_of_their_own() {
    let dir = tempfile::tempdir().expect("a directory");
    let server = Server::start(dir.path(), &[]);
    let mut visitor = Visitor::admin(&server).await;
    for path in [
        "/%00",
        "/projects/%00/buckets",
        "/projects/default/buckets/a%00b",
        "/projects/default/buckets/base/versions/%00",
        "/projects/default/buckets?q=%00",
        "/sign-in/%00",
        "/assets/%00",
    ] {
        let page = visitor.get(path).await;
        assert_eq!(page.status, 400, "{path}: {}", page.text);
        assert_eq!(page.headers["content-type"], "text/html; charset=utf-8", "{path}");
        assert!(page.text.contains("<h1>That cannot be read</h1>"), "{path}: {}", page.text);
        assert!(page.text.contains("must not hold zero characters"), "{path}: {}", page.text);
    }
}

#[tokio::test]
async fn sboms_are_shown_and_saved() {
    let dir = tempfile::tempdir().expect("a directory");
    let server = Server::start(dir.path(), &[]);
    let admin = server.admin().await;
    bucket(&admin, "base", "", json!({})).await;
    let path = "/buckets/base/versions";
    admin.post(path, json!({ "fingerprint": "one", "template_type": "HCL2" })).await;
    let body = json!({ "component_type": "docker.web", "status": "BUILD_RUNNING" });
    let build = admin.post(&format!("{path}/one/builds"), body).await;
    let id = build["build"]["id"].as_str().expect("an id");
    let document = r#"{"bomFormat":"CycloneDX","components":[{"name":"</script><b>"}]}"#;
    let packed = STANDARD.encode(compress_to_vec(document.as_bytes(), CompressionLevel::Fastest));
    let body = json!({ "name": "packages", "format": "CYCLONEDX", "compressed_sbom": packed });
    admin.put(&format!("{path}/one/builds/{id}/sboms"), body).await;

    let mut visitor = Visitor::admin(&server).await;
    let page = visitor.get(&format!("{ROOT}/base/versions/one")).await;
    let link = format!("{ROOT}/base/versions/one/builds/{id}/sboms/packages");
    assert!(page.text.contains(&format!("href=\"{link}\"")), "{}", page.text);
    assert!(page.text.contains("CycloneDX, 64 B"), "{}", page.text);
    let saved = visitor.get(&link).await;
    assert_eq!((saved.status, saved.text.as_str()), (200, document));
    assert_eq!(saved.headers["content-type"], "application/vnd.cyclonedx+json");
    let disposition = saved.headers["content-disposition"].to_str().expect("text");
    assert_eq!(disposition, "attachment; filename=\"packages.json\"");
    assert_eq!(visitor.get(&format!("{link}-none")).await.status, 404);
    // Not for somebody who has not signed in.
    let answer = Visitor::new(&server).get(&link).await;
    assert!(answer.status != 200 && !answer.text.contains("bomFormat"), "{}", answer.status);
}

#[tokio::test]
async fn enforced_blocks_have_pages() {
    let dir = tempfile::tempdir().expect("a directory");
    let server = Server::start(dir.path(), &[]);
    let admin = server.admin().await;
    bucket(&admin, "base", "", json!({})).await;
    let mut visitor = Visitor::admin(&server).await;
    let list = "/projects/default/enforced-blocks";
    let page = visitor.get(list).await;
    assert!(page.text.contains("There are no enforced blocks"), "{}", page.text);

    let content = "provisioner \"shell\" {\n  inline = [\"<script>\"]\n}\n";
    let body = json!({ "name": "harden", "version": "1.0", "block_content": content,
        "additional_description": "CIS level 1", "template_type": "HCL2" });
    let created = admin.put("/enforced_blocks", body).await["enforced_block"].clone();
    let version = &created["latest_version"]["id"];
    let id = |value: &serde_json::Value| value.as_str().expect("an id").to_owned();
    let buckets =
        format!("/enforced_blocks/{}/versions/{}/buckets", id(&created["id"]), id(version));
    let before = visitor.get(&format!("{ROOT}/base")).await;
    assert!(!before.text.contains("Enforced provisioners"));
    admin.post(&buckets, json!({ "bucket_names": ["base"] })).await;

    let page = visitor.get(list).await;
    let link = format!("{list}/harden");
    assert!(page.text.contains(&format!("href=\"{link}\"")), "{}", page.text);
    assert!(page.text.contains("CIS level 1"), "{}", page.text);
    assert!(page.text.contains(&format!("href=\"{ROOT}/base\"")), "{}", page.text);
    let page = visitor.get(&link).await;
    assert!(
        page.text.contains("Version 1.0") && page.text.contains("[&quot;&lt;script&gt;&quot;]")
    );
    let page = visitor.get(&format!("{ROOT}/base")).await;
    assert!(page.text.contains(&format!("href=\"{link}\"")), "{}", page.text);
    assert_eq!(visitor.get(&format!("{list}/none")).await.status, 404);
    // Those who may only look see it, too.
    let (id, secret) = server.principal(&["reader", "-role", "viewer"]);
    let mut reader = Visitor::signed_in(&server, &id, &secret).await;
    assert_eq!(reader.get(&link).await.status, 200);
}
