//! Behind a proxy: who asks is who the proxy says, if it is one that is trusted.

use serde_json::Value;

use ingot_test_support::registry_server::Server;

/// Tries to sign in; the status and the `Retry-After` header.
async fn sign_in(server: &Server, from: &str, id: &str, secret: &str) -> (u16, Option<String>) {
    let response = server
        .client()
        .post(format!("{}/oauth2/token", server.url()))
        .header("content-type", "application/x-www-form-urlencoded")
        .header("x-forwarded-for", from)
        .basic_auth(id, Some(secret))
        .body("grant_type=client_credentials")
        .send()
        .await
        .expect("the server answers");
    let retry = response.headers().get("retry-after").map(|it| it.to_str().expect("ASCII").into());
    (response.status().as_u16(), retry)
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_client_that_guesses_secrets_is_stopped() {
    let dir = tempfile::tempdir().expect("a directory");
    let args = ["-trusted-proxy=127.0.0.0/8", "-public-url=https://images.example.com"];
    let server = Server::start(dir.path(), &args);
    let (id, secret) = (&server.env["HCP_CLIENT_ID"], &server.env["HCP_CLIENT_SECRET"]);
    let mut last = (0, None);
    for _ in 0..30 {
        last = sign_in(&server, "198.51.100.1", id, "guess").await;
    }
    assert_eq!(last, (429, Some("1".to_owned())));
    // Another address behind the same proxy, and the right secret from everywhere.
    assert_eq!(sign_in(&server, "198.51.100.2", id, "guess").await.0, 401);
    assert_eq!(sign_in(&server, "198.51.100.1", id, secret).await.0, 200);
    // The audit log has the client's address, not the proxy's, and not what the client made up.
    let admin = server.admin().await;
    let response = admin
        .client
        .put(format!("{}{}/buckets", admin.url, admin.root))
        .header("x-forwarded-for", "10.9.8.7, 198.51.100.3")
        .bearer_auth(&admin.token)
        .body(r#"{"name":"b"}"#)
        .send()
        .await
        .expect("the server answers");
    assert_eq!(response.status(), 200);
    let strict = response.headers().get("strict-transport-security").cloned();
    assert!(strict.is_some_and(|it| it.to_str().is_ok_and(|it| it.starts_with("max-age="))));
    let _: Value = serde_json::from_str(&response.text().await.expect("a body")).expect("JSON");
    let env = [("INGOT_DATA_DIR", dir.path().to_str().expect("a plain name"))];
    let run = ingot_test_support::ingot_with(dir.path(), &["registry", "audit"], &env);
    let line = run.stdout.lines().find(|line| line.contains("create bucket"));
    assert!(line.is_some_and(|line| line.contains("198.51.100.3")), "{}", run.stdout);
    assert!(!run.stdout.contains("10.9.8.7"), "{}", run.stdout);
}
