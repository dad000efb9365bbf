//! The harness itself: does the proxy do what it says?

use ingot_test_support::require;
use std::collections::BTreeSet;
use std::process::Command;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::cloud::{Account, BASE_ID, call, cloud, value};
use super::http::{self, Message};
use super::proxy::{Act, Call, Proxy};

/// Makes a call through a proxy, as a client would that knows nothing of accounts.
fn through(proxy: &Proxy, action: &str, parameters: &[(&str, &str)]) -> std::io::Result<Message> {
    http::ask(proxy.port, &call("us-east-1", action, parameters, None))
}

/// A proxy that does `act` to the first `CreateKeyPair`.
fn proxy(account: &Account, act: Act) -> Proxy {
    let first = move |call: &Call| match (call.action.as_str(), call.nth) {
        ("CreateKeyPair", 0) => act,
        _ => Act::Forward,
    };
    Proxy::start(account, first, |_| {})
}

#[test]
fn calls_are_counted_and_can_be_hindered() {
    let cloud = require!(cloud());
    let key = [("KeyName", "k"), ("KeyType", "ed25519")];
    let created = BTreeSet::from(["us-east-1 key-pair k".to_owned()]);
    for (act, status, takes_effect) in [
        (Act::Forward, Some(200), true),
        (Act::Delay(Duration::from_millis(300)), Some(200), true),
        (Act::Refuse(503, "RequestLimitExceeded"), Some(503), false),
        (Act::CutBefore, None, false),
        (Act::CutAfter, None, true),
    ] {
        let account = cloud.account();
        let proxy = proxy(&account, act);
        assert_eq!(account.holds("us-east-1"), BTreeSet::new());
        let begun = Instant::now();
        let answer = through(&proxy, "CreateKeyPair", &key).ok();
        assert_eq!(answer.as_ref().map(Message::status), status, "{act:?}");
        if let Act::Delay(time) = act {
            assert!(begun.elapsed() >= time);
        }
        if let (Act::Refuse(_, code), Some(answer)) = (act, &answer) {
            assert_eq!(value(&answer.text(), "Code"), code);
        }
        proxy.settle();
        let held = account.holds("us-east-1");
        assert_eq!(held, if takes_effect { created.clone() } else { BTreeSet::new() }, "{act:?}");
        // The next call passes.
        let answer = through(&proxy, "DeleteKeyPair", &key[..1]).unwrap();
        assert_eq!(answer.status(), 200);
        assert_eq!(account.holds("us-east-1"), BTreeSet::new());
        assert_eq!(proxy.acted(), usize::from(act != Act::Forward));
        let call = |action: &str| Call { action: action.into(), nth: 0 };
        assert_eq!(proxy.calls(), [call("CreateKeyPair"), call("DeleteKeyPair")]);
    }
}

#[test]
fn a_signal_comes_before_the_call_that_triggers_it_passes() {
    let cloud = require!(cloud());
    let account = cloud.account();
    let proxy = proxy(&account, Act::Signal(Signal::KILL));
    let mut sleep = Command::new("sleep").arg("60").spawn().unwrap();
    proxy.process(sleep.id());
    through(&proxy, "CreateKeyPair", &[("KeyName", "k"), ("KeyType", "ed25519")]).unwrap();
    assert_eq!(sleep.wait().unwrap().code(), None);
    assert_eq!(account.holds("us-east-1").len(), 1);
}

#[test]
fn accounts_do_not_see_each_other() {
    let cloud = require!(cloud());
    let (one, other) = (cloud.account(), cloud.account());
    one.call(
        "eu-west-1",
        "RunInstances",
        &[("ImageId", BASE_ID), ("MinCount", "1"), ("MaxCount", "1")],
    );
    let held: Vec<String> = one.holds("eu-west-1").into_iter().collect();
    assert_eq!(held.len(), 2, "an instance and its volume: {held:?}");
    assert!(held[0].starts_with("eu-west-1 instance i-") && held[0].ends_with(" running"));
    assert_eq!(one.holds("us-east-1").len(), 0);
    assert_eq!(other.holds("eu-west-1").len(), 0);
}
