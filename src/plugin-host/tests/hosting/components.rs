//! Components of every kind, and what they call back.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use ingot_sdk::communicator::CapturedOutput;
use ingot_sdk::testing::ThisMachine;
use ingot_sdk::{
    Artifact, Communicator, ConfigWarning, DataSource, Event, ExitStatus, FileArtifact, FileMeta,
    GeneratedData, Hook, OptionType, Prepare, RemoteCommand, Result, RunContext,
};
use serde_json::json;

use crate::harness::{Trial, config, facts, trial};

/// Each way of telling options and values.
const FORMS: [&[(&str, &str)]; 2] = [&[], &[("TRIAL_GOB", "1")]];

#[test]
fn options_of_every_shape_arrive() {
    for form in FORMS {
        let Some(trial) = trial(form) else { return };
        let schema = trial.builder().schema();
        let ty = |name: &str| schema.get(name).unwrap().ty.clone();
        assert!(schema.renders_itself && !schema.open);
        assert!(schema.get("directory").unwrap().required);
        assert!(!schema.get("text").unwrap().required);
        let texts = || Box::new(OptionType::List(Box::new(OptionType::String)));
        assert_eq!(ty("matrix"), OptionType::List(texts()));
        assert_eq!(ty("lists"), OptionType::Map(texts()));
        assert!(matches!(ty("boot"), OptionType::Block(_)));
        let OptionType::Blocks(disk) = ty("disk") else { panic!() };
        assert!(matches!(disk.get("partition").unwrap().ty, OptionType::Blocks(_)));
        let options = json!({
            "directory": trial.path("built"),
            "text": "a \"text\"",
            "number": 1.5,
            "flag": false,
            "texts": ["a", ""],
            "numbers": [1, -2],
            "matrix": [["a"], []],
            "named": {"k": "v"},
            "lists": {"k": ["v"]},
            "boot": {"label": "b"},
            "disk": [
                {"size": 4, "partition": [{"label": "p", "size": 1}], "format": {"label": "f"}},
                {},
            ],
        });
        let prepared = trial.builder().prepare(&config(options.clone()), &facts()).unwrap();
        assert_eq!(prepared.generated, ["Directory", "Answer"]);
        run(async { prepared.ready.build(&trial.ctx()).await }).unwrap();
        let mut expected = options;
        expected["boot"]["size"] = json!(null);
        expected["disk"] = json!([
            {
                "size": 4,
                "partition": [{"label": "p", "size": 1}],
                "format": {"label": "f", "size": null},
            },
            {"size": null, "partition": [], "format": null},
        ]);
        let shown: serde_json::Value = serde_json::from_str(&trial.line("options: ")).unwrap();
        assert_eq!(shown, expected);
        let facts = trial.line("facts: ");
        assert_eq!(facts, "one trial debug=false force=true on-error=cleanup version=1.16.0");
    }
}

#[test]
fn what_is_wrong_with_options_is_reported_at_the_options() {
    let Some(trial) = trial(&[]) else { return };
    let wrong = config(json!({"directory": "nowhere", "text": "wrong"}));
    let errors = trial.builder().check(&wrong, &facts()).unwrap_err().0;
    let errors: Vec<_> = errors.iter().map(|e| (e.option.as_deref(), e.message.as_str())).collect();
    assert_eq!(
        errors,
        [
            (Some("text"), "'text' must not be wrong"),
            (Some("directory"), "the 'directory' must be somewhere"),
        ]
    );
    let odd = config(json!({"directory": "/x", "text": "odd"}));
    assert_eq!(
        trial.builder().prepare(&odd, &facts()).unwrap().warnings,
        [ConfigWarning::on("text", "the 'text' is odd")]
    );
    let text = config(json!({"text": "wrong"}));
    assert!(trial.provisioner().prepare(&text, &facts()).is_err());
    assert!(trial.post_processor().prepare(&text, &facts()).is_err());
    assert!(trial.data_source().prepare(&text, &facts()).is_err());
}

/// Uses the machine of a hosted builder as native provisioners do.
#[derive(Default)]
struct UsesMachine {
    data: Mutex<GeneratedData>,
    cleaned_up: Mutex<bool>,
    fail: bool,
}

#[async_trait]
impl Hook for UsesMachine {
    async fn provision(
        &self,
        _: &RunContext,
        machine: Arc<dyn Communicator>,
        data: GeneratedData,
        _: ingot_sdk::Provisioning,
    ) -> Result<()> {
        *self.data.lock().unwrap() = data;
        if self.fail {
            return Err(ingot_sdk::Error::new("the provisioner failed").hint("do better"));
        }
        let output = CapturedOutput::default();
        let command = RemoteCommand {
            command: "cat; echo out; echo err >&2; exit 5".into(),
            stdin: Some("in ".into()),
        };
        assert_eq!(machine.exec(&command, &output).await?, ExitStatus::Code(5));
        assert_eq!(
            (output.stdout_text(), output.stderr_text()),
            ("in out\n".into(), "err\n".into())
        );
        let error = machine.exec(&RemoteCommand::new("cannot start"), &output).await.unwrap_err();
        assert!(error.to_string().contains("permission denied"), "{error}");
        // As while the machine reboots.
        assert!(error.is_transient(), "{error:?}");
        // More than the window of a stream, and than one message.
        let output = CapturedOutput::default();
        let many = RemoteCommand::new("head -c 3000000 /dev/zero");
        assert!(machine.exec(&many, &output).await?.success());
        assert_eq!(output.stdout_bytes().len(), 3_000_000);
        let contents = vec![7; 1_000_000];
        let meta = FileMeta::new(contents.len() as u64, 0o751);
        machine.upload("up", &mut &contents[..], meta).await?;
        let mut back = Vec::new();
        machine.download("up", &mut back).await?;
        assert!(back == contents);
        let output = CapturedOutput::default();
        machine.exec(&RemoteCommand::new("stat -c %a up"), &output).await?;
        assert_eq!(output.stdout_text(), "751\n");
        let error = machine.download("absent", &mut back).await.unwrap_err();
        assert!(error.to_string().contains("no such file"), "{error}");
        // Commands start there, so that it is not for want of a connection.
        assert!(!error.is_transient(), "{error:?}");
        let local = tempfile::tempdir().unwrap();
        let source = local.path().join("source");
        std::fs::create_dir(&source).unwrap();
        std::fs::write(source.join("f"), "x").unwrap();
        machine.upload_dir(&source, "with-name", false).await?;
        machine.upload_dir(&source, "contents", true).await?;
        let output = CapturedOutput::default();
        machine.exec(&RemoteCommand::new("ls with-name/source contents"), &output).await?;
        assert_eq!(output.stdout_text(), "contents:\nf\n\nwith-name/source:\nf\n");
        let target = local.path().join("target");
        machine.download_dir("contents", &target, true).await?;
        assert_eq!(std::fs::read_to_string(target.join("f"))?, "x");
        Ok(())
    }

    async fn cleanup_provision(
        &self,
        _: &RunContext,
        machine: Arc<dyn Communicator>,
        _: GeneratedData,
    ) -> Result<()> {
        machine.exec(&RemoteCommand::new("true"), &CapturedOutput::default()).await?;
        *self.cleaned_up.lock().unwrap() = true;
        Ok(())
    }
}

#[test]
fn provisioners_work_over_the_machine_of_a_hosted_builder() {
    let Some(trial) = trial(&[]) else { return };
    let options = config(json!({"directory": trial.path("built")}));
    let builder = trial.builder().prepare(&options, &facts()).unwrap().ready;
    let hook = Arc::new(UsesMachine::default());
    let ctx = RunContext { hook: Arc::clone(&hook) as Arc<dyn Hook>, ..trial.ctx() };
    let artifact = run(async { builder.build(&ctx).await }).unwrap().unwrap();
    let data = hook.data.lock().unwrap().clone();
    assert_eq!(data["Answer"], json!(42));
    assert_eq!(data["ID"], json!("trial-1"));
    // Artifacts and their states.
    assert_eq!((artifact.builder_id(), artifact.id()), ("ingot.trial", "built".into()));
    assert!(artifact.description().starts_with("A directory: "));
    assert!(artifact.files().contains(&trial.path("built/up")));
    assert_eq!(artifact.state("generated_data").unwrap()["Answer"], json!(42));
    assert_eq!(artifact.state("size"), Some(json!(artifact.files().len())));
    assert_eq!(artifact.state("nothing"), None);
    let image = &artifact.images()[0];
    assert_eq!((image.provider.as_str(), image.region.as_str()), ("trial", "here"));
    assert_eq!((image.id.as_str(), image.source_id.as_deref()), ("built", Some("trial-0")));
    assert_eq!(image.labels["kind"], "test");
    run(async { artifact.destroy().await }).unwrap();
    assert!(!trial.path("built").exists());
}

#[test]
fn a_failed_provisioner_is_reported_and_cleaned_up_after() {
    let Some(trial) = trial(&[]) else { return };
    let options = config(json!({"directory": trial.path("built")}));
    let builder = trial.builder().prepare(&options, &facts()).unwrap().ready;
    let hook = Arc::new(UsesMachine { fail: true, ..UsesMachine::default() });
    let ctx = RunContext { hook: Arc::clone(&hook) as Arc<dyn Hook>, ..trial.ctx() };
    let error = run(async { builder.build(&ctx).await.map(|_| ()) }).unwrap_err();
    assert_eq!(error.to_string(), "the provisioner failed (do better)");
    assert!(*hook.cleaned_up.lock().unwrap());
    assert!(!trial.path("built").exists());
}

#[test]
fn a_hosted_provisioner_uses_all_that_a_machine_offers() {
    let Some(trial) = trial(&[]) else { return };
    let source = trial.path("source");
    std::fs::create_dir(&source).unwrap();
    std::fs::write(source.join("inner"), "x").unwrap();
    let file = trial.path("file");
    std::fs::write(&file, vec![b'x'; 300_000]).unwrap();
    let machine = trial.path("machine");
    std::fs::create_dir(&machine).unwrap();
    let options = json!({
        "run": ["echo hello", "echo oops >&2"],
        "stream": true,
        "copy": file,
        "directory": source,
        "ask": "really?",
    });
    let provisioner = trial.provisioner().prepare(&config(options), &facts()).unwrap().ready;
    let data = GeneratedData::from([("ID".into(), json!("x")), ("Answer".into(), json!(42))]);
    let machine: Arc<dyn Communicator> = Arc::new(ThisMachine(machine));
    // Twice, as when it is tried again.
    for _ in 0..2 {
        run(async { provisioner.provision(&trial.ctx(), Arc::clone(&machine), &data).await })
            .unwrap();
    }
    let lines = trial.said.lines();
    for line in [
        "hello",
        "oops",
        "ID = x (string)",
        "Answer = 42 (int64)",
        "got one",
        "got two",
        "copied 300000 bytes, the same: true, and \"plain\"",
        "came back: /trial-there/inner",
        "nobody to ask: nobody to ask",
    ] {
        assert!(lines.iter().any(|said| said == line), "{line}: {lines:#?}");
    }
    let events = trial.said.events();
    assert!(events.iter().any(|event| matches!(event,
        Event::Machine { kind, args, .. } if kind == "trial-fact" && args[1] == "two,three")));
    assert!(events.iter().any(|event| matches!(
        event,
        Event::ProgressAt { position: 300_000, total: Some(300_000), .. }
    )));
    assert_eq!(trial.starts(), 1);
}

#[test]
fn a_command_that_fails_fails_the_provisioner() {
    let Some(trial) = trial(&[]) else { return };
    let options = config(json!({"run": ["exit 7"]}));
    let provisioner = trial.provisioner().prepare(&options, &facts()).unwrap().ready;
    let machine = Arc::new(ThisMachine(trial.dir.path().to_owned()));
    let (ctx, data) = (trial.ctx(), GeneratedData::new());
    let error = run(provisioner.provision(&ctx, machine, &data)).unwrap_err();
    assert_eq!(error.to_string(), "the command \"exit 7\" ended with 7");
}

#[test]
fn hosted_post_processors_take_native_artifacts_and_their_own() {
    for form in FORMS {
        let Some(trial) = trial(form) else { return };
        run(post_process(&trial));
    }
}

async fn post_process(trial: &Trial) {
    std::fs::write(trial.path("made"), "x").unwrap();
    let native = FileArtifact {
        builder_id: "packer.file".into(),
        id: "File".into(),
        files: vec![trial.path("made")],
        description: "Stored file".into(),
    };
    let options = json!({"output": trial.path("out"), "keep": true, "state": ["size"]});
    let first = trial.post_processor().prepare(&config(options), &facts()).unwrap().ready;
    let data = GeneratedData::new();
    let done = first.process(&trial.ctx(), Arc::new(native), &data).await.unwrap();
    assert!(done.keep_input && !done.force_keep_input);
    assert_eq!(trial.line("artifact "), "File of packer.file: Stored file");
    assert_eq!(trial.line("file "), "made");
    assert_eq!(trial.line("state "), "size: <nil>");
    let created = done.artifact.unwrap();
    assert_eq!(std::fs::read_to_string(trial.path("out/list")).unwrap(), "File\n");
    // Another process hands on what the first one made; what it offers then goes on.
    let options = json!({"same": true, "keep": true, "force": true});
    let second = trial.post_processor().prepare(&config(options), &facts()).unwrap().ready;
    let same = second.process(&trial.ctx(), created, &data).await.unwrap();
    assert!(same.force_keep_input);
    let same = same.artifact.unwrap();
    assert_eq!(same.id(), "out");
    assert_eq!(same.state("size"), Some(json!(1)));
    same.destroy().await.unwrap();
    assert!(!trial.path("out").exists());
}

#[test]
fn data_sources_yield_values_of_every_type() {
    for form in FORMS {
        let Some(trial) = trial(form) else { return };
        let source = trial.data_source();
        let output = source.output();
        assert_eq!(output.get("named").unwrap().ty, OptionType::Map(Box::new(OptionType::String)));
        let fetch = source.prepare(&config(json!({"text": "x"})), &facts()).unwrap().ready;
        let value = run(async { fetch.fetch_value(&trial.ctx().ui).await }).unwrap();
        assert_eq!(
            value,
            json!({
                "text": "said: x", "number": -7, "large": 1u64 << 60, "part": 2.5, "flag": true,
                "texts": ["a", "b"], "named": {"k": "v"}, "absent": null,
            })
        );
        let failing = source.prepare(&config(json!({"fail": "error"})), &facts()).unwrap().ready;
        let error = run(async { failing.fetch_value(&trial.ctx().ui).await }).unwrap_err();
        assert_eq!(error.to_string(), "failing on purpose");
    }
}

#[test]
fn a_plugin_may_listen_on_a_port() {
    let Some(trial) = trial(&[("TRIAL_START", "tcp")]) else { return };
    build(&trial, json!({})).unwrap();
}

#[test]
fn programs_start_once_and_their_descriptions_are_kept() {
    let Some(trial) = trial(&[]) else { return };
    assert_eq!(trial.starts(), 0);
    for _ in 0..5 {
        let provisioner = trial.provisioner();
        provisioner.schema();
        provisioner.prepare(&config(json!({})), &facts()).unwrap();
    }
    assert_eq!(trial.starts(), 1);
    let record = std::fs::read_to_string(trial.path("record")).unwrap();
    assert_eq!(record, "start provisioner --protobuf -packer-default-plugin-name-\n");
}

/// Builds with these options.
pub(crate) fn build(
    trial: &Trial,
    mut options: serde_json::Value,
) -> Result<Option<Arc<dyn Artifact>>> {
    options["directory"] = json!(trial.path("built"));
    let builder = trial.builder().prepare(&config(options), &facts())?.ready;
    run(async { builder.build(&trial.ctx()).await })
}

/// Runs `work` as the engine does.
pub(crate) fn run<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap()
        .block_on(work)
}
