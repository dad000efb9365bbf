//! Boxes of machines that were really built.

use std::process::Command;

use super::bench::{Bench, POWER_SWITCH, dead_machine, names, qemu};
use ingot_test_support::{output_of, require};

/// A machine that is built in seconds.
fn machine(bench: &Bench) -> String {
    let disk = bench.brief_disk(1024 * 1024);
    let source = dead_machine(&disk).replace("ssh_username = \"root\"", "communicator = \"none\"");
    format!("{source}  {POWER_SWITCH}\n  skip_compaction = true\n")
}

/// What is in a box, by names in their order.
fn contents(bench: &Bench, name: &str) -> Vec<(String, Vec<u8>)> {
    let path = bench.path(name).display().to_string();
    let listed = output_of("tar", &["tf", &path]);
    let read = |name: &str| {
        let output = Command::new("tar").args(["xOf", &path, name]).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        (name.to_owned(), output.stdout)
    };
    listed.lines().map(read).collect()
}

/// The code of a Vagrantfile, without comments and empty lines.
fn code(text: &[u8]) -> Vec<String> {
    let text = String::from_utf8(text.to_vec()).unwrap();
    let lines = text.lines().map(str::trim);
    lines.filter(|line| !line.is_empty() && !line.starts_with('#')).map(str::to_owned).collect()
}

#[test]
fn a_box_holds_disk_metadata_and_vagrantfile() {
    require!(qemu());
    let bench = Bench::new("", "");
    let source = machine(&bench);
    std::fs::write(bench.path("extra.txt"), "extra").unwrap();
    std::fs::write(bench.path("Vagrantfile.in"), "# {{ .BuildName }} on {{ .Provider }}\nputs 1\n")
        .unwrap();
    bench.template(
        &source,
        "  post-processor \"vagrant\" {\n    include              = [\"extra.txt\"]\n    \
         vagrantfile_template = \"Vagrantfile.in\"\n    architecture         = \"amd64\"\n    \
         compression_level    = 9\n    keep_input_artifact  = true\n  }\n  \
         post-processor \"vagrant\" {\n    output   = \"plain-{{ .Architecture }}.box\"\n    \
         override = { libvirt = { compression_level = 0, architecture = \"arm64\" } }\n  }",
    );
    let run = bench.build();
    for line in [
        "Creating Vagrant box for 'libvirt' provider",
        "Copying from artifact: output-m/packer-m",
        "Compressing: metadata.json",
        "'libvirt' provider box: packer_m_libvirt_amd64.box",
    ] {
        assert!(run.stdout.contains(line), "{line:?} is not in {}", run.stdout);
    }
    let files = contents(&bench, "packer_m_libvirt_amd64.box");
    let listed: Vec<&str> = files.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(listed, ["Vagrantfile", "box_0.img", "extra.txt", "metadata.json"]);
    assert_eq!(files[1].1, std::fs::read(bench.path("output-m/packer-m")).unwrap());
    assert_eq!(files[2].1, b"extra");
    let metadata: serde_json::Value = serde_json::from_slice(&files[3].1).unwrap();
    let expected = serde_json::json!({
        "architecture": "amd64",
        "disks": [{ "format": "qcow2", "path": "box_0.img" }],
        "provider": "libvirt",
    });
    assert_eq!(metadata, expected);
    let vagrantfile = code(&files[0].1);
    assert!(vagrantfile.contains(&"libvirt.driver = \"qemu\"".to_owned()), "{vagrantfile:?}");
    assert_eq!(vagrantfile.last().map(String::as_str), Some("puts 1"));
    assert!(String::from_utf8_lossy(&files[0].1).contains("# m on libvirt"));
    // The other one is a plain tar.
    assert_eq!(&std::fs::read(bench.path("plain-arm64.box")).unwrap()[257..262], b"ustar");
    assert_eq!(contents(&bench, "plain-arm64.box")[2].0, "metadata.json");
}

/// The machine's directory goes with the machine, which is packed into it.
#[test]
fn a_machine_stays_that_holds_what_it_was_packed_into() {
    require!(qemu());
    let bench = Bench::new("", "");
    let source = machine(&bench);
    bench.template(
        &source,
        "  post-processor \"compress\" {\n    output = \"output-m/m.tar.gz\"\n  }",
    );
    let run = bench.build();
    let left = "Leaving this, because output-m/m.tar.gz is in it and would be deleted, too: VM files \
                in directory: ";
    assert!(run.stdout.contains(left), "{}", run.stdout);
    let mut there = names(&bench.path("output-m"));
    there.sort();
    assert_eq!(there, ["m.tar.gz", "packer-m"]);
}

/// A later step without an artifact, as one that notifies somebody, ends the pipeline.
#[cfg(feature = "plugin-host")]
#[test]
fn a_machine_stays_also_where_a_plugin_ends_the_pipeline() {
    require!(qemu());
    let plugins = require!(ingot_test_support::trial_plugin::plugin_directory());
    let bench = Bench::new("", "");
    let source = machine(&bench);
    bench.template(
        &source,
        "  post-processors {\n    post-processor \"compress\" {\n      \
         output = \"output-m/m.tar.gz\"\n    }\n    post-processor \"trial\" {}\n  }",
    );
    let path = plugins.path().to_str().unwrap();
    let run = bench.ingot_with(&["build", "."], &[("PACKER_PLUGIN_PATH", path)]);
    assert_eq!(run.code, Some(0), "{}\n{}\n{}", run.stdout, run.stderr, bench.log());
    let left = "Leaving this, because output-m/m.tar.gz is in it and would be deleted, too: ";
    assert!(run.stdout.contains(left), "{}", run.stdout);
    let mut there = names(&bench.path("output-m"));
    there.sort();
    assert_eq!(there, ["m.tar.gz", "packer-m"]);
}

/// Neither does another pipeline that fails take along what is packed, nor a later step.
#[test]
fn a_machine_stays_with_what_it_was_packed_into_where_another_step_fails() {
    require!(qemu());
    let bench = Bench::new("", "");
    let source = machine(&bench);
    let compress = "post-processor \"compress\" {\n    output = \"output-m/m.tar.gz\"\n  }\n";
    let fails = "post-processor \"shell-local\" {\n    inline = [\"exit 1\"]\n  }\n";
    for steps in
        [format!("{compress}{fails}"), format!("post-processors {{\n{compress}{fails}\n}}\n")]
    {
        bench.template(&source, &steps);
        let run = bench.ingot_with(&["build", "-force", "."], &[]);
        assert_eq!(run.code, Some(1), "{}{}", run.stdout, run.stderr);
        let left = "Leaving this, because output-m/m.tar.gz is in it and would be deleted, too";
        assert!(run.stdout.contains(left), "{}", run.stdout);
        assert!(!run.stdout.contains("Removing what the builder created"), "{}", run.stdout);
        let mut there = names(&bench.path("output-m"));
        there.sort();
        assert_eq!(there, ["m.tar.gz", "packer-m"]);
    }
}

/// Both post-processors, Packer's plugin and what is built in, with one machine.
#[cfg(feature = "plugin-host")]
#[test]
fn a_box_is_as_that_of_packers_plugin() {
    require!(qemu());
    let Ok(plugins) = std::env::var("INGOT_TEST_VAGRANT_PLUGIN") else {
        // A program of 30 MB, which is not built for one test.
        eprintln!("skipped: INGOT_TEST_VAGRANT_PLUGIN names no directory with Packer's plugin");
        return;
    };
    let bench = Bench::new("", "");
    let source = machine(&bench) + "  disk_additional_size = [\"1M\", \"2M\"]\n";
    let name = "{{ .BuildName }}-{{ .Provider }}-{{ .Architecture }}.box";
    let build = |output: &str| {
        bench.template(
            &source,
            &format!(
                "  post-processor \"vagrant\" {{\n    output              = \"{output}{name}\"\n    \
                 include             = [\"t.pkr.hcl\"]\n    keep_input_artifact = true\n  }}"
            ),
        );
    };
    build("ours-");
    bench.build();
    let before = contents(&bench, "ours-m-libvirt-amd64.box");
    build("theirs-");
    let more =
        [("PACKER_PLUGIN_PATH", plugins.as_str()), ("INGOT_PREFER_INSTALLED_PLUGINS", "vagrant")];
    let run = bench.ingot_with(&["build", "-force", "."], &more);
    assert_eq!(run.code, Some(0), "{}{}", run.stdout, run.stderr);
    let theirs = contents(&bench, "theirs-m-libvirt-amd64.box");
    let listed = |files: &[(String, Vec<u8>)]| -> Vec<String> {
        files.iter().map(|(name, _)| name.clone()).collect()
    };
    assert_eq!(listed(&before), listed(&theirs));
    for ((name, ours), (_, theirs)) in before.iter().zip(&theirs) {
        match name.as_str() {
            "Vagrantfile" => assert_eq!(code(ours), code(theirs)),
            // That of another build, with another name of the box in it.
            "t.pkr.hcl" => {}
            "metadata.json" => assert_eq!(ours, theirs),
            _ => assert_eq!(ours.len(), theirs.len(), "{name}"),
        }
    }
}

#[test]
fn what_has_no_libvirt_box_is_an_error_that_names_the_plugin_for_others() {
    let bench = Bench::new("", "");
    let options = "  iso_url = \"x.iso\"\n  iso_checksum = \"none\"\n  communicator = \"none\"\n";
    let bad = "  post-processor \"vagrant\" {\n    provider_override    = \"virtualbox\"\n    \
               compression_level    = 11\n    vagrantfile_template = \"none.erb\"\n    \
               override = { libvirt = { outptu = \"x\" } }\n  }";
    bench.template(options, bad);
    let run = bench.ingot(&["validate", "."]);
    assert_eq!(run.code, Some(1), "{}", run.stdout);
    for part in [
        "boxes for `virtualbox` are not supported",
        "github.com/hashicorp/vagrant",
        "11 is not a compression level",
        "there is no file none.erb",
        "unknown field `outptu`",
    ] {
        assert!(run.stdout.contains(part), "{part:?} is not in {}", run.stdout);
    }
    std::fs::write(
        bench.path("t.pkr.hcl"),
        "source \"file\" \"m\" {\n  target = \"x\"\n  content = \"y\"\n}\nbuild {\n  \
         sources = [\"file.m\"]\n  post-processor \"vagrant\" {}\n}\n",
    )
    .unwrap();
    let empty = bench.path("plugins");
    let more = [("PACKER_PLUGIN_PATH", empty.to_str().unwrap())];
    let run = bench.ingot_with(&["validate", "."], &more);
    assert_eq!(run.code, Some(1), "{}", run.stdout);
    for part in ["`file` builds no machine for a libvirt box", "github.com/hashicorp/vagrant"] {
        assert!(run.stdout.contains(part), "{part:?} is not in {}", run.stdout);
    }
    // Required, the plugin is built in for qemu, and has to be installed for others.
    bench.template(options, "  post-processor \"vagrant\" {}");
    let text = std::fs::read_to_string(bench.path("t.pkr.hcl")).unwrap();
    let packer = "packer {\n  required_plugins {\n    vagrant = {\n      version = \"~> 1.1\"\n      \
                  source = \"github.com/hashicorp/vagrant\"\n    }\n  }\n}\n";
    std::fs::write(bench.path("t.pkr.hcl"), format!("{packer}{text}")).unwrap();
    for args in [["init", "."], ["validate", "."]] {
        let run = bench.ingot_with(&args, &more);
        assert_eq!(run.code, Some(0), "{args:?}: {}{}", run.stdout, run.stderr);
    }
    assert_eq!(names(&empty), [""; 0]);
}
