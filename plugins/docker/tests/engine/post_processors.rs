//! Tagging, saving, importing, and pushing to and pulling from a real registry.

use ingot_test_support::require;
use ingot_test_support::sshd::{free_port, wait_for};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use ingot_docker::{DockerImport, DockerPush, DockerSave, DockerTag};
use ingot_sdk::{
    Artifact, Component, FileArtifact, GeneratedData, PostProcess, PrepareContext, Processed,
    Result, testing,
};
use serde_json::{Value, json};

use crate::harness::{BASE, Image, Run, config_of, docker, engine, exists, in_image};

/// Runs a post-processor.
async fn process<P: Component<Ready: PostProcess> + Default>(
    run: &Run,
    artifact: &Arc<dyn Artifact>,
    config: Value,
) -> Result<Processed> {
    let ready = testing::prepare(&P::default(), config, &PrepareContext::default())?.ready;
    ready.process(&run.ctx, Arc::clone(artifact), &GeneratedData::new()).await
}

/// Commits an image with a label of its own.
async fn committed(run: &Run) -> (Arc<dyn Artifact>, Image) {
    let label = format!("LABEL unique={}", uuid::Uuid::new_v4());
    let config = json!({ "image": BASE, "pull": false, "commit": true, "changes": [label] });
    let artifact = run.build(config).await.unwrap();
    let image = Image(artifact.id());
    (artifact, image)
}

fn file(path: &std::path::Path) -> Arc<dyn Artifact> {
    Arc::new(FileArtifact {
        builder_id: "other".into(),
        id: "x".into(),
        files: vec![path.to_owned()],
        description: String::new(),
    })
}

#[tokio::test]
async fn tags_name_the_image() {
    require!(engine());
    let run = Run::idle();
    let (artifact, image) = committed(&run).await;
    let config = json!({ "repository": "ingot-test/tags", "tags": ["1", "2"] });
    let processed = process::<DockerTag>(&run, &artifact, config).await.unwrap();
    assert!(processed.keep_input && processed.force_keep_input);
    let tagged = processed.artifact.unwrap();
    assert_eq!(tagged.builder_id(), "packer.post-processor.docker-tag");
    assert_eq!(tagged.id(), "ingot-test/tags:2");
    assert_eq!(
        tagged.description(),
        "Imported Docker image: ingot-test/tags:2 with tags ingot-test/tags:1 ingot-test/tags:2"
    );
    assert_eq!(tagged.images()[0].labels["tags"], "ingot-test/tags:1,ingot-test/tags:2");
    assert_eq!(tagged.images()[0].id, image.0);
    for name in ["ingot-test/tags:1", "ingot-test/tags:2"] {
        assert_eq!(docker(&["inspect", "-f", "{{.Id}}", name]), image.0);
    }
    // Without tags it is `latest`, and a tagged image can be tagged again.
    let config = json!({ "repository": "ingot-test/tags-latest" });
    let again = process::<DockerTag>(&run, &tagged, config).await.unwrap().artifact.unwrap();
    assert_eq!(again.id(), "ingot-test/tags-latest");
    assert!(exists("ingot-test/tags-latest:latest"));

    let other = file("/x".as_ref());
    let wrong = process::<DockerTag>(&run, &other, json!({ "repository": "a" })).await;
    assert!(wrong.err().unwrap().to_string().contains("Unknown artifact type: other"));
    let missing = process::<DockerTag>(&run, &artifact, json!({})).await;
    assert!(missing.err().unwrap().to_string().contains("repository"));
    // None is given where one is no tag.
    let config = json!({ "repository": "ingot-test/tags-none", "tags": ["1", "feature/x"] });
    let wrong = process::<DockerTag>(&run, &artifact, config).await.err().unwrap();
    assert!(wrong.to_string().contains("\"feature/x\" cannot be a tag"), "{wrong}");
    assert!(!exists("ingot-test/tags-none:1"));
}

#[tokio::test]
async fn a_saved_image_can_be_loaded() {
    require!(engine());
    let run = Run::idle();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("image.tar");
    let (artifact, image) = committed(&run).await;
    let saved = process::<DockerSave>(&run, &artifact, json!({ "path": path })).await.unwrap();
    assert!(saved.keep_input && !saved.force_keep_input);
    assert_eq!(saved.artifact.unwrap().id(), image.0);
    let id = image.0.clone();
    drop(image);
    assert!(!exists(&id));
    let _loaded = Image(id.clone());
    docker(&["load", "-i", path.to_str().unwrap()]);
    assert!(exists(&id));
    assert!(run.events.text().contains(&format!("Saved to: {}", path.display())));
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1);
}

#[tokio::test]
async fn an_export_can_be_imported() {
    require!(engine());
    let run = Run::idle();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("export.tar");
    let config = json!({ "image": BASE, "pull": false, "export_path": path });
    let export = run.build(config).await.unwrap();
    let config = json!({
        "repository": "ingot-test/imported", "tag": "7",
        "changes": ["ENTRYPOINT [\"/bin/echo\"]", "ENV X=1"],
    });
    let processed = process::<DockerImport>(&run, &export, config).await.unwrap();
    assert!(!processed.keep_input);
    let imported = processed.artifact.unwrap();
    let _image = Image("ingot-test/imported:7".to_owned());
    assert_eq!(imported.builder_id(), "packer.post-processor.docker-import");
    assert_eq!(imported.id(), "ingot-test/imported:7");
    let config = config_of("ingot-test/imported:7");
    assert_eq!((&config["Entrypoint"], &config["Env"]), (&json!(["/bin/echo"]), &json!(["X=1"])));
    assert_eq!(in_image("ingot-test/imported:7", "echo works"), "works");

    let committed = committed(&run).await;
    let wrong = process::<DockerImport>(&run, &committed.0, json!({})).await.err().unwrap();
    assert!(wrong.advice().unwrap().contains("commit"), "{wrong}");
}

/// A registry on loopback, ended when dropped.
struct Registry {
    process: Child,
    address: String,
    _directory: tempfile::TempDir,
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Registry {
    /// Starts a registry; with `password`, one that wants the user `me` to have it.
    fn start(password: Option<&str>) -> Option<Registry> {
        let missing = |what: &str| {
            ingot_test_support::missing(format_args!("{what} is not installed"));
        };
        if Command::new("docker-registry").arg("--version").output().is_err() {
            missing("docker-registry");
            return None;
        }
        let directory = tempfile::tempdir().unwrap();
        let port = free_port();
        let mut config = format!(
            "version: 0.1\nstorage:\n  filesystem:\n    rootdirectory: {}\nhttp:\n  addr: \
             127.0.0.1:{port}\n",
            directory.path().join("data").display()
        );
        if let Some(password) = password {
            let users = directory.path().join("htpasswd");
            let Ok(created) = Command::new("htpasswd").args(["-Bbn", "me", password]).output()
            else {
                missing("htpasswd (apache2-utils)");
                return None;
            };
            std::fs::write(&users, created.stdout).unwrap();
            config +=
                &format!("auth:\n  htpasswd:\n    realm: test\n    path: {}\n", users.display());
        }
        let path = directory.path().join("config.yml");
        std::fs::write(&path, config).unwrap();
        let process = Command::new("docker-registry")
            .arg("serve")
            .arg(&path)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let address = format!("127.0.0.1:{port}");
        wait_for(port);
        Some(Registry { process, address, _directory: directory })
    }
}

#[tokio::test]
async fn an_image_is_pushed_and_pulled() {
    require!(engine());
    let Some(registry) = Registry::start(None) else { return };
    let run = Run::idle();
    let (artifact, image) = committed(&run).await;
    let unnamed = process::<DockerPush>(&run, &artifact, json!({})).await.err().unwrap();
    assert!(unnamed.advice().unwrap().contains("docker-tag"), "{unnamed}");

    let repository = format!("{}/team/app", registry.address);
    let config = json!({ "repository": repository, "tags": ["1", "2"] });
    let tagged = process::<DockerTag>(&run, &artifact, config).await.unwrap().artifact.unwrap();
    let pushed = process::<DockerPush>(&run, &tagged, json!({})).await.unwrap();
    assert!(pushed.keep_input && !pushed.force_keep_input);
    let pushed = pushed.artifact.unwrap();
    assert_eq!(pushed.builder_id(), "packer.post-processor.docker-import");
    assert_eq!(pushed.id(), format!("{repository}:2"));
    let data = pushed.state("generated_data").unwrap();
    let digest = data["Digest"].as_str().unwrap();
    assert!(digest.starts_with(&format!("{repository}@sha256:")), "{digest}");
    assert_eq!(data["ImageSha256"], json!(image.0));
    assert_eq!(pushed.images()[0].labels["ImageDigest"], digest);
    let shown = run.events.text();
    assert_eq!(shown.matches("Pushing: ").count(), 2, "{shown}");

    let id = image.0.clone();
    drop(image);
    assert!(!exists(&id));
    let _pulled = Image(id.clone());
    let run = Run::idle();
    let config = json!({ "image": format!("{repository}:1"), "discard": true });
    let artifact = run.build(config).await.unwrap();
    let data = artifact.state("generated_data").unwrap();
    assert_eq!(data["SourceImageSha256"], json!(id));
    assert_eq!(data["SourceImageDigest"], json!(digest));
    assert!(run.events.text().contains("Status: Downloaded newer image"), "{}", run.events.text());

    // A digest names its contents: what is here need not be asked for again.
    drop(registry);
    let config = json!({ "image": digest, "discard": true });
    Run::idle().build(config).await.unwrap();
}

#[tokio::test]
async fn what_is_missing_is_pulled_also_without_pull() {
    require!(engine());
    let Some(registry) = Registry::start(None) else { return };
    let run = Run::idle();
    let (artifact, image) = committed(&run).await;
    let repository = format!("{}/missing", registry.address);
    let config = json!({ "repository": repository, "tags": ["1"] });
    let tagged = process::<DockerTag>(&run, &artifact, config).await.unwrap().artifact.unwrap();
    process::<DockerPush>(&run, &tagged, json!({})).await.unwrap();
    let name = format!("{repository}:1");
    drop(image);
    assert!(!exists(&name));
    let _pulled = Image(name.clone());
    let config = json!({ "image": name, "pull": false, "discard": true });
    let run = Run::idle();
    run.build(config.clone()).await.unwrap();
    assert!(run.events.text().contains(&format!("Pulling Docker image: {name}")));
    // Now it is there, and nobody is asked.
    drop(registry);
    let run = Run::idle();
    run.build(config).await.unwrap();
    assert!(!run.events.text().contains("Pulling"), "{}", run.events.text());
}

/// Gives the Engine the image `name` of one layer, as for another architecture than the machine's.
fn load(name: &str, architecture: &str, layer: &[u8]) {
    let config = json!({
        "architecture": architecture, "os": "linux", "history": [{}],
        "config": { "Env": ["IS=other"], "Entrypoint": ["/bin/env"], "Cmd": ["true"] },
        "rootfs": {
            "type": "layers",
            "diff_ids": [format!("sha256:{}", ingot_sdk::hash::sha256(layer))],
        },
    });
    let manifest =
        json!([{ "Config": "config.json", "RepoTags": [name], "Layers": ["layer.tar"] }]);
    let file = tempfile::NamedTempFile::new().unwrap();
    let mut archive = tar::Builder::new(&file);
    let (config, manifest) = (config.to_string(), manifest.to_string());
    let files: [(&str, &[u8]); 3] = [
        ("config.json", config.as_bytes()),
        ("layer.tar", layer),
        ("manifest.json", manifest.as_bytes()),
    ];
    for (path, data) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(data.len() as u64);
        header.set_mode(0o644);
        archive.append_data(&mut header, path, data).unwrap();
    }
    archive.finish().unwrap();
    docker(&["load", "-i", &file.path().display().to_string()]);
}

#[tokio::test]
async fn an_image_for_several_platforms_is_taken_as_it_is_for_the_one_that_is_asked_for() {
    require!(engine());
    let Some(registry) = Registry::start(None) else { return };
    let repository = format!("{}/several", registry.address);
    let name = |tag: &str| format!("{repository}:{tag}");
    // The program in it is the same: what tells them apart is how they are set up.
    let run = Run::idle();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("export.tar");
    let config = json!({ "image": BASE, "pull": false, "export_path": path });
    let export = run.build(config).await.unwrap();
    let other = if cfg!(target_arch = "aarch64") { "amd64" } else { "arm64" };
    let config = json!({ "repository": repository, "tag": "host", "changes": ["ENV IS=host"] });
    let imported = process::<DockerImport>(&run, &export, config).await.unwrap().artifact;
    process::<DockerPush>(&run, &imported.unwrap(), json!({})).await.unwrap();
    load(&name("other"), other, &std::fs::read(&path).unwrap());
    docker(&["push", &name("other")]);
    docker(&["rmi", &name("host"), &name("other")]);
    // What the docker client keeps of it is not this user's.
    let settings = directory.path().join("settings").display().to_string();
    let client = |arguments: &[&str]| docker(&[&["--config", &settings], arguments].concat());
    let (all, host, of_other) = (name("all"), name("host"), name("other"));
    client(&["manifest", "create", "--insecure", &all, &host, &of_other]);
    client(&["manifest", "push", "--insecure", &all]);
    let _pulled = Image(all.clone());
    let platform = format!("linux/{other}");
    for (platform, is) in [(None, "host"), (Some(platform.as_str()), "other"), (None, "host")] {
        let config = json!({ "image": all, "commit": true, "platform": platform });
        let built = Image(Run::idle().build(config).await.unwrap().id());
        let config = config_of(&built.0);
        assert_eq!(config["Env"], json!([format!("IS={is}")]), "{platform:?}");
        // Engines write none as null or as an empty list.
        let words = |name: &str| {
            let words = config[name].as_array().into_iter().flatten();
            words.map(|word| word.as_str().unwrap().to_owned()).collect::<Vec<_>>().join(" ")
        };
        let starts = if is == "other" { ["/bin/env", "true"] } else { ["", ""] };
        assert_eq!(["Entrypoint", "Cmd"].map(words), starts, "{platform:?}");
        let architecture = docker(&["inspect", "-f", "{{.Architecture}}", &built.0]);
        assert_eq!(architecture == other, is == "other", "{architecture}");
    }
}

#[tokio::test]
async fn logins_are_used_for_their_registry() {
    require!(engine());
    // Encodes to base64 with characters that differ between its two alphabets.
    let password = "s?>~cret>>???";
    let Some(registry) = Registry::start(Some(password)) else { return };
    let run = Run::idle();
    let (artifact, image) = committed(&run).await;
    let repository = format!("{}/app", registry.address);
    let config = json!({ "repository": repository, "tags": ["1"] });
    let tagged = process::<DockerTag>(&run, &artifact, config).await.unwrap().artifact.unwrap();

    let refused = process::<DockerPush>(&run, &tagged, json!({})).await.err().unwrap();
    assert!(refused.to_string().contains(&repository), "{refused}");
    let login = |password: &str| {
        json!({ "login": true, "login_server": registry.address, "login_username": "me",
            "login_password": password })
    };
    let refused = process::<DockerPush>(&run, &tagged, login("wrong")).await.err().unwrap();
    assert!(refused.advice().unwrap().contains("login"), "{refused}");
    process::<DockerPush>(&run, &tagged, login(password)).await.unwrap();
    // Not shown. Whether it is hidden elsewhere, the template says.
    assert!(!run.events.text().contains(password) && run.events.secrets().is_empty());

    drop(image);
    let image = format!("{repository}:1");
    let mut config = json!({ "image": image, "discard": true });
    let refused = Run::idle().build(config.clone()).await.err().unwrap();
    assert!(refused.to_string().contains(&image), "{refused}");
    config.as_object_mut().unwrap().extend(login(password).as_object().unwrap().clone());
    Run::idle().build(config).await.unwrap();
    let _pulled = Image(image);
}
