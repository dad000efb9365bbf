//! What must not get in: refused, nothing changed, nothing leaked.

use ingot_test_support::require;
use reqwest::Method;
use serde_json::{Value, json};

use ingot_test_support::postgres::Postgres;
use ingot_test_support::registry_server::Server;

/// What has broken other programs.
const NASTY: &[&str] = &[
    "'; DROP TABLE buckets; --",
    "\" OR \"\"=\"",
    "$1",
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "../../etc/passwd",
    "a\u{0}b",
    "a\nb",
    "{{7*7}}",
    "%27%20OR%201=1",
    "\u{202e}evil",
];

#[tokio::test(flavor = "multi_thread")]
async fn on_sqlite() {
    let dir = tempfile::tempdir().expect("a directory");
    all(&Server::start(dir.path(), &["-rate-limit=0"])).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn on_postgres() {
    let postgres = require!(Postgres::start());
    let dir = tempfile::tempdir().expect("a directory");
    let args = ["-rate-limit=0", "-database-url", &postgres.url()];
    all(&Server::start(dir.path(), &args)).await;
}

/// All there is in the project, to see whether something changed.
async fn state(admin: &ingot_test_support::registry_server::Caller) -> Value {
    let buckets = admin.get("/buckets").await;
    let versions = admin.get("/buckets/good/versions").await;
    let channels = admin.get("/buckets/good/channels").await;
    json!([buckets, versions, channels])
}

async fn all(server: &Server) {
    let admin = server.admin().await;
    admin.put("/buckets", json!({ "name": "good", "description": "it" })).await;
    admin.publish("good", "g1", None).await;
    admin.post("/buckets/good/versions", json!({ "fingerprint": "open" })).await;
    let body = json!({ "component_type": "docker.a" });
    let build = admin.post("/buckets/good/versions/open/builds", body).await;
    let build = build["build"]["id"].as_str().expect("an id").to_owned();
    admin.post("/buckets/good/channels", json!({ "name": "prod" })).await;
    let before = state(&admin).await;

    let build = format!("/buckets/good/versions/open/builds/{build}");
    let long = "x".repeat(5000);
    let many: serde_json::Map<String, Value> =
        (0..101).map(|number| (format!("k{number}"), json!("v"))).collect();
    let texts = NASTY.iter().copied().chain([long.as_str(), "", "-x", "é"]);
    for text in texts {
        for (method, path, body) in [
            (Method::PUT, "/buckets", json!({ "name": text })),
            (Method::POST, "/buckets/good/versions", json!({ "fingerprint": text })),
            (Method::POST, "/buckets/good/channels", json!({ "name": text })),
            (Method::PATCH, "/buckets/good/versions/g1", json!({ "revoke_in": text })),
            (Method::PATCH, "/buckets/good/versions/g1", json!({ "revoke_at": text })),
            (Method::PATCH, "/buckets/good/channels/prod", json!({ "update_mask": text })),
            (Method::PATCH, &build, json!({ "status": text, "labels": { "a": "b" } })),
        ] {
            refused(&admin, method, path, body).await;
        }
        if !text.is_empty() {
            let mask = "versionFingerprint";
            let bodies = [
                json!({ "parent_version_id": text, "labels": { "a": "b" } }),
                json!({ "parent_channel_id": text, "labels": { "a": "b" } }),
            ];
            for body in bodies {
                refused(&admin, Method::PATCH, &build, body).await;
            }
            let body = json!({ "version_fingerprint": text, "update_mask": mask });
            refused(&admin, Method::PATCH, "/buckets/good/channels/prod", body).await;
            let segment: String =
                text.bytes().map(|byte| format!("%{byte:02X}")).collect::<String>();
            for path in [
                format!("/buckets/{segment}"),
                format!("/buckets/good/versions/{segment}"),
                format!("/buckets/good/channels/{segment}"),
                format!("/buckets/good/versions/open/builds/{segment}"),
                format!("/buckets?pagination.next_page_token={segment}"),
                format!("/buckets/good/ancestry?type={segment}"),
                format!("/buckets?pagination.page_size={segment}"),
                format!("/buckets?sorting.order_by={segment}"),
            ] {
                refused(&admin, Method::GET, &path, Value::Null).await;
            }
        }
    }
    for (method, path, body) in [
        (Method::PATCH, "/buckets/good", json!({ "labels": { "k": long } })),
        (Method::PATCH, "/buckets/good", json!({ "labels": { long.as_str(): "v" } })),
        (Method::PATCH, "/buckets/good", json!({ "labels": many })),
        (Method::PATCH, "/buckets/good", json!({ "labels": { "": "v" } })),
        (Method::PATCH, "/buckets/good", json!({ "labels": { "k": "a\u{0}" } })),
        (Method::PATCH, "/buckets/good", json!({ "description": long })),
        (Method::PATCH, "/buckets/good", json!({ "description": "\u{1b}[2J" })),
        // What is shown in another order than it is written looks like something else.
        (Method::PATCH, "/buckets/good", json!({ "description": "gpj.\u{202e}exe" })),
        (Method::PATCH, "/buckets/good", json!({ "labels": { "a\u{2066}b": "v" } })),
        // Every field of a mask is work in the database.
        (
            Method::PATCH,
            "/buckets/good/channels/prod",
            json!({ "update_mask": "restricted,restricted" }),
        ),
        (
            Method::PATCH,
            "/buckets/good/channels/prod",
            json!({ "update_mask": "versionFingerprint,version_fingerprint" }),
        ),
        (
            Method::PATCH,
            "/buckets/good/channels/prod",
            json!({ "update_mask": "restricted,".repeat(180_000) }),
        ),
        (Method::PATCH, &build, json!({ "metadata": { "packer": "x".repeat(200_000) } })),
        (Method::PATCH, &build, json!({ "metadata": { "packer": "\u{0}" } })),
        (Method::PATCH, &build, json!({ "artifacts": [{ "region": "x" }] })),
        (Method::PATCH, "/buckets/good/versions/g1", json!({})),
        (
            Method::PATCH,
            "/buckets/good/versions/g1",
            json!({ "revoke_in": "1d", "revoke_at": "2040-01-01T00:00:00Z" }),
        ),
        (
            Method::PATCH,
            "/buckets/good/versions/g1",
            json!({ "revoke_in": "0s", "revocation_message": long }),
        ),
        (Method::PATCH, "/buckets/good/versions/g1", json!({ "restore": true, "complete": true })),
        (Method::PATCH, "/buckets/good/versions/open", json!({ "revoke_in": "0s" })),
    ] {
        refused(&admin, method, path, body).await;
    }

    // Not JSON, not the right JSON, too much of it.
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let huge = format!("{{\"name\":\"{}\"}}", "x".repeat(3 << 20));
    let bodies: [&[u8]; 8] = [
        b"{",
        b"[]",
        b"\"text\"",
        b"{\"name\": 5}",
        b"{\"name\": {\"a\": 1}}",
        b"\xff\xfe",
        deep.as_bytes(),
        huge.as_bytes(),
    ];
    for body in bodies {
        let path = format!("{}/buckets", admin.root);
        let (status, answer) = admin.send(Method::PUT, &path, body.to_vec()).await;
        assert!((400..500).contains(&status), "{status} {answer}");
        assert!(answer["message"].is_string(), "{answer}");
    }

    // What is slow to look through if it is looked through badly: as long as a request may be.
    let path = format!("{}/buckets", admin.root);
    let slashes = vec![b'\\'; (2 << 20) - 1];
    let patience = std::time::Duration::from_secs(30);
    let sent = admin.send(Method::PUT, &path, slashes);
    let (status, _) = tokio::time::timeout(patience, sent).await.expect("an answer in time");
    assert_eq!(status, 400);
    for path in ["/buckets/a%00b", "/buckets?pagination.next_page_token=%00"] {
        refused(&admin, Method::GET, path, Value::Null).await;
    }
    for path in ["/run-tasks/%00", "/projects/%00/buckets", "/sign-in/%00"] {
        let (status, answer) = admin.send(Method::GET, path, Vec::new()).await;
        assert_eq!(status, 400, "{path}: {answer}");
    }
    assert_eq!(server.token("a\0b", "wrong").await.0, 401);
    // A path that is cut inside of a character where it is written down.
    let wide = format!("/packer/2023-01-01/organizations/x/projects/{}", "é".repeat(400));
    let (status, answer) = admin.send(Method::GET, &format!("{wide}/buckets"), Vec::new()).await;
    assert_eq!((status, &answer["code"]), (403, &json!(7)), "{answer}");

    // Tokens that are none.
    let expired = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiJhIiwiZXhwIjoxfQ.AAAA";
    let cut = &admin.token[..admin.token.len() - 3];
    for token in ["", "x", expired, cut, &format!("{}x", admin.token), "' OR 1=1"] {
        let (status, answer) =
            server.stranger(token).call(Method::GET, "/buckets/good", Value::Null).await;
        assert_eq!((status, &answer["code"]), (401, &json!(16)), "{token}: {answer}");
        assert!(!answer.to_string().contains("good"), "{answer}");
    }
    let (status, answer) = server.token(&server.env["HCP_CLIENT_ID"], "wrong").await;
    assert_eq!((status, &answer["error"]), (401, &json!("invalid_client")));
    let (status, unknown) = server.token("nobody", "wrong").await;
    assert_eq!((status, &unknown), (401, &answer), "the response must not reveal who exists");

    // Other organizations and projects, whether there are such or not.
    let (org, project) = (&server.env["HCP_ORGANIZATION_ID"], &server.env["HCP_PROJECT_ID"]);
    for (org, project) in [(org.as_str(), "x"), ("x", project.as_str()), (project, org)] {
        let path = format!("/packer/2023-01-01/organizations/{org}/projects/{project}/buckets");
        let (status, answer) = admin.send(Method::GET, &path, Vec::new()).await;
        assert_eq!((status, &answer["code"]), (403, &json!(7)), "{answer}");
    }
    assert_eq!(state(&admin).await, before, "something changed");

    // What is text is kept as it is, and cannot be taken for anything else.
    let text = NASTY.iter().filter(|text| !text.contains(['\0', '\n', '\u{202e}'])).copied();
    let text: Vec<&str> = text.collect();
    let text = text.join(" ");
    let body = json!({ "description": text, "labels": { NASTY[0]: text } });
    let bucket = admin.patch("/buckets/good", body).await;
    assert_eq!(bucket["bucket"]["description"], json!(text));
    assert_eq!(admin.get("/buckets/good").await["bucket"]["labels"][NASTY[0]], json!(text));
    let response = admin
        .client
        .get(format!("{}{}/buckets/good", admin.url, admin.root))
        .bearer_auth(&admin.token)
        .send()
        .await
        .expect("an answer");
    let header = |name: &str| response.headers()[name].to_str().expect("text").to_owned();
    assert_eq!(header("content-type"), "application/json");
    assert_eq!(header("x-content-type-options"), "nosniff");

    // Who guesses is stopped.
    let mut last = 0;
    for _ in 0..30 {
        last = server.token("nobody", "guess").await.0;
    }
    assert_eq!(last, 429);
    // And nobody else, least of all who has the right secret.
    let (id, secret) = (&server.env["HCP_CLIENT_ID"], &server.env["HCP_CLIENT_SECRET"]);
    assert_eq!(server.token(id, secret).await.0, 200);
}

/// The request is refused with an error of the API, which says nothing of how it is done.
async fn refused(
    admin: &ingot_test_support::registry_server::Caller,
    method: Method,
    path: &str,
    body: Value,
) {
    let (status, answer) = admin.call(method.clone(), path, body.clone()).await;
    let shown: String = body.to_string().chars().take(200).collect();
    assert!(matches!(status, 400..=499 | 501), "{method} {path} {shown}: {status} {answer}");
    let message = answer["message"].as_str().unwrap_or_default().to_lowercase();
    for word in ["sql", "constraint", "relation", "syntax", "panick", "src/"] {
        assert!(!message.contains(word), "{method} {path} {shown}: {message}");
    }
}
