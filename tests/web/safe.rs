//! Who gets in, and what nobody can make others do.

use serde_json::json;

use crate::shelf::{assign, bucket, first_link};
use crate::visitor::Visitor;
use ingot_test_support::ingot_with;
use ingot_test_support::registry_server::Server;

const ROOT: &str = "/projects/default/buckets";

#[tokio::test]
async fn a_link_works_once() {
    let dir = tempfile::tempdir().expect("a directory");
    let server = Server::start(dir.path(), &[]);
    let link = first_link(&server);
    let path = link.strip_prefix(&server.url()).expect("a link of this server").to_owned();
    let mut visitor = Visitor::new(&server);
    // Looking at it, as programs do that show what links lead to, does not use it up.
    for _ in 0..2 {
        let page = visitor.get(&path).await;
        assert_eq!(page.status, 200);
        assert!(page.text.contains("signs you in as <strong>admin</strong>"), "{}", page.text);
        assert_eq!(page.headers["referrer-policy"], "no-referrer");
    }
    // Without the cookie nothing is done, and the page is there again to go on from.
    let page = visitor.get(&path).await;
    visitor.cookies.clear();
    let page = visitor.submit(&page, &path, &[]).await;
    assert_eq!(page.status, 401, "{}", page.text);
    assert!(page.text.contains("Press the button once more"), "{}", page.text);
    assert_eq!(page.headers["referrer-policy"], "no-referrer");
    let refused = visitor.post(&path, &[("form_token", "AAAA")]).await;
    assert_eq!(refused.status, 403, "{}", refused.text);
    let answer = visitor.submit(&page, &path, &[]).await;
    assert_eq!((answer.status, answer.location()), (303, "/?done=signed-in"), "{}", answer.text);
    let cookie = answer.headers["set-cookie"].to_str().expect("text").to_owned();
    for part in ["__Host-ingot-session=", "; HttpOnly", "; SameSite=Lax", "; Secure", "; Path=/"] {
        assert!(cookie.contains(part), "{part} in {cookie}");
    }
    assert_eq!(visitor.get("/").await.location(), ROOT);
    assert_eq!(visitor.get(ROOT).await.status, 200);

    let mut other = Visitor::new(&server);
    let page = other.get("/sign-in").await;
    let again = other.submit(&page, &path, &[]).await;
    assert_eq!(again.status, 410, "{}", again.text);
    assert_eq!(other.get(&path).await.status, 410);
    assert_eq!(other.get(&format!("/sign-in/{}", "0".repeat(64))).await.status, 410);

    // Neither the link's token nor the session's is in the database.
    let token = path.rsplit('/').next().expect("a token").to_owned();
    let session = visitor.cookies["__Host-ingot-session"].clone();
    for file in ["registry-server.db", "registry-server.db-wal"] {
        let Ok(database) = std::fs::read(dir.path().join(file)) else { continue };
        for secret in [&token, &session] {
            let leaked = database.windows(secret.len()).any(|part| part == secret.as_bytes());
            assert!(!leaked, "a token is in {file}");
        }
    }

    // Another link, for another principal.
    server.principal(&["eve", "-role", "viewer"]);
    let data = server.data.to_str().expect("a plain name");
    let url = server.url();
    let args = ["registry", "sign-in-link", "eve", "-address", &url];
    let run = ingot_with(dir.path(), &args, &[("INGOT_DATA_DIR", data)]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    let path = run.stdout.trim().strip_prefix(&url).expect("a link of this server").to_owned();
    let page = other.get(&path).await;
    assert_eq!(other.submit(&page, &path, &[]).await.status, 303);
    let page = other.get(ROOT).await;
    assert!(page.text.contains("eve") && page.text.contains("viewer"), "{}", page.text);
    let args = ["registry", "sign-in-link", "nobody"];
    let run = ingot_with(dir.path(), &args, &[("INGOT_DATA_DIR", data)]);
    assert_eq!(run.code, Some(1));
    assert!(run.stderr.contains("there is no principal \"nobody\""), "{}", run.stderr);
}

#[tokio::test]
async fn sessions_end() {
    let dir = tempfile::tempdir().expect("a directory");
    let server = Server::start(dir.path(), &[]);
    let (id, secret) = server.principal(&["eve", "-role", "viewer"]);
    let mut wrong = Visitor::new(&server);
    let refused = wrong.sign_in(&id, "not the secret").await;
    assert_eq!(refused.status, 401);
    assert!(refused.text.contains("The client id or the client secret is invalid."));
    assert!(!refused.text.contains("not the secret"));
    assert!(!wrong.cookies.contains_key("__Host-ingot-session"));

    // Without a session every page leads to where one can be had, and back; a form to nowhere.
    let mut visitor = Visitor::new(&server);
    let wanted = format!("{ROOT}?q=a");
    let answer = visitor.get(&wanted).await;
    assert_eq!(answer.status, 303);
    assert_eq!(answer.location(), "/sign-in?next=%2Fprojects%2Fdefault%2Fbuckets%3Fq%3Da");
    let page = visitor.get(answer.location()).await;
    let fields = [("client_id", id.as_str()), ("client_secret", &secret), ("next", &wanted)];
    assert_eq!(visitor.submit(&page, "/sign-in", &fields).await.location(), wanted);
    let mut stranger = Visitor::new(&server);
    let page = stranger.get("/sign-in?next=//evil.example/").await;
    assert!(!page.text.contains("evil.example"), "{}", page.text);
    let fields =
        [("client_id", id.as_str()), ("client_secret", &secret), ("next", "https://evil.example")];
    assert_eq!(stranger.submit(&page, "/sign-in", &fields).await.location(), "/");
    // A control character cannot be in the header that leads on.
    for control in ["%01", "%0d%0aX-A:%20b", "%09", "%7f", "%c2%85"] {
        let asked = format!("/sign-in?next=/{control}");
        let page = stranger.get(&asked).await;
        assert_eq!(page.status, 200, "{control}");
        assert!(page.text.contains("name=\"next\" value=\"/\""), "{control}: {}", page.text);
        let next: String =
            form_urlencoded::parse(format!("n=/{control}").as_bytes()).map(|it| it.1).collect();
        let fields =
            [("client_id", id.as_str()), ("client_secret", &secret), ("next", next.as_str())];
        let answer = stranger.submit(&page, "/sign-in", &fields).await;
        assert_eq!((answer.status, answer.location()), (303, "/"), "{control}");
    }

    // Signed out, the cookie is worth nothing.
    let page = visitor.get(ROOT).await;
    let kept = visitor.cookies.clone();
    assert_eq!(visitor.post("/sign-out", &[]).await.status, 403);
    assert_eq!(visitor.submit(&page, "/sign-out", &[]).await.location(), "/sign-in");
    visitor.cookies = kept;
    assert_eq!(visitor.get(ROOT).await.status, 303);

    // So is it when the principal is gone.
    assert_eq!(stranger.get(ROOT).await.status, 200);
    let data = server.data.to_str().expect("a plain name");
    let args = ["registry", "principal", "delete", "eve"];
    let run = ingot_with(dir.path(), &args, &[("INGOT_DATA_DIR", data)]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    assert_eq!(stranger.get(ROOT).await.status, 303);
}

/// The cookie of a page that is open for long is gone when the form is sent.
#[tokio::test]
async fn a_page_to_sign_in_that_is_too_old_is_shown_again() {
    let dir = tempfile::tempdir().expect("a directory");
    let server = Server::start(dir.path(), &[]);
    let (id, secret) = (&server.env["HCP_CLIENT_ID"], &server.env["HCP_CLIENT_SECRET"]);
    let mut visitor = Visitor::new(&server);
    let page = visitor.get("/sign-in").await;
    let cookie = page.headers["set-cookie"].to_str().expect("text");
    assert!(cookie.contains("Max-Age=43200"), "it is kept as long as a session: {cookie}");
    visitor.cookies.clear();
    let fields = [("client_id", id.as_str()), ("client_secret", secret), ("next", ROOT)];
    let again = visitor.submit(&page, "/sign-in", &fields).await;
    assert_eq!(again.status, 401, "{}", again.text);
    assert!(again.text.contains("the page was too old"), "{}", again.text);
    assert!(again.text.contains(&format!("value=\"{id}\"")) && !again.text.contains(secret));
    let answer = visitor.submit(&again, "/sign-in", &fields).await;
    assert_eq!((answer.status, answer.location()), (303, ROOT), "{}", answer.text);
}

#[tokio::test]
async fn servers_share_sessions() {
    let dir = tempfile::tempdir().expect("a directory");
    let server = Server::start(dir.path(), &[]);
    let other = Server::start(dir.path(), &[]);
    let visitor = Visitor::admin(&server).await;
    let mut elsewhere = Visitor::new(&other);
    elsewhere.cookies = visitor.cookies;
    assert_eq!(elsewhere.get(ROOT).await.status, 200);
}

#[tokio::test]
async fn roles_decide_what_is_shown_and_done() {
    let dir = tempfile::tempdir().expect("a directory");
    let server = Server::start(dir.path(), &[]);
    let admin = server.admin().await;
    bucket(&admin, "base", "", json!({})).await;
    for print in ["one", "two"] {
        admin.publish("base", print, None).await;
    }
    assign(&admin, "base", "production", "one").await;
    admin.post("/buckets/base/channels", json!({ "name": "secret", "restricted": true })).await;
    let (id, secret) = server.principal(&["eve", "-role", "viewer"]);
    let mut viewer = Visitor::signed_in(&server, &id, &secret).await;

    let page = viewer.get(&format!("{ROOT}/base/versions/two")).await;
    assert!(!page.text.contains("Promote to") && !page.text.contains("Revoke"), "{}", page.text);
    let channels = viewer.get(&format!("{ROOT}/base/channels")).await;
    assert!(!channels.text.contains("secret") && !channels.text.contains("Create channel"));
    assert_eq!(viewer.get(&format!("{ROOT}/base/channels/secret")).await.status, 403);
    assert_eq!(viewer.get(&format!("{ROOT}/base/versions/two/revoke")).await.status, 403);
    let assign_path = format!("{ROOT}/base/channels/production/assign");
    let forms: [(&str, &[(&str, &str)]); 4] = [
        (&assign_path, &[("from", "one"), ("version", "two")]),
        (&format!("{ROOT}/base/versions/two/revoke"), &[("when", "now"), ("reason", "x")]),
        (&format!("{ROOT}/base/versions/two/restore"), &[]),
        (&format!("{ROOT}/base/channels"), &[("name", "new")]),
    ];
    for (path, fields) in forms {
        let answer = viewer.submit(&page, path, fields).await;
        assert_eq!(answer.status, 403, "{path}: {}", answer.text);
        assert!(
            answer.text.contains("this needs the role contributor")
                || answer.text.contains("This needs the role contributor"),
            "{}",
            answer.text
        );
    }
    let channel = admin.get("/buckets/base/channels/production").await;
    assert_eq!(channel["channel"]["version"]["fingerprint"], "one");
    let version = admin.get("/buckets/base/versions/two").await;
    assert_eq!(version["version"]["status"], "VERSION_ACTIVE");

    // Projects that are not one's own look as if they were not there.
    let (id, secret) = server.principal(&["ci", "-role", "contributor", "-project", "default"]);
    let data = server.data.to_str().expect("a plain name");
    let args = ["registry", "project", "create", "other"];
    let run = ingot_with(dir.path(), &args, &[("INGOT_DATA_DIR", data)]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    let mut own = Visitor::signed_in(&server, &id, &secret).await;
    assert_eq!(own.get("/projects/other/buckets").await.status, 404);
    assert!(!own.get("/projects").await.text.contains("other"));
    assert_eq!(viewer.get("/projects/other/buckets").await.status, 200);
    assert_eq!(viewer.get("/").await.location(), "/projects");
}

/// Revoking moves channels of other buckets, too, and the dialogue says so before.
#[tokio::test]
async fn the_dialogue_lists_what_will_move() {
    let dir = tempfile::tempdir().expect("a directory");
    let server = Server::start(dir.path(), &["-rate-limit=0"]);
    let admin = server.admin().await;
    bucket(&admin, "base", "", json!({})).await;
    let base = admin.publish("base", "b1", None).await;
    let parent = base["id"].as_str().expect("an id");
    bucket(&admin, "app", "", json!({})).await;
    admin.publish("app", "free", None).await;
    admin.publish("app", "built", Some((parent, ""))).await;
    assign(&admin, "app", "production", "free").await;
    assign(&admin, "app", "production", "built").await;
    for number in 0..110 {
        admin.publish("app", &format!("more{number}"), Some((parent, ""))).await;
    }
    let mut visitor = Visitor::admin(&server).await;
    let page = visitor.get(&format!("{ROOT}/base/versions/b1/revoke")).await.text;
    let text = words(&page);
    assert!(text.contains("111 versions were built from it"), "{text}");
    assert!(text.contains("and 11 more"), "{text}");
    assert!(text.contains("2 channels point at them"), "{text}");
    // Not to the one below, which is revoked as well.
    assert!(text.contains("app production goes to v1"), "{text}");
    assert!(text.contains("app latest goes to v1"), "{text}");
    assert!(text.contains("latest has no valid version to go to"), "{text}");

    // It is as it said.
    let page = visitor.get(&format!("{ROOT}/base/versions/b1/revoke")).await;
    let fields = [("when", "now"), ("reason", "x"), ("rollback", "yes"), ("descendants", "yes")];
    let path = format!("{ROOT}/base/versions/b1/revoke");
    assert_eq!(visitor.submit(&page, &path, &fields).await.status, 303);
    for channel in ["production", "latest"] {
        let channel = admin.get(&format!("/buckets/app/channels/{channel}")).await;
        assert_eq!(channel["channel"]["version"]["fingerprint"], "free", "{channel}");
    }
}

/// What a page says, without its tags.
fn words(page: &str) -> String {
    let parts = page.split('<').map(|part| part.split_once('>').map_or("", |(_, text)| text));
    parts.collect::<Vec<_>>().join(" ").split_whitespace().collect::<Vec<_>>().join(" ")
}

#[tokio::test]
async fn what_is_not_there_is_a_page_and_odd_forms_are_refused() {
    let dir = tempfile::tempdir().expect("a directory");
    let server = Server::start(dir.path(), &[]);
    let admin = server.admin().await;
    bucket(&admin, "base", "", json!({})).await;
    admin.publish("base", "one", None).await;
    assign(&admin, "base", "production", "one").await;
    let mut visitor = Visitor::admin(&server).await;
    for path in ["/nope", &format!("{ROOT}/base/nope")] {
        let answer = visitor.get(path).await;
        assert_eq!(answer.status, 404, "{path}");
        assert!(answer.text.contains("There is no such page."), "{}", answer.text);
    }
    let page = visitor.get(&format!("{ROOT}/base/channels")).await;
    let path = format!("{ROOT}/base/channels/production/assign");
    let answer = visitor.submit(&page, &path, &[("from", "one"), ("version", "a\0b")]).await;
    assert_eq!(answer.status, 400, "{}", answer.text);
}

#[tokio::test]
async fn no_other_site_can_send_a_form() {
    let dir = tempfile::tempdir().expect("a directory");
    let server = Server::start(dir.path(), &[]);
    let admin = server.admin().await;
    bucket(&admin, "base", "", json!({})).await;
    for print in ["one", "two"] {
        admin.publish("base", print, None).await;
    }
    assign(&admin, "base", "production", "one").await;
    let mut visitor = Visitor::admin(&server).await;
    let mut other = Visitor::admin(&server).await;
    let foreign = other.get(&format!("{ROOT}/base/versions/two")).await.form_token();
    let before = Visitor::new(&server).get("/sign-in").await.form_token();
    let forms: [(&str, &[(&str, &str)]); 5] = [
        ("/base/channels/production/assign", &[("from", "one"), ("version", "two")]),
        ("/base/versions/two/revoke", &[("when", "now"), ("reason", "x")]),
        ("/base/versions/two/restore", &[]),
        ("/base/channels", &[("name", "new")]),
        ("/../../../sign-out", &[]),
    ];
    for (path, fields) in forms {
        let path = match path.strip_prefix("/../../..") {
            Some(path) => path.to_owned(),
            None => format!("{ROOT}{path}"),
        };
        for token in [None, Some(""), Some("AAAA"), Some(&foreign), Some(&before)] {
            let token: Option<&str> = token.map(AsRef::as_ref);
            let token = token.map(|token| ("form_token", token));
            let fields: Vec<(&str, &str)> = fields.iter().copied().chain(token).collect();
            let answer = visitor.post(&path, &fields).await;
            assert_eq!(answer.status, 403, "{path} {token:?}: {}", answer.text);
        }
    }
    // Nothing happened.
    let channel = admin.get("/buckets/base/channels/production").await;
    assert_eq!(channel["channel"]["version"]["fingerprint"], "one");
    let version = admin.get("/buckets/base/versions/two").await;
    assert_eq!(version["version"]["status"], "VERSION_ACTIVE");
    assert_eq!(visitor.get(ROOT).await.status, 200);

    // A change of what has changed since is not made.
    let page = visitor.get(&format!("{ROOT}/base/versions/two")).await;
    let path = format!("{ROOT}/base/channels/production/assign");
    let late = visitor.submit(&page, &path, &[("from", "two"), ("version", "two")]).await;
    assert_eq!(late.status, 409, "{}", late.text);
    assert!(late.text.contains("Nothing was changed."), "{}", late.text);
    let fields = [("from", "one"), ("version", "two"), ("back", "//evil.example")];
    let done = visitor.submit(&page, &path, &fields).await;
    assert_eq!(
        done.location(),
        format!("{ROOT}/base/channels/production?done=assigned&channel=production")
    );
}

#[tokio::test]
async fn pages_load_nothing_and_run_nothing() {
    let dir = tempfile::tempdir().expect("a directory");
    let server = Server::start(dir.path(), &[]);
    let mut visitor = Visitor::new(&server);
    let page = visitor.get("/sign-in").await;
    let policy = page.headers["content-security-policy"].to_str().expect("text");
    assert!(policy.starts_with("default-src 'none'; style-src 'self'; img-src 'self'"), "{policy}");
    assert!(!policy.contains("script-src") && !policy.contains("unsafe"), "{policy}");
    assert!(policy.contains("frame-ancestors 'none'") && policy.contains("form-action 'self'"));
    assert_eq!(page.headers["x-frame-options"], "DENY");
    assert_eq!(page.headers["x-content-type-options"], "nosniff");
    assert_eq!(page.headers["cache-control"], "no-store");
    let (_, rest) = page.text.split_once("rel=\"stylesheet\" href=\"").expect("a sheet");
    let style = rest.split_once('"').expect("a path").0;
    let sheet = visitor.get(style).await;
    assert_eq!(sheet.status, 200);
    assert_eq!(sheet.headers["content-type"], "text/css");
    assert_eq!(sheet.headers["cache-control"], "public, max-age=31536000, immutable");
    assert_eq!(visitor.get("/assets/icon.svg").await.headers["content-type"], "image/svg+xml");
    assert_eq!(visitor.get("/assets/other.css").await.status, 404);
    // The API keeps its own.
    let api = visitor.get("/openapi.json").await;
    assert_eq!(api.headers["content-security-policy"], "default-src 'none'");
}

#[tokio::test]
async fn without_tls_cookies_are_not_for_tls_only() {
    let dir = tempfile::tempdir().expect("a directory");
    let server = Server::start(dir.path(), &["-plain-http"]);
    let mut visitor = Visitor::admin(&server).await;
    assert!(visitor.cookies.contains_key("ingot-session"), "{:?}", visitor.cookies);
    assert_eq!(visitor.get(ROOT).await.status, 200);
}
