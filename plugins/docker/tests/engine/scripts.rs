//! The provisioners that run scripts and copy files, in real containers.

use ingot_test_support::require;
use std::sync::Arc;
use std::time::{Duration, Instant, UNIX_EPOCH};

use ingot_sdk::communicator::CapturedOutput;
use ingot_sdk::testing::{RecordedOutput, context};
use ingot_sdk::{Communicator, FileMeta, GeneratedData, PluginSet, RemoteCommand, Result};
use serde_json::{Value, json};

use crate::harness::{BASE, Image, Run, docker, engine, in_image, options};

/// Runs a provisioner and returns what it showed.
async fn provision(
    kind: &str,
    communicator: &Arc<dyn Communicator>,
    config: Value,
) -> (Result<()>, String) {
    let said = Arc::new(RecordedOutput::default());
    let ctx = context(Default::default(), &said);
    let mut plugins = PluginSet::default();
    ingot_provisioners::register(&mut plugins);
    let prepared = plugins.provisioners[kind].prepare(&options(config), &ctx.prepare);
    let provisioner = prepared.unwrap().ready;
    let ran =
        provisioner.provision(&ctx, Arc::clone(communicator), &GeneratedData::default()).await;
    (ran, said.lines().join("\n"))
}

/// Builds with `more` options, which may replace others, and `work` as the provisioner.
async fn with_container<F>(
    more: Value,
    work: impl Fn(Arc<dyn Communicator>, String) -> F + Send + Sync + 'static,
) -> String
where
    F: Future<Output = Result<()>> + Send + 'static,
{
    let mut config = json!({ "image": BASE, "pull": false, "commit": true });
    config.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let run = Run::new(move |communicator, data| {
        work(communicator, data["ID"].as_str().unwrap().to_owned())
    });
    run.build(config).await.unwrap().id()
}

/// What a command prints.
async fn says(communicator: &Arc<dyn Communicator>, command: &str) -> String {
    let output = CapturedOutput::default();
    let ran = communicator.exec(&RemoteCommand::new(command), &output).await.unwrap();
    assert!(ran.success(), "{command}: {}", output.stderr_text());
    output.stdout_text().trim().to_owned()
}

#[tokio::test]
async fn faults_that_cannot_heal_end_at_once() {
    require!(engine());
    let ends = json!(["-d", "{{.Image}}", "sh", "-c", "echo that was all; exit 3"]);
    let image = with_container(json!({ "run_command": ends }), async |communicator, id| {
        tokio::task::spawn_blocking(move || docker(&["wait", &id])).await.unwrap();
        let start = Instant::now();
        let (ran, said) = provision("shell", &communicator, json!({ "inline": ["id"] })).await;
        let error = ran.unwrap_err();
        let text = error.to_string();
        assert!(text.contains("has stopped: its main process ended with code 3"), "{text}");
        assert!(text.contains("that was all"), "{text}");
        assert!(error.advice().unwrap().contains("default run_command"), "{error:?}");
        assert!(start.elapsed() < Duration::from_secs(30) && !said.contains("retrying"), "{said}");
        Ok(())
    })
    .await;
    drop(Image(image));
    for more in [json!({}), json!({ "exec_user": "app" }), json!({ "pty": true })] {
        let image = with_container(more, async |communicator, _| {
            let start = Instant::now();
            let config = json!({ "inline": ["id"], "remote_folder": "/nope" });
            let (ran, said) = provision("shell", &communicator, config).await;
            let error = ran.unwrap_err();
            assert!(error.to_string().contains("/nope"), "{error}");
            assert!(error.advice().is_some(), "{error}");
            assert!(start.elapsed() < Duration::from_secs(30) && !said.contains("retrying"));
            Ok(())
        })
        .await;
        drop(Image(image));
    }
    let image = with_container(json!({ "exec_user": "nobody-here" }), async |communicator, _| {
        let (ran, _) = provision("shell", &communicator, json!({ "inline": ["id"] })).await;
        let error = ran.unwrap_err();
        assert!(error.to_string().contains("nobody-here"), "{error}");
        assert!(error.advice().unwrap().contains("exec_user"), "{error:?}");
        Ok(())
    })
    .await;
    drop(Image(image));
}

#[tokio::test]
async fn every_user_runs_scripts() {
    require!(engine());
    let as_app = json!(["-dit", "-u", "app", "--entrypoint=/bin/sh", "--", "{{.Image}}"]);
    for more in [
        json!({ "exec_user": "app" }),
        json!({ "exec_user": "1000:1001" }),
        json!({ "exec_user": "app", "pty": true }),
        json!({ "run_command": as_app }),
        json!({ "run_command": as_app, "fix_upload_owner": true }),
    ] {
        let image = with_container(more.clone(), async |communicator, _| {
            for script in [
                json!({}),
                json!({ "use_env_var_file": true }),
                // Where the user may not write.
                json!({ "remote_folder": "/srv" }),
            ] {
                let mut config = script.clone();
                config["inline"] = json!(["id -u", "echo \"$WHO: $(stat -c %u:%a $0)\""]);
                config["environment_vars"] = json!(["WHO=it's me"]);
                let (ran, said) = provision("shell", &communicator, config).await;
                ran.unwrap_or_else(|error| panic!("{script}: {error}\n{said}"));
                assert!(said.contains("\n1000\nit's me: 1000:755"), "{script}: {said}");
                assert!(!said.to_lowercase().contains("not permitted"), "{script}: {said}");
            }
            let left = says(&communicator, "ls -A /tmp /srv").await.replace('\r', "");
            assert_eq!(left, "/srv:\n\n/tmp:");
            Ok(())
        })
        .await;
        drop(Image(image));
    }
}

#[tokio::test]
async fn a_script_that_takes_too_long_is_ended_in_the_container() {
    require!(engine());
    for more in [json!({}), json!({ "exec_user": "app" }), json!({ "pty": true })] {
        let image = with_container(more, async |communicator, _| {
            // The second process does not care for being asked.
            let lines = ["(trap '' TERM; sleep 301) &", "sleep 302"];
            let running = provision("shell", &communicator, json!({ "inline": lines }));
            let limit = Duration::from_secs(3);
            assert!(tokio::time::timeout(limit, running).await.is_err());
            let left = says(&communicator, "ps | grep 'sleep 30[12]' | grep -v grep; ls /tmp");
            let left = left.await;
            assert!(!left.contains("sleep"), "{left}");
            Ok(())
        })
        .await;
        drop(Image(image));
    }
}

#[tokio::test]
async fn a_file_keeps_the_time_of_its_source() {
    require!(engine());
    let image = with_container(json!({}), async |communicator, _| {
        let directory = tempfile::tempdir()?;
        let path = directory.path().join("file");
        std::fs::write(&path, "x")?;
        let time = UNIX_EPOCH + Duration::from_secs(1_000_000_000);
        std::fs::File::options().write(true).open(&path)?.set_modified(time)?;
        let config = json!({ "source": path, "destination": "/srv/file" });
        provision("file", &communicator, config).await.0?;
        assert_eq!(says(&communicator, "stat -c %Y /srv/file").await, "1000000000");
        Ok(())
    })
    .await;
    drop(Image(image));
}

#[tokio::test]
async fn uploads_reach_mounts_that_the_engine_does_not_see() {
    require!(engine());
    let more = json!({
        "tmpfs": ["/scratch:mode=1777"], "cap_add": ["SYS_ADMIN"], "volumes": { "/tmp": "/host" },
        "run_command": ["-dit", "--security-opt", "apparmor=unconfined", "--entrypoint=/bin/sh",
            "--", "{{.Image}}"],
    });
    let image = with_container(more, async |communicator, _| {
        let prepare = "mkdir /mnt /srv/in && mount -t tmpfs none /mnt && mkdir /mnt/deep && \
                       ln -s /mnt/deep /srv/link && ln -s /scratch/file /srv/tofile";
        says(&communicator, prepare).await;
        let put = async |path: &str, text: &str, mode| {
            let meta = FileMeta::new(text.len() as u64, mode);
            communicator.upload(path, &mut text.as_bytes(), meta).await
        };
        for path in ["/scratch/file", "/mnt/file", "/srv/link/file", "/dev/shm/file", "/srv/file"] {
            put(path, "a longer text", 0o600).await?;
            put(path, "text", 0o640).await?;
            let about = says(&communicator, &format!("cat {path}; stat -c ' %u %a' {path}")).await;
            assert_eq!(about, "text 0 640", "{path}");
            let mut bytes = Vec::new();
            communicator.download(path, &mut bytes).await?;
            assert_eq!(bytes, b"text", "{path}");
        }
        let mut bytes = Vec::new();
        communicator.download("/srv/tofile", &mut bytes).await?;
        assert_eq!(bytes, b"text", "through a link");
        put("/etc/hosts", "127.0.0.1 here\n", 0o644).await?;
        assert_eq!(says(&communicator, "cat /etc/hosts").await, "127.0.0.1 here");
        // Large, and not text.
        let noise: Vec<u8> = (0..5_000_000u32).map(|n| (n * 7 % 251) as u8).collect();
        let meta = FileMeta::new(noise.len() as u64, 0o600);
        communicator.upload("/scratch/noise", &mut noise.as_slice(), meta).await?;
        let mut bytes = Vec::new();
        communicator.download("/scratch/noise", &mut bytes).await?;
        assert!(bytes == noise, "{} bytes came back", bytes.len());
        for size in [2, 9] {
            let meta = FileMeta::new(size, 0o644);
            let result = communicator.upload("/scratch/odd", &mut "12345".as_bytes(), meta).await;
            assert!(result.unwrap_err().to_string().contains("changed"), "{size}");
        }
        let error = put("/scratch", "x", 0o600).await.unwrap_err();
        assert!(error.advice().unwrap().contains("/scratch/"), "{error}");
        let error = put("/scratch/none/x", "x", 0o600).await.unwrap_err();
        assert!(error.to_string().contains("/scratch/none/x"), "{error}");

        let root = tempfile::tempdir()?;
        let source = root.path().join("tree");
        std::fs::create_dir_all(source.join("scratch/a b"))?;
        std::fs::create_dir_all(source.join("srv/plain"))?;
        std::fs::write(source.join("scratch/a b/it's"), "deep")?;
        std::fs::write(source.join("srv/plain/f"), "plain")?;
        for (to, contents) in [("/", true), ("/scratch/new", false), ("/mnt/deep", false)] {
            communicator.upload_dir(&source, to, contents).await?;
        }
        let all = "cat '/scratch/a b/it'\\''s' /srv/plain/f '/scratch/new/scratch/a b/it'\\''s' \
                   /mnt/deep/tree/srv/plain/f";
        assert_eq!(says(&communicator, all).await, "deepplaindeepplain");
        let down = root.path().join("down");
        communicator.download_dir("/scratch/new/", &down, true).await?;
        assert_eq!(std::fs::read_to_string(down.join("scratch/a b/it's"))?, "deep");
        communicator.download_dir("/scratch/new", &down, false).await?;
        assert_eq!(std::fs::read_to_string(down.join("new/srv/plain/f"))?, "plain");
        Ok(())
    })
    .await;
    let image = Image(image);
    // Nothing has gone below the mounts, where commands did not see it.
    let files = "find /scratch /mnt /dev/shm -type f; ls /srv/file; cat /srv/plain/f";
    assert_eq!(in_image(&image.0, files), "/srv/file\nplain");
}

#[tokio::test]
async fn a_text_in_a_directory_has_a_name() {
    require!(engine());
    let image = with_container(json!({}), async |communicator, _| {
        let text = |to: &str| json!({ "content": "a text", "destination": to });
        provision("file", &communicator, text("/srv/")).await.0?;
        let (ran, _) = provision("file", &communicator, text("/srv/new/")).await;
        let error = ran.unwrap_err();
        assert!(error.advice().unwrap().contains("mkdir"), "{error:?}");
        Ok(())
    })
    .await;
    let image = Image(image);
    assert_eq!(in_image(&image.0, "cd /srv; ls; cat pkr-file-content"), "pkr-file-content\na text");
}
