//! Running the builder as the engine does.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ingot_amazon::{EbsBuilder, EbsReclaim};
use ingot_sdk::communicator::CapturedOutput;
use ingot_sdk::testing::{self, RecordedOutput, context};
use ingot_sdk::{
    Artifact, Build, Communicator, Component, ConfigErrors, Error, GeneratedData, Hook, Journal,
    PrepareContext, Prepared, Reclaim, RemoteCommand, Resource, Result, RunContext, async_trait,
};
use serde_json::{Map, Value, json};

use crate::account::access_options;
use ingot_test_support::moto::{Moto, REGION};
use ingot_test_support::sshd::{self, Server};

/// The AMI that builds begin with.
pub(crate) const SOURCE: &str = "ami-785db401";

/// The AMIs of everybody: that one, and another for filters to leave out.
const IMAGES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/ebs/amis.json");

/// A moto server and the machine that its instances are.
pub(crate) struct Cloud {
    pub moto: Moto,
    pub sshd: Server,
    pub said: Arc<RecordedOutput>,
    pub written: Arc<Written>,
    pub hook: Arc<Commands>,
}

/// A journal in memory.
#[derive(Default)]
pub(crate) struct Written {
    lines: Mutex<BTreeMap<u64, Resource>>,
    notes: Mutex<BTreeMap<String, String>>,
    /// The kinds of all that was ever written down.
    pub kinds: Mutex<Vec<String>>,
}

impl Journal for Written {
    fn record(&self, resource: &Resource) -> Result<u64> {
        let mut kinds = self.kinds.lock().unwrap();
        kinds.push(resource.kind.clone());
        let record = kinds.len() as u64;
        self.lines.lock().unwrap().insert(record, resource.clone());
        Ok(record)
    }

    fn resolve(&self, record: u64) {
        self.lines.lock().unwrap().remove(&record);
    }

    fn amend(&self, record: u64, resource: &Resource) {
        if let Some(line) = self.lines.lock().unwrap().get_mut(&record) {
            *line = resource.clone();
        }
    }

    fn note(&self, name: &str, value: &str) {
        self.notes.lock().unwrap().insert(name.to_owned(), value.to_owned());
    }
}

impl Written {
    /// Forgets everything.
    pub(crate) fn clear(&self) {
        self.lines.lock().unwrap().clear();
    }

    /// The resources whose records are not resolved, with all that was noted.
    pub(crate) fn open(&self) -> Vec<Resource> {
        let notes = self.notes.lock().unwrap().clone();
        let noted = |resource: &Resource| {
            let with = |resource: Resource, (name, value): (&String, &String)| {
                resource.with(name, value.as_str())
            };
            notes.iter().fold(resource.clone(), with)
        };
        self.lines.lock().unwrap().values().map(noted).collect()
    }
}

/// Provisions with commands, whose output it keeps.
#[derive(Default)]
pub(crate) struct Commands {
    pub commands: Mutex<Vec<String>>,
    pub output: Mutex<String>,
    pub data: Mutex<GeneratedData>,
    /// Notified when provisioning begins.
    pub begun: tokio::sync::Notify,
}

#[async_trait]
impl Hook for Commands {
    async fn provision(
        &self,
        _: &RunContext,
        communicator: Arc<dyn Communicator>,
        data: GeneratedData,
        _: ingot_sdk::Provisioning,
    ) -> Result<()> {
        *self.data.lock().unwrap() = data;
        self.begun.notify_one();
        let commands = self.commands.lock().unwrap().clone();
        for command in commands {
            let output = CapturedOutput::default();
            let status = communicator.exec(&RemoteCommand::new(command), &output).await?;
            self.output.lock().unwrap().push_str(&output.stdout_text());
            if !status.success() {
                return Err(Error::new("the script failed"));
            }
        }
        Ok(())
    }
}

impl Cloud {
    /// Starts both servers; none where they are not installed.
    pub(crate) fn start() -> Option<Cloud> {
        if !sshd::available() {
            return None;
        }
        // Lets in whatever key the instance was made with.
        let any = "AuthorizedKeysCommand /bin/echo %t %k\nAuthorizedKeysCommandUser root";
        Some(Cloud {
            moto: Moto::with_images(IMAGES)?,
            sshd: Server::start(any),
            said: Arc::default(),
            written: Arc::default(),
            hook: Arc::default(),
        })
    }

    /// The options of a build in this cloud, and `more`; null removes one.
    pub(crate) fn options(&self, more: Value) -> Value {
        let mut options = access_options(&self.moto, REGION);
        let own = json!({
            "ami_name": "web-1",
            "source_ami": SOURCE,
            "instance_type": "t2.micro",
            "ssh_username": sshd::USER,
            "ssh_host": "127.0.0.1",
            "ssh_port": self.sshd.port,
            "ssh_timeout": "20s",
        });
        for values in [own, more] {
            for (name, value) in values.as_object().unwrap() {
                options[name] = value.clone();
            }
        }
        options
    }

    /// What the builder runs in.
    pub(crate) fn context(&self) -> RunContext {
        let prepare = PrepareContext {
            build_name: "amazon-ebs.web".into(),
            build_type: "amazon-ebs".into(),
            run_uuid: "7d9cbb1e-0000-4000-8000-000000000001".into(),
            ..PrepareContext::default()
        };
        RunContext {
            journal: Arc::clone(&self.written) as Arc<dyn Journal>,
            hook: Arc::clone(&self.hook) as Arc<dyn Hook>,
            ..context(prepare, &self.said)
        }
    }

    /// Builds.
    pub(crate) async fn build(&self, more: Value) -> Result<Option<Arc<dyn Artifact>>> {
        let ctx = self.context();
        builder(self.options(more), &ctx).build(&ctx).await
    }

    /// Builds with another builder; `none` are options of the common ones that it does not have.
    pub(crate) async fn build_with<C: Component<Ready = R>, R: Build>(
        &self,
        component: &C,
        mut more: Value,
        none: &[&str],
    ) -> Result<Arc<dyn Artifact>> {
        none.iter().for_each(|name| more[*name] = Value::Null);
        let ctx = self.context();
        let prepared = testing::prepare(component, given(self.options(more)), &ctx.prepare);
        let builder = prepared.unwrap_or_else(|errors| panic!("{errors:?}")).ready;
        Ok(builder.build(&ctx).await?.expect("an artifact"))
    }

    /// Builds, with success, an artifact.
    pub(crate) async fn artifact(&self, more: Value) -> Arc<dyn Artifact> {
        match self.build(more).await {
            Ok(artifact) => artifact.expect("an artifact"),
            Err(error) => panic!("{error}\n{}", self.said.lines().join("\n")),
        }
    }

    /// Removes what the journal still names.
    pub(crate) async fn reclaim(&self) {
        // Newest first, as things depend on older ones.
        let reclaim = EbsReclaim::default();
        for resource in self.written.open().iter().rev() {
            assert!(reclaim.kinds().contains(&resource.kind.as_str()), "{resource:?}");
            let secret = serde_json::to_string(resource).unwrap().contains("wJalrXUtnFEMI");
            assert!(!secret, "{resource:?}");
            reclaim.reclaim(resource).await.unwrap();
        }
    }

    /// Whether a line was shown that begins so.
    pub(crate) fn says(&self, start: &str) -> bool {
        self.said.lines().iter().any(|line| line.starts_with(start))
    }

    /// Has moto write down all requests from now on.
    pub(crate) fn record(&self) {
        self.moto.http("POST", "/moto-api/recorder/reset-recording", "").unwrap();
        self.moto.http("POST", "/moto-api/recorder/start-recording", "").unwrap();
    }

    /// The fields of the requests of one action that were written down.
    pub(crate) fn calls(&self, action: &str) -> Vec<BTreeMap<String, String>> {
        let all = self.recorded().into_iter();
        let fields = all.map(|body| {
            let url = format!("http://moto/?{body}");
            let url = reqwest::Url::parse(&url).unwrap();
            url.query_pairs().into_owned().collect::<BTreeMap<String, String>>()
        });
        fields.filter(|call| call.get("Action").is_some_and(|one| one == action)).collect()
    }

    /// The bodies of the requests that were written down.
    pub(crate) fn recorded(&self) -> Vec<String> {
        let lines = self.moto.http("GET", "/moto-api/recorder/download-recording", "").unwrap();
        let requests = lines.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let body = |request: Value| {
            let body = request["body"].as_str().unwrap_or_default().to_owned();
            match request["body_encoded"].as_bool() {
                Some(true) => String::from_utf8(STANDARD.decode(body).unwrap()).unwrap(),
                _ => body,
            }
        };
        requests.map(body).collect()
    }
}

/// A builder that took the options.
pub(crate) fn builder(options: Value, ctx: &RunContext) -> impl Build + use<> {
    match testing::prepare(&EbsBuilder, given(options), &ctx.prepare) {
        Ok(prepared) => prepared.ready,
        Err(errors) => panic!("{errors:?}"),
    }
}

/// The options that are not null.
fn given(options: Value) -> Value {
    let options = options.as_object().cloned().unwrap_or_default();
    options.into_iter().filter(|(_, value)| !value.is_null()).collect::<Map<_, _>>().into()
}

/// What checking options says.
pub(crate) fn prepare(options: Value) -> Result<Prepared, ConfigErrors> {
    Ok(testing::prepare(&EbsBuilder, given(options), &PrepareContext::default())?.with(()))
}
