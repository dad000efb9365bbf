//! `post-processor "provenance"` and `ingot verify-attestation`, with keys that OpenSSL makes.

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use ingot_test_support::{Run, ingot, ingot_with, null_template, output_of, program, template};

/// The template of a file and the attestations of it.
pub(crate) fn attested(options: &str) -> String {
    format!(
        "variable \"password\" {{\n  sensitive = true\n  default = \"hunter2-Xy\"\n}}\nvariable \
         \"place\" {{\n  default = \"here\"\n}}\nsource \"file\" \"f\" {{\n  content = \"hello\"\n  \
         target = \"out/disk.img\"\n}}\nbuild {{\n  sources = [\"source.file.f\"]\n  post-processor \
         \"provenance\" {{\n    {options}\n  }}\n}}\n"
    )
}

/// A variable of the CI that tests run in would be part of what is stated.
const NO_CI: [(&str, &str); 9] = [
    ("GITHUB_WORKFLOW_REF", ""),
    ("GITHUB_REPOSITORY", ""),
    ("GITHUB_RUN_ID", ""),
    ("CI_JOB_URL", ""),
    ("CI_PIPELINE_URL", ""),
    ("CI_PROJECT_URL", ""),
    ("CI_PIPELINE_ID", ""),
    ("CI_JOB_ID", ""),
    ("BUILD_URL", ""),
];

fn run(dir: &Path, args: &[&str]) -> Run {
    ingot_with(dir, args, &NO_CI)
}

pub(crate) fn said(run: &Run) -> String {
    format!("{}{}", run.stdout, run.stderr)
}

pub(crate) fn read(path: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

fn openssl(dir: &Path, args: &[&str]) {
    let created = Command::new("openssl").args(args).current_dir(dir).output().expect("openssl");
    assert!(created.status.success(), "{args:?}: {}", String::from_utf8_lossy(&created.stderr));
}

/// Writes a new key and its public half: `NAME.pem` and `NAME.pub`.
fn key(dir: &Path, name: &str, make: &[&str]) -> (String, String) {
    let (private, public) = (format!("{name}.pem"), format!("{name}.pub"));
    // Some take nothing after the size of the key.
    openssl(dir, &[&make[..1], &["-out", &private], &make[1..]].concat());
    openssl(dir, &["pkey", "-in", &private, "-pubout", "-out", &public]);
    (private, public)
}

const P256: &[&str] = &["genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"];

/// Every kind of key that signs, and the forms that files have them in.
const KEYS: [(&str, &[&str]); 6] = [
    ("p256", P256),
    ("sec1", &["ecparam", "-name", "prime256v1", "-genkey", "-noout"]),
    ("parameters", &["ecparam", "-name", "prime256v1", "-genkey"]),
    ("rsa", &["genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"]),
    ("pkcs1", &["genrsa", "-traditional", "2048"]),
    ("ed25519", &["genpkey", "-algorithm", "ed25519"]),
];

const P384: &[&str] = &["genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-384"];

/// The Packer on the PATH, if it is one that knows attestations.
pub(crate) fn packer_with_attestations() -> bool {
    let asked = Command::new("packer").args(["verify-attestation", "-help"]).output();
    let knows = asked.is_ok_and(|out| String::from_utf8_lossy(&out.stdout).contains("ATTESTATION"));
    if !knows {
        // No package has one that new.
        eprintln!("skipped: there is no Packer 1.16 on the PATH");
    }
    knows
}

#[test]
fn attestations_of_all_keys_verify_here_and_with_packer() {
    let packer = packer_with_attestations();
    for (name, make) in KEYS {
        let dir = template("");
        let (private, public) = key(dir.path(), name, make);
        let options = format!("signing_mode = \"key\"\n    signer = \"{private}\"");
        std::fs::write(dir.path().join("t.pkr.hcl"), attested(&options)).unwrap();
        let built = run(dir.path(), &["build", "."]);
        assert_eq!(built.code, Some(0), "{name}: {}", said(&built));
        let path = "out/f.disk.img.provenance.json";
        assert!(said(&built).contains(&format!("Wrote attestation to {path}")), "{}", said(&built));
        let verifier = format!("-verifier={public}");
        let flags = [
            "verify-attestation",
            &verifier,
            "-artifact=out/disk.img",
            "-predicate-type=https://slsa.dev/provenance/v1",
            "-builder-id=https://packer.io/local-build",
            path,
        ];
        let verified = run(dir.path(), &flags);
        assert_eq!(verified.code, Some(0), "{name}: {}", said(&verified));
        assert_eq!(verified.stdout, "Attestation verified.\n");
        // The private key verifies as well.
        let by_key = ["verify-attestation", &format!("-key={private}"), path];
        assert_eq!(run(dir.path(), &by_key).code, Some(0), "{name}");
        if packer {
            let theirs = program("packer", dir.path(), &flags, &[]);
            assert_eq!(theirs.code, Some(0), "{name}: {}", said(&theirs));
        }
    }
}

#[test]
fn attestations_of_packer_verify_here() {
    if !packer_with_attestations() {
        return;
    }
    // Packer does not look behind the parameters of a key.
    for (name, make) in KEYS.into_iter().filter(|(name, _)| *name != "parameters") {
        let dir = template("");
        let (private, public) = key(dir.path(), name, make);
        let options = format!("signing_mode = \"key\"\n    signer = \"{private}\"");
        std::fs::write(dir.path().join("t.pkr.hcl"), attested(&options)).unwrap();
        let built = program("packer", dir.path(), &["build", "."], &NO_CI);
        assert_eq!(built.code, Some(0), "{name}: {}", said(&built));
        let path = "out/f.disk.img.provenance.json";
        let verifier = format!("-verifier={public}");
        let flags = ["verify-attestation", &verifier, "-artifact=out/disk.img", path];
        let verified = run(dir.path(), &flags);
        assert_eq!(verified.code, Some(0), "{name}: {}", said(&verified));
        // The same key has the same name.
        let theirs = read(&dir.path().join(path))["signatures"][0]["keyid"].clone();
        assert_eq!(run(dir.path(), &["build", "-force", "."]).code, Some(0));
        assert_eq!(read(&dir.path().join(path))["signatures"][0]["keyid"], theirs, "{name}");
    }
    // Keys on P-384 verify, but do not sign here.
    let dir = template(&attested("signing_mode = \"key\"\n    signer = \"a.pem\""));
    let (_, public) = key(dir.path(), "a", P384);
    assert_eq!(program("packer", dir.path(), &["build", "."], &NO_CI).code, Some(0));
    let verifier = format!("-verifier={public}");
    let flags = ["verify-attestation", &verifier, "out/f.disk.img.provenance.json"];
    assert_eq!(run(dir.path(), &flags).code, Some(0));
}

#[test]
fn certificates_verify_and_unusual_keys_are_reported() {
    let dir = template(&attested("signing_mode = \"key\"\n    signer = \"a.pem\""));
    key(dir.path(), "a", P256);
    let make = ["req", "-x509", "-key", "a.pem", "-subj", "/CN=builds", "-out", "a.crt"];
    openssl(dir.path(), &make);
    assert_eq!(run(dir.path(), &["build", "."]).code, Some(0));
    let path = "out/f.disk.img.provenance.json";
    let verified = run(dir.path(), &["verify-attestation", "-verifier=a.crt", path]);
    assert_eq!(verified.code, Some(0), "{}", said(&verified));
    let small: &[&str] = &["genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:1024"];
    let locked: &[&str] =
        &["genpkey", "-algorithm", "ed25519", "-aes256", "-pass", "pass:hunter2-Xy"];
    for (make, wanted) in [
        (P384, "of a kind that is not supported"),
        (small, "RSA keys have 2048 to 4096 bits"),
        (locked, "the key is encrypted"),
    ] {
        openssl(dir.path(), &[make, &["-out", "a.pem"]].concat());
        let failed = run(dir.path(), &["build", "-force", "."]);
        assert_eq!(failed.code, Some(1));
        assert!(said(&failed).contains(wanted), "{}", said(&failed));
    }
}

#[test]
fn what_does_not_verify_is_reported() {
    let dir = template(&attested("signing_mode = \"key\"\n    key = \"a.pem\""));
    let (private, public) = key(dir.path(), "a", P256);
    let (_, other) = key(dir.path(), "b", P256);
    assert_eq!(run(dir.path(), &["build", "."]).code, Some(0));
    let path = dir.path().join("out/f.disk.img.provenance.json");
    let envelope = read(&path);
    let write = |name: &str, value: &Value| {
        std::fs::write(dir.path().join(name), value.to_string()).unwrap();
    };
    let mut changed = envelope.clone();
    changed["payload"] = "eyJfdHlwZSI6ICJodHRwczovL2luLXRvdG8uaW8vU3RhdGVtZW50L3YxIn0=".into();
    write("changed.json", &changed);
    let mut unsigned = envelope.clone();
    unsigned["signatures"] = json!([]);
    write("unsigned.json", &unsigned);
    let mut keyless = envelope.clone();
    keyless["signatures"][0]["cert"] = "-----BEGIN CERTIFICATE-----".into();
    write("keyless.json", &keyless);
    let mut typed = envelope.clone();
    typed["payloadType"] = "text/plain".into();
    write("typed.json", &typed);
    write("statement.json", &json!({"_type": "https://in-toto.io/Statement/v1"}));
    std::fs::write(dir.path().join("disk.img"), "other").unwrap();
    std::fs::write(dir.path().join("text"), "text").unwrap();
    let good = "out/f.disk.img.provenance.json";
    let (verifier, other) = (format!("-verifier={public}"), format!("-verifier={other}"));
    let cases: &[(&[&str], &str)] = &[
        (&[&other, good], "signature verification failed"),
        (&[&verifier, "changed.json"], "signature verification failed"),
        (&[&verifier, "unsigned.json"], "no signatures"),
        (&["keyless.json"], "nothing says who must have signed"),
        (&[&verifier, "keyless.json"], "-verifier is not for keyless attestations"),
        (&[&verifier, "typed.json"], "text/plain"),
        (&[&verifier, "statement.json"], "a statement that was not signed"),
        (&[&verifier, "text"], "not a DSSE envelope"),
        (&[&verifier, "nope.json"], "nope.json"),
        (&[good], "no key is named"),
        (&["-verifier=text", good], "there is no PEM block"),
        (&["-key=gcpkms://a/b", good], "keys of gcpkms:// are not supported"),
        (&[&verifier, "-artifact=disk.img", good], "the checksums differ"),
        (&[&verifier, "-artifact=text", good], "not about a file \"text\""),
        (&[&verifier, "-predicate-type=x", good], "not \"x\""),
        (&[&verifier, "-builder-id=x", good], "not \"x\""),
        (&[&verifier, "-source-uri=x", good], "\"x\" is not among"),
        (&[&verifier, "-signing-mode=keyles", good], "-signing-mode=keyles does not exist"),
        (&[&verifier, "-require-rekor", good], "-require-rekor is for keyless attestations"),
        (
            &["-signing-mode=keyless", "-keyless-identity=a", "-keyless-oidc-issuer=b", good],
            "no signature of the attestation has a certificate",
        ),
    ];
    for (args, wanted) in cases {
        let failed = run(dir.path(), &[&["verify-attestation"], *args].concat());
        assert_eq!(failed.code, Some(1), "{args:?}: {}", said(&failed));
        assert!(said(&failed).contains(wanted), "{args:?}: {}", said(&failed));
    }
    // A key that is not the signer's would make attestations that nobody can verify.
    let options =
        format!("signing_mode = \"key\"\n    signer = \"{private}\"\n    verifier = \"b.pub\"");
    std::fs::write(dir.path().join("t.pkr.hcl"), attested(&options)).unwrap();
    let failed = run(dir.path(), &["build", "-force", "."]);
    assert_eq!(failed.code, Some(1));
    assert!(said(&failed).contains("not the public key of the signer"), "{}", said(&failed));
}

#[test]
fn an_unsigned_statement_describes_the_build_and_holds_no_secret() {
    let options = "output_dir = \"made\"\n    template = \"t.pkr.hcl\"\n    only_builds = \
                   [\"file.f\"]\n    user_variables = { extra = \"is ${var.password}\" }\n    \
                   source_uri = \"git+https://example.org/r\"";
    let dir = template(&attested(options));
    let env = [
        &NO_CI[..],
        &[
            ("PKR_VAR_password", "hunter2-Xy"),
            ("PKR_VAR_place", "there"),
            ("PKR_VAR_nobody", "knows"),
            ("GITHUB_RUN_ID", "77"),
        ],
    ]
    .concat();
    let built = ingot_with(dir.path(), &["build", "."], &env);
    assert_eq!(built.code, Some(0), "{}", said(&built));
    let path = dir.path().join("made/f.disk.img.provenance.json");
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(!text.contains("hunter2") && !text.contains("knows"), "{text}");
    let statement = read(&path);
    assert_eq!(statement["_type"], "https://in-toto.io/Statement/v1");
    let sum = output_of("sh", &["-c", "printf hello | sha256sum | cut -d' ' -f1"]);
    let subject = json!([{"name": "disk.img", "digest": {"sha256": sum}}]);
    assert_eq!(statement["subject"], subject);
    let definition = &statement["predicate"]["buildDefinition"];
    assert_eq!(definition["buildType"], "https://packer.io/buildtypes/hcl2/v1");
    let redacted = "[sensitive value redacted]";
    assert_eq!(
        definition["externalParameters"],
        json!({
            "template": "t.pkr.hcl",
            "onlyBuilds": ["file.f"],
            "userVariables": {"extra": redacted, "password": redacted, "place": "there"},
        })
    );
    assert_eq!(definition["internalParameters"]["packerBuildName"], "f");
    assert_eq!(definition["internalParameters"]["packerBuilderType"], "file");
    assert_eq!(definition["resolvedDependencies"][0]["uri"], "git+https://example.org/r");
    let details = &statement["predicate"]["runDetails"];
    assert_eq!(details["metadata"]["invocationId"], "77");
    assert_eq!(details["builder"]["id"], "https://packer.io/local-build");
    // The artifact is what it was.
    assert_eq!(std::fs::read_to_string(dir.path().join("out/disk.img")).unwrap(), "hello");
}

#[test]
fn nothing_that_is_secret_is_attested_wherever_it_stands() {
    let options = "template = \"https://me:hunter2-Xy@h.example/t.pkr.hcl\"\n    only_builds = \
                   [\"file.${var.password}\", \"file.f\"]\n    build_type = \
                   \"https://tok-7@h.example/types?v=1\"\n    source_uri = \
                   \"git+https://me:tok-7@h.example/r@refs/heads/main\"\n    user_variables = { \
                   from = \"ssh://me:tok-7@h.example/x\" }";
    let dir = template(&attested(options));
    let env = [("BUILD_URL", "https://me:tok-7@jenkins.example/job/1/?token=tok-7")];
    let env = [&NO_CI[..8], &env].concat();
    let path = dir.path().join("out/f.disk.img.provenance.json");
    let build = |env: &[(&str, &str)]| {
        let built = ingot_with(dir.path(), &["build", "-force", "."], env);
        assert_eq!(built.code, Some(0), "{}", said(&built));
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(!text.contains("hunter2") && !text.contains("tok-7"), "{text}");
        read(&path)["predicate"].clone()
    };
    let predicate = build(&env);
    let definition = &predicate["buildDefinition"];
    assert_eq!(definition["buildType"], "https://h.example/types?v=1");
    let redacted = "[sensitive value redacted]";
    assert_eq!(
        definition["externalParameters"],
        json!({
            "template": redacted,
            "onlyBuilds": [redacted, "file.f"],
            "userVariables": {"from": "ssh://h.example/x"},
        })
    );
    let uri = &definition["resolvedDependencies"][0]["uri"];
    assert_eq!(uri, "git+https://h.example/r@refs/heads/main");
    assert_eq!(predicate["runDetails"]["builder"]["id"], "https://jenkins.example/job/1/");
    // Of a checkout, whose address need not be one that can be read.
    std::fs::write(dir.path().join("t.pkr.hcl"), attested("")).unwrap();
    let git = |args: &[&str]| {
        let done = Command::new("git").args(args).current_dir(dir.path()).output().expect("git");
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    };
    git(&["init", "-q", "-b", "main"]);
    let me = ["-c", "user.name=me", "-c", "user.email=me@h.example"];
    git(&[&me[..], &["commit", "-q", "--allow-empty", "-m", "x"]].concat());
    git(&["remote", "add", "origin", "x"]);
    for (remote, wanted) in [
        ("https://me:tok-7@h.example/r.git?x=tok-7", "git+https://h.example/r.git@refs/heads/main"),
        ("https://me:tok-7@h.example:port/r", "git+[address redacted]@refs/heads/main"),
        ("me:tok-7@h.example:r.git", "git+h.example:r.git@refs/heads/main"),
        ("git@h.example:r.git", "git+git@h.example:r.git@refs/heads/main"),
    ] {
        git(&["remote", "set-url", "origin", remote]);
        let predicate = build(&NO_CI);
        let uri = &predicate["buildDefinition"]["resolvedDependencies"][0]["uri"];
        assert_eq!(uri, wanted, "{remote}");
    }
}

#[test]
fn one_good_signature_is_enough_in_any_base64() {
    let dir = template(&attested("signing_mode = \"key\"\n    signer = \"a.pem\""));
    let (_, public) = key(dir.path(), "a", P256);
    assert_eq!(run(dir.path(), &["build", "."]).code, Some(0));
    let envelope = read(&dir.path().join("out/f.disk.img.provenance.json"));
    let verifier = format!("-verifier={public}");
    // The alphabet for URLs, as other libraries write it.
    let for_urls = |value: &Value| value.as_str().unwrap().replace('+', "-").replace('/', "_");
    let mut url_safe = envelope.clone();
    url_safe["payload"] = for_urls(&envelope["payload"]).into();
    url_safe["signatures"][0]["sig"] = for_urls(&envelope["signatures"][0]["sig"]).into();
    std::fs::write(dir.path().join("urls.json"), url_safe.to_string()).unwrap();
    let found = run(dir.path(), &["verify-attestation", &verifier, "urls.json"]);
    assert_eq!(found.code, Some(0), "{}", said(&found));
    // Signatures of others, which may be of any form.
    for sig in ["not base64!", "AAAA", ""] {
        let mut several = envelope.clone();
        let ours = several["signatures"][0].clone();
        several["signatures"] = json!([{"keyid": "other", "sig": sig}, ours]);
        std::fs::write(dir.path().join("several.json"), several.to_string()).unwrap();
        let found = run(dir.path(), &["verify-attestation", &verifier, "several.json"]);
        assert_eq!(found.code, Some(0), "{sig}: {}", said(&found));
        several["signatures"] = json!([{"keyid": "other", "sig": sig}]);
        std::fs::write(dir.path().join("other.json"), several.to_string()).unwrap();
        assert_eq!(run(dir.path(), &["verify-attestation", &verifier, "other.json"]).code, Some(1));
    }
}

#[test]
fn keys_and_attestations_are_read_up_to_a_size() {
    let dir = template(&attested("signing_mode = \"key\"\n    signer = \"large\""));
    let made = Command::new("mkfifo").arg(dir.path().join("pipe")).status().expect("mkfifo");
    assert!(made.success());
    let large = std::fs::File::create(dir.path().join("large")).unwrap();
    large.set_len(1 << 30).unwrap();
    std::fs::write(
        dir.path().join("e.json"),
        json!({"payloadType": "application/vnd.in-toto+json",
        "payload": "", "signatures": []})
        .to_string(),
    )
    .unwrap();
    let pipe = "pipe is a pipe, socket or device, not a regular file";
    let signed = attested("signing_mode = \"key\"\n    signer = \"a.pem\"");
    std::fs::create_dir(dir.path().join("signed")).unwrap();
    std::fs::write(dir.path().join("signed/t.pkr.hcl"), signed).unwrap();
    let (_, public) = key(dir.path(), "a", P256);
    assert_eq!(run(dir.path(), &["build", "signed"]).code, Some(0));
    let (verifier, good) = (format!("-verifier={public}"), "out/f.disk.img.provenance.json");
    for (args, wanted) in [
        (&["-key=large", "e.json"][..], "large is not a valid key: it has more than 1048576"),
        (&["-key=/dev/zero", "e.json"], "zero is not a valid key: it has more than 1048576 bytes"),
        (&["-key=k", "large"], "large is not a valid attestation: it has more than 67108864 bytes"),
        (&["-key=k", "."], ". is a directory, not a file"),
        (&[&verifier, "-artifact=pipe", good], pipe),
    ] {
        let failed = run(dir.path(), &[&["verify-attestation"], args].concat());
        assert_eq!(failed.code, Some(1), "{args:?}: {}", said(&failed));
        assert!(said(&failed).contains(wanted), "{args:?}: {}", said(&failed));
    }
    let failed = run(dir.path(), &["build", "."]);
    let large = "large is not a valid key: it has more than 1048576 bytes";
    assert!(failed.code == Some(1) && said(&failed).contains(large), "{}", said(&failed));
    // A pipe, such as a shell's <(…), is read as a file.
    let (from, to) = (dir.path().join(&public), dir.path().join("pipe"));
    let writer = std::thread::spawn(move || {
        let key = std::fs::read(from).unwrap();
        std::fs::write(to, key).unwrap();
    });
    let verified = run(dir.path(), &["verify-attestation", "-verifier=pipe", good]);
    assert_eq!(verified.code, Some(0), "{}", said(&verified));
    writer.join().unwrap();
}

#[test]
fn the_sbom_of_an_artifact_is_attested_too() {
    let options = "sbom = true\n    sbom_scan_path = \"root\"\n    sbom_format = \"spdx\"\n    \
                   sbom_exclude = [\"/skip\"]\n    signing_mode = \"key\"\n    signer = \"a.pem\"";
    let dir = template(&attested(options));
    let (_, public) = key(dir.path(), "a", P256);
    for (directory, name) in [("root/app", "serde"), ("root/skip", "skipped")] {
        let directory = dir.path().join(directory);
        std::fs::create_dir_all(&directory).unwrap();
        let text = format!("[[package]]\nname = \"{name}\"\nversion = \"1.0.0\"\n");
        std::fs::write(directory.join("Cargo.lock"), text).unwrap();
    }
    let built = run(dir.path(), &["build", "."]);
    assert_eq!(built.code, Some(0), "{}", said(&built));
    let document = read(&dir.path().join("out/f.disk.img.sbom.spdx.json"));
    let names: Vec<&Value> =
        document["packages"].as_array().unwrap().iter().map(|one| &one["name"]).collect();
    assert_eq!(names, ["root", "serde"]);
    let verifier = format!("-verifier={public}");
    let predicate_type = "-predicate-type=https://spdx.dev/Document";
    let path = "out/f.disk.img.sbom.att.json";
    let flags = ["verify-attestation", &verifier, predicate_type, "-artifact=out/disk.img", path];
    assert_eq!(run(dir.path(), &flags).code, Some(0));
    // Of a single file, its checksum is what is known.
    std::fs::write(dir.path().join("t.pkr.hcl"), attested("sbom = true")).unwrap();
    let built = run(dir.path(), &["build", "-force", "."]);
    assert_eq!(built.code, Some(0), "{}", said(&built));
    let document = read(&dir.path().join("out/f.disk.img.sbom.cdx.json"));
    assert_eq!(document["components"][0]["name"], "disk.img");
    assert_eq!(document["components"][0]["hashes"][0]["alg"], "SHA-256");
}

#[test]
fn the_sbom_of_several_files_is_of_their_directory() {
    let steps = r#"
  post-processors {
    post-processor "artifice" { files = ["a.img", "./b.img"] }
    post-processor "provenance" { sbom = true }
  }"#;
    let dir = template(&null_template(steps));
    for name in ["a.img", "b.img"] {
        std::fs::write(dir.path().join(name), name).unwrap();
    }
    let text = "[[package]]\nname = \"serde\"\nversion = \"1.0.0\"\n";
    std::fs::write(dir.path().join("Cargo.lock"), text).unwrap();
    let built = run(dir.path(), &["build", "."]);
    assert_eq!(built.code, Some(0), "{}", said(&built));
    let made = std::fs::read_dir(dir.path()).unwrap().flatten();
    let mut documents = made.filter(|file| file.file_name().to_string_lossy().contains("sbom.cdx"));
    let document = read(&documents.next().expect("an SBOM").path());
    let components = document["components"].as_array().unwrap();
    assert!(components.iter().any(|one| one["name"] == "serde"), "{document}");
}

#[test]
fn what_cannot_sign_is_found_before_anything_runs() {
    for (options, wanted) in [
        ("signing_mode = \"key\"", "needs a `signer`"),
        ("signing_mode = \"kms\"", "needs a `signer`"),
        ("signing_mode = \"kms\"\n    signer = \"key.pem\"", "is not the address of a key"),
        ("signing_mode = \"kms\"\n    signer = \"gcpkms://a\"", "gcpkms:// are not supported"),
        ("signing_mode = \"keyless\"", "needs `keyless_identity`"),
        ("signing_mode = \"keyless\"\n    keyless_identity = \"a\"", "needs `keyless_oidc_issuer`"),
        ("signing_mode = \"keyless\"\n    verifier = \"a.pub\"", "`verifier` is not for"),
        ("signing_mode = \"keyless\"\n    fulcio_url = \"fulcio\"", "it is not a URL"),
        ("signing_mode = \"keyless\"\n    rekor_url = \"ftp://h\"", "not a URL of https or http"),
        ("signing_mode = \"magic\"", "`magic` is not a way to sign"),
        ("signer = \"a\"\n    key = \"b\"", "`signer` and `key` mean the same"),
        ("sbom_format = \"table\"", "`table` is not a format"),
        ("sbom_scope = \"some\"", "`some` is not a scope"),
    ] {
        let dir = template(&attested(options));
        let failed = ingot(dir.path(), &["validate", "."]);
        assert_eq!(failed.code, Some(1), "{options}: {}", said(&failed));
        let said = said(&failed);
        assert!(said.contains(wanted) && said.contains("t.pkr.hcl:"), "{options}: {said}");
    }
}
