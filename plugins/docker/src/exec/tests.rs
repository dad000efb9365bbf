//! Tests with an Engine whose connections are lost.

use ingot_test_support::{BASE, docker, output_of, require};

use super::*;
use crate::patience::Patience;
use crate::test_engine::{Hold, TestContainer, TestEngine};

/// Starts a command behind `test` that waits until its container has a file `/go`.
async fn waiting(test: &TestEngine, container: &TestContainer, patience: Patience) -> Running {
    let runner = Runner::new(test.connect().await, container.0.clone());
    let command = "echo ready; until test -e /go; do sleep 0.1; done; exit 7";
    let mut running = runner.start(command, How::default()).await.unwrap();
    match running.next().await {
        Some(Piece::Output(said)) => assert_eq!(&said[..], b"ready\n"),
        _ => panic!("the command did not begin"),
    }
    running.ender.runner.engine.patience = patience;
    running
}

/// How long a test waits at most.
const LIMIT: Duration = Duration::from_secs(30);

/// The next of its output, which must not take for ever.
async fn next(running: &mut Running) -> Option<Piece> {
    tokio::time::timeout(LIMIT, running.next()).await.expect("the command hangs")
}

#[tokio::test]
async fn a_command_ends_when_its_connection_is_lost_silently() {
    require!(docker());
    let test = require!(TestEngine::start().await);
    let container = TestContainer::new(&["run", "-dit", "--entrypoint=/bin/sh", BASE]);
    let short = Duration::from_millis(100);
    let patience = Patience { silence: short, rest: short, ..Patience::default() };
    let mut running = waiting(&test, &container, patience).await;
    test.hold(Hold::Open);
    output_of("docker", &["exec", &container.0, "touch", "/go"]);
    assert!(next(&mut running).await.is_none());
    assert_eq!(running.status().await.unwrap(), ExitStatus::Code(7));
}

#[tokio::test]
async fn a_command_fails_where_the_engine_does_not_answer_any_more() {
    require!(docker());
    let test = require!(TestEngine::start().await);
    let container = TestContainer::new(&["run", "-dit", "--entrypoint=/bin/sh", BASE]);
    let short = Duration::from_millis(50);
    let patience = Patience { silence: short, answer: short, ..Patience::default() };
    let mut running = waiting(&test, &container, patience).await;
    test.hold(Hold::All);
    let asked = running.ender.runner.status(&running.id);
    let error = tokio::time::timeout(LIMIT, asked).await.expect("it hangs").unwrap_err();
    assert!(error.to_string().contains("does not respond any more"), "{error}");
    assert!(next(&mut running).await.is_none());
    let error = running.status().await.unwrap_err();
    assert!(error.to_string().contains("does not respond any more"), "{error}");
    assert!(error.to_string().contains(&test.host) && !error.is_transient(), "{error}");
}

/// Resets the connection of a command that runs on, and waits until that is noticed.
async fn reset(test: &TestEngine, running: &mut Running) {
    test.hold(Hold::Reset);
    let noticed = async {
        while !running.broken {
            let more = tokio::time::timeout(Duration::from_millis(20), running.next()).await;
            assert!(more.is_err(), "the command counts as ended");
        }
    };
    tokio::time::timeout(LIMIT, noticed).await.expect("the connection is not reset");
}

#[tokio::test]
async fn a_command_goes_on_when_its_connection_breaks() {
    require!(docker());
    let test = require!(TestEngine::start().await);
    let container = TestContainer::new(&["run", "-dit", "--entrypoint=/bin/sh", BASE]);
    let patience = Patience { rest: Duration::from_millis(50), ..Patience::default() };
    let mut running = waiting(&test, &container, patience).await;
    reset(&test, &mut running).await;
    let more = tokio::time::timeout(Duration::from_millis(200), running.next()).await;
    assert!(more.is_err(), "the command counts as ended");
    output_of("docker", &["exec", &container.0, "touch", "/go"]);
    assert!(next(&mut running).await.is_none());
    assert_eq!(running.status().await.unwrap(), ExitStatus::Code(7));
}

#[tokio::test]
async fn a_command_fails_whose_connection_breaks_and_whose_engine_does_not_answer_then() {
    require!(docker());
    let test = require!(TestEngine::start().await);
    let container = TestContainer::new(&["run", "-dit", "--entrypoint=/bin/sh", BASE]);
    let short = Duration::from_millis(50);
    let patience = Patience { silence: short, answer: short, rest: short, ..Patience::default() };
    let mut running = waiting(&test, &container, patience).await;
    reset(&test, &mut running).await;
    test.hold(Hold::All);
    assert!(next(&mut running).await.is_none());
    let error = running.status().await.unwrap_err();
    assert!(error.to_string().contains("does not respond any more"), "{error}");
}
