//! Commands and files in a running container.

use ingot_test_support::{PATIENCE, require};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;
use std::sync::Arc;

use ingot_sdk::communicator::{CapturedOutput, Script};
use ingot_sdk::{Communicator, ExitStatus, FileMeta, RemoteCommand, Result};
use serde_json::{Value, json};
use tokio::io::AsyncReadExt;

use crate::harness::{BASE, Run, docker, engine};

/// Runs `test` in a container made with `more` options.
async fn in_container<F>(
    more: Value,
    test: impl Fn(Arc<dyn Communicator>, String) -> F + Send + Sync + 'static,
) where
    F: Future<Output = Result<()>> + Send + 'static,
{
    require!(engine());
    let mut config = json!({ "image": BASE, "pull": false, "discard": true });
    config.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let run = Run::new(move |communicator, data| {
        test(communicator, data["ID"].as_str().unwrap().to_owned())
    });
    run.build(config).await.unwrap();
}

/// Runs a command and returns its code, output and error output.
async fn sh(communicator: &Arc<dyn Communicator>, command: &str) -> (ExitStatus, String, String) {
    let output = CapturedOutput::default();
    let status = communicator.exec(&RemoteCommand::new(command), &output).await.unwrap();
    (status, output.stdout_text(), output.stderr_text())
}

/// What a command prints.
async fn says(communicator: &Arc<dyn Communicator>, command: &str) -> String {
    let (status, output, errors) = sh(communicator, command).await;
    assert!(status.success(), "{command}: {errors}");
    output.trim().to_owned()
}

#[tokio::test]
async fn commands_have_code_output_errors_and_input() {
    in_container(json!({}), async |communicator, _| {
        let (status, output, errors) = sh(&communicator, "echo out; echo err >&2; exit 3").await;
        assert_eq!(status, ExitStatus::Code(3));
        assert_eq!((output.as_str(), errors.as_str()), ("out\n", "err\n"));

        let output = CapturedOutput::default();
        let input = "line\n".repeat(100_000);
        let command = RemoteCommand {
            command: "cat; wc -l < /dev/null".into(),
            stdin: Some(input.clone().into()),
        };
        communicator.exec(&command, &output).await?;
        assert!(output.stdout_text() == format!("{input}0\n"), "the input did not come back");

        // A command that does not read its input ends all the same.
        let command = RemoteCommand { command: "exit 4".into(), stdin: Some(input.into()) };
        let status = communicator.exec(&command, &CapturedOutput::default()).await?;
        assert_eq!(status, ExitStatus::Code(4));

        // Without input, reading finds the end at once.
        assert_eq!(says(&communicator, "cat; echo end").await, "end");
        let size = says(&communicator, "dd if=/dev/zero bs=1M count=20 2>/dev/null | tr '\\0' x");
        assert_eq!(size.await.len(), 20 << 20);
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn a_container_that_ends_is_a_disconnect() {
    in_container(json!({}), async |communicator, id: String| {
        let output = CapturedOutput::default();
        let command = RemoteCommand::new("echo before; sleep 60; echo after");
        let has_begun = async {
            while output.stdout_text() != "before\n" {
                tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            }
        };
        let (status, _) = tokio::join!(communicator.exec(&command, &output), async {
            tokio::time::timeout(PATIENCE, has_begun).await.expect("the command begins");
            tokio::task::spawn_blocking(move || docker(&["kill", &id])).await.unwrap()
        });
        assert!(!status?.success());
        assert_eq!(output.stdout_text(), "before\n");
        let next = communicator.exec(&RemoteCommand::new("true"), &output).await;
        let error = next.unwrap_err();
        assert!(error.to_string().contains("main process ended with code 137"), "{error}");
        assert!(error.advice().unwrap().contains("run_command"), "{error}");
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn commands_run_as_exec_user_with_a_terminal_if_wanted() {
    in_container(json!({ "exec_user": "app", "pty": true }), async |communicator, _| {
        let (_, output, _) = sh(&communicator, "id -un; tty >&2; echo done").await;
        let lines: Vec<&str> = output.lines().map(str::trim).collect();
        assert_eq!((lines[0], lines[2]), ("app", "done"), "{output}");
        assert!(lines[1].starts_with("/dev/pts/"), "{output}");
        Ok(())
    })
    .await;
}

async fn put(communicator: &Arc<dyn Communicator>, path: &str, text: &str) -> Result<()> {
    let meta = FileMeta::new(text.len() as u64, 0o640);
    communicator.upload(path, &mut text.as_bytes(), meta).await
}

#[tokio::test]
async fn uploads_belong_to_whom_they_are_given() {
    let users = [
        (None, true, "0:0"),
        (Some("app"), true, "1000:0"),
        (Some("app:app"), true, "1000:1001"),
        (Some("1234:5"), true, "1234:5"),
        (None, false, "0:0"),
    ];
    for (user, fix, owner) in users {
        let mut run_command = vec!["-d", "-i", "-t", "--entrypoint=/bin/sh"];
        if let Some(user) = user {
            run_command.extend(["-u", user]);
        }
        run_command.extend(["--", "{{.Image}}"]);
        let config = json!({ "run_command": run_command, "fix_upload_owner": fix });
        in_container(config, move |communicator, _| async move {
            put(&communicator, "/tmp/file", "text").await?;
            let about = says(&communicator, "stat -c '%u:%g %a' /tmp/file; cat /tmp/file").await;
            assert_eq!(about, format!("{owner} 640\ntext"), "{user:?}");
            // A directory's files come with their owners' numbers, which here are this process's.
            let mine = std::fs::metadata("/proc/self")?;
            let (uid, gid) = owner.split_once(':').unwrap();
            let expected = match user.is_some_and(|user| user.contains(':')) {
                true => format!("{uid}:{gid}"),
                false if fix => format!("{uid}:{}", mine.gid()),
                false => format!("{}:{}", mine.uid(), mine.gid()),
            };
            let directory = tempfile::tempdir()?;
            std::fs::create_dir(directory.path().join("sub"))?;
            std::fs::write(directory.path().join("sub/file"), "x")?;
            communicator.upload_dir(directory.path(), "/tmp/up", true).await?;
            let owners =
                says(&communicator, "find /tmp/up -exec stat -c %u:%g {} \\; | uniq").await;
            assert_eq!(owners, expected, "{user:?}");
            Ok(())
        })
        .await;
    }
}

#[tokio::test]
async fn uploads_replace_files_and_refuse_directories() {
    in_container(json!({}), async |communicator, _| {
        put(&communicator, "/tmp/file", "a longer text").await?;
        put(&communicator, "/tmp/file", "short").await?;
        put(&communicator, "relative", "r").await?;
        assert_eq!(says(&communicator, "cat /tmp/file /relative").await, "shortr");

        let error = put(&communicator, "/no/such/file", "x").await.unwrap_err();
        assert!(error.to_string().contains("/no/such"), "{error}");
        assert!(error.advice().unwrap().contains("mkdir"));
        let error = put(&communicator, "/tmp", "x").await.unwrap_err();
        assert!(error.to_string().contains("/tmp"), "{error}");
        assert!(error.advice().unwrap().contains("with a slash: /tmp/"), "{error:?}");
        for directory in ["/tmp/", "/tmp/new/"] {
            let error = put(&communicator, directory, "x").await.unwrap_err();
            assert!(error.to_string().contains("does not name a file"), "{error}");
        }
        assert_eq!(says(&communicator, "ls /tmp").await, "file");

        // A source that is shorter or longer than said must not pass for the file.
        for size in [2, 9] {
            let meta = FileMeta::new(size, 0o644);
            let result = communicator.upload("/tmp/odd", &mut "12345".as_bytes(), meta).await;
            assert!(result.unwrap_err().to_string().contains("changed"), "{size}");
        }
        // Long names need tar's extensions.
        let long = format!("/tmp/{}", "n".repeat(200));
        put(&communicator, &long, "long").await?;
        assert_eq!(says(&communicator, &format!("cat {long}")).await, "long");
        Ok(())
    })
    .await;
}

/// The names below a directory of the container.
async fn tree(communicator: &Arc<dyn Communicator>, directory: &str) -> String {
    let command = format!("cd {directory} && find . -mindepth 1 | sort | tr '\\n' ' '");
    says(communicator, &command).await
}

#[tokio::test]
async fn directories_go_up_as_docker_cp_has_it() {
    in_container(json!({}), async |communicator, id: String| {
        let root = tempfile::tempdir()?;
        let source = root.path().join("src");
        std::fs::create_dir_all(source.join("sub/empty"))?;
        std::fs::write(source.join("run"), "#!/bin/sh\n")?;
        std::fs::set_permissions(source.join("run"), PermissionsExt::from_mode(0o755))?;
        symlink("run", source.join("link"))?;
        symlink("x".repeat(150), source.join("dangling"))?;
        let path = source.display().to_string();
        for (contents, exists) in [(true, true), (true, false), (false, true), (false, false)] {
            let case = format!("{contents}-{exists}");
            let (ours, theirs) = (format!("/srv/ours-{case}"), format!("/srv/theirs-{case}"));
            if exists {
                says(&communicator, &format!("mkdir {ours} {theirs}")).await;
            }
            communicator.upload_dir(&source, &ours, contents).await?;
            let from = if contents { format!("{path}/.") } else { path.clone() };
            docker(&["cp", &from, &format!("{id}:{theirs}")]);
            let tree_of_ours = tree(&communicator, &ours).await;
            assert_eq!(tree_of_ours, tree(&communicator, &theirs).await, "{case}");
            assert!(tree_of_ours.contains("sub/empty"), "{tree_of_ours}");
        }
        // A path that ends with a dot stands for what is in it, and a link goes by its own name.
        let link = root.path().join("linked");
        symlink("src", &link)?;
        for (number, from) in [source.join("."), link.clone()].into_iter().enumerate() {
            let (ours, theirs) = (format!("/srv/ours-{number}"), format!("/srv/theirs-{number}"));
            says(&communicator, &format!("mkdir {ours} {theirs}")).await;
            communicator.upload_dir(&from, &ours, false).await?;
            docker(&["cp", "-L", &from.display().to_string(), &format!("{id}:{theirs}")]);
            let tree_of_ours = tree(&communicator, &ours).await;
            assert_eq!(tree_of_ours, tree(&communicator, &theirs).await, "{from:?}");
            let expected = if from == link { "./linked/sub/empty" } else { "./sub/empty" };
            assert!(tree_of_ours.contains(expected), "{tree_of_ours}");
        }
        let about = "cd /srv/ours-true-true; stat -c %a run; readlink link; readlink dangling";
        let expected = format!("755\nrun\n{}", "x".repeat(150));
        assert_eq!(says(&communicator, about).await, expected);
        // The mode of a directory that was there stays.
        communicator.upload_dir(&source, "/tmp", true).await?;
        assert_eq!(says(&communicator, "stat -c %a /tmp").await, "1777");
        let error = communicator.upload_dir(&source, "/etc/passwd", true).await.unwrap_err();
        assert!(error.to_string().contains("/etc/passwd"), "{error}");
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn a_large_file_goes_both_ways() {
    in_container(json!({}), async |communicator, _| {
        let size = 256u64 << 20;
        let meta = FileMeta::new(size, 0o600);
        let mut source = tokio::io::repeat(b'x').take(size);
        communicator.upload("/tmp/large", &mut source, meta).await?;
        let sum = says(&communicator, "md5sum < /tmp/large | cut -d' ' -f1").await;
        let directory = tempfile::tempdir()?;
        let path = directory.path().join("large");
        let mut file = tokio::fs::File::create(&path).await?;
        communicator.download("/tmp/large", &mut file).await?;
        tokio::io::AsyncWriteExt::flush(&mut file).await?;
        let local = std::process::Command::new("md5sum").arg(&path).output()?;
        assert!(String::from_utf8_lossy(&local.stdout).starts_with(&sum));
        Ok(())
    })
    .await;
}

fn names(directory: &Path) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[tokio::test]
async fn files_and_directories_come_down() {
    in_container(json!({}), async |communicator, _| {
        let make = "mkdir -p /srv/d/sub && echo text > /srv/d/sub/file && chmod 750 /srv/d/sub/file \
                    && ln -s sub/file /srv/d/link && ln /srv/d/sub/file /srv/d/hard \
                    && ln -s /srv/d/link /tmp/chain";
        says(&communicator, make).await;
        let mut bytes = Vec::new();
        communicator.download("/tmp/chain", &mut bytes).await?;
        assert_eq!(bytes, b"text\n");

        let root = tempfile::tempdir()?;
        communicator.download_dir("/srv/d", &root.path().join("whole"), false).await?;
        communicator.download_dir("/srv/d/", &root.path().join("inner"), true).await?;
        assert_eq!(names(&root.path().join("whole")), ["d"]);
        let inner = root.path().join("inner");
        assert_eq!(names(&inner), ["hard", "link", "sub"]);
        assert_eq!(std::fs::read_link(inner.join("link"))?, Path::new("sub/file"));
        assert_eq!(std::fs::read_to_string(inner.join("hard"))?, "text\n");
        let mode = std::fs::metadata(inner.join("sub/file"))?.permissions().mode();
        assert_eq!(mode & 0o777, 0o750);
        // Again, over what is there.
        communicator.download_dir("/srv/d/", &inner, true).await?;

        // What a container sends cannot lead out of the destination through a link.
        let outside = tempfile::tempdir()?;
        std::fs::remove_dir_all(inner.join("sub"))?;
        symlink(outside.path(), inner.join("sub"))?;
        let error = communicator.download_dir("/srv/d/", &inner, true).await.unwrap_err();
        assert!(error.to_string().contains("in the way"), "{error}");
        assert!(names(outside.path()).is_empty());

        let error = communicator.download("/srv/none", &mut bytes).await.unwrap_err();
        assert!(error.to_string().contains("/srv/none"), "{error}");
        let error = communicator.download("/srv/d", &mut bytes).await.unwrap_err();
        assert!(error.to_string().contains("directory"), "{error}");
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn without_a_communicator_there_is_no_way_in() {
    in_container(json!({ "communicator": "none" }), async |communicator, _| {
        let output = CapturedOutput::default();
        let result = communicator.exec(&RemoteCommand::new("true"), &output).await;
        assert!(result.unwrap_err().to_string().contains("none"));
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn a_script_is_written_run_and_removed_in_one_go() {
    in_container(json!({}), async |communicator, _| {
        let run = async |path, bytes: &[u8], command| {
            let output = CapturedOutput::default();
            let script = Script { path, bytes, command };
            let status = communicator.run_script(&script, &output).await.expect("root can");
            (status, output.stdout_text(), output.stderr_text())
        };
        let text = b"#!/bin/sh\necho \"$0 $A\"; cat; echo late >&2; exit 7\n";
        let (status, out, err) = run("/tmp/a b.sh", text, "A=1 '/tmp/a b.sh' # run").await;
        assert_eq!(status?, ExitStatus::Code(7));
        assert_eq!((&*out, &*err), ("/tmp/a b.sh 1\n", "late\n"));
        assert_eq!(says(&communicator, "ls /tmp").await, "");
        // That it could not be written is no exit code of the script.
        let (status, _, err) = run("/no/directory/x.sh", text, "/no/directory/x.sh").await;
        assert!(
            status.unwrap_err().to_string().contains("/no/directory/x.sh could not be written")
        );
        assert!(err.contains("/no/directory/x.sh") && err.lines().count() == 1, "{err}");
        Ok(())
    })
    .await;
    // Others than root may not be allowed to write there.
    in_container(json!({ "exec_user": "app" }), async |communicator, _| {
        for path in ["/tmp/x", "/srv/x"] {
            let output = CapturedOutput::default();
            let script = Script { path, bytes: b"#!/bin/sh\nid -u\n", command: path };
            let status = communicator.run_script(&script, &output).await.unwrap()?;
            assert_eq!((status, output.stderr_text()), (ExitStatus::Code(0), String::new()));
            assert_eq!(
                (output.stdout_text(), says(&communicator, "ls /tmp /srv").await),
                ("1000\n".to_owned(), "/srv:\n\n/tmp:".to_owned())
            );
        }
        Ok(())
    })
    .await;
}
