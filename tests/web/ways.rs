//! Ways through the pages: where one is, how to go back, and what has changed in the meantime.

use ingot_test_support::require;
use serde_json::json;
use sqlx::Connection as _;

use crate::browser::{Browser, there_is_a_browser};
use crate::shelf::{assign, bucket, first_link};
use crate::visitor::Visitor;
use ingot_test_support::ingot_with;
use ingot_test_support::registry_server::Server;

const ROOT: &str = "/projects/default/buckets";

#[tokio::test]
async fn there_is_a_way_back_from_everywhere() {
    require!(there_is_a_browser());
    let dir = tempfile::tempdir().expect("a directory");
    let server = Server::start(dir.path(), &[]);
    let admin = server.admin().await;
    bucket(&admin, "base", "Debian", json!({})).await;
    for print in ["one", "two", "three"] {
        admin.publish("base", print, None).await;
    }
    assign(&admin, "base", "production", "one").await;
    let data = server.data.to_str().expect("a plain name");
    let args = ["registry", "project", "create", "other"];
    let run = ingot_with(dir.path(), &args, &[("INGOT_DATA_DIR", data)]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);

    let browser = Browser::start(false).await;
    browser.driver.goto(first_link(&server)).await.expect("the page can be opened");
    browser.press("Sign in as admin").await;
    browser.wait_for("h1", "Projects").await;
    assert_eq!(browser.text("[role=status]").await, "You are signed in as admin.");

    // "Buckets" stays in the project.
    browser.open(&server, "/projects/other/buckets").await;
    browser.follow("Buckets").await;
    assert_eq!(browser.path().await, "/projects/other/buckets");

    // Pages of errors have the header, the way to them and a way back.
    for (path, back, leads) in [
        ("/projects/nowhere/buckets", "Go to the projects", "/projects".to_owned()),
        (
            "/projects/other/buckets/none",
            "Go to the buckets of other",
            "/projects/other/buckets".into(),
        ),
        (&format!("{ROOT}/base/versions/none"), "Go to the bucket base", format!("{ROOT}/base")),
        (&format!("{ROOT}/base/nonsense"), "Go to the bucket base", format!("{ROOT}/base")),
    ] {
        browser.open(&server, path).await;
        browser.wait_for("h1", "Not found").await;
        assert!(browser.text("header").await.contains("Sign out"), "{path}");
        browser.follow(back).await;
        assert_eq!(browser.path().await, leads, "{path}");
    }

    // Somebody else was faster: the channel as it is now, and what came between.
    browser.open(&server, &format!("{ROOT}/base/versions/two")).await;
    assign(&admin, "base", "production", "three").await;
    browser.press("Promote").await;
    browser.wait_for("section[role=alert]", "Nothing was changed.").await;
    let alert = browser.text("section[role=alert]").await;
    assert!(alert.contains("production pointed at v1"), "{alert}");
    assert!(alert.contains("Since then, admin assigned v3 to it just now"), "{alert}");
    assert_eq!(browser.text("h1").await, "production");
    browser.press("Assign v2 to production all the same").await;
    browser.wait_for("h1", "Assign v2 to production?").await;
    browser.wait_for(".alert", "It goes back. v2 is older than v3").await;
    browser.press("Assign v2 to production").await;
    browser
        .wait_for("[role=status]", "production now points at v2; before, it pointed at v3.")
        .await;

    // A form that is sent after the session's end: nothing is done, and one comes back to it.
    let page = format!("{ROOT}/base/versions/three");
    browser.open(&server, &page).await;
    browser.driver.delete_all_cookies().await.expect("cookies can be removed");
    browser.press("Promote").await;
    browser.wait_for("[role=alert]", "Your session has ended").await;
    assert!(browser.text("[role=alert]").await.contains("nothing was saved"));
    let channel = admin.get("/buckets/base/channels/production").await;
    assert_eq!(channel["channel"]["version"]["name"], "v2");
    for (field, name) in [("#client_id", "HCP_CLIENT_ID"), ("#client_secret", "HCP_CLIENT_SECRET")]
    {
        browser.find(field).await.send_keys(&server.env[name]).await.expect("it types");
    }
    browser.press("Sign in").await;
    browser.wait_for("h1", "base v3").await;
    assert_eq!(browser.path().await, page);
    browser.end().await;
}

/// The answer to a form is at the path that the form is sent to, where there is no page to load again
/// or to come back to.
#[tokio::test]
async fn answers_to_forms_lead_back_to_pages() {
    let dir = tempfile::tempdir().expect("a directory");
    let server = Server::start(dir.path(), &[]);
    let admin = server.admin().await;
    bucket(&admin, "base", "", json!({})).await;
    for print in ["one", "two", "three"] {
        admin.publish("base", print, None).await;
    }
    let mut visitor = Visitor::admin(&server).await;
    let (version, channel) =
        (format!("{ROOT}/base/versions/two"), format!("{ROOT}/base/channels/production"));
    for (page, path, fields) in [
        (&version, format!("{version}/promote"), &[("channel", "production=one")][..]),
        (&channel, format!("{channel}/assign"), &[("from", "one"), ("version", "two")]),
    ] {
        assign(&admin, "base", "production", "one").await;
        let form = visitor.get(page).await;
        // Somebody else is faster.
        assign(&admin, "base", "production", "two").await;
        let late = visitor.submit(&form, &path, fields).await;
        assert_eq!(late.status, 409, "{}", late.text);
        assert!(late.text.contains("Promote v3 to production"), "{}", late.text);
        let backs: Vec<&str> = late
            .text
            .split("name=\"back\" value=\"")
            .skip(1)
            .map(|rest| rest.split_once('"').expect("a value").0)
            .collect();
        assert!(backs.len() >= 2 && backs.iter().all(|back| *back == page), "{backs:?}");
        let fields = [("from", "two"), ("version", "three"), ("back", backs[0])];
        let done = visitor.submit(&late, &format!("{channel}/assign"), &fields).await;
        assert_eq!(done.status, 303, "{}", done.text);
        let page = visitor.get(done.location()).await;
        assert_eq!(page.status, 200, "{}: {}", done.location(), page.text);
        assert!(page.text.contains("</strong> now points at <strong>v3"), "{}", page.text);
    }
    // Loaded again, as by Enter in the address bar.
    let settings = "/projects/default/settings";
    for (path, page) in [
        (format!("{settings}/members"), settings),
        (format!("{settings}/webhooks/remove"), settings),
        (format!("{settings}/run-task"), settings),
        (format!("{version}/promote"), &version),
        (format!("{channel}/access"), &channel),
        ("/sign-out".to_owned(), "/"),
    ] {
        let answer = visitor.get(&path).await;
        assert_eq!((answer.status, answer.location()), (303, page), "{path}: {}", answer.text);
    }
    let answer = visitor.post("/projects", &[]).await;
    assert_eq!(answer.status, 501, "{}", answer.text);
    assert!(answer.text.contains("<h1>That cannot be done</h1>"), "{}", answer.text);
    // Who has to sign in again comes back to the page.
    let form = visitor.get(settings).await;
    visitor.cookies.remove("__Host-ingot-session");
    let lost = visitor.submit(&form, &format!("{settings}/members"), &[("name", "ci")]).await;
    assert_eq!(lost.status, 401, "{}", lost.text);
    let next = format!("name=\"next\" value=\"{settings}\"");
    assert!(lost.text.contains(&next), "{}", lost.text);
}

/// Anybody can write a link. A notice is shown only where it is true.
#[tokio::test]
async fn notices_are_shown_only_where_they_are_true() {
    let dir = tempfile::tempdir().expect("a directory");
    let server = Server::start(dir.path(), &[]);
    let admin = server.admin().await;
    bucket(&admin, "base", "", json!({})).await;
    for print in ["one", "two"] {
        admin.publish("base", print, None).await;
        assign(&admin, "base", "production", print).await;
    }
    // Something of each kind has happened, by another's hand; the last is revoked by itself and by
    // what it was built from.
    let of = |print: &str| format!("/buckets/base/versions/{print}");
    for print in ["revoked", "scheduled", "restored", "cancelled", "parent"] {
        admin.publish("base", print, None).await;
    }
    let parent = admin.get(&of("parent")).await["version"]["id"].clone();
    bucket(&admin, "child", "", json!({})).await;
    admin.publish("child", "c", Some((parent.as_str().expect("an id"), ""))).await;
    for (print, body) in [
        ("revoked", json!({ "revoke_in": "0s" })),
        ("scheduled", json!({ "revoke_in": "30d" })),
        ("restored", json!({ "revoke_in": "0s" })),
        ("restored", json!({ "restore": true })),
        ("cancelled", json!({ "revoke_in": "30d" })),
        ("cancelled", json!({ "restore": true })),
        ("parent", json!({ "revoke_in": "0s" })),
    ] {
        admin.patch(&of(print), body).await;
    }
    let child = admin.get("/buckets/child/versions/c").await;
    assert_eq!(child["version"]["status"], "VERSION_REVOKED");
    let (id, secret) = server.principal(&["eve", "-role", "contributor"]);
    let mut eve = Visitor::signed_in(&server, &id, &secret).await;
    for path in [
        "/base/versions/revoked?done=revoked",
        "/base/versions/scheduled?done=scheduled",
        "/base/versions/restored?done=restored",
        "/base/versions/cancelled?done=cancelled",
        "/base/versions/two?done=restored",
        "/base/versions/two?done=cancelled",
        "/child/versions/c?done=restored",
        "/child/versions/c?done=cancelled",
        "/child/versions/c?done=still-revoked",
        "/base/channels/production?done=created",
        "/base/versions/one?done=revoked",
        "/base/versions/one?done=scheduled",
        "/base/versions/one?done=still-revoked",
        // Another has moved it, and nobody a channel of this name.
        "/base/versions/two?done=assigned&channel=production",
        "/base/channels/production?done=assigned&channel=production",
        "/base/channels?done=assigned&channel=none",
        "/base/channels/latest?done=nonsense",
    ] {
        let page = eve.get(&format!("{ROOT}{path}")).await;
        assert_eq!(page.status, 200, "{path}");
        assert!(!page.text.contains("role=\"status\""), "{path}: {}", page.text);
    }
    let mut visitor = Visitor::admin(&server).await;
    let path = format!("{ROOT}/base/channels?done=assigned&channel=production");
    let page = visitor.get(&path).await;
    assert!(page.text.contains("Undo: back to v1"), "{}", page.text);
    // Whoever did it sees the notice, each only of their own action.
    for (path, message) in [
        ("/base/versions/revoked?done=revoked", "is revoked."),
        ("/base/versions/scheduled?done=scheduled", "will be revoked at"),
        ("/base/versions/restored?done=restored", "is valid again."),
        ("/base/versions/cancelled?done=cancelled", "is cancelled."),
        ("/base/channels/production?done=created", "was created."),
        ("/base/versions/restored?done=cancelled", ""),
        ("/base/versions/cancelled?done=restored", ""),
        ("/base/versions/two?done=restored", ""),
        ("/child/versions/c?done=restored", ""),
    ] {
        let page = visitor.get(&format!("{ROOT}{path}")).await;
        let notice = page.text.split_once("role=\"status\">").map(|(_, rest)| rest);
        let notice = notice.and_then(|rest| rest.split_once("</div>")).map_or("", |(it, _)| it);
        assert_eq!(notice.is_empty(), message.is_empty(), "{path}: {notice}");
        assert!(notice.contains(message), "{path}: {notice}");
    }
    // A version that is revoked itself and by what it was built from: one of the two is taken back.
    let path = format!("{ROOT}/child/versions/c");
    admin.patch("/buckets/child/versions/c", json!({ "revoke_in": "0s" })).await;
    admin.patch(&of("parent"), json!({ "restore": true })).await;
    admin.patch(&of("parent"), json!({ "revoke_in": "30d" })).await;
    let form = visitor.get(&format!("{path}/restore")).await;
    let answer = visitor.submit(&form, &format!("{path}/restore"), &[]).await;
    let page = visitor.get(answer.location()).await;
    let message = "itself is taken back. What it was built from will be revoked at";
    assert!(page.text.contains(message), "{}: {}", answer.location(), page.text);
    // Who signed in long ago is not told that they have just now.
    let page = visitor.get("/projects?done=signed-in").await;
    assert!(page.text.contains("You are signed in as admin."), "{}", page.text);
    let database = server.data.join("registry-server.db");
    let url = format!("sqlite:{}", database.display());
    sqlx::any::install_default_drivers();
    let mut connection = sqlx::AnyConnection::connect(&url).await.expect("the database");
    for sql in [
        "UPDATE web_sessions SET created_at = created_at - 700000000",
        "UPDATE audit SET at = at - 700000000",
    ] {
        sqlx::query(sql).execute(&mut connection).await.expect("it is changed");
    }
    for path in [
        "/projects?done=signed-in".to_owned(),
        format!("{ROOT}/base/versions/revoked?done=revoked"),
        format!("{ROOT}/base/versions/scheduled?done=scheduled"),
        format!("{ROOT}/base/versions/restored?done=restored"),
    ] {
        let page = visitor.get(&path).await;
        assert!(page.status == 200 && !page.text.contains("role=\"status\""), "{path}");
    }
    // A link to the page that says a form was lost cannot be made either.
    let page = Visitor::new(&server).get("/sign-in?lost=1&done=lost").await;
    assert!(!page.text.contains("role=\"alert\""), "{}", page.text);
}
