//! What a user sees of post-processors: where their output is no ordinary file, and where several fail.

use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use ingot_test_support::{
    docker, docker_template, ingot, ingot_program, ingot_without_privileges, output_of, require,
    template,
};

/// A build of `file` with `steps`.
fn file_template(steps: &str) -> tempfile::TempDir {
    template(&format!(
        "source \"file\" \"f\" {{\n  target  = \"f.img\"\n  content = \"x\"\n}}\nbuild {{\n  \
         sources = [\"source.file.f\"]\n{steps}\n}}\n"
    ))
}

#[test]
fn files_are_added_to_where_no_lock_can_be_created() {
    let dir = file_template(
        "  post-processor \"manifest\" {\n    output = \"shut/manifest.json\"\n  }\n  \
         post-processor \"checksum\" {\n    output = \"shut/sums\"\n  }\n  \
         post-processor \"manifest\" {\n    output = \"/dev/null\"\n  }",
    );
    let shut = dir.path().join("shut");
    std::fs::create_dir(&shut).unwrap();
    std::fs::write(shut.join("manifest.json"), "").unwrap();
    std::fs::write(shut.join("sums"), "before\n").unwrap();
    let permit = |mode| std::fs::set_permissions(&shut, PermissionsExt::from_mode(mode)).unwrap();
    permit(0o555);
    let runs =
        [(); 2].map(|()| ingot_without_privileges(dir.path(), &["build", "-color=false", "."]));
    permit(0o755);
    for run in runs {
        assert_eq!(run.code, Some(0), "{}{}", run.stdout, run.stderr);
    }
    let read = |name: &str| std::fs::read_to_string(shut.join(name)).unwrap();
    let manifest: serde_json::Value = serde_json::from_str(&read("manifest.json")).unwrap();
    assert_eq!(manifest["builds"].as_array().unwrap().len(), 2);
    let line = "9dd4e461268c8034f5c8564e155c67a6\tf.img\n";
    assert_eq!(read("sums"), format!("before\n{line}{line}"));
    assert_eq!(std::fs::read_dir(&shut).unwrap().count(), 2);
}

/// It would wait for what it is to write itself.
#[test]
fn a_pipe_is_not_read_before_it_is_written() {
    let dir = file_template("  post-processor \"checksum\" {\n    output = \"/dev/stdout\"\n  }");
    let run = ingot(dir.path(), &["build", "-color=false", "."]);
    assert_eq!(run.code, Some(0), "{}{}", run.stdout, run.stderr);
    let line = "9dd4e461268c8034f5c8564e155c67a6\tf.img\n";
    assert!(run.stdout.contains(line), "{}", run.stdout);
}

#[test]
fn a_saved_image_goes_unless_it_is_to_stay() {
    require!(docker());
    for keep in [true, false] {
        let save = format!(
            "  post-processor \"docker-save\" {{\n    path                = \"image.tar\"\n    \
             keep_input_artifact = {keep}\n  }}"
        );
        let dir = template(&docker_template("commit = true", &save));
        let run = ingot(dir.path(), &["build", "-color=false", "."]);
        assert_eq!(run.code, Some(0), "{}{}", run.stdout, run.stderr);
        let id = run.stdout.lines().find_map(|line| line.split_once("Image ID: ")).unwrap().1;
        let found = Command::new("docker").args(["image", "inspect", id]).output().unwrap();
        assert_eq!(found.status.success(), keep, "{}", run.stdout);
        if keep {
            output_of("docker", &["rmi", id]);
        }
        let listed = output_of("tar", &["tf", &dir.path().join("image.tar").display().to_string()]);
        assert!(listed.contains("manifest.json"), "{listed}");
    }
}

#[test]
fn all_pipelines_that_fail_are_reported() {
    let step = |script: &str| {
        format!("  post-processor \"shell-local\" {{\n    inline = [\"{script}\"]\n  }}\n")
    };
    let dir = file_template(&["exit 3", "touch ran", "exit 4"].map(step).concat());
    let run = ingot(dir.path(), &["build", "-color=false", "."]);
    assert_eq!(run.code, Some(1), "{}", run.stdout);
    // Packer's words, when the build ends and in the summary.
    let failed = |status: u8| {
        format!(
            "* Post-processor failed: Script exited with non-zero exit status: {status}. Allowed \
             exit codes are: [0]"
        )
    };
    let both = format!(": 2 error(s) occurred:\n\n{}\n{}\n", failed(3), failed(4));
    assert_eq!(run.stdout.matches(&both).count(), 2, "{}", run.stdout);
    assert_eq!(run.stderr.matches("Post-processor failed: ").count(), 2, "{}", run.stderr);
    assert!(dir.path().join("ran").exists());
    let lines = ingot(dir.path(), &["build", "-machine-readable", "."]);
    let error = format!(",file.f,error,2 error(s) occurred:\\n\\n{}\\n{}\n", failed(3), failed(4));
    assert!(lines.stdout.contains(&error), "{}", lines.stdout);

    let dir = file_template(&step("exit 3"));
    let run = ingot(dir.path(), &["build", "-color=false", "."]);
    let one = format!(": 1 error(s) occurred:\n\n{}\n", failed(3));
    assert_eq!(run.stdout.matches(&one).count(), 2, "{}", run.stdout);
    let shown = "^ Post-processor failed: Script exited with non-zero exit status: 3.";
    assert!(run.stderr.contains(shown), "{}", run.stderr);
}

#[test]
fn what_is_written_to_the_log_that_output_goes_to_is_a_part_of_it() {
    let dir = file_template(
        "  post-processor \"checksum\" {\n    output = \"/dev/stdout\"\n  }\n  post-processor \
         \"shell-local\" {\n    inline = [\"echo after\"]\n  }",
    );
    let log = dir.path().join("build.log");
    std::fs::write(&log, "").unwrap();
    let out = std::fs::File::options().write(true).open(&log).unwrap();
    let mut command = Command::new(ingot_program());
    command.args(["build", "-color=false", "."]).current_dir(dir.path()).stdout(out);
    let status = command.env("INGOT_STATE_DIR", dir.path().join("state")).status().unwrap();
    let said = std::fs::read_to_string(&log).unwrap();
    assert!(status.success(), "{said}");
    let (before, after) = said.split_once("9dd4e461268c8034f5c8564e155c67a6").unwrap();
    assert!(before.contains("Running post-processor"), "{said}");
    assert!(after.contains(": after") && after.contains("Builds finished"), "{said}");
}
