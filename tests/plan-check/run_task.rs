//! The run task, with Terraform's side played by a listener: the bodies are those that HCP Terraform
//! documents for run task integrations.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use axum::http::Method;
use ring::hmac;
use serde_json::{Value, json};

use crate::hcp_terraform::{TOKEN, Terraform, now};
use crate::plans;
use crate::stock::{self, CURRENT, REVOKED, STRANGE};
use ingot_test_support::postgres::Postgres;
use ingot_test_support::registry_server::{Caller, Server};
use ingot_test_support::{ingot_with, require};

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn sign(key: &str, body: &[u8]) -> String {
    hex(hmac::sign(&hmac::Key::new(hmac::HMAC_SHA512, key.as_bytes()), body).as_ref())
}

/// A server with images, Terraform's side, and the results that Terraform got.
struct World {
    _dir: tempfile::TempDir,
    data: PathBuf,
    log: PathBuf,
    server: Server,
    admin: Caller,
    terraform: Terraform,
    url: String,
    key: String,
}

const OPEN: [&str; 3] = ["-run-task-host", "127.0.0.1", "-run-task-http"];

impl World {
    async fn start(args: &[&str]) -> World {
        let dir = tempfile::tempdir().expect("a directory");
        let (data, log) = (dir.path().join("data"), dir.path().join("log"));
        let server = World::serve(&data, &log, args);
        stock::fill(&stock::remote(&server).await).await;
        let admin = server.admin().await;
        let reported = admin.get("/runtasks/validation").await;
        let part = |name: &str| reported[name].as_str().expect("text").to_owned();
        let terraform = Terraform::start().await;
        let (url, key) = (part("api_url"), part("hmac_key"));
        World { _dir: dir, data, log, server, admin, terraform, url, key }
    }

    fn serve(data: &std::path::Path, log: &std::path::Path, args: &[&str]) -> Server {
        let log = log.to_str().expect("a plain name");
        Server::start_with(data, args, &[("PACKER_LOG", "TRACE"), ("PACKER_LOG_PATH", log)])
    }

    async fn send(&self, body: &Value) -> (u16, String) {
        let body = serde_json::to_vec(body).expect("JSON");
        let signature = sign(&self.key, &body);
        self.send_signed(&self.url, body, Some(&signature)).await
    }

    async fn send_signed(
        &self,
        url: &str,
        body: Vec<u8>,
        signature: Option<&str>,
    ) -> (u16, String) {
        let mut request = self.server.client().post(url).header("content-type", "application/json");
        if let Some(signature) = signature {
            request = request.header("X-TFC-Task-Signature", signature);
        }
        let response = request.body(body).send().await.expect("the server answers");
        (response.status().as_u16(), response.text().await.expect("text"))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_is_checked_and_reported_image_by_image() {
    let world = World::start(&OPEN).await;
    let terraform = &world.terraform;
    terraform.plan("plan-bad", &plans::simple());
    let (status, text) = world.send(&terraform.call("taskrs-bad", "plan-bad")).await;
    assert_eq!((status, text.as_str()), (200, ""));
    let result = terraform.result("taskrs-bad").await;

    // The plan is asked for with the call's token, and so is the result told.
    let bearer = Some(format!("Bearer {TOKEN}"));
    let asked = terraform.seen("plan-bad", &Method::GET);
    assert_eq!((asked.len(), &asked[0].token), (1, &bearer));
    assert_eq!(result.token, bearer);
    assert_eq!(result.kind.as_deref(), Some("application/vnd.api+json"));
    let reported = terraform.seen("taskrs-bad", &Method::PATCH);
    assert_eq!(reported[0].body["data"]["attributes"]["status"], "running");

    let data = &result.body["data"];
    assert_eq!(data["type"], "task-results");
    assert_eq!(data["attributes"]["status"], "failed");
    let message = "4 images: 1 revoked, 1 outdated, 1 untracked, 1 fine";
    assert_eq!(data["attributes"]["message"], message);
    let outcomes = data["relationships"]["outcomes"]["data"].as_array().expect("outcomes");
    assert_eq!(outcomes.len(), 3, "{outcomes:#?}");
    let worst = &outcomes[0];
    assert_eq!(worst["type"], "task-result-outcomes");
    let worst = &worst["attributes"];
    assert_eq!(worst["outcome-id"], "revoked-1");
    let description = worst["description"].as_str().expect("text");
    assert!(description.starts_with(&format!("aws_instance.bad.ami: {REVOKED} is golden v1")));
    let tag = |name: &str| worst["tags"][name][0].clone();
    assert_eq!(tag("Status"), json!({ "label": "Revoked", "level": "error" }));
    assert_eq!(tag("Bucket"), json!({ "label": "golden" }));
    assert_eq!(tag("Region"), json!({ "label": "eu-west-1" }));
    assert!(worst["body"].as_str().expect("text").contains(CURRENT), "{worst}");
    assert_eq!(outcomes[2]["attributes"]["tags"]["Status"][0]["level"], "warning");

    // What is only advice passes.
    let mut plan = plans::simple();
    plan["resource_changes"].as_array_mut().expect("changes").remove(1);
    terraform.plan("plan-good", &plan);
    world.send(&terraform.call("taskrs-good", "plan-good")).await;
    let result = terraform.result("taskrs-good").await;
    assert_eq!(result.body["data"]["attributes"]["status"], "passed");
    // And does not, if the project says so.
    let config = json!({ "on_untracked_image": "FAIL" });
    let config = world.admin.patch("/runtasks/config", config).await;
    assert_eq!(
        (&config["on_untracked_image"], &config["on_outdated_image"]),
        (&"FAIL".into(), &"WARN".into())
    );
    let mut call = terraform.call("taskrs-strict", "plan-good");
    call["capabilities"] = json!({ "outcomes": false });
    world.send(&call).await;
    let result = terraform.result("taskrs-strict").await;
    let data = &result.body["data"];
    assert_eq!(data["attributes"]["status"], "failed");
    // Terraform that takes no parts gets none, but all of it in words.
    assert!(data.get("relationships").is_none(), "{data}");
    let message = data["attributes"]["message"].as_str().expect("text");
    for place in ["aws_instance.strange.ami: ", "aws_instance.old.ami: "] {
        assert!(message.contains(place), "{message}");
    }
    assert!(!message.contains("aws_instance.good"), "{message}");
    // As much as there is room for, the worst first.
    let many = (0..300).map(|index| {
        let address = format!("aws_instance.i{index:03}");
        plans::created(&address, "aws_instance", json!({ "ami": STRANGE }))
    });
    let revoked = plans::created("aws_instance.z", "aws_instance", json!({ "ami": REVOKED }));
    terraform.plan("plan-many", &plans::plan(many.chain([revoked]).collect()));
    let mut call = terraform.call("taskrs-many", "plan-many");
    call["capabilities"] = json!({ "outcomes": false });
    world.send(&call).await;
    let result = terraform.result("taskrs-many").await;
    let message = result.body["data"]["attributes"]["message"].as_str().expect("text");
    let reported = message.matches("aws_instance.").count();
    assert!(message.starts_with("301 images: 1 revoked, 300 untracked. aws_instance.z.ami: "));
    assert!(message.ends_with(&format!(". And {} more", 301 - reported)), "{message}");
    assert!(reported > 10 && message.len() < 4_100, "{reported} {}", message.len());

    // A stage without a plan, and plans that are none.
    let mut call = terraform.call("taskrs-early", "x");
    call["stage"] = json!("pre_plan");
    call["plan_json_api_url"] = Value::Null;
    world.send(&call).await;
    let result = terraform.result("taskrs-early").await;
    assert_eq!(result.body["data"]["attributes"]["status"], "failed");
    let message = result.body["data"]["attributes"]["message"].as_str().expect("text").to_owned();
    assert!(message.contains("post_plan"), "{message}");
    terraform.plan("plan-odd", &json!({ "hello": 1 }));
    for (plan, says) in [
        ("plan-odd", "no format_version"),
        ("plan-absent", "404"),
        ("plan-large", "larger than 64 MiB"),
    ] {
        world.send(&terraform.call(&format!("taskrs-{plan}"), plan)).await;
        let result = terraform.result(&format!("taskrs-{plan}")).await;
        let attributes = &result.body["data"]["attributes"];
        assert_eq!(attributes["status"], "failed", "{attributes}");
        assert!(attributes["message"].as_str().expect("text").contains(says), "{attributes}");
    }
    // The log has everything but the token and the key.
    let log = std::fs::read_to_string(&world.log).expect("a log");
    assert!(log.contains("taskrs-bad"), "the log is empty");
    assert!(!log.contains(TOKEN) && !log.contains(&world.key), "the log has a secret");
}

#[tokio::test(flavor = "multi_thread")]
async fn terraform_may_try_whether_it_works() {
    let world = World::start(&OPEN).await;
    let mut call = world.terraform.call("taskrs-test", "plan-x");
    call["access_token"] = json!("test-token");
    call["stage"] = json!("test");
    for _ in 0..2 {
        assert_eq!(world.send(&call).await, (200, String::new()));
    }
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert!(world.terraform.asked().is_empty(), "{:?}", world.terraform.asked());
    // It has to be signed, too.
    let body = serde_json::to_vec(&call).expect("JSON");
    assert_eq!(world.send_signed(&world.url, body, None).await.0, 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn forged_calls_are_refused() {
    let world = World::start(&OPEN).await;
    let call = serde_json::to_vec(&world.terraform.call("taskrs-1", "plan-1")).expect("JSON");
    let good = sign(&world.key, &call);
    let mut other = call.clone();
    other.push(b' ');
    let sha256 = hmac::Key::new(hmac::HMAC_SHA256, world.key.as_bytes());
    let sha256 = hex(hmac::sign(&sha256, &call).as_ref());
    let mut off = good.clone();
    off.replace_range(127.., if good.ends_with('0') { "1" } else { "0" });
    for (what, signature) in [
        ("none", None),
        ("empty", Some("")),
        ("of another key", Some(sign("guess", &call).as_str())),
        ("of another body", Some(sign(&world.key, &other).as_str())),
        ("of another kind", Some(&sha256)),
        ("one digit off", Some(&off)),
        ("cut", Some(&good[..126])),
        ("longer", Some(&format!("{good}00"))),
        ("no hexadecimal", Some(&"zz".repeat(64))),
        ("the key itself", Some(&world.key)),
    ] {
        let (status, text) = world.send_signed(&world.url, call.clone(), signature).await;
        assert_eq!(status, 401, "{what}: {text}");
        assert!(!text.contains(&world.key) && !text.contains(TOKEN), "{what}: {text}");
    }
    // Another project's run task, and none.
    let (status, _) =
        world.send_signed(&format!("{}0", world.url), call.clone(), Some(&good)).await;
    assert_eq!(status, 404);
    let (status, _) = world
        .send_signed(&world.url.replace("run-tasks", "run-task"), call.clone(), Some(&good))
        .await;
    assert!((400..600).contains(&status), "{status}");
    // Too large, even if it is signed.
    let large = vec![b' '; 200 << 10];
    let (status, _) =
        world.send_signed(&world.url, large.clone(), Some(&sign(&world.key, &large))).await;
    assert_eq!(status, 429);
    // Signed, and no call.
    for body in ["", "{", "[]", "null", "{\"payload_version\":2}", "{\"payload_version\":1}"] {
        let signature = sign(&world.key, body.as_bytes());
        let (status, text) = world.send_signed(&world.url, body.into(), Some(&signature)).await;
        assert_eq!(status, 400, "{body}: {text}");
    }
    tokio::time::sleep(Duration::from_millis(1500)).await;
    assert!(world.terraform.asked().is_empty(), "{:?}", world.terraform.asked());
}

#[tokio::test(flavor = "multi_thread")]
async fn replayed_calls_are_refused() {
    let mut world = World::start(&OPEN).await;
    world.terraform.plan("plan-1", &plans::simple());
    let call = world.terraform.call("taskrs-1", "plan-1");
    assert_eq!(world.send(&call).await.0, 200);
    let (status, text) = world.send(&call).await;
    assert!(status == 409 && text.contains("before"), "{status} {text}");
    world.terraform.result("taskrs-1").await;
    assert_eq!(world.send(&call).await.0, 409);
    // With another body for the same result, too, and after a start.
    let mut other = call.clone();
    other["run_message"] = json!("another");
    assert_eq!(world.send(&other).await.0, 409);
    let old = world.server.url();
    assert_eq!(world.server.stop(), Some(0));
    world.server = World::serve(&world.data, &world.log, &OPEN);
    world.url = world.url.replace(&old, &world.server.url());
    assert_eq!(world.send(&call).await.0, 409);
    // An old one that nobody remembers.
    for (result, seconds) in [("taskrs-old", -31 * 86400), ("taskrs-future", 3600)] {
        let mut old = world.terraform.call(result, "plan-1");
        old["run_created_at"] = json!(now(seconds));
        let (status, text) = world.send(&old).await;
        assert!(status == 400 && text.contains("too long ago"), "{status} {text}");
    }
    assert_eq!(world.terraform.seen("plan-1", &Method::GET).len(), 1);
    let reported = world.terraform.seen("taskrs-1", &Method::PATCH);
    assert_eq!(reported.len(), 2, "{reported:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_run_task_connects_only_to_allowed_hosts() {
    let world = World::start(&OPEN).await;
    let terraform = &world.terraform;
    for url in [
        "http://169.254.169.254/latest/meta-data",
        "http://localhost:1/api/v2/plans/x/json-output",
        "https://app.terraform.io/api/v2/plans/x/json-output",
        "http://127.0.0.1@example.com/",
        "http://me:pw@127.0.0.1/",
        "file:///etc/passwd",
        "nowhere",
    ] {
        for field in ["plan_json_api_url", "task_result_callback_url"] {
            let mut call = terraform.call("taskrs-1", "plan-1");
            call[field] = json!(url);
            let (status, text) = world.send(&call).await;
            assert_eq!(status, 403, "{field} {url}: {text}");
        }
    }
    assert!(terraform.asked().is_empty());

    // The plan may be at another place, which does not get the token.
    let elsewhere = Terraform::start().await;
    elsewhere.plan("object", &plans::simple());
    let to = format!("{}/api/v2/plans/object/file?signature=secret-of-the-url", elsewhere.url);
    *terraform.elsewhere.lock().expect("a lock") = to;
    world.send(&terraform.call("taskrs-moved", "plan-moved")).await;
    let result = terraform.result("taskrs-moved").await;
    let message = result.body["data"]["attributes"]["message"].as_str().expect("text").to_owned();
    assert!(message.starts_with("4 images"), "{message}");
    let asked = elsewhere.seen("object", &Method::GET);
    assert_eq!((asked.len(), &asked[0].token), (1, &None));
    // But not where this server may not go.
    for to in [
        "http://localhost:1/x",
        "http://169.254.169.254/",
        "file:///etc/passwd",
        "/api/v2/plans/plan-moved/json-output",
    ] {
        *terraform.elsewhere.lock().expect("a lock") = to.into();
        let id = format!("taskrs-moved-{}", to.len());
        world.send(&terraform.call(&id, "plan-moved")).await;
        let result = terraform.result(&id).await;
        let attributes = &result.body["data"]["attributes"];
        assert_eq!(attributes["status"], "failed", "{to}: {attributes}");
    }
    let log = std::fs::read_to_string(&world.log).expect("a log");
    assert!(!log.contains(TOKEN), "the log has the token");
}

#[tokio::test(flavor = "multi_thread")]
async fn only_https_to_terraform_by_default() {
    let world = World::start(&[]).await;
    let mut call = world.terraform.call("taskrs-1", "plan-1");
    assert_eq!(world.send(&call).await.0, 403);
    call["plan_json_api_url"] = json!("http://app.terraform.io/api/v2/plans/x/json-output");
    call["task_result_callback_url"] =
        json!("https://app.terraform.io/api/v2/task-results/x/callback");
    let (status, text) = world.send(&call).await;
    assert!(status == 403 && text.contains("https"), "{status} {text}");
    assert!(world.terraform.asked().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn it_tries_again_and_goes_on_after_a_start() {
    let mut world = World::start(&OPEN).await;
    let terraform = world.terraform.clone();
    for plan in ["plan-later", "plan-hangs"] {
        terraform.plan(plan, &plans::simple());
    }
    world.send(&terraform.call("taskrs-later", "plan-later")).await;
    terraform.result("taskrs-later").await;
    assert_eq!(terraform.seen("plan-later", &Method::GET).len(), 3);

    // Killed while the plan is being fetched.
    world.send(&terraform.call("taskrs-hangs", "plan-hangs")).await;
    is_asked(&terraform, "plan-hangs").await;
    world.server.kill();
    world.server = World::serve(&world.data, &world.log, &OPEN);
    let result = terraform.result("taskrs-hangs").await;
    assert_eq!(result.body["data"]["attributes"]["status"], "failed");
    assert_eq!(terraform.seen("plan-hangs", &Method::GET).len(), 2);
}

/// Waits until a plan was asked for.
async fn is_asked(terraform: &Terraform, plan: &str) {
    let start = Instant::now();
    while terraform.seen(plan, &Method::GET).is_empty() {
        assert!(start.elapsed() < Duration::from_secs(20), "{plan} is not asked for");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn those_that_hang_do_not_hold_up_others() {
    let mut world = World::start(&OPEN).await;
    let terraform = world.terraform.clone();
    for number in 0..6 {
        let plan = format!("plan-hangs-{number}");
        world.send(&terraform.call(&format!("taskrs-hangs-{number}"), &plan)).await;
        is_asked(&terraform, &plan).await;
    }
    // A plan that has as many ways in it as would take for ever, and large ones.
    terraform.plan("plan-knot", &crate::bounds::knot(8));
    let mut large = plans::simple();
    large["padding"] = json!(" ".repeat(5 << 20));
    for number in 0..3 {
        terraform.plan(&format!("plan-5mib-{number}"), &large);
    }
    let plans = ["plan-knot", "plan-5mib-0", "plan-5mib-1", "plan-5mib-2"];
    let start = Instant::now();
    for plan in plans {
        world.send(&terraform.call(&format!("taskrs-{plan}"), plan)).await;
    }
    for plan in plans {
        let result = terraform.result(&format!("taskrs-{plan}")).await;
        let message = result.body["data"]["attributes"]["message"].as_str().expect("text");
        let expected = if plan == "plan-knot" { "2 images: 2 fine" } else { "4 images: 1 revoked" };
        assert!(message.starts_with(expected), "{plan}: {message}");
    }
    // Those that hang are asked again after 45 seconds.
    assert!(start.elapsed() < Duration::from_secs(35), "{:?}", start.elapsed());
    let start = Instant::now();
    assert_eq!(world.server.stop(), Some(0));
    assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_kills_the_server_again_and_again_fails() {
    let mut world = World::start(&OPEN).await;
    let terraform = world.terraform.clone();
    world.send(&terraform.call("taskrs-hangs", "plan-hangs")).await;
    is_asked(&terraform, "plan-hangs").await;
    world.server.kill();
    // As if that had been the eighth time, and a while ago.
    sqlx::any::install_drivers(&[sqlx::sqlite::any::DRIVER]).ok();
    let url = format!("sqlite://{}", world.data.join("registry-server.db").display());
    let pool = sqlx::AnyPool::connect(&url).await.expect("the file can be opened");
    let sql = "UPDATE run_tasks SET attempts = 8, next_at = 0";
    let done = sqlx::query(sql).execute(&pool).await.expect("it is there");
    assert_eq!(done.rows_affected(), 1);
    pool.close().await;
    world.server = World::serve(&world.data, &world.log, &OPEN);
    let result = terraform.result("taskrs-hangs").await;
    let attributes = &result.body["data"]["attributes"];
    assert_eq!(attributes["status"], "failed");
    let message = attributes["message"].as_str().expect("text");
    assert!(message.ends_with("it was started 8 times and never finished"), "{message}");
    // Nor is it tried once more.
    assert_eq!(terraform.seen("plan-hangs", &Method::GET).len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_a_secret_and_can_be_changed() {
    let mut world = World::start(&OPEN).await;
    assert!(world.url.contains("/run-tasks/"), "{}", world.url);
    let (id, secret) = world.server.principal(&["dev", "-role=viewer"]);
    let viewer = world.server.sign_in(&id, &secret).await;
    let get = viewer.call(reqwest::Method::GET, "/runtasks/validation", Value::Null).await;
    assert_eq!(get.0, 403, "{}", get.1);
    let patch = viewer.call(reqwest::Method::PATCH, "/runtasks/hmac", json!({})).await;
    assert_eq!(patch.0, 403, "{}", patch.1);
    let (id, secret) = world.server.principal(&["ci", "-role=contributor"]);
    let ci = world.server.sign_in(&id, &secret).await;
    assert_eq!(ci.get("/runtasks/validation").await["hmac_key"], world.key.as_str());
    assert_eq!(ci.call(reqwest::Method::PATCH, "/runtasks/hmac", json!({})).await.0, 403);
    let other = world.admin.call(reqwest::Method::GET, "/runtasks/other", Value::Null).await;
    assert_eq!(other.0, 404, "{}", other.1);

    let new = world.admin.patch("/runtasks/hmac", json!({})).await;
    let new = new["hmac_key"].as_str().expect("a key").to_owned();
    assert_ne!(new, world.key);
    let call = world.terraform.call("taskrs-1", "plan-1");
    assert_eq!(world.send(&call).await.0, 401);
    world.key = new;
    assert_eq!(world.send(&call).await.0, 200);

    // By command, on the same database.
    let data = world.data.to_str().expect("a plain name");
    let run = |args: &[&str]| {
        let args = [&["registry", "run-task"], args].concat();
        let run = ingot_with(&world.data, &args, &[("INGOT_DATA_DIR", data)]);
        assert_eq!(run.code, Some(0), "{}", run.stderr);
        run.stdout
    };
    let shown = run(&["show"]);
    let (path, key) = shown.trim().split_once('\n').expect("two lines");
    assert!(world.url.ends_with(path.strip_prefix("path ").expect("a path")), "{shown}");
    assert_eq!(key, format!("hmac_key {}", world.key));
    assert!(run(&["set", "-outdated", "fail"]).contains("outdated FAIL"));
    assert_eq!(world.admin.get("/runtasks/config").await["on_outdated_image"], "FAIL");
    let rotated = run(&["rotate"]);
    assert!(!rotated.contains(&world.key), "{rotated}");
    assert_eq!(world.send(&world.terraform.call("taskrs-2", "plan-1")).await.0, 401);
    let audit = ingot_with(&world.data, &["registry", "audit"], &[("INGOT_DATA_DIR", data)]);
    assert!(audit.stdout.contains("rotate_hmac_key"), "{}", audit.stdout);
    assert!(!audit.stdout.contains(&world.key));
}

#[tokio::test(flavor = "multi_thread")]
async fn two_servers_on_postgresql_do_each_call_once() {
    let postgres = require!(Postgres::start());
    let url = postgres.url();
    let args = [&OPEN[..], &["-database-url", &url]].concat();
    let world = World::start(&args).await;
    let other = World::serve(&world.data.join("other"), &world.log, &args);
    let terraform = &world.terraform;
    for number in 0..12 {
        let (plan, result) = (format!("plan-{number}"), format!("taskrs-{number}"));
        terraform.plan(&plan, &plans::simple());
        assert_eq!(world.send(&terraform.call(&result, &plan)).await.0, 200);
    }
    for number in 0..12 {
        let id = format!("taskrs-{number}");
        let result = terraform.result(&id).await;
        assert_eq!(result.body["data"]["attributes"]["status"], "failed");
        assert_eq!(terraform.seen(&format!("plan-{number}"), &Method::GET).len(), 1);
        assert_eq!(terraform.seen(&id, &Method::PATCH).len(), 2);
    }
    // What one server took is not taken by the other.
    let body = serde_json::to_vec(&terraform.call("taskrs-3", "plan-3")).expect("JSON");
    let url = world.url.replace(&world.server.url(), &other.url());
    let request = other.client().post(url).header("x-tfc-task-signature", sign(&world.key, &body));
    let response = request.body(body).send().await.expect("the other server answers");
    assert_eq!(response.status().as_u16(), 409);
}
