//! `post-processor "amazon-import"`: disks become AMIs.

use std::collections::BTreeSet;
use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use ingot_test_support::{missing, require};

use super::bench::{Bench, REGIONS, RunResult};
use super::cloud::{Cloud, import_cloud, items, value};
use super::http::form_value;
use super::proxy::{Act, Call};

const REGION: &str = "us-east-1";

/// How many imports run at a time. They wait most of the time.
const AT_ONCE: usize = 8;

/// Does `test` for each case, some at a time.
pub(crate) fn for_each<C: Sync>(cases: &[C], test: impl Fn(&C) + Sync) {
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE.min(cases.len()) {
            scope.spawn(|| {
                while let Some(case) = cases.get(next.fetch_add(1, Ordering::SeqCst)) {
                    test(case);
                }
            });
        }
    });
}

/// A directory with a disk, an account with a bucket and the role of imports, and templates.
pub(crate) struct Imports {
    pub bench: Bench,
    pub bucket: String,
    /// It stops when nobody has it any more.
    _cloud: Cloud,
}

impl Imports {
    /// None without moto. Calls go through a proxy with `plan`.
    pub(crate) fn new(plan: impl Fn(&Call) -> Act + Send + Sync + 'static) -> Option<Imports> {
        let cloud = import_cloud()?;
        let bench = Bench::of(&cloud, plan, |_| {});
        let bucket = format!("disks-{}", bench.account.id);
        bench.account.s3("PUT", &format!("/{bucket}"), b"");
        bench.account.create_role("vmimport");
        Some(Imports { bench, bucket, _cloud: cloud })
    }

    /// A disk of `size` bytes that has partitions, as far as anybody looks.
    pub(crate) fn disk(&self, size: u64) -> File {
        let path = self.bench.path("disk.raw");
        let disk = File::options().read(true).write(true).create(true).truncate(true).open(path);
        let disk = disk.unwrap();
        disk.set_len(size).unwrap();
        disk.write_all_at(b"\x55\xaa", 510).unwrap();
        disk
    }

    /// Writes a template that imports `file`, with more options.
    pub(crate) fn template(&self, file: &str, options: &str) {
        let text = format!(
            r#"
source "null" "a" {{
  communicator = "none"
}}
build {{
  sources = ["source.null.a"]
  post-processors {{
    post-processor "artifice" {{
      files = ["readme.txt", "{file}"]
    }}
    post-processor "amazon-import" {{
      region         = "us-east-1"
      s3_bucket_name = "{bucket}"
      aws_polling {{
        delay_seconds = 1
      }}
{options}
    }}
  }}
}}
"#,
            bucket = self.bucket
        );
        std::fs::write(self.bench.path("readme.txt"), "about the disk").unwrap();
        std::fs::write(self.bench.path("t.pkr.hcl"), text).unwrap();
    }

    /// Imports a small disk, with more options.
    pub(crate) fn import(&self, options: &str) -> RunResult {
        self.disk(4096);
        self.template("disk.raw", &format!("      format = \"raw\"\n{options}"));
        self.bench.run(&["build", "-color=false", "."])
    }

    /// All that there is in the account and its bucket.
    pub(crate) fn holds(&self) -> BTreeSet<String> {
        let mut held = self.bench.account.bucket(&self.bucket);
        held.extend(REGIONS.iter().flat_map(|region| self.bench.account.holds(region)));
        held
    }

    /// The names of the calls so far.
    pub(crate) fn calls(&self) -> Vec<String> {
        self.bench.proxy.calls().into_iter().map(|call| call.action).collect()
    }

    /// What EC2 says about the AMIs that were made.
    fn images(&self) -> Vec<String> {
        let all = self.bench.account.call(REGION, "DescribeImages", &[("Owner.1", "self")]);
        items(&all, "imagesSet")
    }
}

#[test]
fn a_disk_becomes_an_ami_with_all_options() {
    let imports = require!(Imports::new(|_| Act::Forward));
    let requests = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&requests);
    imports.bench.proxy.edit_requests(move |call, body| {
        if call.action == "ImportImage" || call.action == "CopyImage" {
            seen.lock().unwrap().push(body.to_owned());
        }
        None
    });
    imports.bench.account.create_role("importer");
    let options = r#"
      s3_key_name       = "images/{{ clean_resource_name `a:b` }}-${source.name}.raw"
      s3_encryption     = "aws:kms"
      s3_encryption_key = "alias/disks"
      tags              = { Of = "the import" }
      ami_name          = "web-1"
      ami_description   = "for the web"
      ami_users         = ["123456789012"]
      ami_org_arns      = ["arn:aws:organizations::123456789012:organization/o-1"]
      ami_ou_arns       = ["arn:aws:organizations::123456789012:ou/o-1/ou-1"]
      ami_encrypt       = true
      ami_kms_key       = "alias/images"
      imds_support      = "v2.0"
      license_type      = "BYOL"
      role_name         = "importer"
      architecture      = "arm64"
      platform          = "linux"
"#;
    let ended = imports.import(options);
    assert_eq!(ended.code, Some(0), "{}", ended.said);
    let place = format!("s3://{}/images/a-b-a.raw", imports.bucket);
    for part in [
        format!("Uploading disk.raw to {place}"),
        format!("Started import of {place}, task id import-ami-"),
        ": validating (5%)".to_owned(),
        ": booting (83%)".to_owned(),
        "Tagging snapshot: snap-".to_owned(),
        format!("Deleting the import source {place}"),
    ] {
        assert!(ended.said.contains(&part), "no {part:?}: {}", ended.said);
    }
    // The AMI of the import is gone with its snapshot, and so are the object and the disk.
    let images = imports.images();
    assert_eq!(images.len(), 1, "{images:?}");
    let image = &images[0];
    let id = value(image, "imageId");
    assert!(ended.said.contains(&format!("AMIs were created:\nus-east-1: {id}")), "{}", ended.said);
    let about =
        ["name", "description", "architecture", "imdsSupport"].map(|name| value(image, name));
    assert_eq!(about, ["web-1", "for the web", "arm64", "v2.0"]);
    assert!(image.contains("<key>Of</key><value>the import</value>"), "{image}");
    let snapshot = value(image, "snapshotId");
    let held = imports.holds();
    let expected = [
        format!("us-east-1 image {id} web-1 available"),
        format!("us-east-1 snapshot-of-image {snapshot}"),
    ];
    assert_eq!(held, BTreeSet::from(expected), "{}", ended.said);
    assert!(!imports.bench.path("disk.raw").exists());
    let account = &imports.bench.account;
    let tags = account.call(
        REGION,
        "DescribeTags",
        &[("Filter.1.Name", "key"), ("Filter.1.Value.1", "Of")],
    );
    let tagged: BTreeSet<String> =
        items(&tags, "tagSet").iter().map(|tag| value(tag, "resourceId")).collect();
    assert_eq!(tagged, BTreeSet::from([id.clone(), snapshot]));
    let ask = [("ImageId", id.as_str()), ("Attribute", "launchPermission")];
    let shared = account.call(REGION, "DescribeImageAttribute", &ask);
    for part in ["123456789012", "organization/o-1", "ou/o-1/ou-1"] {
        assert!(shared.contains(part), "{part}: {shared}");
    }
    let requests = requests.lock().unwrap();
    let given = |body: &str, names: &[&str]| -> Vec<String> {
        names.iter().map(|name| form_value(body, name).unwrap_or_default()).collect()
    };
    let names = [
        "Architecture",
        "BootMode",
        "Platform",
        "LicenseType",
        "RoleName",
        "Encrypted",
        "KmsKeyId",
        "DiskContainer.1.Format",
    ];
    let expected = ["arm64", "uefi", "linux", "BYOL", "importer", "true", "alias/images", "raw"];
    assert_eq!(given(&requests[0], &names), expected, "{}", requests[0]);
    let copied = given(&requests[1], &["Name", "Encrypted", "KmsKeyId", "SourceRegion"]);
    assert_eq!(copied, ["web-1", "true", "alias/images", "us-east-1"]);
    assert_eq!(imports.bench.journals(), 0);
}

#[test]
fn the_object_stays_where_that_is_asked_for_and_is_encrypted() {
    let imports = require!(Imports::new(|_| Act::Forward));
    let options = "      skip_clean = true\n      s3_encryption = \"AES256\"\n      s3_key_name = \
                   \"/a b/{{timestamp}}+ä.raw\"\n";
    let ended = imports.import(options);
    assert_eq!(ended.code, Some(0), "{}", ended.said);
    let objects = imports.bench.account.bucket(&imports.bucket);
    let object = objects.first().expect("an object");
    assert!(object.starts_with("Contents /a b/") && object.ends_with("+ä.raw"), "{objects:?}");
    let key = object.trim_start_matches("Contents ");
    let key = key.replace(' ', "%20").replace('+', "%2B").replace('ä', "%C3%A4");
    let found = imports.bench.account.s3("HEAD", &format!("/{}/{key}", imports.bucket), b"");
    assert_eq!(found.header("x-amz-server-side-encryption"), Some("AES256"), "{}", found.head);
    let images = imports.images();
    assert_eq!(images.len(), 1, "{}", ended.said);
    assert!(value(&images[0], "name").starts_with("import-ami-"), "{images:?}");
    assert_eq!(value(&images[0], "bootMode"), "legacy-bios");
}

#[test]
fn disks_of_all_formats_are_imported() {
    if Command::new("qemu-img").arg("--version").output().is_err() {
        return missing("qemu-img cannot be run; it comes with the package qemu-utils");
    }
    let converted = [
        ("vmdk", "vmdk", "subformat=streamOptimized"),
        ("vhd", "vpc", "subformat=dynamic"),
        ("vhdx", "vhdx", "subformat=dynamic"),
        ("ova", "", ""),
    ];
    for_each(&converted, |&(format, kind, options)| {
        let imports = require!(Imports::new(|_| Act::Forward));
        let path = |name: &str| imports.bench.path(name).display().to_string();
        let file = format!("disk.{format}");
        if format == "ova" {
            let mut ova = tar::Builder::new(File::create(path(&file)).unwrap());
            let mut header = tar::Header::new_gnu();
            header.set_size(11);
            header.set_mode(0o644);
            ova.append_data(&mut header, "disk.ovf", &b"<Envelope/>"[..]).unwrap();
            ova.finish().unwrap();
            // Nothing says that it is an OVA: that is the default.
            imports.template(&file, "");
        } else {
            imports.disk(1 << 20);
            let (disk, target) = (path("disk.raw"), path(&file));
            let args = ["convert", "-f", "raw", "-O", kind, "-o", options, &disk, &target];
            assert!(Command::new("qemu-img").args(args).status().unwrap().success());
            imports.template(&file, &format!("      format = \"{format}\"\n"));
        }
        let ended = imports.bench.run(&["build", "-color=false", "."]);
        assert_eq!(ended.code, Some(0), "{format}: {}", ended.said);
        assert_eq!((imports.images().len(), imports.bench.journals()), (1, 0), "{format}");
        let objects = imports.bench.account.bucket(&imports.bucket);
        assert_eq!(objects, BTreeSet::new(), "{format}");
    });
}

#[test]
fn files_that_are_no_disks_are_refused() {
    let imports = require!(Imports::new(|_| Act::Forward));
    std::fs::write(imports.bench.path("disk.vmdk"), "no disk").unwrap();
    imports.template("disk.vmdk", "      format = \"vmdk\"\n");
    let ended = imports.bench.run(&["build", "-color=false", "."]);
    let why = "failed: ClientError: Disk validation failed [Unsupported VMDK File Format]";
    assert!(ended.code == Some(1) && ended.said.contains(why), "{}", ended.said);
    assert!(ended.said.contains("vmimport-troubleshooting"), "{}", ended.said);
    // A failure leaves the disk and nothing else.
    assert!(imports.bench.path("disk.vmdk").exists());
    assert_eq!(imports.bench.account.bucket(&imports.bucket), BTreeSet::new());
    imports.template("disk.vmdk", "      format = \"vhd\"\n");
    let ended = imports.bench.run(&["build", "-color=false", "."]);
    let why = "No vhd image file found in artifact from builder: it has readme.txt, disk.vmdk";
    assert!(ended.code == Some(1) && ended.said.contains(why), "{}", ended.said);
    assert_eq!((imports.images().len(), imports.bench.journals()), (0, 0));
}

#[test]
fn a_large_disk_is_sent_in_parts_and_arrives_as_it_is() {
    let imports = require!(Imports::new(|_| Act::Forward));
    let disk = imports.disk(40 << 20);
    // In each part, and across the border of two.
    for place in [(16 << 20) - 3, 30 << 20, (40 << 20) - 9] {
        disk.write_all_at(b"contents", place).unwrap();
    }
    let before = std::fs::read(imports.bench.path("disk.raw")).unwrap();
    let options =
        "      format = \"raw\"\n      skip_clean = true\n      s3_key_name = \"d.raw\"\n";
    imports.template("disk.raw", options);
    let ended = imports.bench.run(&["build", "-color=false", "."]);
    assert_eq!(ended.code, Some(0), "{}", ended.said);
    let calls = imports.calls();
    let count = |name: &str| calls.iter().filter(|call| *call == name).count();
    assert_eq!((count("UploadPart"), count("PutObject")), (3, 0), "{calls:?}");
    let object = imports.bench.account.s3("GET", &format!("/{}/d.raw", imports.bucket), b"");
    assert!(object.body == before, "the object has {} bytes", object.body.len());
}

#[test]
fn a_version_that_was_there_before_comes_back() {
    let imports = require!(Imports::new(|_| Act::Forward));
    let (account, bucket) = (&imports.bench.account, &imports.bucket);
    let versioning = b"<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>";
    account.s3("PUT", &format!("/{bucket}?versioning"), versioning);
    account.s3("PUT", &format!("/{bucket}/d.raw"), b"of the user");
    let ended = imports.import("      s3_key_name = \"d.raw\"\n");
    assert_eq!(ended.code, Some(0), "{}", ended.said);
    assert_eq!(account.s3("GET", &format!("/{bucket}/d.raw"), b"").text(), "of the user");
    let versions = account.s3("GET", &format!("/{bucket}?versions"), b"").text();
    assert_eq!(versions.matches("<Version>").count(), 1, "{versions}");
}

#[test]
fn no_secret_of_an_import_is_shown() {
    let mut imports = require!(Imports::new(|_| Act::Forward));
    let log = imports.bench.path("log");
    imports.bench.env =
        vec![("PACKER_LOG", "TRACE".to_owned()), ("PACKER_LOG_PATH", log.display().to_string())];
    let role = format!(
        "      assume_role {{\n        role_arn = \"arn:aws:iam::{}:role/r\"\n      }}\n",
        imports.bench.account.id
    );
    imports.disk(20 << 20);
    imports.template("disk.raw", &format!("      format = \"raw\"\n{role}"));
    let tokens = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&tokens);
    imports.bench.proxy.edit_answers(move |call, body| {
        if call.action == "AssumeRole" {
            let secrets = ["SecretAccessKey", "SessionToken"].map(|name| value(body, name));
            seen.lock().unwrap().extend(secrets);
        }
        None
    });
    let ended = imports.bench.run(&["build", "-color=false", "."]);
    assert_eq!(ended.code, Some(0), "{}", ended.said);
    let log = std::fs::read_to_string(log).unwrap();
    assert!(log.contains("DEBUG"), "{log}");
    let tokens = tokens.lock().unwrap();
    // The role is taken on once for EC2 and once for S3, and not for each part.
    assert_eq!(tokens.len(), 4, "{tokens:?}");
    let words = ["X-Amz-Signature", "X-Amz-Security-Token", "wJalrXUtnFEMI"];
    for secret in tokens.iter().map(String::as_str).chain(words) {
        assert!(!secret.is_empty());
        assert!(!log.contains(secret) && !ended.said.contains(secret), "{secret} is shown");
    }
}

#[test]
fn mistakes_of_an_import_are_reported_offline() {
    let directory = tempfile::tempdir().unwrap();
    let validate = |options: &str| {
        let text = format!(
            "source \"null\" \"a\" {{\n  communicator = \"none\"\n}}\nbuild {{\n  sources = \
             [\"null.a\"]\n  post-processor \"amazon-import\" {{\n{options}\n  }}\n}}\n"
        );
        std::fs::write(directory.path().join("t.pkr.hcl"), text).unwrap();
        let mut command = ingot_test_support::ingot_command();
        command.env("HOME", directory.path()).env_remove("AWS_ACCESS_KEY_ID");
        let output = command.args(["validate", "."]).current_dir(directory.path()).output();
        let output = output.unwrap();
        let said =
            String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
        (output.status.success(), said.into_owned())
    };
    let good = "s3_bucket_name = \"disks\"";
    let (fine, said) = validate(good);
    assert!(fine, "{said}");
    for (options, line, part) in [
        ("", 6, "`s3_bucket_name` must be set"),
        ("s3_bucket_name = \"s3://disks/a\"", 7, "is not the name of a bucket"),
        ("format = \"qcow2\"", 8, "`qcow2` is not possible here"),
        ("s3_encryption = \"AES128\"", 8, "`AES128` is not possible here"),
        ("s3_key_name = \"a/../b\"", 8, "cannot be the key of an object"),
        ("s3_key_name = \"{{ nothing }}\"", 8, "nothing"),
        ("boot_mode = \"uefi-preferred\"", 8, "`uefi-preferred` is not possible here"),
        ("boot_mode = \"uefi\"", 6, "`platform` must be set"),
        ("architecture = \"arm64\"", 6, "`platform` must be set"),
        (
            "architecture = \"arm64\"\nboot_mode = \"legacy-bios\"",
            9,
            "machines of `arm64` boot by UEFI only",
        ),
        ("platform = \"freebsd\"", 8, "`freebsd` is not possible here"),
        ("architecture = \"sparc\"", 8, "`sparc` is not possible here"),
        ("license_type = \"mine\"", 8, "`mine` is not possible here"),
        ("imds_support = \"v1.0\"", 8, "`v1.0` is not possible here"),
        ("ami_name = \"a:b:c\"", 8, "letters, digits"),
        ("ami_kms_key = \"key of mine\"", 8, "names no KMS key"),
        ("access_key = \"a\"", 8, "`access_key` needs `secret_key`"),
        ("ami_nam = \"x\"", 8, "ami_name"),
    ] {
        let bucket = options.is_empty() || options.contains("s3_bucket");
        let all = if bucket { options.to_owned() } else { format!("{good}\n{options}") };
        let (fine, said) = validate(&all);
        assert!(!fine && said.contains(part), "{part}: {said}");
        assert!(said.contains(&format!("t.pkr.hcl:{line}")), "{options} at line {line}: {said}");
    }
    for (options, part) in [
        ("s3_encryption_key = \"k\"", "`s3_encryption_key` has no effect"),
        ("ami_kms_key = \"alias/a\"", "`ami_kms_key` has no effect"),
        ("ami_encrypt = true\nami_groups = [\"all\"]", "makes nothing public that is encrypted"),
        ("ami_encrypt = true\nami_users = [\"123456789012\"]", "name a key in ami_kms_key"),
    ] {
        let (fine, said) = validate(&format!("{good}\n{options}"));
        assert!(fine && said.contains(part), "{part}: {said}");
    }
}
