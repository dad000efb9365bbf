//! Fast launching of Windows. moto does not know it: those three calls are answered here, by a
//! stand-in that says what EC2's API reference has it say, and all others by moto.

use ingot_test_support::require;
use std::sync::{Arc, Mutex};

use super::bench::{Bench, instances, leaks};
use super::cloud::{BASE_NAME, cloud, value};
use super::http::form_value;
use super::proxy::{Act, answer};

const SOURCE: &str = r#"
  fast_launch {
    max_parallel_launches = 7
    target_resource_count = 3
    template_name         = "mine"
    region_launch_templates {
      region             = "eu-west-1"
      enable_fast_launch = false
    }
  }
"#;

/// What the stand-in was asked.
type RecordedRequests = Arc<Mutex<Vec<String>>>;

/// Has the base AMI be one of Windows, and fast launching be in these states, one at each look.
fn windows(bench: &Bench, states: &'static [(&'static str, &'static str)]) -> RecordedRequests {
    bench.proxy.edit_answers(|call, body| {
        (call.action == "DescribeImages").then(|| {
            let name = format!("<name>{BASE_NAME}</name>");
            body.replace("<platform/>", "")
                .replace("<platform></platform>", "")
                .replace(&name, &format!("{name}<platform>windows</platform>"))
        })
    });
    let asked = RecordedRequests::default();
    let (seen, looks) = (Arc::clone(&asked), Mutex::new(0));
    bench.proxy.stand_in(move |call, request| {
        if !call.action.contains("FastLaunch") {
            return None;
        }
        let body = request.text();
        seen.lock().unwrap().push(body.clone());
        let image = form_value(&body, "ImageId").or(form_value(&body, "ImageId.1"));
        let image = image.expect("an image");
        let inner = match call.action.as_str() {
            "DescribeFastLaunchImages" => {
                let mut look = looks.lock().unwrap();
                let (state, reason) = states[(*look).min(states.len() - 1)];
                *look += 1;
                format!(
                    "<fastLaunchImageSet><item><imageId>{image}</imageId><state>{state}</state>\
                     <stateTransitionReason>{reason}</stateTransitionReason></item>\
                     </fastLaunchImageSet>"
                )
            }
            _ => format!("<imageId>{image}</imageId><state>enabling</state>"),
        };
        let name = format!("{}Response", call.action);
        let text = format!(
            "<{name} xmlns=\"http://ec2.amazonaws.com/doc/2016-11-15/\"><requestId>r</requestId>\
             {inner}</{name}>"
        );
        Some(answer(200, "text/xml", &text))
    });
    asked
}

/// Makes the launch template that the builds name, and gives its id.
fn launch_template(bench: &Bench) -> String {
    let parameters =
        [("LaunchTemplateName", "mine"), ("LaunchTemplateData.InstanceType", "t3.large")];
    let created = bench.account.call("us-east-1", "CreateLaunchTemplate", &parameters);
    value(&created, "launchTemplateId")
}

#[test]
fn fast_launching_is_turned_on_and_waited_for() {
    let (cloud, instances) = (require!(cloud()), require!(instances()));
    let bench = Bench::new(&cloud, &instances, SOURCE, "", |_| Act::Forward);
    let asked = windows(&bench, &[("enabling", ""), ("enabling", ""), ("enabled", "")]);
    let template = launch_template(&bench);
    let built = bench.run(&["build", "-color=false", "."]);
    assert_eq!(built.code, Some(0), "{}", built.said);
    let asked = asked.lock().unwrap();
    let enabling: Vec<&String> =
        asked.iter().filter(|body| body.contains("Action=EnableFastLaunch")).collect();
    let [request] = &enabling[..] else { panic!("{asked:?}") };
    for (name, expected) in [
        ("LaunchTemplate.LaunchTemplateId", template.as_str()),
        ("LaunchTemplate.Version", "1"),
        ("MaxParallelLaunches", "7"),
        ("SnapshotConfiguration.TargetResourceCount", "3"),
    ] {
        assert_eq!(form_value(request, name).as_deref(), Some(expected), "{name}: {request}");
    }
    let image = form_value(request, "ImageId").expect("an image");
    for line in [
        format!("Enabling fast boot for AMI {image} in region us-east-1"),
        format!("Waiting for fast launch to become ready on AMI {image:?} in region us-east-1..."),
        format!("us-east-1: {image}"),
    ] {
        assert!(built.said.contains(&line), "{line}: {}", built.said);
    }
    assert_eq!(asked.len(), 4, "{asked:?}");
}

#[test]
fn fast_launching_that_fails_leaves_nothing() {
    let (cloud, instances) = (require!(cloud()), require!(instances()));
    let bench = Bench::new(&cloud, &instances, SOURCE, "", |_| Act::Forward);
    let asked = windows(&bench, &[("enabling", ""), ("enabling-failed", "not sysprepped")]);
    launch_template(&bench);
    let built = bench.run(&["build", "-color=false", "."]);
    assert_eq!(built.code, Some(1), "{}", built.said);
    assert!(built.said.contains("is enabling-failed: not sysprepped"), "{}", built.said);
    assert!(built.said.contains("prepared with Sysprep"), "{}", built.said);
    let asked = asked.lock().unwrap();
    assert!(asked.iter().any(|body| body.contains("Action=DisableFastLaunch")), "{asked:?}");
    let mut left = leaks(&bench.holds(), false);
    left.retain(|line| !line.ends_with("launch-template mine"));
    assert_eq!(left, [""; 0], "{}", built.said);
}

#[test]
fn what_cannot_start_fast_is_reported_before_anything_is_created() {
    let (cloud, instances) = (require!(cloud()), require!(instances()));
    // The base AMI is of Linux.
    let bench = Bench::new(&cloud, &instances, SOURCE, "", |_| Act::Forward);
    launch_template(&bench);
    let built = bench.run(&["build", "-color=false", "."]);
    assert_eq!(built.code, Some(1), "{}", built.said);
    assert!(built.said.contains("fast_launch is for Windows"), "{}", built.said);
    assert!(!bench.proxy.calls().iter().any(|call| call.action.starts_with("Create")));

    // There is no such launch template.
    let bench = Bench::new(&cloud, &instances, SOURCE, "", |_| Act::Forward);
    windows(&bench, &[("enabled", "")]);
    let built = bench.run(&["build", "-color=false", "."]);
    assert_eq!(built.code, Some(1), "{}", built.said);
    let text = "fast_launch: looking for the launch template mine in us-east-1";
    assert!(built.said.contains(text), "{}", built.said);
    assert!(!bench.proxy.calls().iter().any(|call| call.action.starts_with("Create")));
}
