//! `ingot registry versions`

use std::collections::BTreeSet;

use clap::Subcommand;
use ingot_sdk::{Error, Result};

use super::form::Form;
use super::output::{fields, json, line, moment, status, table};
use super::session::Session;
use ingot_registry::api::{
    Build, CreateBuildBody, CreateVersionBody, TemplateType, UpdateVersionBody, Version,
};

#[derive(Debug, Subcommand)]
pub(super) enum VersionCommand {
    /// List a bucket's versions, newest first
    List {
        /// The bucket
        bucket: String,
        #[command(flatten)]
        form: Form,
    },
    /// Show a version with its builds
    Show {
        /// The bucket
        bucket: String,
        /// The version: its name, fingerprint or id
        version: String,
        #[command(flatten)]
        form: Form,
    },
    /// Open a version; a build opens its own
    Create {
        /// The bucket
        bucket: String,
        /// Its fingerprint, which its builds get as HCP_PACKER_BUILD_FINGERPRINT
        fingerprint: String,
        /// A build that it will have, as TYPE.NAME: the version is complete when all of them are
        /// done; can be given again
        #[arg(long, value_name = "BUILD")]
        build: Vec<String>,
    },
    /// Change a version
    Update {
        /// The bucket
        bucket: String,
        /// The version: its name, fingerprint or id
        version: String,
        /// Mark it as complete: it has all the builds that it will have
        #[arg(long)]
        complete: bool,
    },
    /// Remove a version that no channel points at
    Delete {
        /// The bucket
        bucket: String,
        /// The version: its name, fingerprint or id
        version: String,
    },
}

pub(super) async fn run(command: &VersionCommand, session: &Session) -> Result<()> {
    let registry = session.registry();
    match command {
        VersionCommand::List { bucket, form } => {
            let versions = session.versions(bucket).await?;
            if form.json {
                return json(&versions);
            }
            let row = |version: &Version| {
                [
                    version.name.clone(),
                    version.fingerprint.clone(),
                    status(version),
                    moment(version.created_at),
                    version.author_id.clone(),
                ]
            };
            table(
                ["NAME", "FINGERPRINT", "STATUS", "CREATED", "AUTHOR"],
                versions.iter().map(row).collect(),
            );
            Ok(())
        }
        VersionCommand::Show { bucket, version, form } => {
            let version = session.version(bucket, version).await?;
            if form.json {
                return json(&version);
            }
            show(&version);
            Ok(())
        }
        VersionCommand::Create { bucket, fingerprint, build } => {
            let body = CreateVersionBody {
                fingerprint: fingerprint.clone(),
                template_type: TemplateType::Hcl2,
            };
            let version = registry.create_version(bucket, &body).await?;
            let builds: BTreeSet<&String> = build.iter().collect();
            // A build belongs to a run; these to none of Ingot's.
            let run = uuid::Uuid::new_v4().to_string();
            for component in builds {
                let body = CreateBuildBody {
                    component_type: component.clone(),
                    packer_run_uuid: run.clone(),
                    ..CreateBuildBody::default()
                };
                registry.create_build(bucket, fingerprint, &body).await?;
            }
            line(format!("Opened the version {fingerprint} ({}).", version.id));
            Ok(())
        }
        VersionCommand::Update { bucket, version, complete } => {
            if !complete {
                return Err(Error::new("there is nothing to change").hint("give -complete"));
            }
            let version = session.version(bucket, version).await?;
            let body = UpdateVersionBody { complete: true, ..UpdateVersionBody::default() };
            let fingerprint = &version.fingerprint;
            let now = registry.update_version(bucket, fingerprint, &body).await?;
            line(format!("The version {fingerprint} is complete; its name is {}.", now.name));
            Ok(())
        }
        VersionCommand::Delete { bucket, version } => {
            let version = session.version(bucket, version).await?;
            let fingerprint = &version.fingerprint;
            registry.delete_version(bucket, fingerprint).await?;
            line(format!("Removed the version {} ({fingerprint}).", version.name));
            Ok(())
        }
    }
}

fn show(version: &Version) {
    let inherited = version.revocation_inherited_from.as_ref();
    let inherited = inherited.map(|from| format!("{} {}", from.bucket_name, from.version_name));
    let parents = version.parents.as_ref().map(|parents| parents.status.to_string());
    fields(&[
        ("bucket", version.bucket_name.clone()),
        ("name", version.name.clone()),
        ("id", version.id.clone()),
        ("fingerprint", version.fingerprint.clone()),
        ("status", status(version)),
        ("revoked by", version.revocation_author.clone()),
        ("reason", version.revocation_message.clone()),
        ("inherited from", inherited.unwrap_or_default()),
        ("parents", parents.unwrap_or_default()),
        ("author", version.author_id.clone()),
        ("created", moment(version.created_at)),
        ("updated", moment(version.updated_at)),
    ]);
    line("");
    let row = |build: &Build| {
        let images = build.artifacts.iter();
        let images = images.map(|one| format!("{} ({})", one.external_identifier, one.region));
        [
            build.component_type.clone(),
            build.status.to_string().trim_start_matches("BUILD_").to_lowercase(),
            build.platform.clone(),
            images.collect::<Vec<_>>().join(", "),
        ]
    };
    table(["BUILD", "STATUS", "PLATFORM", "ARTIFACTS"], version.builds.iter().map(row).collect());
}
