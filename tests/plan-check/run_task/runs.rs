//! What becomes of a run of Terraform, also where plans do not come or a server ends meanwhile.

use std::time::{Duration, Instant};

use axum::http::Method;
use serde_json::{Value, json};

use super::world::{OPEN, World, is_asked, sign};
use crate::hcp_terraform::TOKEN;
use crate::plans;
use crate::stock::{CURRENT, REVOKED, STRANGE};
use ingot_test_support::postgres::Postgres;
use ingot_test_support::require;

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
