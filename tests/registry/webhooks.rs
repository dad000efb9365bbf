//! Webhooks: signed, tried again, and not lost with the server.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::http::{HeaderMap, StatusCode};
use serde_json::{Value, json};
use sqlx::Connection as _;

use ingot_test_support::registry_server::Server;
use ingot_test_support::{eventually_async, ingot_with};

/// Less than the time after which the server gives up an attempt.
const NEXT_ATTEMPT: Duration = Duration::from_secs(18);

#[derive(Debug, Default)]
pub(crate) struct Heard {
    /// Whether to refuse what comes.
    deaf: bool,
    refused: usize,
    pub(crate) taken: Vec<(HeaderMap, String)>,
}

pub(crate) type Ear = Arc<Mutex<Heard>>;

/// Listens for deliveries: the URL.
pub(crate) async fn listen(ear: Ear) -> String {
    let heard = move |headers: HeaderMap, body: String| async move {
        let mut ear = ear.lock().expect("no test panics with it");
        if ear.deaf {
            ear.refused += 1;
            return StatusCode::SERVICE_UNAVAILABLE;
        }
        ear.taken.push((headers, body));
        StatusCode::OK
    };
    let router = axum::Router::new().route("/hook", axum::routing::post(heard));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}/hook", listener.local_addr().expect("an address"));
    tokio::spawn(async move { axum::serve(listener, router).await });
    url
}

async fn until(what: &str, condition: impl Fn() -> bool) {
    eventually_async(what, async || condition()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_happens_is_reported_even_if_the_server_is_killed() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut server = Server::start(dir.path(), &[]);
    let admin = server.admin().await;
    let ear = Ear::default();
    let url = listen(Arc::clone(&ear)).await;
    let env = [("INGOT_DATA_DIR", dir.path().to_str().expect("a plain name"))];
    let run = ingot_with(dir.path(), &["registry", "webhook", "create", &url], &env);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    let find = |name: &str| {
        run.stdout.lines().find_map(|line| line.strip_prefix(name)).expect(name).to_owned()
    };
    let (id, secret) = (find("id "), find("secret "));

    admin.put("/buckets", json!({ "name": "web" })).await;
    admin.publish("web", "w1", None).await;
    until("two deliveries", || ear.lock().expect("it").taken.len() >= 2).await;
    let taken = std::mem::take(&mut ear.lock().expect("it").taken);
    let mut events = Vec::new();
    for (headers, body) in &taken {
        let signature = headers["x-ingot-signature-256"].to_str().expect("text");
        let wanted = ingot_registry_server::secret::signature(&secret, body.as_bytes());
        assert_eq!(signature, format!("sha256={wanted}"));
        let body: Value = serde_json::from_str(body).expect("JSON");
        assert_eq!(body["bucket"], "web");
        assert_eq!(body["version"]["name"], "v1");
        assert_eq!(headers["x-ingot-event"], body["event"].as_str().expect("text"));
        events.push(body["event"].as_str().expect("text").to_owned());
    }
    events.sort();
    assert_eq!(events, ["channel.assigned", "version.completed"]);

    // Refused, then the server is killed, then another takes over.
    ear.lock().expect("it").deaf = true;
    let body = json!({ "revoke_in": "0s", "revocation_message": "a hole" });
    admin.patch("/buckets/web/versions/w1", body).await;
    until("a refusal", || ear.lock().expect("it").refused > 0).await;
    server.kill();
    ear.lock().expect("it").deaf = false;
    let _server = Server::start(dir.path(), &[]);
    let heard = || {
        let ear = ear.lock().expect("it");
        let events = ear.taken.iter().map(|(headers, _)| headers["x-ingot-event"].clone());
        let events: Vec<_> = events.collect();
        events.iter().any(|it| it == "version.revoked")
            && events.iter().any(|it| it == "channel.assigned")
    };
    until("both deliveries after the server was killed", heard).await;
    let (_, body) = ear
        .lock()
        .expect("it")
        .taken
        .iter()
        .find(|(headers, _)| headers["x-ingot-event"] == "version.revoked")
        .cloned()
        .expect("it was heard");
    let body: Value = serde_json::from_str(&body).expect("JSON");
    assert_eq!(body["version"]["revocation_message"], "a hole");

    let run = ingot_with(dir.path(), &["registry", "webhook", "delete", &id], &env);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
}

/// Who looks at the webhooks sees that one fails and why; what is given up is in the audit log.
#[tokio::test(flavor = "multi_thread")]
async fn one_that_fails_is_reported() {
    let dir = tempfile::tempdir().expect("a directory");
    let server = Server::start(dir.path(), &[]);
    let admin = server.admin().await;
    let ear = Ear::default();
    ear.lock().expect("it").deaf = true;
    let url = listen(Arc::clone(&ear)).await;
    let env = [("INGOT_DATA_DIR", dir.path().to_str().expect("a plain name"))];
    let registry = |args: &[&str]| {
        let args = [&["registry"], args].concat();
        let run = tokio::task::block_in_place(|| ingot_with(dir.path(), &args, &env));
        assert_eq!(run.code, Some(0), "{args:?}: {}", run.stderr);
        run.stdout
    };
    registry(&["webhook", "create", &url, "-events=version.completed"]);
    let list = || registry(&["webhook", "list"]);
    assert!(list().contains("none waiting"), "{}", list());
    admin.put("/buckets", json!({ "name": "web" })).await;
    admin.publish("web", "w1", None).await;
    let failed = "1 waiting; the last attempt failed: it returned 503 Service Unavailable";
    until("the failure is listed", || list().contains(failed)).await;
    // A day later.
    sqlx::any::install_default_drivers();
    let database = format!("sqlite:{}", dir.path().join("registry-server.db").display());
    let mut database = sqlx::AnyConnection::connect(&database).await.expect("the database");
    let sql = "UPDATE outbox SET attempts = 40, next_at = 0";
    sqlx::query(sql).execute(&mut database).await.expect("it is changed");
    database.close().await.expect("it closes");
    let given_up = "failed  give up webhook delivery";
    until("it is given up", || registry(&["audit"]).contains(given_up)).await;
    let audit = registry(&["audit"]);
    assert!(audit.contains("version.completed: it returned 503"), "{audit}");
    assert!(list().contains("none waiting"), "{}", list());
}

/// One that does not answer holds only its own deliveries up.
#[tokio::test(flavor = "multi_thread")]
async fn one_that_hangs_does_not_delay_others() {
    let dir = tempfile::tempdir().expect("a directory");
    let server = Server::start(dir.path(), &["-rate-limit=0"]);
    let admin = server.admin().await;
    let env = [("INGOT_DATA_DIR", dir.path().to_str().expect("a plain name"))];
    // It takes connections and says nothing.
    let hole = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let hole = format!("http://{}/", hole.local_addr().expect("an address"));
    let run = ingot_with(dir.path(), &["registry", "webhook", "create", &hole], &env);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    admin.put("/buckets", json!({ "name": "web" })).await;
    for number in 0..30 {
        admin.publish("web", &format!("w{number}"), None).await;
    }
    let ear = Ear::default();
    let url = listen(Arc::clone(&ear)).await;
    let run = ingot_with(dir.path(), &["registry", "webhook", "create", &url], &env);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    let start = Instant::now();
    admin.publish("web", "after", None).await;
    until("both deliveries", || ear.lock().expect("it").taken.len() >= 2).await;
    assert!(start.elapsed() < NEXT_ATTEMPT, "they came after {:?}", start.elapsed());
}

/// A target that sometimes hangs holds up what hangs, and not what comes after it.
#[tokio::test(flavor = "multi_thread")]
async fn one_that_hangs_at_times_gets_the_rest() {
    let dir = tempfile::tempdir().expect("a directory");
    let server = Server::start(dir.path(), &["-rate-limit=0"]);
    let admin = server.admin().await;
    let taken = Arc::new(Mutex::new(0));
    let hear = {
        let taken = Arc::clone(&taken);
        move |body: String| {
            let hangs = body.contains("\"w3\"");
            *taken.lock().expect("no test panics with it") += usize::from(!hangs);
            async move {
                if hangs {
                    tokio::time::sleep(Duration::from_secs(600)).await;
                }
            }
        }
    };
    let router = axum::Router::new().route("/", axum::routing::post(hear));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}/", listener.local_addr().expect("an address"));
    tokio::spawn(async move { axum::serve(listener, router).await });
    let env = [("INGOT_DATA_DIR", dir.path().to_str().expect("a plain name"))];
    let args = ["registry", "webhook", "create", &url, "-events=version.completed"];
    let run = ingot_with(dir.path(), &args, &env);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    admin.put("/buckets", json!({ "name": "web" })).await;
    for number in 0..40 {
        admin.publish("web", &format!("w{number}"), None).await;
    }
    let start = Instant::now();
    until("all but one delivery", || *taken.lock().expect("it") == 39).await;
    assert!(start.elapsed() < NEXT_ATTEMPT, "they came after {:?}", start.elapsed());
}

/// When a channel moves, events name the buckets that were built from the version that it pointed at
/// before, and only those.
#[tokio::test(flavor = "multi_thread")]
async fn buckets_that_are_out_of_date_are_reported() {
    let dir = tempfile::tempdir().expect("a directory");
    let server = Server::start(dir.path(), &[]);
    let admin = server.admin().await;
    for bucket in ["base", "web", "other"] {
        admin.put("/buckets", json!({ "name": bucket })).await;
    }
    let base = admin.publish("base", "b1", None).await;
    let body = json!({ "name": "production", "version_fingerprint": "b1" });
    admin.post("/buckets/base/channels", body).await;
    let channel = |name: &'static str| {
        let admin = &admin;
        async move {
            let found = admin.get(&format!("/buckets/base/channels/{name}")).await;
            found["channel"]["id"].as_str().expect("an id").to_owned()
        }
    };
    let (latest, production) = (channel("latest").await, channel("production").await);
    let base = base["id"].as_str().expect("an id");
    admin.publish("web", "w1", Some((base, &production))).await;
    admin.publish("other", "o1", Some((base, &latest))).await;

    let ear = Ear::default();
    let url = listen(Arc::clone(&ear)).await;
    let env = [("INGOT_DATA_DIR", dir.path().to_str().expect("a plain name"))];
    let args = ["registry", "webhook", "create", &url, "-events=bucket.outdated"];
    let run = ingot_with(dir.path(), &args, &env);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    let heard = |ear: &Ear| -> Vec<Value> {
        let taken = std::mem::take(&mut ear.lock().expect("it").taken);
        taken.iter().map(|(_, body)| serde_json::from_str(body).expect("JSON")).collect()
    };

    // A new version moves `latest`, which only one of the two was found by.
    admin.publish("base", "b2", None).await;
    until("a delivery", || !ear.lock().expect("it").taken.is_empty()).await;
    let told = heard(&ear);
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!(
        (&told[0]["event"], &told[0]["bucket"]),
        (&json!("bucket.outdated"), &json!("other"))
    );
    assert_eq!(told[0]["version"]["fingerprint"], "o1");
    assert_eq!(told[0]["parent"]["bucket"], "base");
    assert_eq!(told[0]["parent"]["channel"], "latest");
    assert_eq!(told[0]["parent"]["version"]["name"], "v2");

    let body = json!({ "update_mask": "versionFingerprint", "version_fingerprint": "b2" });
    admin.patch("/buckets/base/channels/production", body).await;
    until("a delivery", || !ear.lock().expect("it").taken.is_empty()).await;
    let told = heard(&ear);
    assert_eq!((told.len(), &told[0]["bucket"]), (1, &json!("web")), "{told:?}");

    // Back to what it was built from: nothing is out of date.
    let body = json!({ "update_mask": "versionFingerprint", "version_fingerprint": "b1" });
    admin.patch("/buckets/base/channels/production", body).await;
    admin.publish("base", "b3", None).await;
    until("a delivery", || !ear.lock().expect("it").taken.is_empty()).await;
    let told = heard(&ear);
    assert_eq!((told.len(), &told[0]["bucket"]), (1, &json!("other")), "{told:?}");
}
