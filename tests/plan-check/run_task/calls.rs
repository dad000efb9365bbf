//! Which calls are taken, and where the server connects to for one.

use axum::http::Method;
use ring::hmac;
use serde_json::{Value, json};

use super::world::{OPEN, World, hex, sign};
use crate::hcp_terraform::{TOKEN, Terraform, now};
use crate::plans;
use ingot_test_support::ingot_with;

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
    // When one that comes later, and is taken, has a result, those would have been asked for.
    world.terraform.plan("plan-2", &plans::simple());
    assert_eq!(world.send(&world.terraform.call("taskrs-2", "plan-2")).await.0, 200);
    world.terraform.result("taskrs-2").await;
    let asked = world.terraform.asked();
    let is_of_it = |path: &str| path.contains("/plan-2/") || path.contains("/taskrs-2/");
    assert!(asked.iter().all(|request| is_of_it(&request.path)), "{asked:?}");
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
