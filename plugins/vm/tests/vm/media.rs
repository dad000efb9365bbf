//! Floppy disks and CDs, read back by the tools of others.

use ingot_sdk::{ConfigErrors, Prepared};
use ingot_test_support::tool;
use ingot_vm::cd::CdOptions;
use ingot_vm::floppy::FloppyOptions;
use serde_json::{Value, json};

use crate::harness::{Build, noise, output, spawn};

fn floppy(value: Value) -> FloppyOptions {
    serde_json::from_value(value).unwrap()
}

#[tokio::test]
async fn a_floppy_has_the_files_of_its_options() {
    let build = Build::new();
    let noise = noise(200_000, 30);
    build.file("answers/Autounattend.xml", "<xml/>");
    build.file("flat/one.txt", "one");
    build.file("flat/deep/a long name.text", "two");
    build.file("drivers/amd64/net.sys", &noise);
    build.file("drivers/readme", "read me");
    let options = floppy(json!({
        "floppy_files": [build.text("answers/*.xml"), build.text("flat")],
        "floppy_dirs": [build.text("drivers")],
        "floppy_content": {"meta-data": "id: 1", "ONE.txt": "first"},
        "floppy_label": "cidata",
    }));
    let disk = options.create(&build.ctx).await.unwrap().expect("a disk");
    let image = disk.path().to_str().unwrap().to_owned();
    assert_eq!(std::fs::metadata(&image).unwrap().len(), 1_474_560);
    let mtools = |argv: &[&str]| {
        let mut all = vec![argv[0], "-i", &image];
        all.extend(&argv[1..]);
        tool(build.directory.path(), &all)
    };
    let Some(list) = mtools(&["mdir", "-b", "-/", "::"]) else { return };
    let mut list: Vec<&str> = list.lines().map(|line| line.trim_start_matches("::/")).collect();
    list.sort_unstable();
    assert_eq!(
        list,
        [
            "Autounattend.xml",
            "ONE.txt",
            "a long name.text",
            "drivers/",
            "drivers/amd64/",
            "drivers/amd64/net.sys",
            "drivers/readme",
            "meta-data",
        ]
    );
    assert_eq!(mtools(&["mtype", "::/one.txt"]).unwrap(), "first");
    assert_eq!(mtools(&["mtype", "::/a long name.text"]).unwrap(), "two");
    assert_eq!(mtools(&["mtype", "::/meta-data"]).unwrap(), "id: 1");
    mtools(&["mcopy", "::/drivers/amd64/net.sys", &build.text("net.sys")]).unwrap();
    assert_eq!(std::fs::read(build.path("net.sys")).unwrap(), noise);
    assert!(mtools(&["mlabel", "-s", "::"]).unwrap().contains("cidata"));
    drop(disk);
    assert!(!std::path::Path::new(&image).exists());
}

#[tokio::test]
async fn what_does_not_fit_on_a_floppy_is_reported() {
    let build = Build::new();
    build.file("big", vec![0; 1_400_000]);
    build.file("small", vec![0; 60_000]);
    let both = json!({"floppy_files": [build.text("big"), build.text("small")]});
    let error = floppy(both).create(&build.ctx).await.unwrap_err();
    assert!(error.to_string().contains("the largest is big, of 1400000 bytes"), "{error}");
    assert!(error.advice().unwrap().contains("cd_files"));
    let big = json!({"floppy_files": [build.text("big")]});
    assert!(floppy(big).create(&build.ctx).await.unwrap().is_some());
    let many: serde_json::Map<String, Value> =
        (0..300).map(|number| (format!("f{number}"), "".into())).collect();
    let error = floppy(json!({"floppy_content": many})).create(&build.ctx).await.unwrap_err();
    assert!(error.to_string().contains("no room left"), "{error}");
    build.file("a/x", "1");
    build.file("b/X", "2");
    let same = json!({"floppy_files": [build.text("a"), build.text("b")]});
    let error = floppy(same).create(&build.ctx).await.unwrap_err();
    assert!(error.to_string().contains("two files would be called"), "{error}");
}

#[tokio::test]
async fn a_cd_has_the_files_of_its_options() {
    let build = Build::new();
    let Some(_) = tool(build.directory.path(), &["xorriso", "-version"]) else { return };
    let noise = noise(3_000_000, 31);
    build.file("seed/user-data", "#cloud-config");
    build.file("seed/vendor/Long Name With Capitals.text", &noise);
    build.file("other/in.txt", "in");
    build.file("plain.txt", "plain");
    std::os::unix::fs::symlink(build.path("other"), build.path("seed/link")).unwrap();
    for (name, mode) in [("seed/user-data", 0o600), ("plain.txt", 0o400), ("other/in.txt", 0o700)] {
        let permissions = std::os::unix::fs::PermissionsExt::from_mode(mode);
        std::fs::set_permissions(build.path(name), permissions).unwrap();
    }
    let options: CdOptions = serde_json::from_value(json!({
        "cd_files": [
            build.text("seed/*"),
            build.text("other"),
            format!("{}/", build.text("other")),
            build.text("pl?in.txt"),
        ],
        "cd_content": {"meta-data": "id: 1", "/deep/er/file": "f", "plain.txt": "text"},
        "cd_label": "cidata",
    }))
    .unwrap();
    let disk = options.create(&build.ctx).await.unwrap().expect("a CD");
    let image = disk.path().to_str().unwrap().to_owned();
    // By Rock Ridge, and by Joliet.
    for names in ["-R", "-J"] {
        let isoinfo = |argv: &[&str]| {
            let mut all = vec!["isoinfo", names, "-i", &image];
            all.extend(argv);
            tool(build.directory.path(), &all)
        };
        let Some(list) = isoinfo(&["-f"]) else { return };
        let mut list: Vec<&str> = list.lines().collect();
        list.sort_unstable();
        assert_eq!(
            list,
            [
                "/deep",
                "/deep/er",
                "/deep/er/file",
                "/in.txt",
                "/link",
                "/link/in.txt",
                "/meta-data",
                "/other",
                "/other/in.txt",
                "/plain.txt",
                "/user-data",
                "/vendor",
                "/vendor/Long Name With Capitals.text",
            ]
        );
        assert_eq!(isoinfo(&["-x", "/plain.txt"]).unwrap(), "text");
        assert_eq!(isoinfo(&["-x", "/link/in.txt"]).unwrap(), "in");
    }
    // Everybody may read them, as any new file.
    let new = std::fs::metadata(build.file("new", "")).unwrap();
    let new = std::os::unix::fs::PermissionsExt::mode(&new.permissions()) & 0o777;
    let list = ["isoinfo", "-R", "-l", "-i", &image];
    let list = tool(build.directory.path(), &list).unwrap();
    for (name, executable) in [("user-data", 0), ("in.txt", 0o100)] {
        let line = list.lines().find(|line| line.trim_end().ends_with(&format!(" {name}")));
        let shown = line.unwrap_or_else(|| panic!("{list}")).trim_start();
        let bit = |at: u32, letter| if ((new | executable) >> at) & 1 == 1 { letter } else { '-' };
        let mode: String =
            (0..9).rev().zip("rwxrwxrwx".chars()).map(|(at, c)| bit(at, c)).collect();
        assert!(shown.starts_with(&format!("-{mode}")), "{name}: {list}");
    }
    let facts = tool(build.directory.path(), &["isoinfo", "-d", "-i", &image]).unwrap();
    assert!(facts.contains("Volume id: cidata"), "{facts}");
    let out = build.text("out");
    let from = "/vendor/Long Name With Capitals.text";
    let copy = ["xorriso", "-osirrox", "on", "-indev", &image, "-extract", from, &out];
    tool(build.directory.path(), &copy).unwrap();
    assert_eq!(std::fs::read(out).unwrap(), noise);
    let directory = disk.path().parent().unwrap().to_owned();
    drop(disk);
    assert!(!directory.exists());
}

#[test]
fn every_program_that_creates_cds_works_and_none_is_an_error() {
    let build = Build::new();
    let job = json!({"do": "cd", "options": {"cd_content": {"a": "b"}}});
    for name in ["xorriso", "mkisofs", "genisoimage"] {
        let found = std::env::split_paths(&std::env::var_os("PATH").unwrap())
            .map(|directory| directory.join(name))
            .find(|file| file.exists());
        let Some(found) = found else {
            ingot_test_support::missing(format_args!("{name} is not installed"));
            continue;
        };
        let only = build.path(name);
        std::fs::create_dir(&only).unwrap();
        std::os::unix::fs::symlink(found, only.join(name)).unwrap();
        let said = output(spawn(&job, &[("PATH", only.to_str().unwrap())]));
        assert!(said.contains("job: a CD"), "{name}: {said}");
    }
    let said = output(spawn(&job, &[("PATH", &build.text("nothing"))]));
    assert!(
        said.contains("xorriso, mkisofs, genisoimage") && said.contains("apt install xorriso"),
        "{said}"
    );
}

#[test]
fn missing_files_are_reported_early() {
    let build = Build::new();
    let (mut prepared, mut errors) = (Prepared::default(), ConfigErrors::default());
    floppy(json!({
        "floppy_files": [build.text("missing"), build.text("[")],
        "floppy_dirs": [build.text("no*")],
        "floppy_label": "much too long",
    }))
    .prepare(&mut prepared, &mut errors);
    assert_eq!(errors.0.len(), 2, "{errors:?}");
    assert!(errors.0[0].message.contains("missing: No such file"));
    assert!(prepared.warnings[0].message.contains("nothing matches"));
    assert!(prepared.warnings[1].message.contains("11 ASCII characters"));
}
