//! Builds from start to end: commit, export, discard, failure and cancellation.

use ingot_test_support::require;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use ingot_docker::DockerReclaim;
use ingot_sdk::communicator::CapturedOutput;
use ingot_sdk::{Error, FileMeta, Journal, OnError, Reclaim, RemoteCommand, Resource, Result};
use serde_json::{Value, json};

use crate::harness::{
    BASE, Image, Run, api_minor, config_of, docker, engine, exists, in_image, prepare,
};

/// Keeps the resources on record.
#[derive(Default)]
struct Records(Mutex<Vec<Option<Resource>>>);

impl Records {
    fn open(&self) -> Vec<Resource> {
        self.0.lock().unwrap().iter().flatten().cloned().collect()
    }
}

impl Journal for Records {
    fn record(&self, resource: &Resource) -> Result<u64> {
        let mut records = self.0.lock().unwrap();
        records.push(Some(resource.clone()));
        Ok(records.len() as u64 - 1)
    }

    fn resolve(&self, record: u64) {
        self.0.lock().unwrap()[record as usize] = None;
    }

    fn amend(&self, record: u64, resource: &Resource) {
        if let Some(open) = &mut self.0.lock().unwrap()[record as usize] {
            open.clone_from(resource);
        }
    }
}

#[tokio::test]
async fn a_commit_equals_what_the_docker_client_makes() {
    require!(engine());
    let changes = [
        "ENV A=1 B=two",
        "LABEL who=me",
        "EXPOSE 8080",
        "USER app",
        "WORKDIR /srv",
        "VOLUME /data",
        "ONBUILD RUN true",
        "ENTRYPOINT [\"/bin/run\"]",
        "CMD run --flag",
    ];
    let container = docker(&["run", "-d", "-i", "-t", "--entrypoint=/bin/sh", "--", BASE]);
    let mut commit = vec!["commit", "--author", "me", "--message", "why"];
    for change in changes {
        commit.extend(["--change", change]);
    }
    commit.push(&container);
    let expected = Image(docker(&commit));
    docker(&["rm", "-f", &container]);

    let run = Run::idle();
    let config = json!({
        "image": BASE, "pull": false, "commit": true, "changes": changes,
        "author": "me", "message": "why",
    });
    let artifact = run.build(config).await.unwrap();
    let built = Image(artifact.id());
    let normal = |id: &str| {
        let mut config = config_of(id);
        // The container's short id.
        config["Hostname"] = Value::Null;
        config
    };
    assert_eq!(normal(&built.0), normal(&expected.0));
    let about = docker(&["inspect", "-f", "{{.Author}} {{.Comment}}", &built.0]);
    assert_eq!(about, "me why");
    assert_eq!(artifact.builder_id(), "packer.post-processor.docker-import");
    assert!(artifact.id().starts_with("sha256:"));
    assert_eq!(artifact.description(), format!("Imported Docker image: {}", built.0));
}

#[tokio::test]
async fn the_base_image_gives_command_and_entrypoint_back() {
    require!(engine());
    let run = Run::idle();
    let config = json!({ "image": BASE, "pull": false, "commit": true });
    let built = Image(run.build(config).await.unwrap().id());
    let config = config_of(&built.0);
    assert_eq!(config["Cmd"], json!(["/bin/sh"]));
    assert!(none(&config["Entrypoint"]), "{config}");
    // What else the container has is not lost over that. Newer Engines do not show of an image what is
    // a container's alone.
    if api_minor() < 50 {
        assert_eq!(config["Tty"], json!(true));
        assert_eq!(config["Image"], json!(BASE));
        assert_eq!(config["Labels"], json!({}));
    }
    assert_eq!(config["Env"], json!(["BASE=yes"]));
}

/// Whether a command or entry point is none at all, not one with an empty program.
fn none(value: &Value) -> bool {
    value.as_array().is_none_or(Vec::is_empty)
}

#[tokio::test]
async fn an_empty_command_and_entry_point_leave_none() {
    require!(engine());
    let both = ["ENTRYPOINT []", "CMD []"].as_slice();
    let default = ["-d", "-i", "-t", "--entrypoint=/bin/sh", "--", "{{.Image}}"].as_slice();
    let command = ["-d", "{{.Image}}", "sleep", "600"].as_slice();
    let image = ["-d", "-it", "{{.Image}}"].as_slice();
    for (changes, run_command, expected) in [
        (both, default, (json!(null), json!(null))),
        (both, command, (json!(null), json!(null))),
        (both, image, (json!(null), json!(null))),
        (&["entrypoint  [ ]", "CMD [\"/bin/id\"]"], default, (json!(null), json!(["/bin/id"]))),
        // An empty argument would be one more.
        (&["ENTRYPOINT [\"/bin/id\"]", "CMD []"], command, (json!(["/bin/id"]), json!(null))),
        // The last one counts.
        (&["CMD []", "CMD [\"/bin/id\"]"], command, (json!(null), json!(["/bin/id"]))),
    ] {
        let config = json!({
            "image": BASE, "pull": false, "commit": true, "changes": changes,
            "run_command": run_command,
        });
        let built = Image(Run::idle().build(config).await.unwrap().id());
        let config = config_of(&built.0);
        let got = ["Entrypoint", "Cmd"].map(|name| match none(&config[name]) {
            true => Value::Null,
            false => config[name].clone(),
        });
        assert_eq!(got, [expected.0, expected.1], "{changes:?} {run_command:?}");
    }
}

#[tokio::test]
async fn provisioners_see_the_container_and_change_the_image() {
    require!(engine());
    let seen = Arc::new(Mutex::new(Default::default()));
    let keep = Arc::clone(&seen);
    let run = Run::new(move |communicator, data| {
        *keep.lock().unwrap() = data;
        async move {
            let script = b"#!/bin/sh\necho hello from a script\n";
            let meta = FileMeta::new(script.len() as u64, 0o755);
            communicator.upload("/srv/run", &mut script.as_slice(), meta).await?;
            let output = CapturedOutput::default();
            let command = "/srv/run && touch /packer-files/scratch && echo kept > /srv/kept";
            let status = communicator.exec(&RemoteCommand::new(command), &output).await?;
            assert!(status.success(), "{}", output.stderr_text());
            assert_eq!(output.stdout_text(), "hello from a script\n");
            Ok(())
        }
    });
    let config = json!({ "image": BASE, "pull": false, "commit": true });
    let artifact = run.build(config).await.unwrap();
    let built = Image(artifact.id());
    let seen = seen.lock().unwrap().clone();
    let id = seen["ID"].as_str().unwrap();
    assert_eq!(id.len(), 64);
    assert!(!exists(id), "the container is left over");
    assert_eq!(seen["ConnType"], "docker");
    assert_eq!(seen["PackerRunUUID"], "run");
    assert_eq!(seen["ImageSha256"], "ERR_IMAGE_SHA256_NOT_FOUND");
    let data = artifact.state("generated_data").unwrap();
    assert_eq!(data["ImageSha256"], json!(built.0));
    assert_eq!(data["ID"], json!(id));
    let base = docker(&["inspect", "-f", "{{.Id}}", BASE]);
    assert_eq!(data["SourceImageSha256"], json!(base));
    assert_eq!(in_image(&built.0, "cat /srv/kept; stat -c %a /srv/run"), "kept\n755");
    // As with Packer, the mount point is all that is left of the scratch directory.
    assert_eq!(in_image(&built.0, "ls -A /packer-files; stat -c %a /packer-files"), "755");
    let image = &artifact.images()[0];
    assert_eq!((image.provider.as_str(), image.id.as_str()), ("docker", built.0.as_str()));
    assert_eq!(image.source_id.as_deref(), Some(base.as_str()));
    let shown = run.events.text();
    for line in
        ["Starting docker container...", "Committing the container", "Killing the container"]
    {
        assert!(shown.contains(line), "{shown}");
    }
}

#[tokio::test]
async fn run_options_reach_the_container() {
    require!(engine());
    let run = Run::new(async |communicator, data: ingot_sdk::GeneratedData| {
        let id = data["ID"].as_str().unwrap();
        let inspect = |format: &str| docker(&["inspect", "-f", format, id]);
        assert_eq!(inspect("{{.HostConfig.CapAdd}}"), "[NET_ADMIN]");
        assert_eq!(inspect("{{.HostConfig.CapDrop}}"), "[MKNOD]");
        assert_eq!(inspect("{{.Config.Hostname}} {{.Config.User}}"), "box app");
        assert!(inspect("{{.Name}}").starts_with("/named-by-user-"));
        let output = CapturedOutput::default();
        let command = "cat /proc/mounts; ls /dev/zero2; echo $FOO; id -u; cat /mnt/file";
        communicator.exec(&RemoteCommand::new(command), &output).await?;
        let text = output.stdout_text();
        for part in [" /scratch tmpfs", "/dev/zero2", "\nbar\n", "\n1000\n", "\nshared\n"] {
            assert!(text.contains(part), "{part:?} is not in {text}");
        }
        Ok(())
    });
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("file"), "shared\n").unwrap();
    let name = format!("named-by-user-{}", std::process::id());
    let mut volumes = serde_json::Map::new();
    volumes.insert(directory.path().display().to_string(), json!("/mnt"));
    let config = json!({
        "image": BASE, "pull": false, "discard": true,
        "cap_add": ["NET_ADMIN"], "cap_drop": ["MKNOD"], "tmpfs": ["/scratch"],
        "device": ["/dev/zero:/dev/zero2"], "volumes": volumes,
        "run_command": ["-dit", "--name", name, "-h", "box", "-e", "FOO=bar", "-u", "app",
            "--entrypoint=/bin/sh", "--", "{{.Image}}"],
    });
    let artifact = run.build(config).await.unwrap();
    assert_eq!(artifact.builder_id(), "packer.docker");
    assert!(artifact.files().is_empty());
    assert!(!exists(&name));
}

#[tokio::test]
async fn a_container_with_the_wanted_name_survives() {
    require!(engine());
    let name = format!("ingot-test-taken-{}", std::process::id());
    let theirs = docker(&["create", "--name", &name, BASE]);
    let config = json!({
        "image": BASE, "pull": false, "discard": true,
        "run_command": ["-d", "-i", "--name", name, "--", "{{.Image}}"],
    });
    let error = Run::idle().build(config).await.err().unwrap();
    assert!(error.to_string().contains(&name), "{error}");
    assert_eq!(docker(&["inspect", "-f", "{{.Id}}", &name]), theirs);
    docker(&["rm", &name]);
}

#[tokio::test]
async fn flags_that_take_more_than_creating_work() {
    require!(engine());
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("id");
    let missing = format!("127.0.0.1:9/not-there:{}", std::process::id());
    let build = async |more: &[&str]| {
        let mut run_command = vec!["-dit", "--entrypoint=/bin/sh"];
        run_command.extend(more);
        let config = json!({
            "image": BASE, "pull": false, "discard": true, "run_command": run_command,
        });
        Run::idle().build(config).await
    };
    let file = path.display().to_string();
    build(&["--cidfile", &file, "--pull", "missing", "{{.Image}}"]).await.unwrap();
    assert_eq!(std::fs::read_to_string(&path).unwrap().len(), 64);
    // As with the docker client, it must not be there yet.
    let error = build(&["--cidfile", &file, "{{.Image}}"]).await.err().unwrap();
    assert!(error.to_string().contains(&file), "{error}");
    let config = json!({
        "image": missing, "pull": false, "discard": true,
        "run_command": ["-d", "--pull", "always", "{{.Image}}"],
    });
    let error = Run::idle().build(config).await.err().unwrap();
    assert!(error.to_string().contains(&format!("pulling {missing}")), "{error}");
    // The docker client also pulls what is there for another platform alone.
    docker(&["tag", BASE, &missing]);
    let _image = Image(missing.clone());
    let config = json!({
        "image": missing, "pull": false, "discard": true,
        "run_command": ["-d", "--pull=missing", "--platform=linux/s390x", "{{.Image}}"],
    });
    let error = Run::idle().build(config).await.err().unwrap();
    assert!(error.to_string().contains(&format!("pulling {missing}")), "{error}");
    // What an older Engine does not know is not left out in silence.
    let minor = api_minor();
    let built = build(&["--annotation", "a=b", "{{.Image}}"]).await;
    assert_eq!(built.is_ok(), minor >= 43, "1.{minor}: {:?}", built.err());
}

#[tokio::test]
async fn an_export_is_the_containers_file_system() {
    require!(engine());
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("new/export.tar");
    let run = Run::new(async |communicator, _| {
        let command = RemoteCommand::new("echo exported > /srv/mark");
        communicator.exec(&command, &CapturedOutput::default()).await?;
        Ok(())
    });
    let config = json!({ "image": BASE, "pull": false, "export_path": path });
    let artifact = run.build(config).await.unwrap();
    assert_eq!(artifact.files(), std::slice::from_ref(&path));
    assert_eq!((artifact.builder_id(), artifact.id().as_str()), ("packer.docker", "Container"));
    assert_eq!(artifact.description(), format!("Exported Docker file: {}", path.display()));
    let tar = std::process::Command::new("tar").arg("-xOf").arg(&path).arg("srv/mark").output();
    assert_eq!(tar.unwrap().stdout, b"exported\n");
    assert_eq!(std::fs::read_dir(path.parent().unwrap()).unwrap().count(), 1, "a file is left");
    artifact.destroy().await.unwrap();
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0, "a directory is left");
}

#[tokio::test]
async fn a_failed_build_leaves_nothing() {
    require!(engine());
    let records = Arc::new(Records::default());
    let id = Arc::new(Mutex::new(String::new()));
    let keep = Arc::clone(&id);
    let run = Run::new(move |_, data| {
        *keep.lock().unwrap() = data["ID"].as_str().unwrap().to_owned();
        async { Err(Error::new("no luck")) }
    })
    .journal(records.clone());
    let config = json!({ "image": BASE, "pull": false, "commit": true });
    let error = run.build(config).await.err().unwrap();
    assert_eq!(error.to_string(), "no luck");
    assert!(!exists(&id.lock().unwrap()));
    assert!(*run.hook.cleaned.lock().unwrap());
    assert!(records.open().is_empty());
}

#[tokio::test]
async fn a_cancelled_build_leaves_nothing() {
    require!(engine());
    let records = Arc::new(Records::default());
    let started = Arc::new(tokio::sync::Notify::new());
    let notify = Arc::clone(&started);
    let run = Run::new(move |communicator, _| {
        let notify = Arc::clone(&notify);
        async move {
            notify.notify_one();
            let command = RemoteCommand::new("sleep 600");
            communicator.exec(&command, &CapturedOutput::default()).await?;
            Ok(())
        }
    })
    .journal(records.clone());
    let config = json!({ "image": BASE, "pull": false, "commit": true });
    let now = || {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
        format!("{}.{:09}", now.as_secs(), now.subsec_nanos())
    };
    let before = now();
    let (result, name) = tokio::join!(run.build(config), async {
        started.notified().await;
        let name = records.open()[0].id.clone();
        assert!(name.starts_with("ingot-") && exists(&name));
        tokio::time::sleep(Duration::from_millis(300)).await;
        run.ctx.cancel.cancel();
        name
    });
    assert!(result.err().unwrap().is_cancelled());
    let (of, kills) = (format!("container={name}"), "event=kill");
    let (after, signal) = (now(), "{{.Actor.Attributes.signal}}");
    let signals = docker(&[
        "events", "--since", &before, "--until", &after, "--filter", &of, "--filter", kills,
        "--format", signal,
    ]);
    assert_eq!(signals, "9", "the container was stopped, not killed");
    let names = records.0.lock().unwrap().len();
    assert_eq!((names, records.open().len()), (1, 0));
}

#[tokio::test]
async fn a_build_cancelled_at_any_time_leaves_nothing() {
    require!(engine());
    for delay in [0, 5, 15, 40, 80, 150, 300, 600] {
        let records = Arc::new(Records::default());
        let run = Run::idle().journal(records.clone());
        let label = format!("moment-{delay}-{}", std::process::id());
        let config = json!({
            "image": BASE, "pull": false, "commit": true,
            "changes": [format!("LABEL test={label}")],
        });
        let (result, ()) = tokio::join!(run.build(config), async {
            tokio::time::sleep(Duration::from_millis(delay)).await;
            run.ctx.cancel.cancel();
        });
        let images = docker(&["images", "-q", "--no-trunc", "-f", &format!("label=test={label}")]);
        match result {
            Ok(artifact) => artifact.destroy().await.unwrap(),
            Err(error) => {
                assert!(error.is_cancelled(), "after {delay} ms: {error}");
                assert_eq!(images, "", "after {delay} ms an image is left");
            }
        }
        assert!(records.open().is_empty(), "after {delay} ms: {:?}", records.open());
        let names = docker(&["ps", "-a", "--format", "{{.Names}}"]);
        for resource in records.0.lock().unwrap().iter().flatten() {
            assert!(!names.contains(&resource.id), "after {delay} ms a container is left");
        }
    }
}

#[tokio::test]
async fn what_is_left_on_purpose_can_be_reclaimed() {
    require!(engine());
    let records = Arc::new(Records::default());
    let mut run = Run::new(async |_, _| Err(Error::new("no luck"))).journal(records.clone());
    let mut prepare = (*run.ctx.prepare).clone();
    prepare.on_error = OnError::Abort;
    run.ctx.prepare = Arc::new(prepare);
    let config = json!({ "image": BASE, "pull": false, "commit": true });
    run.build(config).await.err().unwrap();
    let left = records.open();
    assert_eq!(left.len(), 1);
    assert!(exists(&left[0].id));
    assert!(left[0].attributes["endpoint"].as_str().unwrap().contains("://"));
    // It goes to where it was created, and not finding it is fine.
    for _ in 0..2 {
        DockerReclaim.reclaim(&left[0]).await.unwrap();
        assert!(!exists(&left[0].id));
    }
}

#[tokio::test]
async fn a_missing_image_is_named() {
    require!(engine());
    let never = json!(["-d", "--pull=never", "{{.Image}}"]);
    let id = format!("sha256:{}", "0".repeat(64));
    for (config, message, advice) in [
        // As `docker run` does, what is missing is pulled.
        (json!({ "pull": false }), "pulling 127.0.0.1:9/not-there:1", "also with `pull = false`"),
        (json!({}), "pulling 127.0.0.1:9/not-there:1", "set `pull = false`"),
        (json!({ "pull": false, "run_command": never }), "no image 127.0.0.1:9/", "--pull=never"),
        (json!({ "image": id, "pull": false }), "no image sha256:000", "by its id"),
    ] {
        let mut all = json!({ "image": "127.0.0.1:9/not-there:1", "discard": true });
        all.as_object_mut().unwrap().extend(config.as_object().unwrap().clone());
        let error = Run::idle().build(all).await.err().unwrap();
        assert!(error.to_string().contains(message), "{error}");
        assert!(error.advice().unwrap().contains(advice), "{error:?}");
    }
}

#[tokio::test]
async fn a_dockerfile_can_make_the_base() {
    require!(engine());
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    std::fs::write(at("base.docker"), format!(
        "FROM {BASE}\nARG WHO=nobody\nCOPY . /srv/\nRUN echo built for $WHO > /srv/who\nUSER app\n"
    ))
    .unwrap();
    std::fs::create_dir(at("context")).unwrap();
    std::fs::write(at("context/.dockerignore"), "secret\n").unwrap();
    std::fs::write(at("context/secret"), "s").unwrap();
    std::fs::write(at("context/file"), "f").unwrap();
    let run = Run::idle();
    let config = json!({
        "commit": true,
        "build": {
            "path": at("base.docker"), "build_dir": at("context"), "pull": false,
            "arguments": { "WHO": "tests" },
        },
    });
    let artifact = run.build(config).await.unwrap();
    let built = Image(artifact.id());
    let base = artifact.state("generated_data").unwrap()["SourceImageSha256"].clone();
    let base = Image(base.as_str().unwrap().to_owned());
    assert_ne!(built.0, base.0);
    assert_eq!(in_image(&built.0, "cd /srv; ls -A; cat who"), "file\nwho\nbuilt for tests");
    assert_eq!(config_of(&built.0)["User"], "app");
    drop(built);

    std::fs::write(at("bad.docker"), format!("FROM {BASE}\nRUN exit 7\n")).unwrap();
    let config = json!({ "discard": true, "build": { "path": at("bad.docker"),
        "build_dir": at("context"), "pull": false } });
    let error = Run::idle().build(config).await.err().unwrap();
    assert!(error.to_string().contains("returned a non-zero code: 7"), "{error}");
}

#[test]
fn wrong_options_are_named() {
    let directory = tempfile::tempdir().unwrap();
    let image = |more: Value| {
        let mut config = json!({ "image": "a" });
        config.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        config
    };
    for (config, parts) in [
        (json!({ "commit": true }), vec!["image", "build"]),
        (image(json!({})), vec!["what becomes of the container"]),
        (image(json!({ "commit": true, "discard": true })), vec!["only one of"]),
        (image(json!({ "export_path": directory.path() })), vec!["export_path", "directory"]),
        (image(json!({ "commit": true, "ecr_login": true })), vec!["ecr_login", "built without"]),
        (image(json!({ "commit": true, "windows_container": true })), vec!["windows_container"]),
        (image(json!({ "commit": true, "communicator": "ssh" })), vec!["communicator", "ssh"]),
        (image(json!({ "commit": true, "communicator": "smoke" })), vec!["smoke"]),
        (image(json!({ "commit": true, "docker_path": "nerdctl" })), vec!["docker_path"]),
        (
            image(json!({ "commit": true, "run_command": ["-d", "--teleport", "{{.Image}}"] })),
            vec!["run_command", "--teleport"],
        ),
        (
            image(json!({ "commit": true, "build": { "path": "/no/file" } })),
            vec!["build", "/no/file"],
        ),
    ] {
        let errors = prepare(config.clone()).err().unwrap_or_else(|| panic!("{config} passed"));
        let text = format!("{errors:?}");
        for part in parts {
            assert!(text.contains(part), "{part:?} is not in {text}");
        }
    }
    let prepared = prepare(image(json!({ "commit": true, "ssh_username": "x" }))).unwrap();
    assert!(prepared.warnings[0].message.contains("ssh_username"));
    assert!(prepared.generated.contains(&"ImageSha256".to_owned()));
}
