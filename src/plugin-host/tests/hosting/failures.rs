//! Plugins that fail, in every way that they can.

use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ingot_sdk::testing::ThisMachine;
use ingot_sdk::{GeneratedData, Prepare, RunContext};
use ingot_test_support::{eventually, eventually_async};
use serde_json::json;

use crate::components::{build, run};
use crate::harness::{config, facts, trial};

#[test]
fn what_is_no_plugin_is_reported_when_it_starts() {
    for (how, message) in [
        ("crash", "it ended with exit code 3 while starting"),
        ("rubbish", "it printed \"what is this?\" where the address it listens on was expected"),
        ("version", "it speaks version 6.0 of the plugin protocol; this program speaks 5.0"),
        ("address", "cannot connect to it at /nowhere/at/all"),
        ("mute", "it closed the connection while starting"),
    ] {
        let Some(trial) = trial(&[("TRIAL_START", how)]) else { return };
        let before = Instant::now();
        // Its options are not known, so any are accepted, and the error comes when it is prepared.
        assert!(trial.builder().schema().open);
        let error = build(&trial, json!({})).map(|_| ()).unwrap_err().to_string();
        assert!(error.contains(message), "{how}: {error}");
        assert!(error.contains("the plugin packer-plugin-trial failed"), "{how}: {error}");
        if how == "crash" {
            assert!(error.contains("log:\n  trial: crashing on purpose"), "{error}");
        }
        assert!(before.elapsed() < Duration::from_secs(15), "{how}");
    }
}

#[test]
fn a_plugin_that_hangs_at_its_start_is_started_once() {
    let Some(mut trial) = trial(&[("TRIAL_START", "hang")]) else { return };
    trial.start_limit(Duration::from_secs(1));
    // It is asked for its options, and then it is to check them.
    assert!(trial.builder().schema().open);
    let error = build(&trial, json!({})).map(|_| ()).unwrap_err().to_string();
    assert!(error.contains("it did not respond within 1 second while starting"), "{error}");
    // None is counted where it had no time to say that it starts.
    assert!(trial.starts() <= 1);
}

#[test]
fn a_plugin_that_hung_at_one_start_is_started_again_for_what_follows() {
    let Some(mut trial) = trial(&[("TRIAL_START", "hang once")]) else { return };
    // Its options are known, as in each run that gets as far as to a build.
    assert!(!trial.builder().schema().open);
    trial.start_limit(Duration::from_secs(1));
    std::fs::write(trial.path("record.hang"), "").unwrap();
    let error = build(&trial, json!({})).map(|_| ()).unwrap_err().to_string();
    assert!(error.contains("it did not respond within 1 second while starting"), "{error}");
    // A machine that is busy may need longer than a second for a start that does not hang.
    eventually("a start that works", || build(&trial, json!({})).is_ok());
}

#[test]
fn a_plugin_that_dies_during_a_build_is_reported_with_its_last_lines() {
    for (how, message, log) in [
        ("crash", "it ended with exit code 2 while building", "panic: crashing on purpose"),
        ("exit", "it ended with exit code 4 while building", "trial: leaving on purpose"),
        ("kill", "it ended by signal 9 while building", ""),
        ("close", "it closed the connection while building", ""),
        ("error", "failing on purpose", ""),
    ] {
        let Some(trial) = trial(&[]) else { return };
        let error = build(&trial, json!({"fail": how})).map(|_| ()).unwrap_err().to_string();
        assert!(error.contains(message), "{how}: {error}");
        assert!(error.contains(log), "{how}: {error}");
    }
}

/// Kills the processes of the plugin that this test started.
fn kill_all(trial: &crate::harness::Trial) {
    let record = trial.path("record").into_os_string().into_encoded_bytes();
    let mut killed: Vec<OsString> = Vec::new();
    for process in std::fs::read_dir("/proc").unwrap().flatten() {
        let variables = std::fs::read(process.path().join("environ")).unwrap_or_default();
        if variables.windows(record.len()).any(|part| part == record) {
            ingot_test_support::signal("KILL", process.file_name().display());
            killed.push(process.file_name());
        }
    }
    assert!(!killed.is_empty());
    // Until this is noticed: the host asks for the exit code, and what else it does at that time
    // takes no longer.
    eventually("the host notices it", || !killed.iter().any(|process| is_child(process)));
    std::thread::sleep(Duration::from_secs(1));
}

/// Whether this program has a child of that process id, which may have ended and not been asked for
/// its exit code.
fn is_child(process: &OsStr) -> bool {
    let stat = std::fs::read_to_string(Path::new("/proc").join(process).join("stat"));
    let stat = stat.unwrap_or_default();
    // PID (NAME) STATE PARENT
    let parent = stat.rsplit(')').next().and_then(|rest| rest.split_whitespace().nth(1));
    parent == Some(std::process::id().to_string().as_str())
}

#[test]
fn a_process_that_ended_while_it_was_idle_is_not_used() {
    let Some(trial) = trial(&[]) else { return };
    drop(trial.provisioner().prepare(&config(json!({})), &facts()).unwrap());
    kill_all(&trial);
    let provisioner = trial.provisioner().prepare(&config(json!({})), &facts()).unwrap().ready;
    let options = config(json!({"directory": trial.path("built")}));
    let builder = trial.builder().prepare(&options, &facts()).unwrap().ready;
    assert_eq!(trial.starts(), 3);
    kill_all(&trial);
    let machine = Arc::new(ThisMachine(trial.dir.path().to_owned()));
    let data = GeneratedData::new();
    run(provisioner.provision(&trial.ctx(), machine, &data)).unwrap();
    assert!(run(builder.build(&trial.ctx())).unwrap().is_some());
    assert_eq!(trial.starts(), 5);
}

#[test]
fn a_plugin_that_does_not_answer_is_reported_after_the_timeout() {
    let Some(mut trial) = trial(&[]) else { return };
    // The time for the plugin to get as far as that counts, too.
    trial.limit(Duration::from_secs(2));
    let before = Instant::now();
    let options = json!({"fail": "hang", "at": "prepare"});
    let error = build(&trial, options).map(|_| ()).unwrap_err().to_string();
    assert!(
        error.contains("did not respond within 2 seconds while checking its options"),
        "{error}"
    );
    assert!(before.elapsed() < Duration::from_secs(15));
}

#[test]
fn a_flood_of_log_lines_stops_nothing() {
    let Some(trial) = trial(&[]) else { return };
    build(&trial, json!({"fail": "flood"})).unwrap();
}

#[test]
fn children_of_a_plugin_end_with_it() {
    let Some(trial) = trial(&[]) else { return };
    let artifact = build(&trial, json!({"fail": "child"}));
    // The builder said that this is no way to fail, or left a child; either way it is gone.
    drop(artifact);
    let record = trial.path("record").into_os_string().into_encoded_bytes();
    drop(trial);
    eventually("the child of the plugin ends", || {
        !std::fs::read_dir("/proc").unwrap().flatten().any(|process| {
            let line = std::fs::read(process.path().join("cmdline")).unwrap_or_default();
            // Another run of this test may be under way: its processes have other variables.
            let variables = std::fs::read(process.path().join("environ")).unwrap_or_default();
            line == b"sleep\x00987654\x00"
                && variables.windows(record.len()).any(|part| part == record)
        })
    });
}

#[test]
fn a_cancelled_builder_removes_what_it_created() {
    let Some(trial) = trial(&[]) else { return };
    let options = json!({"directory": trial.path("built"), "slowly": true});
    let builder = trial.builder().prepare(&config(options), &facts()).unwrap().ready;
    let ctx = trial.ctx();
    let error = run(async {
        tokio::join!(builder.build(&ctx), cancel_when_it_waits(&ctx, &trial)).0.map(|_| ())
    });
    assert!(error.unwrap_err().is_cancelled());
    assert!(!trial.path("built").exists());
    assert_eq!(trial.line("removing "), "built");
}

#[test]
fn a_cancelled_provisioner_stops() {
    let Some(trial) = trial(&[]) else { return };
    let options = config(json!({"slowly": true}));
    let provisioner = trial.provisioner().prepare(&options, &facts()).unwrap().ready;
    let ctx = trial.ctx();
    let machine = Arc::new(ThisMachine(trial.dir.path().to_owned()));
    let data = GeneratedData::new();
    let error = run(async {
        let work = provisioner.provision(&ctx, machine, &data);
        tokio::join!(ctx.unless_cancelled(work), cancel_when_it_waits(&ctx, &trial)).0
    });
    assert!(error.unwrap_err().is_cancelled());
    assert_eq!(trial.line("stopped by "), "cancellation");
}

async fn cancel_when_it_waits(ctx: &RunContext, trial: &crate::harness::Trial) {
    let waits = async || trial.said.lines().iter().any(|line| line == "waiting to be cancelled");
    eventually_async("it waits to be cancelled", waits).await;
    ctx.cancel.cancel();
}
