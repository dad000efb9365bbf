//! The builders: docker, file, null.

use super::peer::{Case, write};
use ingot_test_support::docker_template;

/// What most docker builds here do with their container.
const EXPORT: &str = "export_path = \"out.tar\"";

#[test]
fn docker_commit_with_all_instructions() {
    Case {
        template: r#"
source "docker" "d" {
  image   = "@BASE@"
  pull    = false
  commit  = true
  author  = "A. Uthor <a@example.org>"
  message = "made for a test"
  changes = [
    "CMD [\"cat\", \"/made\"]",
    "ENTRYPOINT [\"/bin/busybox\"]",
    "ENV ONE=1 TWO=\"t w o\"",
    "EXPOSE 80 53/udp",
    "LABEL a=b c=\"d e\"",
    "ONBUILD RUN true",
    "USER root",
    "VOLUME /data /more",
    "WORKDIR /tmp",
  ]
}
build {
  sources = ["source.docker.d"]
  provisioner "shell" {
    inline = ["echo made > /made", "mkdir -m 711 /dir", "ln -s made /link", "chmod 4755 /made"]
  }
  post-processor "docker-tag" {
    repository = "parity-@TOOL@/all"
    tag        = ["t"]
  }
}
"#,
        images: &["parity-@TOOL@/all:t"],
        docker: true,
        ..Case::default()
    }
    .check();
}

#[test]
fn docker_commit_keeps_what_the_image_runs() {
    Case {
        template: r#"
source "docker" "d" {
  image  = "@BASE@"
  pull   = false
  commit = true
}
build {
  sources = ["source.docker.d"]
  post-processor "docker-tag" {
    repository = "parity-@TOOL@/plain"
    tag        = ["t"]
  }
}
"#,
        images: &["parity-@TOOL@/plain:t"],
        since: Some(((1, 7, 0), "sets no empty command in the image")),
        docker: true,
        ..Case::default()
    }
    .check();
}

#[test]
fn docker_export_and_discard() {
    Case {
        template: r#"
source "docker" "out" {
  image       = "@BASE@"
  pull        = false
  export_path = "out.tar"
}
source "docker" "gone" {
  image   = "@BASE@"
  pull    = false
  discard = true
  volumes = { "${path.cwd}/vol" = "/vol" }
}
build {
  sources = ["source.docker.out", "source.docker.gone"]
  provisioner "shell" {
    inline = ["echo $PACKER_BUILD_NAME $PACKER_BUILDER_TYPE > /who"]
  }
  provisioner "shell" {
    only   = ["docker.gone"]
    inline = ["cp /who /vol/who"]
  }
}
"#,
        setup: &|dir| std::fs::create_dir(dir.join("vol")).unwrap(),
        docker: true,
        ..Case::default()
    }
    .check();
}

#[test]
fn docker_run_options() {
    Case {
        template: r#"
source "docker" "caps" {
  image         = "@BASE@"
  pull          = false
  export_path   = "caps.tar"
  cap_add       = ["NET_ADMIN"]
  cap_drop      = ["CHOWN", "MKNOD"]
  device        = ["/dev/null:/dev/nothing"]
  tmpfs         = ["/scratch:size=1m"]
  container_dir = "/exchange"
}
source "docker" "user" {
  image       = "@BASE@"
  pull        = false
  export_path = "user.tar"
  exec_user   = "12:34"
  run_command = ["-d", "-i", "-t", "-u", "12:34", "-e", "A=b c", "-w", "/tmp", "--hostname", "h", "--entrypoint=/bin/sh", "{{.Image}}"]
  fix_upload_owner = true
}
build {
  sources = ["source.docker.caps", "source.docker.user"]
  provisioner "shell" {
    inline = [
      "grep Cap /proc/self/status > /tmp/caps",
      "grep -c 'tmpfs /scratch' /proc/mounts > /tmp/mounts || true",
      "ls /dev/nothing > /tmp/device 2>&1 || true",
      "id > /tmp/id; pwd > /tmp/pwd; hostname | wc -c > /tmp/host; echo $A > /tmp/a",
      "ls -d /exchange /packer-files > /tmp/exchange 2>&1 || true",
    ]
  }
}
"#,
        docker: true,
        ..Case::default()
    }
    .check();
}

#[test]
fn docker_privileged() {
    let run = ["run", "--rm", "--privileged", ingot_test_support::BASE, "true"];
    let possible = std::process::Command::new("docker").args(run).output();
    if !possible.is_ok_and(|output| output.status.success()) {
        eprintln!("skipped: this Docker Engine cannot run privileged containers");
        return;
    }
    Case {
        template: &docker_template(
            &format!("{EXPORT}\n  privileged  = true"),
            r#"
  provisioner "shell" {
    inline = ["grep Cap /proc/self/status > /tmp/caps"]
  }
"#,
        ),
        docker: true,
        ..Case::default()
    }
    .check();
}

#[test]
fn docker_image_from_a_dockerfile() {
    Case {
        template: r#"
source "docker" "d" {
  export_path = "out.tar"
  build {
    path      = "docker/Dockerfile"
    build_dir = "docker"
    pull      = false
    arguments = { WHAT = "thing" }
  }
}
build {
  sources = ["source.docker.d"]
  provisioner "shell" {
    inline = ["cat /what /here > /both"]
  }
}
"#,
        setup: &|dir| {
            let text = "FROM ingot-e2e-base:1\nARG WHAT\nRUN echo $WHAT > /what\nCOPY here /here\n";
            write(dir, &[("docker/Dockerfile", text), ("docker/here", "here")]);
        },
        since: Some(((1, 9, 0), "cannot build Dockerfiles")),
        docker: true,
        ..Case::default()
    }
    .check();
}

#[test]
fn docker_uploads_and_who_owns_them() {
    let steps = r#"
  provisioner "shell" {
    inline = ["mkdir /with /without"]
  }
  provisioner "file" {
    source      = "up/"
    destination = "/with"
  }
  provisioner "file" {
    source      = "up"
    destination = "/without"
  }
  provisioner "file" {
    source      = "up"
    destination = "/new"
  }
  provisioner "file" {
    sources     = ["up/one", "up/sub/two"]
    destination = "/tmp/"
  }
  provisioner "file" {
    source      = "up/one"
    destination = "/renamed"
  }
"#;
    let setup = |dir: &std::path::Path| {
        write(dir, &[("up/one", "1"), ("up/sub/two", "2"), ("up/sub/deep/three", "3")]);
        let set = |name: &str, mode| {
            let mode = std::os::unix::fs::PermissionsExt::from_mode(mode);
            std::fs::set_permissions(dir.join(name), mode).unwrap();
        };
        set("up/one", 0o600);
        set("up/sub/two", 0o4755);
        set("up/sub", 0o750);
        std::os::unix::fs::symlink("one", dir.join("up/link")).unwrap();
        // Only root may give files away; without it they are this user's.
        let _ = std::os::unix::fs::lchown(dir.join("up/sub/two"), Some(1234), Some(4321));
    };
    for fix in ["", "fix_upload_owner = true", "fix_upload_owner = false"] {
        let template = docker_template(&format!("{EXPORT}\n  {fix}"), steps);
        Case { template: &template, setup: &setup, docker: true, ..Case::default() }.check();
    }
}

#[test]
fn docker_downloads() {
    Case {
        template: &docker_template("discard = true", r#"
  provisioner "shell" {
    inline = ["mkdir -p /made/sub", "echo one > /made/one", "echo two > /made/sub/two", "chmod 600 /made/one"]
  }
  provisioner "file" {
    direction   = "download"
    source      = "/made/one"
    destination = "got/renamed"
  }
  provisioner "file" {
    direction   = "download"
    sources     = ["/made/one", "/made/sub/two"]
    destination = "into/"
  }
"#),
        since: Some(((1, 7, 0), "downloads `sources` into one file")),
        docker: true,
        ..Case::default()
    }
    .check();
}

#[test]
fn file_builder() {
    Case {
        template: r#"
source "file" "content" {
  content = "made of text\n"
  target  = "out/deep/content"
}
source "file" "copy" {
  source = "given"
  target = "copy"
}
source "file" "empty" {
  target = "empty"
}
build {
  sources = ["source.file.content", "source.file.copy", "source.file.empty"]
  provisioner "shell-local" {
    inline = ["echo provisioned > by-$PACKER_BUILD_NAME"]
  }
  provisioner "shell" {
    inline = ["nothing runs this"]
  }
}
"#,
        setup: &|dir| {
            write(dir, &[("given", "given")]);
            let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
            std::fs::set_permissions(dir.join("given"), mode).unwrap();
        },
        ..Case::default()
    }
    .check();
}

#[test]
fn build_values() {
    Case {
        template: r#"
source "null" "n" {
  communicator = "none"
}
source "file" "f" {
  content = "x"
  target  = "f"
}
build {
  name    = "values"
  sources = ["source.null.n", "source.file.f"]
  provisioner "shell-local" {
    inline = [
      "echo '${build.ID} ${build.PackerHTTPAddr} ${build.PackerHTTPIP} ${build.PackerHTTPPort}' > $PACKER_BUILD_NAME.http",
      "echo '${build.Host} ${build.Port} ${build.User} ${build.Password}' > $PACKER_BUILD_NAME.host",
      "echo '${build.SSHPublicKey} ${build.SSHPrivateKey} ${build.WinRMPassword}' > $PACKER_BUILD_NAME.keys",
      "echo '${build.name} ${source.name} ${source.type}' > $PACKER_BUILD_NAME.names",
    ]
  }
}
"#,
        ..Case::default()
    }
    .check();
}

#[test]
fn build_values_of_docker() {
    Case {
        template: &docker_template(
            "discard = true",
            r#"
  provisioner "shell-local" {
    inline = [
      "echo '${build.ID} ${build.PackerRunUUID} ${build.PackerHTTPAddr}' > ids",
      "echo '${build.Host} ${build.Port} ${build.User} ${build.Password} ${build.ConnType}' > host",
      "echo '${build.SSHPublicKey} ${build.SSHPrivateKey} ${build.WinRMPassword}' > keys",
    ]
  }
"#,
        ),
        docker: true,
        ..Case::default()
    }
    .check();
}
