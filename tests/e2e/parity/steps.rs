//! Provisioners and post-processors.

use super::peer::{Case, write};
use ingot_test_support::{docker_template, null_template};

/// What most docker builds here do with their container.
const EXPORT: &str = "export_path = \"out.tar\"";

#[test]
fn shell() {
    Case {
        template: r##"
variable "word" {
  default = "it's \"quoted\" $HOME"
}
source "docker" "d" {
  image       = "@BASE@"
  pull        = false
  export_path = "out.tar"
}
build {
  sources = ["source.docker.d"]
  provisioner "shell" {
    environment_vars = ["WORD=${var.word}", "EMPTY="]
    inline           = ["echo \"$WORD|$EMPTY\" > /word", "echo $0 | cut -c1-11 > /zero"]
  }
  provisioner "shell" {
    scripts = ["one.sh", "crlf.sh"]
  }
  provisioner "shell" {
    script           = "one.sh"
    environment_vars = ["N=2"]
    execute_command  = "chmod +x {{ .Path }}; env {{ .Vars }} B={{ build_name }} sh -e {{ .Path }}"
    valid_exit_codes = [0, 7]
  }
  provisioner "shell" {
    inline           = ["echo seven >> /log", "exit 7"]
    valid_exit_codes = [7]
  }
  provisioner "shell" {
    inline_shebang = "/bin/sh"
    inline         = ["false", "echo after-false >> /log"]
  }
  provisioner "shell" {
    inline           = ["echo $0 >> /log; env | grep FILE >> /log"]
    use_env_var_file = true
    environment_vars = ["FROM_FILE=a 'b' c"]
    remote_folder    = "/root"
    remote_file      = "left.sh"
    skip_clean       = false
  }
}
"##,
        setup: &|dir| {
            write(
                dir,
                &[
                    ("one.sh", "#!/bin/sh\necho \"one $N $B\" >> /log\n[ -z \"$N\" ] || exit 7\n"),
                    ("crlf.sh", "#!/bin/sh\r\necho crlf >> /log\r\n"),
                ],
            );
        },
        docker: true,
        ..Case::default()
    }
    .check();
}

#[test]
fn shell_with_its_own_shebang() {
    Case {
        template: &docker_template(
            EXPORT,
            r##"
  provisioner "shell" {
    inline      = ["#!/bin/busybox sh", "false", "echo own shebang >> /log"]
    remote_path = "/root/kept.sh"
    skip_clean  = true
  }
"##,
        ),
        since: Some(((1, 7, 0), "puts its shebang before the script's own")),
        docker: true,
        ..Case::default()
    }
    .check();
}

#[test]
fn shell_with_env() {
    Case {
        template: &docker_template(
            EXPORT,
            r#"
  provisioner "shell" {
    env            = { A = "it's", B = "$x", C = "{{ build_name }}", "{{ build_type }}" = "d" }
    env_var_format = "X_%s='%s' "
    inline         = ["env | grep '^X_' | sort > /env"]
  }
"#,
        ),
        since: Some(((1, 8, 5), "has no `env`")),
        docker: true,
        ..Case::default()
    }
    .check();
}

#[test]
fn shell_local() {
    Case {
        template: &null_template(r#"
  provisioner "shell-local" {
    command = "echo one-command > command"
  }
  provisioner "shell-local" {
    environment_vars = ["WORD=it's"]
    inline           = ["echo $WORD > inline", "echo $PACKER_BUILD_NAME $PACKER_BUILDER_TYPE >> inline"]
  }
  provisioner "shell-local" {
    scripts          = ["one.sh", "two.sh"]
    environment_vars = ["WHO=me"]
  }
  provisioner "shell-local" {
    script             = "one.sh"
    execute_command    = ["/bin/sh", "-c", "{{ .Vars }} WHO=executed /bin/sh {{ .Script }}"]
  }
  provisioner "shell-local" {
    inline             = ["echo $0 | sed 's/.*[.]/./' > extension; exit 3"]
    tempfile_extension = ".sh"
    valid_exit_codes   = [3]
  }
  provisioner "shell-local" {
    inline         = ["false", "echo after-false > shebang"]
    inline_shebang = "/bin/sh"
  }
  provisioner "shell-local" {
    inline  = ["touch never"]
    only_on = ["windows"]
  }
  post-processor "shell-local" {
    inline           = ["echo post $WORD > post"]
    environment_vars = ["WORD=processed"]
  }
"#),
        setup: &|dir| {
            write(
                dir,
                &[
                    ("one.sh", "#!/bin/sh\necho one $WHO >> log\n"),
                    ("two.sh", "#!/bin/sh\necho two $WHO >> log\n"),
                ],
            );
            for name in ["one.sh", "two.sh"] {
                let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
                std::fs::set_permissions(dir.join(name), mode).unwrap();
            }
        },
        ..Case::default()
    }
    .check();
}

#[test]
fn template_engine() {
    Case {
        template: r#"
source "file" "f" {
  content = "{{ build_name }} {{ build_type }} {{ upper `up` }} {{ lower `DOWN` }} {{ split `a-b-c` `-` 1 }}\n{{ replace_all `a` `b` `banana` }} {{ replace `a` `o` 1 `banana` }} {{ isotime `2006` }} {{ printf `%05d|%-4s|` 42 `x` }}\n{{ `{{ kept }}` }} {{ .Nothing }} {{ if true }}yes{{ end }}\n"
  target  = "{{ build_type }}-{{ build_name }}"
}
build {
  sources = ["source.file.f"]
  post-processor "checksum" {
    checksum_types = ["md5", "sha256"]
    output         = "{{ .BuildName }}.{{ .ChecksumType }}"
  }
}
"#,
        ..Case::default()
    }
    .check();
}

#[test]
fn pipelines() {
    Case {
        template: r#"
source "file" "f" {
  content = "to be processed"
  target  = "f.txt"
}
source "file" "g" {
  content = "to be replaced"
  target  = "g.txt"
}
build {
  sources = ["source.file.f", "source.file.g"]
  post-processors {
    post-processor "checksum" {
      only           = ["file.f"]
      checksum_types = ["sha1"]
      output         = "kept.sum"
    }
    post-processor "compress" {
      only                = ["file.f"]
      output              = "kept.tar"
      keep_input_artifact = true
    }
  }
  post-processors {
    post-processor "artifice" {
      only  = ["file.g"]
      files = ["made-*"]
    }
    post-processor "compress" {
      only   = ["file.g"]
      output = "made.tar.gz"
    }
  }
  post-processor "manifest" {
    output     = "manifest.json"
    strip_path = true
    custom_data = {
      who = "${source.name}"
    }
    only = ["file.f"]
  }
}
"#,
        setup: &|dir| write(dir, &[("made-a", "a"), ("made-b", "b"), ("other", "o")]),
        ..Case::default()
    }
    .check();
}

#[test]
fn an_artifact_without_files() {
    let template = r#"
source "file" "f" {
  target  = "f.img"
  content = "x"
}
build {
  sources = ["source.file.f"]
  post-processors {
    post-processor "artifice" {
      files = ["out/*.log"]
    }
    post-processor "shell-local" {
      inline = ["touch next"]
    }
  }
}
"#;
    let Some(built) = (Case { template, ..Case::default() }).check() else { return };
    assert!(built.run.stdout.contains("No file matches \"out/*.log\""), "{}", built.run.stdout);
}

#[test]
fn docker_post_processors() {
    Case {
        template: r#"
source "docker" "image" {
  image   = "@BASE@"
  pull    = false
  commit  = true
  changes = ["ENTRYPOINT [\"\"]", "CMD [\"sh\"]"]
}
source "docker" "export" {
  image       = "@BASE@"
  pull        = false
  export_path = "export.tar"
}
build {
  sources = ["source.docker.image", "source.docker.export"]
  provisioner "shell" {
    inline = ["echo x > /x"]
  }
  post-processors {
    post-processor "docker-tag" {
      only       = ["docker.image"]
      repository = "parity-@TOOL@/chain"
      tag        = ["one", "two"]
    }
    post-processor "docker-save" {
      only = ["docker.image"]
      path = "saved.tar"
    }
  }
  post-processors {
    post-processor "docker-import" {
      only       = ["docker.export"]
      repository = "parity-@TOOL@/imported"
      tag        = "t"
      changes    = ["ENV A=b", "CMD [\"true\"]"]
      keep_input_artifact = true
    }
    post-processor "docker-tag" {
      only       = ["docker.export"]
      repository = "parity-@TOOL@/again"
      tag        = ["t"]
    }
  }
}
"#,
        images: &[
            "parity-@TOOL@/chain:one",
            "parity-@TOOL@/chain:two",
            "parity-@TOOL@/imported:t",
            "parity-@TOOL@/again:t",
        ],
        docker: true,
        ..Case::default()
    }
    .check();
}

#[test]
fn manifest() {
    Case {
        template: r#"
source "docker" "d" {
  image       = "@BASE@"
  pull        = false
  export_path = "out/export.tar"
}
source "null" "n" {
  communicator = "none"
}
build {
  sources = ["source.docker.d", "source.null.n"]
  post-processor "manifest" {
    custom_data = {
      id    = "${build.ID}"
      name  = "{{ build_name }}"
      early = "{{ .ID }}"
    }
  }
}
"#,
        args: &["-parallel-builds=1"],
        setup: &|dir| std::fs::create_dir(dir.join("out")).unwrap(),
        docker: true,
        ..Case::default()
    }
    .check();
}

#[test]
fn only_except_and_override() {
    let template = r#"
source "null" "a" {
  communicator = "none"
}
source "null" "b" {
  communicator = "none"
}
build {
  name = "first"
  source "source.null.a" {
    name = "renamed"
  }
  sources = ["source.null.b"]
  provisioner "shell-local" {
    inline = ["echo $PACKER_BUILD_NAME >> all-$PACKER_BUILD_NAME"]
    override = {
      b = {
        inline = ["echo overridden >> all-$PACKER_BUILD_NAME"]
      }
    }
  }
  provisioner "shell-local" {
    only   = ["null.renamed"]
    inline = ["touch only-$PACKER_BUILD_NAME"]
  }
  provisioner "shell-local" {
    except = ["null.renamed"]
    inline = ["touch except-$PACKER_BUILD_NAME"]
  }
  post-processors {
    post-processor "shell-local" {
      name   = "one"
      inline = ["touch post-one-$PACKER_BUILD_NAME"]
    }
    post-processor "shell-local" {
      name   = "two"
      inline = ["touch post-two-$PACKER_BUILD_NAME"]
    }
    post-processor "shell-local" {
      name   = "three"
      inline = ["touch post-three-$PACKER_BUILD_NAME"]
    }
  }
}
build {
  sources = ["source.null.a"]
  provisioner "shell-local" {
    inline = ["touch second-$PACKER_BUILD_NAME"]
  }
}
"#;
    let flags: [&[&str]; 5] =
        [&[], &["-only=first.*"], &["-except=*.null.b"], &["-only=null.a"], &["-except=two"]];
    for args in flags {
        Case { template, args, ..Case::default() }.check();
    }
}

#[test]
fn override_adds_to_a_map() {
    Case {
        template: &null_template(
            r#"
  provisioner "shell-local" {
    env    = { A = "1", B = "1" }
    inline = ["echo $A $B $C > env"]
    override = {
      n = {
        env = { B = "2", C = "2" }
      }
    }
  }
"#,
        ),
        since: Some(((1, 8, 5), "has no `env`")),
        ..Case::default()
    }
    .check();
}

#[test]
fn retries_and_pauses() {
    Case {
        template: &null_template(
            r#"
  provisioner "shell-local" {
    inline       = ["echo try >> tries", "[ $(wc -l < tries) = 3 ]"]
    max_retries  = 4
    pause_before = "10ms"
  }
  provisioner "shell-local" {
    inline  = ["touch in-time"]
    timeout = "1m"
  }
"#,
        ),
        ..Case::default()
    }
    .check();
}

#[test]
fn continue_on_error() {
    Case {
        template: &null_template(
            r#"
  provisioner "shell-local" {
    inline            = ["touch failed", "exit 1"]
    continue_on_error = true
  }
  provisioner "shell-local" {
    inline = ["touch reached"]
  }
"#,
        ),
        since: Some(((1, 16, 0), "has no continue_on_error")),
        ..Case::default()
    }
    .check();
}
