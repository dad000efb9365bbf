//! Ports that processes do not take from each other.

use std::net::{Ipv4Addr, TcpListener};

use ingot_vm::ports::PortRange;
use serde_json::json;

use crate::harness::{Build, first_answer, spawn};

/// Three ports in a row that are free.
fn three() -> u16 {
    (20_000..30_000)
        .step_by(7)
        .find(|&min| {
            (min..min + 3).all(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok())
        })
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn no_port_is_given_out_twice() {
    let build = Build::new();
    let (min, cache) = (three(), build.text("cache"));
    let job = json!({"do": "reserve", "min": min, "max": min + 2});
    let start = || spawn(&job, &[("PACKER_CACHE_DIR", &cache)]);
    // None of them listens on its port any more, and still each has its own.
    let mut children: Vec<_> = (0..3).map(|_| start()).collect();
    let mut ports: Vec<u16> =
        children.iter_mut().map(|child| first_answer(child).parse().unwrap()).collect();
    ports.sort_unstable();
    assert_eq!(ports, [min, min + 1, min + 2]);
    // A fourth waits until one ends, even if it is killed.
    let mut fourth = start();
    std::thread::sleep(std::time::Duration::from_millis(700));
    assert!(fourth.try_wait().unwrap().is_none());
    children[1].kill().unwrap();
    let freed: u16 = first_answer(&mut fourth).parse().unwrap();
    assert!((min..min + 3).contains(&freed));
    drop(fourth.stdin.take());
    assert!(fourth.wait().unwrap().success());
    for mut child in children {
        drop(child.stdin.take());
        child.wait().unwrap();
    }
}

#[tokio::test]
async fn ports_that_others_listen_on_are_skipped() {
    let build = Build::new();
    let min = three();
    let _other = TcpListener::bind((Ipv4Addr::LOCALHOST, min)).unwrap();
    let range = PortRange { min, max: min + 1 };
    let reserved = range.reserve(&build.ctx, Ipv4Addr::LOCALHOST.into()).await.unwrap();
    assert_eq!(reserved.port(), min + 1);
    build.ctx.cancel.cancel();
    assert!(
        range.reserve(&build.ctx, Ipv4Addr::LOCALHOST.into()).await.unwrap_err().is_cancelled()
    );
    assert!(build.said.lines()[0].contains("are in use; waiting"));
    let one = PortRange { min, max: min };
    let elsewhere = one.reserve(&build.ctx, Ipv4Addr::new(192, 0, 2, 1).into());
    assert!(elsewhere.await.unwrap_err().to_string().contains("cannot listen on 192.0.2.1"));
}
