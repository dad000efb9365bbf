//! `ingot registry enforced-blocks`

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use ingot_engine::Project;
use ingot_sdk::file_work::read_small_text;
use ingot_sdk::{Error, PluginSet, Result};
use ingot_template::EnforcedBlock as Content;
use serde_json::json;

use super::form::Form;
use super::labels::SetLabels;
use super::output::{self, fields, labels, line, moment, table};
use super::session::Session;
use ingot_hcl::Diagnostics;
use ingot_registry::api::{
    CreateEnforcedBlockBody, CreateEnforcedBlockVersionBody, EnforcedBlock, EnforcedBlockDetail,
    EnforcedBlockVersion, LinkBucketsBody, TemplateType,
};

/// The largest block that is read, in bytes.
const LARGEST: u64 = 1 << 20;

#[derive(Debug, Subcommand)]
pub(super) enum EnforcedBlockCommand {
    /// List the enforced blocks
    List {
        #[command(flatten)]
        form: Form,
    },
    /// Show an enforced block with its versions and the buckets they are linked to
    Show {
        /// Its name
        block: String,
        #[command(flatten)]
        form: Form,
    },
    /// Print the provisioners of an enforced block
    Content {
        #[command(flatten)]
        which: BlockReference,
    },
    /// Create an enforced block with its first version
    Create {
        /// Its name
        block: String,
        #[command(flatten)]
        content: NewContent,
        #[command(flatten)]
        labels: SetLabels,
    },
    /// Add a version to an enforced block; buckets stay linked to the versions they are linked to
    AddVersion {
        /// Its name
        block: String,
        #[command(flatten)]
        content: NewContent,
    },
    /// Link buckets to an enforced block, which then runs in their builds
    Link {
        #[command(flatten)]
        which: BlockReference,
        /// The buckets
        #[arg(required = true)]
        buckets: Vec<String>,
    },
    /// Unlink buckets from an enforced block
    Unlink {
        /// Its name
        block: String,
        /// The buckets
        #[arg(required = true)]
        buckets: Vec<String>,
    },
    /// Remove an enforced block, or one of its versions, that no bucket is linked to
    Delete {
        #[command(flatten)]
        which: BlockReference,
    },
}

/// A version of an enforced block.
#[derive(Debug, Args)]
pub(super) struct BlockReference {
    /// Its name
    block: String,
    /// The version
    #[arg(long, value_name = "VERSION")]
    version: Option<String>,
}

/// The content of a new version.
#[derive(Debug, Args)]
pub(super) struct NewContent {
    /// The file with its provisioner blocks, HCL or JSON
    file: PathBuf,
    /// The version's name; the next number unless it is given
    #[arg(long, default_value = "", value_name = "VERSION")]
    version: String,
    /// A description of the version
    #[arg(long, default_value = "", value_name = "TEXT")]
    description: String,
}

impl NewContent {
    /// The content, which is checked: a block that cannot be read stops all builds of its buckets.
    fn read(&self) -> Result<(String, TemplateType)> {
        let content = read_small_text(&self.file, "block of provisioners", LARGEST)?;
        let template_type = match self.file.extension().is_some_and(|it| it == "json") {
            true => TemplateType::Json,
            false => TemplateType::Hcl2,
        };
        check(&self.file, &content)?;
        Ok((content, template_type))
    }
}

/// Checks that there are provisioners, and nothing else.
fn check(file: &Path, content: &str) -> Result<()> {
    let mut project = Project::empty(None, &PluginSet::default());
    let mut diagnostics = Diagnostics::default();
    let block = Content {
        name: file.display().to_string(),
        template_type: String::new(),
        content: content.to_owned(),
    };
    let loaded = project.enforce(&[block], &mut diagnostics).loaded;
    if diagnostics.has_errors() {
        return Err(Error::new(diagnostics.render(&project.sources, false).trim_end()));
    }
    match loaded.is_empty() {
        true => Err(Error::new(format!("{} has no provisioner block", file.display()))
            .hint("write provisioner \"TYPE\" { … }, as in a build block")),
        false => Ok(()),
    }
}

pub(super) async fn run(command: &EnforcedBlockCommand, session: &Session) -> Result<()> {
    let registry = session.registry();
    match command {
        EnforcedBlockCommand::List { form } => list(session, *form).await,
        EnforcedBlockCommand::Show { block, form } => show(session, block, *form).await,
        EnforcedBlockCommand::Content { which } => {
            let (_, version) = find_version(session, which).await?;
            line(version.block_content.trim_end());
            Ok(())
        }
        EnforcedBlockCommand::Create { block, content, labels } => {
            let (block_content, template_type) = content.read()?;
            let body = CreateEnforcedBlockBody {
                name: block.clone(),
                version: content.version.clone(),
                block_content,
                template_type,
                additional_description: content.description.clone(),
                labels: labels.labels(),
            };
            let created = registry.create_enforced_block(&body).await?;
            let version = created.latest_version.unwrap_or_default().version;
            line(format!("Created the enforced block {block}, version {version}."));
            Ok(())
        }
        EnforcedBlockCommand::AddVersion { block, content } => {
            let (block_content, template_type) = content.read()?;
            let found = find(session, block).await?;
            let body = CreateEnforcedBlockVersionBody {
                version: content.version.clone(),
                block_content,
                template_type,
                additional_description: content.description.clone(),
            };
            let created = registry.create_enforced_block_version(&found.id, &body).await;
            let version = created?.version;
            line(format!("Created the version {version} of {block}."));
            Ok(())
        }
        EnforcedBlockCommand::Link { which, buckets } => {
            let (block, version) = find_version(session, which).await?;
            link(session, &version, buckets).await?;
            line(format!("Linked {} {} to {}.", block.name, version.version, buckets.join(", ")));
            Ok(())
        }
        EnforcedBlockCommand::Unlink { block, buckets } => unlink(session, block, buckets).await,
        EnforcedBlockCommand::Delete {
            which: which @ BlockReference { version: Some(name), .. },
        } => {
            let (block, version) = find_version(session, which).await?;
            let gone = registry.delete_enforced_block_version(&block.id, &version.id).await;
            gone?;
            line(format!("Removed the version {name} of {}.", block.name));
            Ok(())
        }
        EnforcedBlockCommand::Delete { which: BlockReference { block, version: None } } => {
            let found = find(session, block).await?;
            registry.delete_enforced_block(&found.id).await?;
            line(format!("Removed the enforced block {block}."));
            Ok(())
        }
    }
}

async fn list(session: &Session, form: Form) -> Result<()> {
    let blocks = session.registry().list_enforced_blocks().await?;
    if form.json {
        return output::json(&blocks);
    }
    let row = |block: EnforcedBlock| {
        let latest = block.latest_version.unwrap_or_default();
        [block.name, latest.version, moment(block.updated_at), latest.additional_description]
    };
    table(["NAME", "LATEST", "UPDATED", "DESCRIPTION"], blocks.into_iter().map(row).collect());
    Ok(())
}

async fn show(session: &Session, name: &str, form: Form) -> Result<()> {
    let block = find(session, name).await?;
    let mut versions = Vec::new();
    for version in versions_of(session, &block).await? {
        let buckets = linked(session, &version).await?;
        versions.push((version, buckets));
    }
    if form.json {
        let version = |(version, buckets): &(EnforcedBlockVersion, Vec<String>)| {
            let mut shown = json!(version);
            shown["linked_buckets"] = json!(buckets);
            shown
        };
        let mut shown = json!(block);
        shown["versions"] = versions.iter().map(version).collect();
        return output::json(&shown);
    }
    fields(&[
        ("name", block.name.clone()),
        ("id", block.id.clone()),
        ("labels", labels(&block.labels)),
        ("created", moment(block.created_at)),
        ("updated", moment(block.updated_at)),
    ]);
    line("");
    let row = |(version, buckets): (EnforcedBlockVersion, Vec<String>)| {
        let created = moment(version.created_at);
        [version.version, created, buckets.join(", "), version.additional_description]
    };
    let rows = versions.into_iter().map(row).collect();
    table(["VERSION", "CREATED", "BUCKETS", "DESCRIPTION"], rows);
    Ok(())
}

/// How often links are written that another, who had read them before, has removed.
const TRIES: usize = 5;

/// Links buckets to a version besides those that are linked.
async fn link(session: &Session, version: &EnforcedBlockVersion, buckets: &[String]) -> Result<()> {
    let (block, id) = (&version.enforced_block_id, &version.id);
    let mut added: Vec<String> = buckets.to_vec();
    added.sort();
    added.dedup();
    for _ in 0..TRIES {
        let mut bucket_names = linked(session, version).await?;
        bucket_names.extend(added.iter().cloned());
        bucket_names.sort();
        bucket_names.dedup();
        let add_bucket_names = added.clone();
        let body = LinkBucketsBody { bucket_names, add_bucket_names, ..Default::default() };
        session.registry().link_buckets(block, id, &body).await?;
        // HCP Packer takes all names only, also those that another has just changed.
        let there = linked(session, version).await?;
        if added.iter().all(|name| there.contains(name)) {
            return Ok(());
        }
    }
    Err(Error::new("others change what is linked at the same time").hint("try it again"))
}

async fn unlink(session: &Session, name: &str, buckets: &[String]) -> Result<()> {
    let block = find(session, name).await?;
    let mut changes = Vec::new();
    for version in versions_of(session, &block).await? {
        let names = linked(session, &version).await?;
        let (gone, names): (Vec<String>, Vec<String>) =
            names.into_iter().partition(|name| buckets.contains(name));
        if !gone.is_empty() {
            changes.push((version, gone, names));
        }
    }
    // All names before the first change.
    let is_linked = |name: &String| changes.iter().any(|(_, gone, _)| gone.contains(name));
    if let Some(first) = buckets.iter().find(|name| !is_linked(name)) {
        return Err(Error::new(format!("the bucket {first} is not linked to {name}")));
    }
    for (version, remove_bucket_names, bucket_names) in changes {
        let body =
            LinkBucketsBody { bucket_names, remove_bucket_names, ..LinkBucketsBody::default() };
        let done = session.registry().link_buckets(&block.id, &version.id, &body).await;
        done?;
    }
    line(format!("Unlinked {name} from {}.", buckets.join(", ")));
    Ok(())
}

/// The enforced block of a name.
async fn find(session: &Session, name: &str) -> Result<EnforcedBlock> {
    let blocks = session.registry().list_enforced_blocks().await?;
    let known: Vec<&str> = blocks.iter().map(|block| block.name.as_str()).collect();
    let none = || {
        let error = Error::new(format!("there is no enforced block {name}"));
        match known.is_empty() {
            true => {
                error.hint("there are none; `ingot registry enforced-blocks create` creates one")
            }
            false => error.hint(format!("there are: {}", known.join(", "))),
        }
    };
    blocks.iter().find(|block| block.name == name).cloned().ok_or_else(none)
}

async fn versions_of(
    session: &Session,
    block: &EnforcedBlock,
) -> Result<Vec<EnforcedBlockVersion>> {
    let found = session.registry().enforced_block_versions(&block.id).await?;
    let details = found.enforced_block_detail.into_iter();
    Ok(details.filter_map(|detail: EnforcedBlockDetail| detail.version).collect())
}

/// An enforced block and a version of it: the newest unless one is named.
async fn find_version(
    session: &Session,
    which: &BlockReference,
) -> Result<(EnforcedBlock, EnforcedBlockVersion)> {
    let block = find(session, &which.block).await?;
    let versions = versions_of(session, &block).await?;
    let known: Vec<&str> = versions.iter().map(|version| version.version.as_str()).collect();
    let wanted = |it: &&EnforcedBlockVersion| {
        which.version.as_ref().is_none_or(|version| it.version == *version)
    };
    let none = || {
        let wanted = which.version.as_deref().unwrap_or_default();
        Error::new(format!("the enforced block {} has no version {wanted}", block.name))
            .hint(format!("it has: {}", known.join(", ")))
    };
    let version = versions.iter().find(wanted).cloned().ok_or_else(none)?;
    Ok((block, version))
}

/// The buckets that a version is linked to.
async fn linked(session: &Session, version: &EnforcedBlockVersion) -> Result<Vec<String>> {
    let (block, id) = (&version.enforced_block_id, &version.id);
    let found = session.registry().linked_buckets(block, id).await?;
    let buckets = found.linked_buckets.into_iter().filter_map(|link| link.bucket);
    Ok(buckets.map(|bucket| bucket.name).collect())
}
