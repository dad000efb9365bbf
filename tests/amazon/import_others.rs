//! `post-processor "amazon-import"` beside others: other builds, and people with the same bucket.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use ingot_test_support::require;
use rustix::process::Signal;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::cloud::{items, value};
use super::import::{Imports, for_each};
use super::import_ends::{date_uploads, large, once};
use super::proxy::{Act, Call, answer};

/// The key that the tests of this file share with others.
const KEY: &str = "      s3_key_name = \"d.raw\"\n";

const REGION: &str = "us-east-1";

/// Another's disk, with partitions as far as EC2 looks.
fn other() -> Vec<u8> {
    let mut disk = vec![b'.'; 512];
    disk[..10].copy_from_slice(b"of another");
    disk[510..].copy_from_slice(b"\x55\xaa");
    disk
}

/// Has somebody else write the object before the first call of `action` passes.
fn overwrite_before(imports: &Imports, action: &'static str) {
    let (account, path) = (imports.bench.account.clone(), format!("/{}/d.raw", imports.bucket));
    imports.bench.proxy.stand_in(move |call, _| {
        if (call.action.as_str(), call.nth) == (action, 0) {
            account.s3("PUT", &path, &other());
        }
        None
    });
}

/// Whether the object is another's.
fn is_of_another(imports: &Imports) -> bool {
    let place = format!("/{}/d.raw", imports.bucket);
    imports.bench.account.s3("GET", &place, b"").body == other()
}

#[test]
fn builds_of_one_run_have_keys_of_their_own() {
    let imports = require!(Imports::new(|_| Act::Forward));
    imports.disk(4096);
    let options =
        "      format = \"raw\"\n      skip_clean = true\n      keep_input_artifact = true\n";
    imports.template("disk.raw", options);
    let path = imports.bench.path("t.pkr.hcl");
    let text = std::fs::read_to_string(&path).unwrap();
    let two = text.replace(
        "build {\n  sources = [\"source.null.a\"]",
        "source \"null\" \"b\" {\n  communicator = \"none\"\n}\nbuild {\n  sources = \
         [\"source.null.a\", \"source.null.b\"]",
    );
    assert_ne!(two, text);
    std::fs::write(&path, two).unwrap();
    let ended = imports.bench.run(&["build", "-color=false", "."]);
    assert_eq!(ended.code, Some(0), "{}", ended.said);
    let objects = imports.bench.account.bucket(&imports.bucket);
    assert_eq!(objects.len(), 2, "{objects:?}");
    let named = |key: &String| {
        key.starts_with("Contents packer-import-1") && key.ends_with(".raw") && key.len() == 50
    };
    assert!(objects.iter().all(named), "{objects:?}");
}

#[test]
fn what_somebody_else_writes_is_not_imported_and_stays() {
    let cases = [("HeadObject", false), ("ImportImage", true)];
    for_each(&cases, |&(action, started)| {
        let imports = require!(Imports::new(|_| Act::Forward));
        overwrite_before(&imports, action);
        let ended = imports.import(KEY);
        assert_eq!(ended.code, Some(1), "{action}: {}", ended.said);
        let calls = imports.calls();
        assert_eq!(calls.contains(&"ImportImage".to_owned()), started, "{calls:?}");
        assert!(is_of_another(&imports), "{action}: {}", ended.said);
        let why = "was overwritten or removed by somebody else while it was imported";
        assert!(ended.said.contains(why), "{action}: {}", ended.said);
        let held = BTreeSet::from(["Contents d.raw".to_owned()]);
        assert_eq!(imports.holds(), held, "{action}: {}", ended.said);
        assert_eq!(imports.bench.journals(), 0, "{action}: {}", ended.said);
    });
}

#[test]
fn cleanup_leaves_what_somebody_else_has_written_meanwhile() {
    let imports = require!(Imports::new(once("ImportImage", 0, Act::Signal(Signal::KILL))));
    let ended = imports.import(KEY);
    assert_eq!(ended.code, None, "{}", ended.said);
    let place = format!("/{}/d.raw", imports.bucket);
    imports.bench.account.s3("PUT", &place, &other());
    let cleaned = imports.bench.run(&["cleanup"]);
    assert_eq!(cleaned.code, Some(0), "{}", cleaned.said);
    assert!(is_of_another(&imports));
    assert_eq!(imports.holds(), BTreeSet::from(["Contents d.raw".to_owned()]));
    assert_eq!(imports.bench.journals(), 0, "{}", cleaned.said);
}

#[test]
fn an_object_that_nobody_may_look_at_is_not_deleted_unless_its_key_is_the_imports_own() {
    for_each(&[(KEY, 1), ("", 0)], |&(options, left)| {
        let plan = |call: &Call| match call.action.as_str() {
            "HeadObject" => Act::Refuse(403, "AccessDenied"),
            _ => Act::Forward,
        };
        let imports = require!(Imports::new(plan));
        let ended = imports.import(options);
        // The AMI is there.
        assert_eq!(ended.code, Some(0), "{}", ended.said);
        assert_eq!(ended.said.contains("s3:GetObject"), left == 1, "{}", ended.said);
        assert_eq!(ended.said.contains("Could not remove s3://"), left == 1, "{}", ended.said);
        let objects = imports.bench.account.bucket(&imports.bucket).len();
        assert_eq!((objects, imports.bench.journals()), (left, left), "{}", ended.said);
    });
}

#[test]
fn a_version_that_may_not_be_deleted_is_reported_and_hides_nothing() {
    let imports = require!(Imports::new(|_| Act::Forward));
    let (account, bucket) = (&imports.bench.account, &imports.bucket);
    let versioning = b"<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>";
    account.s3("PUT", &format!("/{bucket}?versioning"), versioning);
    imports.bench.proxy.stand_in(|call, request| {
        let body = "<Error><Code>AccessDenied</Code><Message>no</Message></Error>";
        let of_version = call.action == "DeleteObject" && request.head.contains("versionId=");
        of_version.then(|| answer(403, "application/xml", body))
    });
    let ended = imports.import(KEY);
    assert_eq!(ended.code, Some(0), "{}", ended.said);
    let parts = ["Could not remove s3://", "stays without s3:DeleteObjectVersion"];
    assert!(parts.iter().all(|part| ended.said.contains(part)), "{}", ended.said);
    let versions = account.s3("GET", &format!("/{bucket}?versions"), b"").text();
    assert!(!versions.contains("<DeleteMarker>"), "{versions}");
    assert_eq!(imports.bench.journals(), 1);
}

/// Starts an import of the key of the tests by hand, as Packer's plugin does: without a tag.
fn start_import(imports: &Imports) -> String {
    let account = &imports.bench.account;
    account.s3("PUT", &format!("/{}/d.raw", imports.bucket), &other());
    let asked = [
        ("DiskContainer.1.Format", "raw"),
        ("DiskContainer.1.UserBucket.S3Bucket", imports.bucket.as_str()),
        ("DiskContainer.1.UserBucket.S3Key", "d.raw"),
    ];
    value(&account.call(REGION, "ImportImage", &asked), "importTaskId")
}

/// The imports and their states, as EC2 tells them.
fn states(imports: &Imports) -> Vec<(String, String)> {
    let all = imports.bench.account.call(REGION, "DescribeImportImageTasks", &[]);
    let all = items(&all, "importImageTaskSet");
    all.iter().map(|task| (value(task, "importTaskId"), value(task, "status"))).collect()
}

#[test]
fn an_import_that_somebody_else_has_started_is_not_taken_for_the_builds_own() {
    let imports = require!(Imports::new(once("ImportImage", 0, Act::CutBefore)));
    let id = start_import(&imports);
    let ended = imports.import(KEY);
    assert_eq!(ended.code, Some(0), "{}", ended.said);
    assert!(!ended.said.contains(&id), "{}", ended.said);
    assert!(states(&imports).contains(&(id, "active".to_owned())));

    // Killed, where its own import was never begun.
    let imports = require!(Imports::new(once("ImportImage", 0, Act::Signal(Signal::KILL))));
    let id = start_import(&imports);
    imports.bench.proxy.stand_in(|call, _| {
        (call.action == "ImportImage").then(|| answer(503, "text/xml", "<Response/>"))
    });
    let ended = imports.import(KEY);
    assert_eq!(ended.code, None, "{}", ended.said);
    let cleaned = imports.bench.run(&["cleanup"]);
    assert_eq!(cleaned.code, Some(0), "{}", cleaned.said);
    assert_eq!(states(&imports), [(id, "active".to_owned())], "{}", cleaned.said);
}

#[test]
fn an_import_without_a_tag_is_cancelled_after_a_kill() {
    let imports = require!(Imports::new(|call| match (call.action.as_str(), call.nth) {
        ("ImportImage", 0) => Act::Refuse(403, "UnauthorizedOperation"),
        ("ImportImage", 1) => Act::Signal(Signal::KILL),
        _ => Act::Forward,
    }));
    let ended = imports.import("");
    assert_eq!(ended.code, None, "{}", ended.said);
    assert_eq!(states(&imports).len(), 1);
    let cleaned = imports.bench.run(&["cleanup"]);
    assert_eq!(cleaned.code, Some(0), "{}", cleaned.said);
    assert_eq!(states(&imports)[0].1, "deleted", "{}", cleaned.said);
    assert_eq!(imports.holds(), BTreeSet::new());
}

#[test]
fn an_import_that_ec2_does_not_show_yet_is_cancelled_all_the_same() {
    let plan = once("DescribeImportImageTasks", 0, Act::Signal(Signal::INT));
    let imports = require!(Imports::new(plan));
    imports.bench.proxy.edit_answers(|call, body| {
        let early = call.action == "DescribeImportImageTasks" && call.nth < 3;
        let (start, end) =
            (body.find("<importImageTaskSet>")?, body.find("</importImageTaskSet>")?);
        early.then(|| format!("{}<importImageTaskSet>{}", &body[..start], &body[end..]))
    });
    let ended = imports.import("");
    assert_eq!(ended.code, Some(1), "{}", ended.said);
    assert_eq!(states(&imports)[0].1, "deleted", "{}", ended.said);
    assert_eq!((imports.holds(), imports.bench.journals()), (BTreeSet::new(), 0), "{}", ended.said);
}

/// Begins an upload in parts by hand, to the key of the tests.
fn begin_upload(imports: &Imports) {
    let answer =
        imports.bench.account.s3("POST", &format!("/{}/d.raw?uploads", imports.bucket), b"");
    assert!(answer.text().contains("UploadId"), "{}", answer.text());
}

/// How many uploads there are that are not complete.
fn uploads(imports: &Imports) -> usize {
    let found = imports.bench.account.s3("GET", &format!("/{}?uploads", imports.bucket), b"");
    found.text().matches("<UploadId>").count()
}

#[test]
fn an_upload_of_somebody_else_to_the_same_key_goes_on() {
    let (lost, killed) = (Act::CutAfter, Act::Signal(Signal::KILL));
    for_each(&[(lost, Some(0)), (killed, None)], |&(act, code)| {
        let imports = require!(Imports::new(once("CreateMultipartUpload", 0, act)));
        date_uploads(&imports);
        begin_upload(&imports);
        let ended = large(&imports, KEY);
        assert_eq!(ended.code, code, "{}", ended.said);
        if code.is_none() {
            assert_eq!(uploads(&imports), 2);
            let cleaned = imports.bench.run(&["cleanup"]);
            assert_eq!(cleaned.code, Some(0), "{}", cleaned.said);
        }
        assert_eq!(uploads(&imports), 1, "{}", ended.said);
        assert_eq!(imports.bench.journals(), 0, "{}", ended.said);
    });
}

#[test]
fn where_uploads_may_not_be_seen_none_is_aborted_that_may_be_anothers() {
    let imports = require!(Imports::new(|call| match (call.action.as_str(), call.nth) {
        ("CreateMultipartUpload", 0) => Act::Signal(Signal::KILL),
        ("ListMultipartUploads", 0) => Act::Refuse(403, "AccessDenied"),
        _ => Act::Forward,
    }));
    date_uploads(&imports);
    begin_upload(&imports);
    let ended = large(&imports, KEY);
    assert_eq!(ended.code, None, "{}", ended.said);
    let cleaned = imports.bench.run(&["cleanup"]);
    assert!(cleaned.said.contains("some may be another's"), "{}", cleaned.said);
    assert_eq!((cleaned.code, uploads(&imports), imports.bench.journals()), (Some(1), 2, 1));
}

#[test]
fn an_upload_is_aborted_until_nothing_is_left_of_it() {
    let plan = once("UploadPart", 1, Act::Signal(Signal::INT));
    let imports = require!(Imports::new(plan));
    // As where a part that was on its way comes after it: there is an upload again.
    imports.bench.proxy.stand_in(|call, _| {
        let early = call.action == "AbortMultipartUpload" && call.nth == 0;
        early.then(|| answer(204, "application/xml", ""))
    });
    let ended = large(&imports, "");
    assert_eq!(ended.code, Some(1), "{}", ended.said);
    assert_eq!((imports.holds(), imports.bench.journals()), (BTreeSet::new(), 0), "{}", ended.said);
}

#[test]
fn cleanup_goes_to_the_s3_of_the_journal_and_wants_the_bucket_to_be_there() {
    let plan = once("ImportImage", 0, Act::Signal(Signal::KILL));
    let mut imports = require!(Imports::new(plan));
    let ended = imports.import(KEY);
    assert_eq!(ended.code, None, "{}", ended.said);
    // Nobody answers there.
    imports.bench.env = vec![("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:9".to_owned())];
    imports.bench.proxy.stand_in(|call, request| {
        let of_bucket = call.action == "HeadObject" && !request.head.contains("/d.raw");
        of_bucket.then(|| answer(404, "application/xml", ""))
    });
    let cleaned = imports.bench.run(&["cleanup"]);
    let why = format!("there is no bucket {} at http://127.0.0.1:", imports.bucket);
    assert!(cleaned.code == Some(1) && cleaned.said.contains(&why), "{}", cleaned.said);
    assert_eq!(imports.bench.journals(), 1);
    imports.bench.proxy.stand_in(|_, _| None);
    let cleaned = imports.bench.run(&["cleanup"]);
    assert_eq!(cleaned.code, Some(0), "{}", cleaned.said);
    assert_eq!((imports.holds(), imports.bench.journals()), (BTreeSet::new(), 0));
}

#[test]
fn credentials_that_cannot_be_renewed_are_used_as_long_as_they_last() {
    let (uploaded, refused) = (AtomicBool::new(false), Arc::new(AtomicUsize::new(0)));
    let count = Arc::clone(&refused);
    let imports = require!(Imports::new(move |call| {
        uploaded.fetch_or(call.action == "PutObject", Ordering::SeqCst);
        if call.action != "AssumeRole" || !uploaded.load(Ordering::SeqCst) {
            return Act::Forward;
        }
        count.fetch_add(1, Ordering::SeqCst);
        Act::Refuse(403, "AccessDenied")
    }));
    imports.bench.proxy.edit_answers(|call, body| {
        let end = OffsetDateTime::now_utc() + time::Duration::minutes(4);
        let (end, old) = (end.format(&Rfc3339).unwrap(), value(body, "Expiration"));
        (call.action == "AssumeRole").then(|| body.replace(&old, &end))
    });
    let id = &imports.bench.account.id;
    let ended = imports.import(&format!(
        "      assume_role {{\n        role_arn = \"arn:aws:iam::{id}:role/r\"\n      }}\n"
    ));
    assert_eq!(ended.code, Some(0), "{}", ended.said);
    assert_ne!(refused.load(Ordering::SeqCst), 0, "{:?}", imports.calls());
}
