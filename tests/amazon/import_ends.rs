//! `post-processor "amazon-import"` that fails, is cancelled, or is killed.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use ingot_test_support::require;
use rustix::process::Signal;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::import::{Imports, for_each};
use super::proxy::{Act, Call, answer};

/// A disk that is sent in two parts.
const LARGE: u64 = 20 << 20;

/// A plan that does `act` to the `nth` call of `action`.
pub(crate) fn once(
    action: &'static str,
    nth: usize,
    act: Act,
) -> impl Fn(&Call) -> Act + Send + Sync {
    move |call| if (call.action.as_str(), call.nth) == (action, nth) { act } else { Act::Forward }
}

/// Has moto tell when uploads began, which it does not know.
pub(crate) fn date_uploads(imports: &Imports) {
    imports.bench.proxy.edit_answers(|call, body| {
        let now = OffsetDateTime::now_utc().format(&Rfc3339).unwrap();
        (call.action == "ListMultipartUploads")
            .then(|| body.replace("2010-11-10T20:48:33.000Z", &now))
    });
}

/// Starts an import of a large disk, which ends as the plan says.
pub(crate) fn large(imports: &Imports, options: &str) -> super::bench::RunResult {
    imports.disk(LARGE);
    imports.template("disk.raw", &format!("      format = \"raw\"\n{options}"));
    imports.bench.run(&["build", "-color=false", "."])
}

#[test]
fn a_cancelled_import_leaves_nothing() {
    let cases = [
        ("PutObject", 0),
        ("CreateMultipartUpload", 0),
        ("UploadPart", 1),
        ("CompleteMultipartUpload", 0),
        ("ImportImage", 0),
        ("DescribeImportImageTasks", 2),
        ("CopyImage", 0),
        ("DeregisterImage", 0),
        ("CreateTags", 0),
        ("DeleteObject", 0),
    ];
    for_each(&cases, |&(action, nth)| {
        let plan = once(action, nth, Act::Signal(Signal::INT));
        let imports = require!(Imports::new(plan));
        let options =
            "      ami_name = \"web-1\"\n      tags = { a = \"b\" }\n      skip_clean = false\n";
        let ended = match action {
            "PutObject" => imports.import(options),
            _ => large(&imports, options),
        };
        assert_eq!(imports.bench.proxy.acted(), 1, "{action}");
        assert_eq!(ended.code, Some(1), "{action}: {}", ended.said);
        assert_eq!(imports.holds(), BTreeSet::new(), "{action}: {}", ended.said);
        assert_eq!(imports.bench.journals(), 0, "{action}: {}", ended.said);
        assert!(imports.bench.path("disk.raw").exists(), "{action}");
        if action == "DescribeImportImageTasks" {
            let calls = imports.calls();
            assert!(calls.contains(&"CancelImportTask".to_owned()), "{calls:?}");
            assert!(!calls.contains(&"CopyImage".to_owned()), "{calls:?}");
        }
    });
}

#[test]
fn cleanup_removes_what_a_killed_import_left() {
    let cases = [
        ("PutObject", 0, "amazon-s3-object"),
        ("CreateMultipartUpload", 0, "amazon-s3-object"),
        ("UploadPart", 1, "amazon-s3-object"),
        ("CompleteMultipartUpload", 0, "amazon-s3-object"),
        ("ImportImage", 0, "amazon-import-task amazon-s3-object"),
        ("DescribeImportImageTasks", 2, "amazon-import-task amazon-s3-object"),
        // The last look, after which the AMI is there and nobody knows.
        ("DescribeImportImageTasks", 5, "amazon-import-task amazon-s3-object"),
        ("CopyImage", 0, "amazon-image amazon-import-task amazon-s3-object"),
        ("DeregisterImage", 0, "amazon-image amazon-import-task amazon-s3-object"),
        ("CreateTags", 0, "amazon-image amazon-s3-object"),
        ("DeleteObject", 0, "amazon-image amazon-s3-object"),
    ];
    for_each(&cases, |&(action, nth, kinds)| {
        let plan = once(action, nth, Act::Signal(Signal::KILL));
        let imports = require!(Imports::new(plan));
        date_uploads(&imports);
        let options = "      ami_name = \"web-1\"\n      tags = { a = \"b\" }\n";
        let ended = match action {
            "PutObject" => imports.import(options),
            _ => large(&imports, options),
        };
        assert_eq!(
            (ended.code, imports.bench.proxy.acted()),
            (None, 1),
            "{action}: {}",
            ended.said
        );
        assert_ne!(imports.holds(), BTreeSet::new(), "{action}");
        let list = imports.bench.run(&["cleanup", "-list", "-json"]);
        let report: serde_json::Value = serde_json::from_str(&list.said).unwrap();
        let things = report["runs"][0]["things"].as_array().unwrap();
        let found: BTreeSet<&str> =
            things.iter().map(|thing| thing["kind"].as_str().unwrap()).collect();
        assert_eq!(found, kinds.split(' ').collect(), "{action}");
        let cleaned = imports.bench.run(&["cleanup"]);
        assert_eq!(cleaned.code, Some(0), "{action}: {}", cleaned.said);
        assert_eq!(imports.holds(), BTreeSet::new(), "{action}: {}", cleaned.said);
        assert_eq!(imports.bench.journals(), 0, "{action}: {}", cleaned.said);
    });
}

#[test]
fn an_object_of_the_same_key_that_is_not_of_the_import_stays() {
    let plan = once("CreateMultipartUpload", 0, Act::Signal(Signal::KILL));
    let imports = require!(Imports::new(plan));
    date_uploads(&imports);
    let place = format!("/{}/d.raw", imports.bucket);
    imports.bench.account.s3("PUT", &place, b"of the user");
    let ended = large(&imports, "      s3_key_name = \"d.raw\"\n");
    assert_eq!(ended.code, None, "{}", ended.said);
    let held = ["Contents d.raw", "Upload d.raw"].map(str::to_owned);
    assert_eq!(imports.holds(), BTreeSet::from(held));
    let cleaned = imports.bench.run(&["cleanup"]);
    assert_eq!(cleaned.code, Some(0), "{}", cleaned.said);
    assert_eq!(imports.holds(), BTreeSet::from(["Contents d.raw".to_owned()]));
    assert_eq!(imports.bench.account.s3("GET", &place, b"").text(), "of the user");
}

#[test]
fn lost_responses_are_recovered_from() {
    let cases = [
        ("PutObject", 0),
        ("CreateMultipartUpload", 0),
        ("UploadPart", 1),
        ("CompleteMultipartUpload", 0),
        ("ImportImage", 0),
        ("CopyImage", 0),
        ("DeleteObject", 0),
    ];
    for_each(&cases, |&(action, nth)| {
        let imports = require!(Imports::new(once(action, nth, Act::CutAfter)));
        date_uploads(&imports);
        let options = "      ami_name = \"web-1\"\n";
        let ended = match action {
            "PutObject" => imports.import(options),
            _ => large(&imports, options),
        };
        assert_eq!(imports.bench.proxy.acted(), 1, "{action}");
        assert_eq!(ended.code, Some(0), "{action}: {}", ended.said);
        let held = imports.holds();
        let made: Vec<_> = held.iter().filter(|line| line.contains(" web-1 available")).collect();
        assert_eq!((made.len(), held.len()), (1, 2), "{action}: {held:?}");
        assert_eq!(imports.bench.journals(), 0, "{action}: {}", ended.said);
    });
}

#[test]
fn refusals_say_what_to_do_and_leave_nothing() {
    let moved = |imports: &Imports| {
        imports.bench.proxy.stand_in(|call, _| {
            let body = "<Error><Code>PermanentRedirect</Code><Message>elsewhere</Message></Error>";
            let moved = answer(301, "application/xml", body);
            (call.action == "PutObject").then(|| moved.with("x-amz-bucket-region", "eu-west-1"))
        });
    };
    let nothing = |_: &Imports| {};
    type Prepare<'a> = &'a (dyn Fn(&Imports) + Sync);
    let cases: [(&'static str, Act, &str, Prepare<'_>, &[&str]); 6] = [
        (
            "",
            Act::Forward,
            "role_name = \"other\"",
            &nothing,
            &["The service role other provided does not exist", "docs/amazon.md says how"],
        ),
        (
            "",
            Act::Forward,
            "",
            &moved,
            &["is in eu-west-1, not in us-east-1", "region = \"eu-west-1\""],
        ),
        ("PutObject", Act::Refuse(404, "NoSuchBucket"), "", &nothing, &["aws s3 mb s3://disks-"]),
        ("PutObject", Act::Refuse(403, "AccessDenied"), "", &nothing, &["s3:PutObject"]),
        (
            "CopyImage",
            Act::Refuse(400, "InvalidAMIName.Malformed"),
            "",
            &nothing,
            &["copying the AMI"],
        ),
        (
            "CreateTags",
            Act::Refuse(403, "UnauthorizedOperation"),
            "",
            &nothing,
            &["tagging the AMI", "permissions in docs/amazon.md"],
        ),
    ];
    for_each(&cases, |&(action, act, option, prepare, parts)| {
        let imports = require!(Imports::new(once(action, 0, act)));
        prepare(&imports);
        let ended = imports.import(&format!(
            "      ami_name = \"web-1\"\n      tags = {{ a = \"b\" }}\n      {option}\n"
        ));
        assert_eq!(ended.code, Some(1), "{parts:?}: {}", ended.said);
        for part in parts {
            assert!(ended.said.contains(part), "{parts:?}: no {part:?}: {}", ended.said);
        }
        assert!(!ended.said.contains("Could not remove"), "{parts:?}: {}", ended.said);
        assert_eq!(imports.holds(), BTreeSet::new(), "{parts:?}: {}", ended.said);
        assert_eq!(imports.bench.journals(), 0, "{parts:?}: {}", ended.said);
    });
}

#[test]
fn credentials_that_may_not_tag_the_import_import_all_the_same() {
    let plan = once("ImportImage", 0, Act::Refuse(403, "UnauthorizedOperation"));
    let imports = require!(Imports::new(plan));
    let ended = imports.import("");
    assert_eq!(ended.code, Some(0), "{}", ended.said);
    assert_eq!(imports.holds().len(), 2, "{:?}", imports.holds());
}

#[test]
fn what_cannot_be_removed_is_reported_and_removed_by_cleanup() {
    let plan = |call: &Call| match call.action.as_str() {
        "DeleteObject" => Act::Refuse(403, "AccessDenied"),
        _ => Act::Forward,
    };
    let imports = require!(Imports::new(plan));
    let ended = imports.import("      s3_key_name = \"d.raw\"\n");
    // The AMI is there.
    assert_eq!(ended.code, Some(0), "{}", ended.said);
    let left = format!("Could not remove s3://{}/d.raw", imports.bucket);
    assert!(ended.said.contains(&left), "{}", ended.said);
    assert_eq!((imports.holds().len(), imports.bench.journals()), (3, 1));
    imports.bench.proxy.disarm();
    let cleaned = imports.bench.run(&["cleanup"]);
    assert_eq!(cleaned.code, Some(0), "{}", cleaned.said);
    assert_eq!((imports.holds().len(), imports.bench.journals()), (2, 0), "{}", cleaned.said);
}

#[test]
fn a_disk_that_is_written_to_meanwhile_becomes_no_ami() {
    let path = tempfile::NamedTempFile::with_suffix(".raw").unwrap();
    let (disk, written) = (path.path().to_owned(), Arc::new(AtomicBool::new(false)));
    let (done, grow) = (Arc::clone(&written), disk.clone());
    let imports = require!(Imports::new(move |call| {
        if call.action == "UploadPart" && !done.swap(true, Ordering::SeqCst) {
            let file = std::fs::File::options().append(true).open(&grow);
            file.unwrap().write_all(b"more").unwrap();
        }
        Act::Forward
    }));
    path.as_file().set_len(LARGE).unwrap();
    let name = disk.display().to_string();
    imports.template(&name, "      format = \"raw\"\n      keep_input_artifact = true\n");
    let ended = imports.bench.run(&["build", "-color=false", "."]);
    let why = "was changed while it was being uploaded";
    assert!(ended.code == Some(1) && ended.said.contains(why), "{}", ended.said);
    assert!(written.load(Ordering::SeqCst));
    assert_eq!(imports.holds(), BTreeSet::new());
    let calls = imports.calls();
    assert!(!calls.contains(&"CompleteMultipartUpload".to_owned()), "{calls:?}");
    assert_eq!(imports.bench.journals(), 0);
}
