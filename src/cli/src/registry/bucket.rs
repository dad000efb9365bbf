//! `ingot registry buckets`

use clap::Subcommand;
use ingot_sdk::{Error, Result};
use ingot_template::registry_block::is_bucket_name;

use super::form::Form;
use super::labels::{ChangeLabels, SetLabels};
use super::output::{fields, json, labels, line, moment, table};
use super::session::Session;
use ingot_registry::api::{Bucket, CreateBucketBody, UpdateBucketBody};

#[derive(Debug, Subcommand)]
pub(super) enum BucketCommand {
    /// List the buckets
    List {
        #[command(flatten)]
        form: Form,
    },
    /// Show a bucket
    Show {
        /// Its name
        bucket: String,
        #[command(flatten)]
        form: Form,
    },
    /// Create a bucket; a build creates its own
    Create {
        /// Its name
        bucket: String,
        /// What it is for
        #[arg(long, default_value = "")]
        description: String,
        #[command(flatten)]
        labels: SetLabels,
    },
    /// Change a bucket's description or labels
    Update {
        /// Its name
        bucket: String,
        /// What it is for
        #[arg(long)]
        description: Option<String>,
        #[command(flatten)]
        labels: ChangeLabels,
    },
    /// Remove a bucket with all its versions and channels
    Delete {
        /// Its name
        bucket: String,
    },
}

pub(super) async fn run(command: &BucketCommand, session: &Session) -> Result<()> {
    let registry = session.registry();
    match command {
        BucketCommand::List { form } => {
            let buckets = session.buckets().await?;
            if form.json {
                return json(&buckets);
            }
            let row = |bucket: &Bucket| {
                [
                    bucket.name.clone(),
                    latest(bucket),
                    bucket.version_count.clone(),
                    bucket.platforms.join(", "),
                    bucket.description.clone(),
                ]
            };
            let rows = buckets.iter().map(row).collect();
            table(["NAME", "LATEST", "VERSIONS", "PLATFORMS", "DESCRIPTION"], rows);
            Ok(())
        }
        BucketCommand::Show { bucket, form } => {
            let bucket = registry.get_bucket(bucket).await?;
            if form.json {
                return json(&bucket);
            }
            let parents = bucket.parents.as_ref().map(|parents| parents.status.to_string());
            let children = bucket.children.as_ref().map(|children| children.status.to_string());
            fields(&[
                ("name", bucket.name.clone()),
                ("id", bucket.id.clone()),
                ("description", bucket.description.clone()),
                ("labels", labels(&bucket.labels)),
                ("latest version", latest(&bucket)),
                ("versions", bucket.version_count.clone()),
                ("platforms", bucket.platforms.join(", ")),
                ("parents", parents.unwrap_or_default()),
                ("children", children.unwrap_or_default()),
                ("created", moment(bucket.created_at)),
                ("updated", moment(bucket.updated_at)),
            ]);
            Ok(())
        }
        BucketCommand::Create { bucket, description, labels } => {
            let body = CreateBucketBody {
                name: bucket.clone(),
                description: description.clone(),
                labels: labels.labels(),
            };
            registry.create_bucket(&body).await?;
            line(format!("Made the bucket {bucket}."));
            if !is_bucket_name(bucket) {
                line(format!(
                    "Warning: no template can be published to {bucket}, nor does Terraform's provider hcp \
                     take it: their names are 3 to 36 letters, digits and hyphens."
                ));
            }
            Ok(())
        }
        BucketCommand::Update { bucket, description, labels } => {
            if description.is_none() && labels.is_empty() {
                return Err(Error::new("there is nothing to change")
                    .hint("give -description, -label or -remove-label"));
            }
            let found = registry.get_bucket(bucket).await?;
            let body = UpdateBucketBody {
                description: description.clone().unwrap_or(found.description),
                labels: labels.apply(found.labels),
                platforms: found.platforms,
            };
            registry.update_bucket(bucket, &body).await?;
            line(format!("Changed the bucket {bucket}."));
            Ok(())
        }
        BucketCommand::Delete { bucket } => {
            let versions = session.versions(bucket).await.map_or(0, |versions| versions.len());
            registry.delete_bucket(bucket).await?;
            line(match versions {
                0 => format!("Removed the bucket {bucket}."),
                1 => format!("Removed the bucket {bucket} with its version."),
                many => format!("Removed the bucket {bucket} with its {many} versions."),
            });
            Ok(())
        }
    }
}

fn latest(bucket: &Bucket) -> String {
    bucket.latest_version.as_ref().map(|version| version.name.clone()).unwrap_or_default()
}
