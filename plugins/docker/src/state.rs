//! What the steps of a docker build share.

use std::sync::Arc;

use bollard::models::ContainerCreateResponse;
use ingot_sdk::communicator::NoCommunicator;
use ingot_sdk::output_file::CreatedDirectories;
use ingot_sdk::{
    Communicator, Error, GeneratedData, JournalEntry, Provisioned, Provisioning, Result,
    RunContext, async_trait,
};
use serde_json::json;
use tokio::task::JoinHandle;

use crate::config::Options;
use crate::engine::{Engine, is_away};
use crate::reclaim::{container_resource, still_coming};
use crate::states::{BaseImage, ContainerStates, FoundState, MadeImage};
use crate::unfinished::{Committing, UnfinishedImage};

/// What the steps share.
pub(crate) struct State {
    /// The Engine.
    pub engine: Engine,
    /// The options.
    pub options: Options,
    /// The image to start from: a name or an id.
    pub image: String,
    /// Values for `build.*`.
    pub data: GeneratedData,
    /// The committed image.
    pub image_id: Option<String>,
    /// How many bytes it takes.
    pub image_size: Option<u64>,
    /// The same, as long as it is not finished.
    pub unfinished: Option<UnfinishedImage>,
    /// The image to start from, as long as it is not finished.
    pub unfinished_base: Option<UnfinishedImage>,
    /// The directories created for the exported file.
    pub created: CreatedDirectories,
    /// The call that commits, while it is under way.
    pub commit: Option<Committing>,
    /// A name of the image to start from, if it has one.
    pub image_name: Option<String>,
    /// Its entry point, command and user.
    pub image_entrypoint: Vec<String>,
    pub image_command: Vec<String>,
    pub image_user: String,
    /// The container, once it is about to be created.
    pub container: Option<Container>,
    /// The image to start from, as its states know it.
    pub base: BaseImage,
    /// The state that the container is brought to before its provisioners.
    pub found: Option<FoundState>,
    /// The image of an earlier build that is used in the place of making it again: there is no
    /// container then.
    pub made: Option<MadeImage>,
    /// How far the provisioners are on it, and how states are kept.
    pub provisioning: Provisioning,
    pub states: Option<Arc<ContainerStates>>,
    pub communicator: Arc<dyn Communicator>,
}

/// The build's container. It is noted before it is created.
pub(crate) struct Container {
    /// The name we chose.
    pub name: String,
    /// The call that creates it, while it is under way.
    pub creating: Option<JoinHandle<Result<ContainerCreateResponse, bollard::errors::Error>>>,
    /// The id, once it exists.
    pub id: Option<String>,
    /// The user it runs as.
    pub user: String,
    /// By what names and ids it is in the journal.
    pub recorded: Vec<String>,
    /// Those records.
    pub records: Vec<JournalEntry>,
    /// Whether the call that creates it has no answer, so that the Engine may yet create it.
    pub unanswered: bool,
}

impl Container {
    /// Notes the response to the call that creates it. Once the Engine has answered, the journal need not
    /// say any more that the container may still come.
    pub(crate) fn note_response<T>(
        &mut self,
        engine: &Engine,
        response: &Result<T, bollard::errors::Error>,
    ) {
        self.unanswered = response.as_ref().is_err_and(is_away);
        if !self.unanswered
            && let Some(record) = self.records.first()
        {
            record.amend(&container_resource(engine, &self.name));
        }
    }

    /// Waits as long as cleaning up may for the call that creates it, if that is under way. Where it gets
    /// no answer, the hour in which the container may still come begins now.
    pub(crate) async fn created(&mut self, engine: &Engine) {
        if let Some(task) = self.creating.take() {
            match tokio::time::timeout(engine.patience.cleanup, task).await {
                Ok(Ok(response)) => {
                    self.note_response(engine, &response);
                    self.id = response.ok().map(|created| created.id);
                }
                Ok(Err(_)) | Err(_) => self.unanswered = true,
            }
        }
        if self.unanswered
            && let Some(record) = self.records.first()
        {
            record.amend(&still_coming(container_resource(engine, &self.name)));
        }
    }
}

impl State {
    /// The state before the first step.
    pub(crate) fn new(engine: Engine, options: Options, ctx: &RunContext) -> State {
        let image = options.raw.image.clone().unwrap_or_default();
        // The names of generated data, and the texts that stand for what is not known (yet),
        // are Packer's.
        let data = [
            ("ImageSha256", json!("ERR_IMAGE_SHA256_NOT_FOUND")),
            ("SourceImageDigest", json!("ERR_SOURCE_IMAGE_DIGEST_NOT_FOUND")),
            ("SourceImageSha256", json!("ERR_SOURCE_IMAGE_SHA256_NOT_FOUND")),
            ("ID", json!("ERR_ID_NOT_IMPLEMENTED_BY_BUILDER")),
            ("PackerRunUUID", json!(ctx.prepare.run_uuid)),
            ("PackerHTTPIP", json!("ERR_HTTP_IP_NOT_IMPLEMENTED_BY_BUILDER")),
            ("PackerHTTPPort", json!("ERR_HTTP_PORT_NOT_IMPLEMENTED_BY_BUILDER")),
            ("PackerHTTPAddr", json!("ERR_HTTP_ADDR_NOT_IMPLEMENTED_BY_BUILDER")),
            ("Host", json!("")),
            ("Port", json!(0)),
            ("User", json!("")),
            ("Password", json!("")),
            ("ConnType", json!(if options.connects { "docker" } else { "none" })),
            ("SSHPublicKey", json!("")),
            ("SSHPrivateKey", json!("")),
            ("SSHPrivateKeyFile", json!("")),
            ("SSHAgentAuth", json!(false)),
            ("WinRMPassword", json!("")),
        ];
        State {
            engine,
            options,
            image,
            data: data.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
            image_id: None,
            image_size: None,
            unfinished: None,
            unfinished_base: None,
            created: CreatedDirectories::default(),
            commit: None,
            image_name: None,
            image_entrypoint: Vec::new(),
            image_command: Vec::new(),
            image_user: String::new(),
            base: BaseImage::default(),
            found: None,
            made: None,
            provisioning: Provisioning::default(),
            states: None,
            container: None,
            communicator: Arc::new(NoCommunicator),
        }
    }

    /// The id of the container.
    ///
    /// # Errors
    /// It was not started.
    pub(crate) fn container_id(&self) -> Result<String> {
        self.container
            .as_ref()
            .and_then(|container| container.id.clone())
            .ok_or_else(|| Error::new("the container was not started"))
    }
}

#[async_trait]
impl Provisioned for State {
    fn communicator(&self) -> Option<Arc<dyn Communicator>> {
        Some(Arc::clone(&self.communicator))
    }

    fn data(&self) -> GeneratedData {
        self.data.clone()
    }

    fn provisioning(&self) -> Provisioning {
        self.provisioning.clone()
    }
}
