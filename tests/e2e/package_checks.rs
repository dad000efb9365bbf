//! Checks of packages in an image, whose package managers are this machine's own: dpkg and rpm.

use std::path::{Path, PathBuf};
use std::process::Command;

use ingot_test_support::{docker, docker_template, ingot, output_of, require, template};

/// A directory that becomes the root of an image.
struct Root(tempfile::TempDir);

impl Root {
    /// One with busybox, a shell and this program of this machine, with their libraries. The shell is not
    /// busybox', which takes its own rpm for the one that is there.
    fn with(program: &str) -> Root {
        let root = Root(tempfile::tempdir().unwrap());
        for directory in ["bin", "tmp", "root", "etc"] {
            std::fs::create_dir(root.path(directory)).unwrap();
        }
        std::fs::copy("/bin/busybox", root.path("bin/busybox")).unwrap();
        for applet in output_of("/bin/busybox", &["--list"]).lines() {
            let _ = std::os::unix::fs::symlink("busybox", root.path("bin").join(applet));
        }
        std::fs::remove_file(root.path("bin/sh")).unwrap();
        std::os::unix::fs::symlink("dash", root.path("bin/sh")).unwrap();
        std::fs::write(root.path("etc/passwd"), "root:x:0:0:root:/root:/bin/sh\n").unwrap();
        for program in ["/bin/dash", program] {
            root.add(Path::new(program));
            for word in output_of("ldd", &[program]).split_whitespace() {
                if word.starts_with('/') {
                    root.add(Path::new(word));
                }
            }
        }
        root
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name.trim_start_matches('/'))
    }

    fn shown(&self, name: &str) -> String {
        self.path(name).display().to_string()
    }

    /// Copies a file of this machine, or a directory with all that is in it, to the same place.
    fn add(&self, path: &Path) {
        let to = self.path(&path.display().to_string());
        std::fs::create_dir_all(to.parent().unwrap()).unwrap();
        output_of("cp", &["-rL", &path.display().to_string(), &to.display().to_string()]);
    }

    /// Makes the image.
    fn import(&self, name: &str) {
        let archive = tempfile::NamedTempFile::new().unwrap();
        let file = archive.path().display().to_string();
        output_of("tar", &["-C", &self.shown(""), "-cf", &file, "."]);
        output_of("docker", &["import", "-c", "CMD [\"/bin/sh\"]", &file, name]);
    }
}

/// Whether these programs are here.
fn there(programs: &[&str]) -> bool {
    let missing =
        programs.iter().find(|program| Command::new(program).arg("--version").output().is_err());
    if let Some(missing) = missing {
        ingot_test_support::missing(format_args!("{missing} is not installed"));
    }
    missing.is_none()
}

/// Whether this is root: dpkg and rpm change the root directory.
fn is_root() -> bool {
    let root = output_of("id", &["-u"]) == "0";
    if !root {
        ingot_test_support::missing("dpkg and rpm need root");
    }
    root
}

/// Tests an image: the message of each check, in order.
fn tested(image: &str, companion: &str) -> Vec<String> {
    let dir = template(&docker_template("commit = true", ""));
    std::fs::write(dir.path().join("t.ingot.hcl"), companion).unwrap();
    let run = ingot(dir.path(), &["test", ".", image]);
    let verdicts = run.stdout.lines().filter_map(|line| line.strip_prefix("==> docker.d: "));
    let verdicts =
        verdicts.filter(|line| line.starts_with("passed: ") || line.starts_with("failed: "));
    let verdicts: Vec<String> = verdicts.map(str::to_owned).collect();
    let failed = verdicts.iter().any(|line| line.starts_with("failed: "));
    assert_eq!(run.code, Some(i32::from(failed)), "{}{}", run.stdout, run.stderr);
    verdicts
}

/// Makes a package of Debian with nothing in it but a file, and `script` that runs when it is installed.
fn deb(dir: &Path, name: &str, version: &str, script: &str) -> String {
    let root = dir.join(name);
    std::fs::create_dir_all(root.join("DEBIAN")).unwrap();
    std::fs::create_dir_all(root.join("etc")).unwrap();
    let control = format!(
        "Package: {name}\nVersion: {version}\nArchitecture: all\nMaintainer: Test <test@example.com>\n\
         Description: a test\n"
    );
    std::fs::write(root.join("DEBIAN/control"), control).unwrap();
    let setting = format!("etc/{name}.conf");
    std::fs::write(root.join("DEBIAN/conffiles"), format!("/{setting}\n")).unwrap();
    std::fs::write(root.join(&setting), "on\n").unwrap();
    let postinst = root.join("DEBIAN/postinst");
    std::fs::write(&postinst, format!("#!/bin/sh\n{script}\n")).unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(postinst, mode).unwrap();
    let file = dir.join(format!("{name}.deb")).display().to_string();
    output_of("dpkg-deb", &["--build", &root.display().to_string(), &file]);
    file
}

#[test]
fn packages_of_dpkg() {
    require!(docker());
    require!(is_root());
    require!(there(&["dpkg", "dpkg-deb", "dpkg-query"]));
    let root = Root::with("/usr/bin/dpkg-query");
    let packages = tempfile::tempdir().unwrap();
    for directory in ["info", "updates", "triggers"] {
        std::fs::create_dir_all(root.path("var/lib/dpkg").join(directory)).unwrap();
    }
    for file in ["status", "available"] {
        std::fs::write(root.path("var/lib/dpkg").join(file), "").unwrap();
    }
    let at = format!("--root={}", root.shown(""));
    let dpkg = |args: &[&str]| {
        let log = packages.path().join("log").display().to_string();
        let log = format!("--log={log}");
        let done = Command::new("dpkg").args([&at, &log]).args(args).output().unwrap();
        (done.status.success(), String::from_utf8_lossy(&done.stderr).into_owned())
    };
    for (name, version) in [("alpha", "1:2.3-4"), ("alpha-doc", "9"), ("beta", "1.0")] {
        let (done, said) = dpkg(&["-i", &deb(packages.path(), name, version, "exit 0")]);
        assert!(done, "{said}");
    }
    // What it was set up with stays, as with `apt-get remove`.
    assert!(dpkg(&["-r", "beta"]).0);
    assert!(!dpkg(&["-i", &deb(packages.path(), "gamma", "1.0", "exit 1")]).0);
    root.import("ingot-e2e-dpkg");
    let passing = r#"
test "packages" {
  package "alpha" {
    version = ["2.3", "/^1:2\\.3-4$/", "!9"]
  }
  package "beta" {
    installed = false
  }
  package "alpha-d" {
    installed = false
  }
}
"#;
    let names = ["alpha", "beta", "alpha-d"].map(|name| format!("passed: package {name:?}"));
    assert_eq!(tested("ingot-e2e-dpkg", passing), names);
    let failing = r#"
test "packages" {
  package "alpha" {
    version = ["3."]
  }
  package "alpha-doc" {
    installed = false
  }
  package "beta" {}
  package "gamma" {}
}
"#;
    let told = [
        "failed: package \"alpha\": the version is 1:2.3-4, not \"3.\"",
        "failed: package \"alpha-doc\": it is installed: 9",
        "failed: package \"beta\": it is not installed",
        "failed: package \"gamma\": it is installed only in part: half-configured 1.0",
    ];
    assert_eq!(tested("ingot-e2e-dpkg", failing), told);
    output_of("docker", &["rmi", "ingot-e2e-dpkg"]);
}

#[test]
fn packages_of_rpm() {
    require!(docker());
    require!(is_root());
    require!(there(&["rpm", "rpmbuild", "ldd"]));
    let root = Root::with("/usr/bin/rpm");
    root.add(Path::new("/usr/lib/rpm"));
    let dir = tempfile::tempdir().unwrap();
    let home = dir.path().display().to_string();
    let rpm = |program: &str, args: &[&str]| {
        let done = Command::new(program).args(args).env("HOME", &home).output().unwrap();
        assert!(done.status.success(), "{args:?}: {}", String::from_utf8_lossy(&done.stderr));
    };
    let spec = dir.path().join("hello.spec");
    let text = "Name: hello\nEpoch: 3\nVersion: 1.2\nRelease: 3\nSummary: a test\nLicense: MIT\n\
                BuildArch: noarch\n%description\na test\n%files\n";
    std::fs::write(&spec, text).unwrap();
    let top = format!("_topdir {home}/top");
    rpm("rpmbuild", &["-bb", "--quiet", "--define", &top, &spec.display().to_string()]);
    let package = format!("{home}/top/RPMS/noarch/hello-1.2-3.noarch.rpm");
    let at = root.shown("");
    rpm("rpm", &["--root", &at, "--dbpath", "/var/lib/rpm", "--initdb"]);
    let install = ["--root", &at, "--dbpath", "/var/lib/rpm", "-i", "--nodeps", &package];
    rpm("rpm", &install);
    // Debian's rpm looks in the home directory if nothing says where.
    std::fs::create_dir_all(root.path("etc/rpm")).unwrap();
    std::fs::write(root.path("etc/rpm/macros"), "%_dbpath /var/lib/rpm\n").unwrap();
    root.import("ingot-e2e-rpm");
    let companion = r#"
test "packages" {
  package "hello" {
    version = ["/^1\\.2-3$/"]
  }
  package "hell" {
    installed = false
  }
  package "world" {}
}
"#;
    let told = [
        "passed: package \"hello\"",
        "passed: package \"hell\"",
        "failed: package \"world\": it is not installed",
    ];
    assert_eq!(tested("ingot-e2e-rpm", companion), told);
    output_of("docker", &["rmi", "ingot-e2e-rpm"]);
}
