//! Reaching the instance through Systems Manager: `session-manager-plugin.py` stands in for AWS's
//! program, and the calls that moto does not know (sessions) are answered here.

use ingot_test_support::require;
use std::os::unix::fs::PermissionsExt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};

use super::bench::{Bench, Instances, RunResult, instances, leaks};
use super::cloud::{Cloud, cloud};
use super::proxy::{Act, answer};

const SOURCE: &str = r#"
  ssh_interface = "session_manager"
  temporary_iam_instance_profile_policy_document {
    Version = "2012-10-17"
    Statement {
      Effect   = "Allow"
      Action   = ["ssm:*"]
      Resource = ["*"]
    }
  }
"#;
const TOKEN: &str = "AAEAAdmVyeSBzZWNyZXQgdG9rZW4";

/// What Systems Manager was asked: the operation and its body.
type RecordedRequests = Arc<Mutex<Vec<(String, Value)>>>;

/// A template whose instance is reached by sessions. The first `away` calls for one find that the
/// instance's agent is not in touch yet.
fn bench(
    cloud: &Cloud,
    instances: &Arc<Instances>,
    version: &str,
    away: usize,
) -> (Bench, RecordedRequests) {
    let build = "  provisioner \"shell\" {\n    inline      = [\"echo through the tunnel\"]\n    \
                 remote_file = \"script-${uuidv4()}.sh\"\n  }";
    let mut bench = Bench::new(cloud, instances, SOURCE, build, |_| Act::Forward);
    let directory = bench.path("plugin");
    std::fs::create_dir(&directory).unwrap();
    std::fs::write(directory.join("version"), version).unwrap();
    let program = directory.join("session-manager-plugin");
    std::fs::write(&program, include_str!("session-manager-plugin.py")).unwrap();
    std::fs::set_permissions(&program, PermissionsExt::from_mode(0o755)).unwrap();
    let path = std::env::var("PATH").unwrap_or_default();
    bench.env.push(("PATH", format!("{}:{path}", directory.display())));
    bench.env.push(("INGOT_TEST_PLUGIN", directory.display().to_string()));
    let asked = RecordedRequests::default();
    let seen = Arc::clone(&asked);
    bench.proxy.stand_in(move |call, request| {
        if !["StartSession", "TerminateSession"].contains(&call.action.as_str()) {
            return None;
        }
        let body = serde_json::from_str(&request.text()).expect("a body in JSON");
        seen.lock().unwrap().push((call.action.clone(), body));
        let (status, body) = match call.action.as_str() {
            "StartSession" if call.nth < away => {
                (400, json!({ "__type": "TargetNotConnected", "message": "not connected" }))
            }
            "StartSession" => (
                200,
                json!({
                    "SessionId": format!("me-{}", call.nth),
                    "StreamUrl": "wss://ssmmessages.us-east-1.amazonaws.com/v1/data-channel/me",
                    "TokenValue": TOKEN,
                }),
            ),
            _ => (200, json!({ "SessionId": "me" })),
        };
        Some(answer(status, "application/x-amz-json-1.1", &body.to_string()))
    });
    (bench, asked)
}

/// What the plugin was handed, each time that it was run.
fn handed(bench: &Bench) -> Vec<Value> {
    let text = std::fs::read_to_string(bench.path("plugin/handed")).unwrap_or_default();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn named<'a>(asked: &'a [(String, Value)], operation: &str) -> Vec<&'a Value> {
    asked.iter().filter(|(name, _)| name == operation).map(|(_, body)| body).collect()
}

/// What is so of all builds that succeed.
fn succeeded(bench: &Bench, built: &RunResult) {
    assert_eq!(built.code, Some(0), "{}", built.said);
    assert!(built.said.contains("through the tunnel"), "{}", built.said);
    assert!(!built.said.contains(TOKEN), "{}", built.said);
    let connections = std::fs::read_to_string(bench.path("plugin/connections")).unwrap();
    assert!(!connections.is_empty());
    assert_eq!(leaks(&bench.holds(), true), [""; 0]);
    // Nobody calls the instance, so that no door is opened.
    let calls = bench.proxy.calls();
    assert!(!calls.iter().any(|call| call.action == "AuthorizeSecurityGroupIngress"), "{calls:?}");
    for run in handed(bench) {
        let pid = run["pid"].as_u64().unwrap();
        assert!(!std::path::Path::new(&format!("/proc/{pid}")).exists(), "the plugin still runs");
    }
}

#[test]
fn the_instance_is_reached_through_a_session() {
    let (cloud, instances) = (require!(cloud()), require!(instances()));
    let (bench, asked) = bench(&cloud, &instances, "1.2.600.0", 2);
    let built = bench.run(&["build", "-color=false", "."]);
    succeeded(&bench, &built);
    assert!(built.said.contains("Starting portForwarding session \"me-2\"."), "{}", built.said);
    let asked = asked.lock().unwrap();
    let started = named(&asked, "StartSession");
    assert_eq!(started.len(), 3, "{asked:?}");
    let request = started[2];
    assert!(request["Target"].as_str().unwrap().starts_with("i-"), "{request}");
    assert_eq!(request["DocumentName"], "AWS-StartPortForwardingSession");
    let port = request["Parameters"]["localPortNumber"][0].as_str().unwrap();
    assert!(port.parse::<u16>().is_ok_and(|port| port > 0), "{request}");
    assert_eq!(named(&asked, "TerminateSession"), [&json!({ "SessionId": "me-2" })]);

    let handed = handed(&bench);
    let [run] = &handed[..] else { panic!("{handed:?}") };
    let arguments: Vec<&str> =
        run["arguments"].as_array().unwrap().iter().map(|one| one.as_str().unwrap()).collect();
    let [response, region, operation, profile, parameters, endpoint] = arguments[..] else {
        panic!("{arguments:?}")
    };
    assert_eq!((region, operation, profile), ("us-east-1", "StartSession", ""));
    assert_eq!(serde_json::from_str::<Value>(parameters).unwrap(), *request);
    assert_eq!(endpoint, format!("http://127.0.0.1:{}", bench.proxy.port));
    // The token is not in the list of processes, which everybody on this machine can see.
    assert_eq!(response, "AWS_SSM_START_SESSION_RESPONSE");
    let response: Value = serde_json::from_str(run["response"].as_str().unwrap()).unwrap();
    assert_eq!((&response["TokenValue"], &response["SessionId"]), (&json!(TOKEN), &json!("me-2")));
}

#[test]
fn a_session_that_ends_is_opened_again() {
    let (cloud, instances) = (require!(cloud()), require!(instances()));
    // An old plugin, which takes the token as an argument only.
    let (bench, asked) = bench(&cloud, &instances, "1.2.497.0", 0);
    std::fs::write(bench.path("plugin/fail"), "1").unwrap();
    let built = bench.run(&["build", "-color=false", "."]);
    succeeded(&bench, &built);
    let text = "session-manager-plugin has failed (exit code 1): Cannot perform start session: no \
                route. Another session is opened.";
    assert!(built.said.contains(text), "{}", built.said);
    let asked = asked.lock().unwrap();
    assert_eq!(named(&asked, "StartSession").len(), 2, "{asked:?}");
    assert_eq!(named(&asked, "TerminateSession").len(), 2, "{asked:?}");
    let handed = handed(&bench);
    let first: Value = serde_json::from_str(handed[0]["arguments"][0].as_str().unwrap()).unwrap();
    assert_eq!(first["TokenValue"], TOKEN);
    // What connects again finds the tunnel where it was.
    assert_eq!(handed[0]["arguments"][4], handed[1]["arguments"][4]);
}

#[test]
fn a_plugin_that_always_fails_ends_the_build() {
    let (cloud, instances) = (require!(cloud()), require!(instances()));
    let (bench, _) = bench(&cloud, &instances, "1.2.600.0", 0);
    std::fs::write(bench.path("plugin/fail"), "100").unwrap();
    let begun = std::time::Instant::now();
    let built = bench.run(&["build", "-color=false", "."]);
    assert_eq!(built.code, Some(1), "{}", built.said);
    // Long before ssh_timeout.
    assert!(begun.elapsed() < Duration::from_secs(50), "{}", built.said);
    let text = "the tunnel through Systems Manager fails: session-manager-plugin has failed";
    assert!(built.said.contains(text), "{}", built.said);
    assert_eq!(leaks(&bench.holds(), false), [""; 0]);
}

#[test]
fn without_the_plugin_nothing_is_created() {
    let (cloud, instances) = (require!(cloud()), require!(instances()));
    let (mut bench, _) = bench(&cloud, &instances, "1.2.600.0", 0);
    std::fs::remove_file(bench.path("plugin/session-manager-plugin")).unwrap();
    bench.env.retain(|(name, _)| *name != "PATH");
    bench.env.push(("PATH", bench.path("plugin").display().to_string()));
    let built = bench.run(&["build", "-color=false", "."]);
    assert_eq!(built.code, Some(1), "{}", built.said);
    let text = "needs AWS's program session-manager-plugin: cannot run session-manager-plugin";
    assert!(built.said.contains(text), "{}", built.said);
    assert!(built.said.contains("Install the Session Manager plugin"), "{}", built.said);
    assert_eq!(bench.proxy.calls().len(), 0, "{:?}", bench.proxy.calls());
}
