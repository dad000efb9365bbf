//! The fault matrix: every call that a build makes fails in every way, and signals come at every
//! call. Whatever happens, the account holds nothing afterwards but finished AMIs.

use ingot_test_support::require;
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::bench::{Bench, ENCRYPTED, Instances, REGIONS, RunResult, instances, lasting, leaks};
use super::cloud::{Cloud, cloud};
use super::proxy::{Act, Call};
use super::volumes::{EXCHANGED, VOLUMES};

/// How many builds run at a time. They wait most of the time.
const AT_ONCE: usize = 16;

/// What is tried at a call.
#[derive(Debug, Clone, Copy)]
struct Fault {
    name: &'static str,
    act: Act,
    /// How many calls of this action it hits, from the chosen one on.
    times: usize,
    /// Whether the build has to succeed all the same.
    harmless: bool,
    /// Whether what is left has to be in the journal only, for `ingot cleanup` to remove.
    leaves: bool,
}

const fn fault(name: &'static str, act: Act) -> Fault {
    Fault { name, act, times: 1, harmless: true, leaves: false }
}

/// How builds of the matrix differ.
struct Kind {
    name: &'static str,
    source: &'static str,
    /// Whether the source AMI's volume outlives the instance.
    lasting: bool,
    /// Another builder than `amazon-ebs`, and its own options.
    other: Option<(&'static str, &'static str)>,
    /// The actions of calls that builds of the first kind do not make.
    own: &'static [&'static str],
    /// The action of the last call that can fail the build.
    last: &'static str,
}

/// `amazon-ebs`, and nothing special.
const USUAL: Kind = Kind {
    name: "on demand",
    source: "",
    lasting: false,
    other: None,
    own: &[],
    // Tagging the AMIs.
    last: "CreateTags",
};

const KINDS: [Kind; 5] = [
    USUAL,
    Kind { name: "spot", source: "  spot_price = \"auto\"\n", ..USUAL },
    Kind { name: "encrypted", source: ENCRYPTED, lasting: true, ..USUAL },
    Kind {
        name: "exchanged root",
        other: Some(("amazon-ebssurrogate", EXCHANGED)),
        own: &["DetachVolume", "AttachVolume", "ModifyInstanceAttribute"],
        ..USUAL
    },
    Kind {
        name: "volumes",
        other: Some(("amazon-ebsvolume", VOLUMES)),
        own: &["CreateSnapshot", "ModifySnapshotAttribute"],
        last: "ModifySnapshotAttribute",
        ..USUAL
    },
];

impl Kind {
    /// Whether volumes and snapshots are what is made.
    fn makes_volumes(&self) -> bool {
        matches!(self.other, Some(("amazon-ebsvolume", _)))
    }

    /// What a build should not have left of `held`.
    fn leaks(&self, held: &BTreeSet<String>, succeeded: bool) -> Vec<String> {
        let made = |line: &&String| line.contains(" volume ") || line.contains(" snapshot ");
        match self.makes_volumes() && succeeded {
            true => held.iter().filter(|line| !made(line)).cloned().collect(),
            false => leaks(held, succeeded),
        }
    }

    /// How many things a build that succeeds leaves: an AMI with a snapshot in each region, or a volume
    /// and its snapshot.
    fn count(&self) -> usize {
        if self.makes_volumes() { 2 } else { 2 * REGIONS.len() }
    }

    fn bench(
        &self,
        cloud: &Cloud,
        instances: &Arc<Instances>,
        plan: impl Fn(&Call) -> Act + Send + Sync + 'static,
    ) -> Bench {
        let bench = Bench::new(cloud, instances, self.source, PROVISIONER, plan);
        if let Some((builder, own)) = self.other {
            if self.makes_volumes() {
                bench.in_one_region();
            }
            bench.of_builder(builder, own);
        }
        if self.lasting {
            bench.proxy.edit_requests(lasting);
        }
        bench
    }
}

fn faults() -> Vec<Fault> {
    vec![
        fault("500", Act::Refuse(500, "InternalError")),
        fault("throttled", Act::Refuse(503, "RequestLimitExceeded")),
        Fault { times: 3, ..fault("throttled 3x", Act::Refuse(503, "RequestLimitExceeded")) },
        fault("delayed", Act::Delay(Duration::from_millis(700))),
        fault("cut before", Act::CutBefore),
        fault("cut after", Act::CutAfter),
        Fault {
            harmless: false,
            leaves: true,
            ..fault("refused", Act::Refuse(400, "InvalidParameterValue"))
        },
        Fault {
            harmless: false,
            leaves: true,
            times: usize::MAX,
            ..fault("denied from then on", Act::Refuse(403, "UnauthorizedOperation"))
        },
    ]
}

fn signals() -> Vec<Fault> {
    let signal = |name, signal| Fault { harmless: false, ..fault(name, Act::Signal(signal)) };
    vec![
        signal("SIGINT", Signal::INT),
        signal("SIGTERM", Signal::TERM),
        Fault { leaves: true, ..signal("kill -9", Signal::KILL) },
    ]
}

/// One build with one fault at one call.
struct Case {
    kind: usize,
    call: Call,
    fault: Fault,
    /// Whether the AMIs are finished when the call is made, and so are the user's.
    finished: bool,
}

impl Case {
    fn name(&self) -> String {
        let Call { action, nth } = &self.call;
        format!("{} at {action} {}, {}", self.fault.name, nth + 1, KINDS[self.kind].name)
    }
}

/// What came of a case.
#[derive(Debug, Default)]
struct Verdict {
    /// Whether the call was made at all.
    reached: bool,
    leaks: Vec<String>,
    problem: Option<String>,
}

fn try_case(cloud: &Cloud, instances: &Arc<Instances>, case: &Case) -> Verdict {
    let (at, fault) = (case.call.clone(), case.fault);
    let plan = move |call: &Call| {
        let hit = call.action == at.action && call.nth >= at.nth && call.nth - at.nth < fault.times;
        if hit { fault.act } else { Act::Forward }
    };
    let bench = KINDS[case.kind].bench(cloud, instances, plan);
    let ended = bench.run(&["build", "-color=false", "."]);
    let kind = &KINDS[case.kind];
    judge(kind, &bench, ended, fault, (case.finished, bench.proxy.acted() > 0))
}

/// Looks at what a build has left; `finished` says whether what it made is to stay even if it failed,
/// `reached` whether it came to the fault.
fn judge(
    kind: &Kind,
    bench: &Bench,
    ended: RunResult,
    fault: Fault,
    (finished, reached): (bool, bool),
) -> Verdict {
    let succeeded = ended.code == Some(0);
    let mut verdict = Verdict { reached, ..Verdict::default() };
    if reached && fault.harmless && !succeeded {
        verdict.problem = Some(format!("the build failed:\n{}", ended.said));
    }
    if fault.leaves {
        bench.proxy.disarm();
        let cleaned = bench.run(&["cleanup"]);
        if cleaned.code != Some(0) {
            verdict.problem = Some(format!("cleanup failed:\n{}\n{}", ended.said, cleaned.said));
        }
    }
    let held = bench.holds();
    let kept = succeeded || finished;
    verdict.leaks = kind.leaks(&held, kept);
    let message = |line: &String| match line.split_once(" image ") {
        Some((_, image)) => ended.said.contains(image.split(' ').next().unwrap_or(image)),
        None => true,
    };
    if !held.iter().all(message) {
        verdict.problem = Some(format!("an AMI is not in the output: {held:?}\n{}", ended.said));
    }
    if kept && verdict.leaks.is_empty() && held.len() != kind.count() {
        verdict.problem = Some(format!("this is not what was to be made: {held:?}"));
    }
    if bench.journals() > 0 {
        verdict.problem = Some(format!("there is a journal left:\n{}", ended.said));
    }
    if !verdict.leaks.is_empty() && verdict.problem.is_none() {
        verdict.problem = Some(ended.said);
    }
    verdict
}

/// Sends a signal when a build says `text`, at which it makes no calls.
fn try_between_calls(
    cloud: &Cloud,
    instances: &Arc<Instances>,
    text: &str,
    fault: Fault,
) -> Verdict {
    let Act::Signal(signal) = fault.act else { return Verdict::default() };
    let pauses = text.starts_with("Pausing");
    let source = if pauses { "  pause_before_connecting = \"15s\"\n" } else { "" };
    let build = "  provisioner \"shell\" {\n    inline      = [\"echo asleep; sleep 300\"]\n    remote_file = \"script-${uuidv4()}.sh\"\n  }";
    let bench = Bench::new(cloud, instances, source, build, |_| Act::Forward);
    let child = bench.start(&["build", "-color=false", "."]);
    bench.wait_for(text);
    let process = Pid::from_child(&child);
    kill_process(process, signal).expect("the build runs");
    let ended = bench.end(child);
    judge(&USUAL, &bench, ended, fault, (false, true))
}

#[test]
fn no_signal_between_calls_leaves_anything() {
    let (cloud, instances) = (require!(cloud()), require!(instances()));
    let texts = ["Pausing 15s before connecting", "amazon-ebs.a: asleep"];
    let cases =
        texts.iter().flat_map(|text| signals().into_iter().map(move |fault| (*text, fault)));
    let verdicts: Vec<_> = std::thread::scope(|scope| {
        let (cloud, instances) = (&cloud, &instances);
        let started: Vec<_> = cases
            .map(|(text, fault)| {
                let work = move || try_between_calls(cloud, instances, text, fault);
                (format!("{} at {text:?}", fault.name), scope.spawn(work))
            })
            .collect();
        let ended = started.into_iter().map(|(name, thread)| (name, thread.join()));
        ended.map(|(name, verdict)| (name, verdict.expect("a verdict"))).collect()
    });
    println!("between calls: {} cases", verdicts.len());
    for (name, verdict) in &verdicts {
        println!("{name}: {} leaks", verdict.leaks.len());
    }
    let wrong = verdicts.iter().filter(|(_, verdict)| verdict.problem.is_some());
    let wrong: Vec<_> = wrong.collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

const PROVISIONER: &str = "  provisioner \"shell\" {\n    inline      = [\"echo provisioning\"]\n    remote_file = \"script-${uuidv4()}.sh\"\n  }";

/// The calls that a build makes when nothing is in its way.
fn calls_of(cloud: &Cloud, instances: &Arc<Instances>, kind: &Kind) -> Vec<Call> {
    let bench = kind.bench(cloud, instances, |_| Act::Forward);
    assert_eq!(bench.holds(), BTreeSet::new(), "a new account is empty");
    let ended = bench.run(&["build", "-color=false", "."]);
    assert_eq!(ended.code, Some(0), "{}", ended.said);
    let held = bench.holds();
    assert_eq!(kind.leaks(&held, true), [""; 0], "{}", ended.said);
    assert_eq!(held.len(), kind.count(), "{held:?}");
    assert_eq!(bench.journals(), 0);
    bench.proxy.calls()
}

/// Tries `faults` at all calls of builds of these kinds.
fn try_all(title: &str, faults: &[Fault], kinds: &[usize]) {
    let (cloud, instances) = (require!(cloud()), require!(instances()));
    let mut cases = Vec::new();
    for &kind in kinds {
        let calls = calls_of(&cloud, &instances, &KINDS[kind]);
        println!("{title}: a build {} makes {} calls", KINDS[kind].name, calls.len());
        let last = |call: &Call| call.action == KINDS[kind].last;
        let end = 1 + calls.iter().rposition(last).expect("that call is made");
        for (at, call) in calls.iter().enumerate() {
            let finished = at >= end;
            let case = |fault: &Fault| Case { kind, call: call.clone(), fault: *fault, finished };
            cases.extend(faults.iter().filter(|fault| is_tried(fault, at)).map(case));
        }
    }
    try_cases(title, faults, &cases, (&cloud, &instances));
}

/// Tries all cases, prints the matrix, and asserts that nothing is left in any. How many were not
/// reached.
fn try_cases(
    title: &str,
    faults: &[Fault],
    cases: &[Case],
    (cloud, instances): (&Cloud, &Arc<Instances>),
) -> usize {
    let begun = Instant::now();
    let next = AtomicUsize::new(0);
    let verdicts = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while let Some(case) = cases.get(next.fetch_add(1, Ordering::SeqCst)) {
                    let verdict = try_case(cloud, instances, case);
                    verdicts.lock().expect("no thread panics with it").push((case, verdict));
                }
            });
        }
    });
    let verdicts = verdicts.into_inner().expect("all threads have ended");
    report(title, faults, &verdicts, begun.elapsed());
    verdicts.iter().filter(|(_, verdict)| !verdict.reached).count()
}

fn report(title: &str, faults: &[Fault], verdicts: &[(&Case, Verdict)], took: Duration) {
    println!("\n{title}: {} cases in {:.0} s", verdicts.len(), took.as_secs_f64());
    println!("{:<22} {:>6} {:>12} {:>6} {:>9}", "", "cases", "not reached", "leaks", "problems");
    for fault in faults {
        let of = verdicts.iter().filter(|(case, _)| case.fault.name == fault.name);
        let of: Vec<&Verdict> = of.map(|(_, verdict)| verdict).collect();
        println!(
            "{:<22} {:>6} {:>12} {:>6} {:>9}",
            fault.name,
            of.len(),
            of.iter().filter(|verdict| !verdict.reached).count(),
            of.iter().map(|verdict| verdict.leaks.len()).sum::<usize>(),
            of.iter().filter(|verdict| verdict.problem.is_some()).count(),
        );
    }
    let mut wrong = 0;
    for (case, verdict) in verdicts {
        if let Some(problem) = &verdict.problem {
            wrong += 1;
            println!("\n--- {}: left {:?}\n{problem}", case.name(), verdict.leaks);
        }
    }
    assert_eq!(wrong, 0, "cases in which something was left or wrong");
}

/// The kinds of builds to try: with `INGOT_FULL_MATRIX` those that it names, separated by commas,
/// or else all; without it the usual one.
fn kinds() -> Vec<usize> {
    let Ok(wanted) = std::env::var("INGOT_FULL_MATRIX") else { return vec![0] };
    let named = |&kind: &usize| wanted.split(',').any(|name| name == KINDS[kind].name);
    let chosen: Vec<usize> = (0..KINDS.len()).filter(named).collect();
    if chosen.is_empty() { (0..KINDS.len()).collect() } else { chosen }
}

/// Whether a fault is tried at the `at`th call of a build. With `INGOT_FULL_MATRIX` all are, without it
/// only those that no other covers.
fn is_tried(fault: &Fault, at: usize) -> bool {
    match fault.name {
        _ if std::env::var_os("INGOT_FULL_MATRIX").is_some() => true,
        // "throttled 3x" begins with it.
        "throttled" => false,
        // The program hears it in the same place as SIGINT.
        "SIGTERM" => at % 3 == 1,
        _ => true,
    }
}

/// Calls that only other builders make, and the faults that are worst for what they make: what all
/// builders share is tried with the usual one.
#[test]
fn no_fault_of_a_call_of_other_builders_leaves_anything() {
    let (cloud, instances) = (require!(cloud()), require!(instances()));
    let worst = ["cut after", "refused", "kill -9"];
    let all = faults().into_iter().chain(signals());
    let faults: Vec<Fault> = all.filter(|fault| worst.contains(&fault.name)).collect();
    assert_eq!(faults.len(), worst.len());
    let mut cases = Vec::new();
    for (kind, how) in KINDS.iter().enumerate() {
        for &action in how.own {
            let call = Call { action: action.to_owned(), nth: 0 };
            let case =
                |fault: &Fault| Case { kind, call: call.clone(), fault: *fault, finished: false };
            cases.extend(faults.iter().map(case));
        }
    }
    assert_eq!(try_cases("other builders", &faults, &cases, (&cloud, &instances)), 0);
}

#[test]
fn no_fault_of_a_call_leaves_anything() {
    try_all("faults", &faults(), &kinds());
}

#[test]
fn no_signal_leaves_anything() {
    try_all("signals", &signals(), &kinds());
}
