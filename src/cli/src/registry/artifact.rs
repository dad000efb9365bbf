//! `ingot registry artifacts`

use clap::{Args, Subcommand};
use ingot_sdk::{Error, Result};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::form::Form;
use super::labels::{ChangeLabels, SetLabels};
use super::output::{self, fields, labels, line, moment, table};
use super::session::Session;
use ingot_registry::api::{
    ArtifactCreateBody, Build, BuildStatus, CreateBuildBody, ExternalArtifact, Page,
    SearchExternalArtifactRequestBody, UpdateBuildBody, Version,
};
use ingot_registry::completion;

#[derive(Debug, Subcommand)]
pub(super) enum ArtifactCommand {
    /// List the artifacts of a version
    List {
        /// The bucket
        bucket: String,
        /// The version: its name, fingerprint or id; the newest unless it is given
        version: Option<String>,
        #[command(flatten)]
        form: Form,
    },
    /// Show a build with its artifacts
    Show {
        #[command(flatten)]
        which: BuildReference,
        #[command(flatten)]
        form: Form,
    },
    /// Record a build of another tool
    ///
    /// The version is complete with the last of its builds that were declared when it was opened
    /// (`ingot registry versions create -build`), else with this one.
    Create {
        #[command(flatten)]
        which: BuildReference,
        /// The platform, such as docker or aws
        #[arg(long)]
        platform: String,
        /// The region of the images that -id names
        #[arg(long, default_value = "", requires = "id")]
        region: String,
        /// The image's id on the platform; can be given again
        #[arg(long, required_unless_present = "image")]
        id: Vec<String>,
        /// An image in a region, such as eu-central-1=ami-1; can be given again
        #[arg(long, value_name = "REGION=ID", value_parser = image)]
        image: Vec<(String, String)>,
        /// The id of the image that it was built from
        #[arg(long, default_value = "")]
        source_id: String,
        #[command(flatten)]
        labels: SetLabels,
    },
    /// Change the labels of a build
    Update {
        #[command(flatten)]
        which: BuildReference,
        #[command(flatten)]
        labels: ChangeLabels,
    },
    /// Remove a build from a version that is not complete
    Delete {
        #[command(flatten)]
        which: BuildReference,
    },
    /// Find the version that an image is from
    Find {
        /// The image's id on its platform
        id: String,
        /// Its platform
        #[arg(long, default_value = "")]
        platform: String,
        /// Its region
        #[arg(long, default_value = "")]
        region: String,
        #[command(flatten)]
        form: Form,
    },
}

/// A build of a version.
#[derive(Debug, Args)]
pub(super) struct BuildReference {
    /// The bucket
    bucket: String,
    /// The version: its name, fingerprint or id
    version: String,
    /// The build, as TYPE.NAME
    component: String,
}

impl BuildReference {
    async fn find(&self, session: &Session) -> Result<(Version, Build)> {
        let version = session.version(&self.bucket, &self.version).await?;
        let build = version.builds.iter().find(|build| build.component_type == self.component);
        let none = || {
            let known: Vec<&str> =
                version.builds.iter().map(|build| build.component_type.as_str()).collect();
            let what = format!("the version {} has no build {}", version.name, self.component);
            Error::new(what).hint(format!("it has: {}", known.join(", ")))
        };
        let build = build.cloned().ok_or_else(none)?;
        Ok((version, build))
    }
}

pub(super) async fn run(command: &ArtifactCommand, session: &Session) -> Result<()> {
    let registry = session.registry();
    match command {
        ArtifactCommand::List { bucket, version, form } => {
            list(session, bucket, version.as_deref(), *form).await
        }
        ArtifactCommand::Show { which, form } => {
            let (version, build) = which.find(session).await?;
            if form.json {
                return output::json(&build);
            }
            show(&version, &build);
            Ok(())
        }
        ArtifactCommand::Create { which, platform, region, id, image, source_id, labels } => {
            let artifact = |(region, id): (&String, &String)| ArtifactCreateBody {
                external_identifier: id.clone(),
                region: region.clone(),
            };
            let here = id.iter().map(|id| (region, id));
            let images = here.chain(image.iter().map(|(region, id)| (region, id)));
            let body = CreateBuildBody {
                component_type: which.component.clone(),
                // A build belongs to a run; this one to none of Ingot's.
                packer_run_uuid: uuid::Uuid::new_v4().to_string(),
                status: BuildStatus::Done,
                platform: platform.clone(),
                artifacts: images.map(artifact).collect(),
                labels: labels.labels(),
                source_external_identifier: source_id.clone(),
                ..CreateBuildBody::default()
            };
            record(session, which, body).await
        }
        ArtifactCommand::Update { which, labels } => {
            if labels.is_empty() {
                return Err(
                    Error::new("there is nothing to change").hint("give -label or -remove-label")
                );
            }
            let (version, build) = which.find(session).await?;
            let labels = labels.apply(build.labels);
            if labels.is_empty() {
                return Err(Error::new("the last label of a build cannot be removed")
                    .hint("set it to something else: no labels means no change"));
            }
            let body = UpdateBuildBody {
                packer_run_uuid: build.packer_run_uuid,
                status: build.status,
                labels,
                ..UpdateBuildBody::default()
            };
            let fingerprint = &version.fingerprint;
            let updated = registry.update_build(&which.bucket, fingerprint, &build.id, &body);
            updated.await?;
            line(format!("Changed {} of {fingerprint}.", which.component));
            Ok(())
        }
        ArtifactCommand::Delete { which } => {
            let (version, build) = which.find(session).await?;
            let fingerprint = &version.fingerprint;
            registry.delete_build(&which.bucket, fingerprint, &build.id).await?;
            line(format!("Removed {} from {fingerprint}.", which.component));
            Ok(())
        }
        ArtifactCommand::Find { id, platform, region, form } => {
            let body = SearchExternalArtifactRequestBody {
                external_identifier: id.clone(),
                platform: platform.clone(),
                region: region.clone(),
            };
            find(session, &body, *form).await
        }
    }
}

/// `REGION=ID`
fn image(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((region, id)) if !region.is_empty() && !id.is_empty() => {
            Ok((region.to_owned(), id.to_owned()))
        }
        _ => Err("write REGION=ID".into()),
    }
}

/// Records a build: a new one of its version, or one that was declared and that nobody makes.
async fn record(session: &Session, which: &BuildReference, body: CreateBuildBody) -> Result<()> {
    let (registry, bucket) = (session.registry(), &which.bucket);
    let version = session.version(bucket, &which.version).await?;
    let fingerprint = &version.fingerprint;
    let declared = version.builds.iter().find(|build| {
        build.component_type == which.component
            && build.artifacts.is_empty()
            && !matches!(build.status, BuildStatus::Done | BuildStatus::Running)
    });
    match declared {
        Some(build) => {
            let body = UpdateBuildBody {
                packer_run_uuid: body.packer_run_uuid,
                status: body.status,
                platform: body.platform,
                artifacts: body.artifacts,
                labels: body.labels,
                source_external_identifier: body.source_external_identifier,
                ..UpdateBuildBody::default()
            };
            registry.update_build(bucket, fingerprint, &build.id, &body).await?
        }
        None => registry.create_build(bucket, fingerprint, &body).await?,
    };
    // A command is cancelled as a whole.
    let never = CancellationToken::new();
    let now = completion(registry, bucket, fingerprint, &never).await?.into_version();
    let open = now.builds.iter().filter(|build| build.status != BuildStatus::Done);
    let open: Vec<&str> = open.map(|build| build.component_type.as_str()).collect();
    let component = &which.component;
    line(match (open.is_empty(), now.is_complete()) {
        (true, true) => {
            format!("Recorded {component} of {fingerprint}, which is {} now.", now.name)
        }
        (true, false) => {
            format!(
                "Recorded {component} of {fingerprint}, which the registry has yet to complete."
            )
        }
        (false, _) => {
            let open = open.join(", ");
            format!("Recorded {component} of {fingerprint}, which lacks {open} yet.")
        }
    });
    Ok(())
}

async fn list(session: &Session, bucket: &str, version: Option<&str>, form: Form) -> Result<()> {
    let version = match version {
        Some(version) => session.version(bucket, version).await?,
        None => {
            let versions = session.versions(bucket).await?;
            // Those that are not complete are before all others, however old they are.
            let newest = versions.iter().find(|it| it.is_complete()).or(versions.first());
            let none = || Error::new(format!("the bucket {bucket} has no versions"));
            session.version(bucket, &newest.ok_or_else(none)?.fingerprint).await?
        }
    };
    let all = version.builds.iter();
    let all = all.flat_map(|build| build.artifacts.iter().map(move |artifact| (build, artifact)));
    if form.json {
        let items = all.map(|(build, artifact)| {
            json!({
                "id": artifact.id,
                "external_identifier": artifact.external_identifier,
                "platform": build.platform,
                "region": artifact.region,
                "component_type": build.component_type,
                "build_id": build.id,
                "version_id": version.id,
                "version_fingerprint": version.fingerprint,
                "created_at": artifact.created_at,
                "labels": build.labels,
            })
        });
        return output::json(&items.collect::<Vec<_>>());
    }
    let rows = all.map(|(build, artifact)| {
        [
            build.component_type.clone(),
            build.platform.clone(),
            artifact.region.clone(),
            artifact.external_identifier.clone(),
        ]
    });
    table(["BUILD", "PLATFORM", "REGION", "ID"], rows.collect());
    Ok(())
}

fn show(version: &Version, build: &Build) {
    fields(&[
        ("build", build.component_type.clone()),
        ("id", build.id.clone()),
        ("version", format!("{} ({})", version.name, version.fingerprint)),
        ("status", build.status.to_string()),
        ("platform", build.platform.clone()),
        ("built from", build.source_external_identifier.clone()),
        ("run", build.packer_run_uuid.clone()),
        ("labels", labels(&build.labels)),
        ("created", moment(build.created_at)),
        ("updated", moment(build.updated_at)),
    ]);
    line("");
    let rows = build.artifacts.iter();
    let rows = rows.map(|one| [one.region.clone(), one.external_identifier.clone()]).collect();
    table(["REGION", "ID"], rows);
}

async fn find(
    session: &Session,
    body: &SearchExternalArtifactRequestBody,
    form: Form,
) -> Result<()> {
    let answer = session.registry().search_artifact(body, &Page::default()).await;
    let found = answer?.artifacts;
    if form.json {
        return output::json(&found);
    }
    if found.is_empty() {
        return Err(Error::new(format!("no version has {}", body.external_identifier)));
    }
    let row = |one: &ExternalArtifact| {
        let version = one.version.clone().unwrap_or_default();
        let build = one.build.clone().unwrap_or_default();
        [
            one.bucket.as_ref().map(|bucket| bucket.name.clone()).unwrap_or_default(),
            version.name,
            version.status.to_string().trim_start_matches("VERSION_").to_lowercase(),
            version.fingerprint,
            build.component_type,
        ]
    };
    let rows = found.iter().map(row).collect();
    table(["BUCKET", "VERSION", "STATUS", "FINGERPRINT", "BUILD"], rows);
    Ok(())
}
