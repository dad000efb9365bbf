//! Keyless attestations: signed and verified with Sigstore's real services where they are, and with
//! what those have signed before elsewhere. `tests/e2e/keyless` holds that; to record it anew:
//! `UPDATE=1 cargo test --test e2e keyless::live` with the services on the PATH.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tempfile::TempDir;

use ingot_test_support::sigstore::{PERSON, Sigstore, WORKFLOW};
use ingot_test_support::{Run, ingot_with, program, repository, require, template};

use crate::provenance::{attested, packer_with_attestations, read, said};

/// The attestation that a build of [`attested`] writes, and its bundle.
const ATTESTATION: &str = "out/f.disk.img.provenance.json";
const BUNDLE: &str = "out/f.disk.img.provenance.sigstore.json";

/// No token of the machine that tests run on.
const NO_TOKEN: [(&str, &str); 5] = [
    ("SIGSTORE_ID_TOKEN", ""),
    ("CI_JOB_JWT_V2", ""),
    ("CI_JOB_JWT", ""),
    ("ACTIONS_ID_TOKEN_REQUEST_URL", ""),
    ("ACTIONS_ID_TOKEN_REQUEST_TOKEN", ""),
];

fn run(dir: &Path, args: &[&str], env: &[(&str, &str)]) -> Run {
    ingot_with(dir, args, &[&NO_TOKEN, env].concat())
}

/// The options of a keyless signature by these services.
fn options(sigstore: &Sigstore, who: &str, issuer: &str, more: &str) -> String {
    format!(
        "signing_mode = \"keyless\"\n    fulcio_url = \"{}\"\n    rekor_url = \"{}/\"\n    \
         trusted_root_path = \"{}\"\n    keyless_identity = \"{who}\"\n    keyless_oidc_issuer = \
         \"{issuer}\"\n    {more}",
        sigstore.fulcio,
        sigstore.rekor,
        sigstore.trusted_root().display(),
    )
}

/// The flags that verify what is of `who`.
fn flags(root: &Path, who: &str, issuer: &str) -> Vec<String> {
    vec![
        format!("-trusted-root-path={}", root.display()),
        format!("-keyless-identity={who}"),
        format!("-keyless-oidc-issuer={issuer}"),
    ]
}

/// Runs a program's `verify-attestation`.
fn verify(of: &str, dir: &Path, flags: &[String], more: &[&str]) -> Run {
    let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
    let args = [&["verify-attestation"], &flags[..], more].concat();
    if of == "ingot" { run(dir, &args, &[]) } else { program(of, dir, &args, &NO_TOKEN) }
}

fn verified(run: &Run, what: &str) {
    assert_eq!(run.code, Some(0), "{what}: {}", said(run));
    assert!(run.stdout.contains("Attestation verified."), "{what}: {}", said(run));
}

fn refused(run: &Run, wanted: &str, what: &str) {
    assert_eq!(run.code, Some(1), "{what}: {}", said(run));
    assert!(said(run).contains(wanted), "{what}: {wanted:?} is not in: {}", said(run));
}

#[test]
fn live() {
    let sigstore = require!(Sigstore::start());
    let packer = packer_with_attestations();
    let kept = logged_attestations_verify_here_and_with_packer(&sigstore, packer);
    if packer {
        attestations_of_packer_verify_here(&sigstore);
    }
    workflows_get_their_token(&sigstore);
    without_a_log_they_verify_for_minutes(&sigstore, packer);
    services_that_refuse_or_do_not_answer(&sigstore);
    if std::env::var_os("UPDATE").is_some() {
        record(&sigstore, kept.path());
    }
}

fn logged_attestations_verify_here_and_with_packer(sigstore: &Sigstore, packer: bool) -> TempDir {
    let issuer = sigstore.issuer();
    let token = sigstore.token(json!({}));
    let dir = template(&attested(&options(sigstore, PERSON, &issuer, "upload_tlog = true")));
    let validated = run(dir.path(), &["validate", "."], &[]);
    assert_eq!(validated.code, Some(0), "{}", said(&validated));
    // Twice, so that the log has more than one entry, and a proof of inclusion has hashes.
    for _ in 0..2 {
        let built = run(dir.path(), &["build", "-force", "."], &[("SIGSTORE_ID_TOKEN", &token)]);
        assert_eq!(built.code, Some(0), "{}", said(&built));
        assert!(said(&built).contains(&format!("Wrote attestation to {ATTESTATION}")));
        assert!(said(&built).contains(&format!("Wrote Sigstore bundle to {BUNDLE}")));
        assert!(!said(&built).contains(&token), "the token is shown");
    }
    let envelope = read(&dir.path().join(ATTESTATION));
    let certificate = envelope["signatures"][0]["cert"].as_str().unwrap();
    assert!(certificate.starts_with("-----BEGIN CERTIFICATE-----\n"), "{certificate}");
    let bundle = read(&dir.path().join(BUNDLE));
    assert_eq!(bundle["mediaType"], "application/vnd.dev.sigstore.bundle.v0.3+json");
    assert_eq!(bundle["dsseEnvelope"]["payload"], envelope["payload"]);
    let entries = bundle["verificationMaterial"]["tlogEntries"].as_array().unwrap();
    assert_eq!(entries.len(), 1);
    assert_eq!(entries[0]["kindVersion"], json!({ "kind": "dsse", "version": "0.0.1" }));

    let flags = flags(&sigstore.trusted_root(), PERSON, &issuer);
    let bundle = format!("-bundle={BUNDLE}");
    let all: &[&[&str]] = &[
        // The bundle beside it is found.
        &[ATTESTATION],
        &[&bundle, ATTESTATION],
        &[&bundle, "-require-rekor", ATTESTATION],
        &[&bundle, "-require-timestamp", ATTESTATION],
        &[
            "-signing-mode=keyless",
            &bundle,
            "-require-rekor",
            "-require-timestamp",
            "-artifact=out/disk.img",
            "-predicate-type=https://slsa.dev/provenance/v1",
            ATTESTATION,
        ],
    ];
    for more in all {
        verified(&verify("ingot", dir.path(), &flags, more), &format!("{more:?}"));
        // With one of them Packer refuses its own attestations as well: it sees no time, or asks for one.
        if packer && more.contains(&"-require-rekor") && more.contains(&"-require-timestamp") {
            verified(&verify("packer", dir.path(), &flags, more), &format!("Packer: {more:?}"));
        }
    }
    dir
}

fn attestations_of_packer_verify_here(sigstore: &Sigstore) {
    let issuer = sigstore.issuer();
    let token = sigstore.token(json!({}));
    let dir = template(&attested(&options(sigstore, PERSON, &issuer, "upload_tlog = true")));
    let env = [&NO_TOKEN[..], &[("SIGSTORE_ID_TOKEN", &token)]].concat();
    let built = program("packer", dir.path(), &["build", "."], &env);
    assert_eq!(built.code, Some(0), "{}", said(&built));
    let flags = flags(&sigstore.trusted_root(), PERSON, &issuer);
    let bundle = format!("-bundle={BUNDLE}");
    let more =
        [&bundle, "-require-rekor", "-require-timestamp", "-artifact=out/disk.img", ATTESTATION];
    verified(&verify("ingot", dir.path(), &flags, &more), "of Packer");
    verified(&verify("ingot", dir.path(), &flags, &[ATTESTATION]), "of Packer");
    // Its key has a name of the same kind.
    let name = |dir: &Path| {
        let name = read(&dir.join(ATTESTATION))["signatures"][0]["keyid"].as_str().unwrap().len();
        assert_eq!(name, 88);
    };
    name(dir.path());
    let built = run(dir.path(), &["build", "-force", "."], &[("SIGSTORE_ID_TOKEN", &token)]);
    assert_eq!(built.code, Some(0), "{}", said(&built));
    name(dir.path());
}

fn workflows_get_their_token(sigstore: &Sigstore) {
    let issuer = sigstore.workflow_issuer();
    let request = sigstore.workflow_request();
    let dir = template(&attested(&options(sigstore, WORKFLOW, &issuer, "upload_tlog = true")));
    let env = [
        ("ACTIONS_ID_TOKEN_REQUEST_URL", request.as_str()),
        ("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "of-the-job"),
    ];
    let built = run(dir.path(), &["build", "."], &env);
    assert_eq!(built.code, Some(0), "{}", said(&built));
    assert!(!said(&built).contains("of-the-job"), "{}", said(&built));
    let flags = flags(&sigstore.trusted_root(), WORKFLOW, &issuer);
    verified(
        &verify("ingot", dir.path(), &flags, &["-require-rekor", ATTESTATION]),
        "a workflow's",
    );
    let env = [env[0], ("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "of-another")];
    let failed = run(dir.path(), &["build", "-force", "."], &env);
    refused(&failed, "asking GitHub for an OIDC token", "a job that may not");
    assert!(!said(&failed).contains("of-another"), "{}", said(&failed));
}

fn without_a_log_they_verify_for_minutes(sigstore: &Sigstore, packer: bool) {
    let issuer = sigstore.issuer();
    let token = sigstore.token(json!({}));
    let dir = template(&attested(&options(sigstore, PERSON, &issuer, "")));
    let validated = run(dir.path(), &["validate", "."], &[]);
    assert_eq!(validated.code, Some(0), "{}", said(&validated));
    assert!(said(&validated).contains("without `upload_tlog`"), "{}", said(&validated));
    let built = run(dir.path(), &["build", "."], &[("SIGSTORE_ID_TOKEN", &token)]);
    assert_eq!(built.code, Some(0), "{}", said(&built));
    let root = sigstore.trusted_root();
    let good = flags(&root, PERSON, &issuer);
    verified(&verify("ingot", dir.path(), &good, &[ATTESTATION]), "without a log");
    if packer {
        verified(&verify("packer", dir.path(), &good, &[ATTESTATION]), "Packer, without a log");
    }
    for (flags, more, wanted) in [
        (good.clone(), "-require-rekor", "no entry of Rekor"),
        (good.clone(), "-require-timestamp", "shows when the attestation was signed"),
        (flags(&root, "somebody@example.org", &issuer), "", "identity is \"builder@example.org\""),
        (flags(&root, PERSON, "https://example.org"), "", "OIDC issuer is \"http://127.0.0.1"),
    ] {
        let more: Vec<&str> =
            [more, ATTESTATION].into_iter().filter(|one| !one.is_empty()).collect();
        refused(
            &verify("ingot", dir.path(), &flags, &more),
            wanted,
            &format!("{flags:?} {more:?}"),
        );
    }
    // With nothing but the certificate all the rest has to be right as well.
    let envelope = read(&dir.path().join(ATTESTATION));
    let other = other_logs(&read(&root));
    std::fs::write(dir.path().join("root.json"), other.to_string()).unwrap();
    let failed = verify(
        "ingot",
        dir.path(),
        &flags(Path::new("root.json"), PERSON, &issuer),
        &[ATTESTATION],
    );
    refused(
        &failed,
        "trusted certificate transparency log",
        "another certificate transparency log",
    );
    let mut changed = envelope;
    let statement = STANDARD.decode(changed["payload"].as_str().unwrap()).unwrap();
    let statement = String::from_utf8(statement).unwrap().replace("disk.img", "risk.img");
    changed["payload"] = STANDARD.encode(statement).into();
    std::fs::write(dir.path().join("changed.json"), changed.to_string()).unwrap();
    let failed = verify("ingot", dir.path(), &good, &["changed.json"]);
    refused(&failed, "signature verification failed", "a changed statement");
}

fn services_that_refuse_or_do_not_answer(sigstore: &Sigstore) {
    let issuer = sigstore.issuer();
    let logged = options(sigstore, PERSON, &issuer, "upload_tlog = true");
    let other = options(sigstore, "somebody@example.org", &issuer, "upload_tlog = true");
    let nobody = logged.replace(&sigstore.fulcio, "http://127.0.0.1:1");
    let swapped = logged.replace(&sigstore.fulcio, &sigstore.rekor);
    let silent = logged.replace(&sigstore.rekor, "http://127.0.0.1:1");
    let old = json!({ "iat": 1, "exp": 2 });
    let strange = json!({ "iss": "https://example.org" });
    let unverified = json!({ "email_verified": false });
    let unaddressed = json!({ "aud": "somebody" });
    for (options, token, wanted) in [
        (&logged, String::new(), "needs an OIDC token"),
        (&logged, "secret-of-mine".to_owned(), "does not have three parts"),
        (&logged, sigstore.token(old), "the OIDC token expired"),
        (&logged, sigstore.token(strange), "asking Fulcio for a certificate"),
        (&logged, sigstore.token(unaddressed), "asking Fulcio for a certificate"),
        (&logged, sigstore.token(unverified), "its issuer did not verify"),
        (&other, sigstore.token(json!({})), "identity is \"builder@example.org\""),
        (&nobody, sigstore.token(json!({})), "asking Fulcio for a certificate"),
        (&swapped, sigstore.token(json!({})), "asking Fulcio for a certificate"),
        (&silent, sigstore.token(json!({})), "writing the signature to Rekor"),
    ] {
        let dir = template(&attested(options));
        let failed = run(dir.path(), &["build", "."], &[("SIGSTORE_ID_TOKEN", &token)]);
        refused(&failed, wanted, &format!("{options} {token}"));
        assert!(token.is_empty() || !said(&failed).contains(&token), "{}", said(&failed));
        // What is not signed is not written.
        assert!(!dir.path().join(ATTESTATION).exists(), "{wanted}");
    }
}

/// A trusted root with the keys of Rekor and of the certificate transparency log swapped.
fn other_logs(root: &Value) -> Value {
    let mut other = root.clone();
    other["ctlogs"][0] = root["tlogs"][0].clone();
    other["tlogs"][0] = root["ctlogs"][0].clone();
    other
}

/// Keeps what [`recorded`] verifies.
fn record(sigstore: &Sigstore, dir: &Path) {
    let to = repository("tests/e2e/keyless");
    let mut root = read(&sigstore.trusted_root());
    // Ports tell nothing.
    root["tlogs"][0]["baseUrl"] = "https://rekor.example.org".into();
    root["ctlogs"][0]["baseUrl"] = "https://ct.example.org".into();
    root["certificateAuthorities"][0]["uri"] = "https://fulcio.example.org".into();
    let text = serde_json::to_string_pretty(&root).unwrap();
    std::fs::write(to.join("trusted_root.json"), text + "\n").unwrap();
    std::fs::write(to.join("issuer"), sigstore.issuer()).unwrap();
    for (path, name) in [(ATTESTATION, "a.json"), (BUNDLE, "a.sigstore.json")] {
        std::fs::copy(dir.join(path), to.join(name)).unwrap();
    }
    let issuer = sigstore.issuer();
    let options = options(sigstore, "other@example.org", &issuer, "upload_tlog = true");
    let other = template(&attested(&options));
    let token = sigstore.token(json!({ "email": "other@example.org" }));
    let built = run(other.path(), &["build", "."], &[("SIGSTORE_ID_TOKEN", &token)]);
    assert_eq!(built.code, Some(0), "{}", said(&built));
    std::fs::copy(other.path().join(BUNDLE), to.join("other.sigstore.json")).unwrap();
}

/// A directory with what was recorded.
fn recorded() -> (TempDir, String) {
    let dir = tempfile::tempdir().unwrap();
    for entry in std::fs::read_dir(repository("tests/e2e/keyless")).unwrap().flatten() {
        std::fs::copy(entry.path(), dir.path().join(entry.file_name())).unwrap();
    }
    let issuer = std::fs::read_to_string(dir.path().join("issuer")).unwrap();
    (dir, issuer)
}

#[test]
fn a_recorded_attestation_verifies_long_after_its_certificate_expired() {
    let (dir, issuer) = recorded();
    let flags = flags(Path::new("trusted_root.json"), PERSON, &issuer);
    for more in [&["a.json"][..], &["-require-rekor", "-require-timestamp", "a.json"]] {
        verified(&verify("ingot", dir.path(), &flags, more), &format!("{more:?}"));
    }
    if packer_with_attestations() {
        let more = ["-bundle=a.sigstore.json", "-require-rekor", "-require-timestamp", "a.json"];
        verified(&verify("packer", dir.path(), &flags, &more), "Packer");
    }
}

/// Changes a bit of what is in base64.
fn flip(value: &mut Value) {
    let text = value.as_str().unwrap();
    let mut bytes = STANDARD.decode(text).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    *value = STANDARD.encode(bytes).into();
}

#[test]
fn a_forged_bundle_is_refused() {
    let (dir, issuer) = recorded();
    let (good, other) =
        (read(&dir.path().join("a.sigstore.json")), read(&dir.path().join("other.sigstore.json")));
    let flags = flags(Path::new("trusted_root.json"), PERSON, &issuer);
    let entry = "/verificationMaterial/tlogEntries/0";
    let at = |bundle: &mut Value, path: &str, change: &dyn Fn(&mut Value)| {
        change(bundle.pointer_mut(path).unwrap_or_else(|| panic!("{path}")));
    };
    type Change<'a> = &'a dyn Fn(&mut Value);
    let of_other = |path: &str| other.pointer(path).unwrap().clone();
    let late = |value: &mut Value| {
        let time: i64 = value.as_str().unwrap().parse().unwrap();
        *value = (time + 1).to_string().into();
    };
    let cases: &[(&str, Change<'_>, &str)] = &[
        ("/inclusionPromise/signedEntryTimestamp", &flip, "invalid inclusion promise"),
        ("/integratedTime", &late, "invalid inclusion promise"),
        ("/inclusionProof/rootHash", &flip, "does not match checkpoint root hash"),
        ("/inclusionProof/hashes/0", &flip, "invalid inclusion proof"),
        (
            "/inclusionProof",
            &|value| *value = of_other(&format!("{entry}/inclusionProof")),
            "proof",
        ),
        (
            "/inclusionProof/checkpoint/envelope",
            &|value| {
                let text = value.as_str().unwrap().trim_end();
                let (text, signature) = text.rsplit_once(' ').unwrap();
                let mut signature = Value::from(signature);
                flip(&mut signature);
                *value = format!("{text} {}\n", signature.as_str().unwrap()).into();
            },
            "invalid checkpoint",
        ),
        ("/canonicalizedBody", &flip, "invalid inclusion promise"),
        ("/logId/keyId", &flip, "log ID"),
        ("", &|value| *value = of_other(entry), "does not match the bundle"),
    ];
    for (path, change, wanted) in cases {
        let mut forged = good.clone();
        at(&mut forged, &format!("{entry}{path}"), change);
        std::fs::write(dir.path().join("forged.json"), forged.to_string()).unwrap();
        let more = ["-bundle=forged.json", "-require-rekor", "a.json"];
        refused(&verify("ingot", dir.path(), &flags, &more), wanted, path);
    }
    // Its certificate, payload and signature are those of the attestation.
    let certificate = "/verificationMaterial/certificate/rawBytes";
    for path in [certificate, "/dsseEnvelope/payload", "/dsseEnvelope/signatures/0/sig"] {
        let mut forged = good.clone();
        at(&mut forged, path, &|value| *value = of_other(path));
        // The payload is the same but for an id.
        assert_ne!(forged, good, "{path}");
        std::fs::write(dir.path().join("forged.json"), forged.to_string()).unwrap();
        let more = ["-bundle=forged.json", "a.json"];
        refused(&verify("ingot", dir.path(), &flags, &more), "to another attestation", path);
    }
    // An attestation that is changed with its bundle is signed by nobody.
    let mut forged = good.clone();
    let payload = STANDARD.decode(good["dsseEnvelope"]["payload"].as_str().unwrap()).unwrap();
    let payload = String::from_utf8(payload).unwrap().replace("disk.img", "risk.img");
    forged["dsseEnvelope"]["payload"] = STANDARD.encode(payload).into();
    let mut envelope = read(&dir.path().join("a.json"));
    envelope["payload"] = forged["dsseEnvelope"]["payload"].clone();
    std::fs::write(dir.path().join("forged.json"), envelope.to_string()).unwrap();
    std::fs::write(dir.path().join("forged.sigstore.json"), forged.to_string()).unwrap();
    refused(&verify("ingot", dir.path(), &flags, &["forged.json"]), "invalid signature", "changed");
}

#[test]
fn what_a_recorded_attestation_is_held_against_has_to_match() {
    let (dir, issuer) = recorded();
    let root = read(&dir.path().join("trusted_root.json"));
    let write = |name: &str, value: &Value| {
        std::fs::write(dir.path().join(name), value.to_string()).unwrap();
    };
    let mut unlogged = read(&dir.path().join("a.sigstore.json"));
    unlogged["verificationMaterial"]["tlogEntries"] = json!([]);
    write("unlogged.json", &unlogged);
    write("logs.json", &other_logs(&root));
    let mut certificates = root.clone();
    certificates["ctlogs"][0] = root["tlogs"][0].clone();
    write("certificates.json", &certificates);
    let mut ended = root.clone();
    ended["certificateAuthorities"][0]["validFor"]["end"] = "2021-01-01T00:00:00Z".into();
    write("ended.json", &ended);
    let mut none = root.clone();
    none["certificateAuthorities"] = json!([]);
    write("none.json", &none);
    // Another authority, with a key of its own.
    let openssl = |args: &str| {
        let args: Vec<&str> = args.split(' ').collect();
        let made = program("openssl", dir.path(), &args, &[]);
        assert_eq!(made.code, Some(0), "{}", said(&made));
    };
    openssl(
        "req -x509 -newkey rsa:2048 -nodes -keyout k.pem -subj /O=sigstore.dev/CN=sigstore -out c.pem",
    );
    openssl("x509 -in c.pem -outform DER -out c.der");
    let mut stranger = root.clone();
    let der = std::fs::read(dir.path().join("c.der")).unwrap();
    stranger["certificateAuthorities"][0]["certChain"]["certificates"][0]["rawBytes"] =
        STANDARD.encode(der).into();
    write("stranger.json", &stranger);
    std::fs::write(dir.path().join("text"), "text").unwrap();

    let of = |root: &str, who: &str| flags(Path::new(root), who, &issuer);
    let good = of("trusted_root.json", PERSON);
    let cases: &[(Vec<String>, &[&str], &str)] = &[
        (of("trusted_root.json", "other@example.org"), &["a.json"], "\"builder@example.org\", not"),
        (
            flags(Path::new("trusted_root.json"), PERSON, "https://example.org"),
            &["a.json"],
            "issuer is",
        ),
        (of("logs.json", PERSON), &["a.json"], "log ID"),
        (of("certificates.json", PERSON), &["a.json"], "certificate timestamp"),
        (of("ended.json", PERSON), &["a.json"], "not of an authority of the trusted root"),
        (of("stranger.json", PERSON), &["a.json"], "not of an authority of the trusted root"),
        (of("none.json", PERSON), &["a.json"], "it names no certificate authority"),
        (of("text", PERSON), &["a.json"], "the trusted root text"),
        (of("missing.json", PERSON), &["a.json"], "missing.json"),
        (good.clone(), &["-bundle=text", "a.json"], "the bundle text"),
        (good.clone(), &["-bundle=missing", "a.json"], "missing"),
        (good.clone(), &["-bundle=unlogged.json", "-require-rekor", "a.json"], "no entry of Rekor"),
        (good.clone(), &["-bundle=unlogged.json", "-require-timestamp", "a.json"], "when the"),
        // Nothing shows that it was signed when the certificate was valid, ten minutes after it was
        // recorded.
        (good.clone(), &["-bundle=unlogged.json", "a.json"], "the certificate was valid from"),
        (good.clone(), &["-bundle=other.sigstore.json", "a.json"], "to another attestation"),
        (good.clone(), &["-verifier=c.pem", "a.json"], "-verifier is not for keyless"),
        (good.clone(), &["-key=c.pem", "a.json"], "-key is not for keyless"),
        (good.clone(), &["-artifact=text", "a.json"], "not about a file \"text\""),
        (good.clone(), &["-predicate-type=x", "a.json"], "not \"x\""),
        (vec![], &["a.json"], "who must have signed"),
        (vec![format!("-keyless-identity={PERSON}")], &["a.json"], "who must have signed"),
    ];
    for (flags, more, wanted) in cases {
        refused(&verify("ingot", dir.path(), flags, more), wanted, &format!("{flags:?} {more:?}"));
    }
}
