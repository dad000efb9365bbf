//! `ingot registry channels`

use clap::Subcommand;
use ingot_sdk::{Error, Result};
use ingot_template::registry_block::is_bucket_name;

use super::form::Form;
use super::output::{fields, json, line, moment, status, table};
use super::session::Session;
use ingot_registry::api::{
    Channel, ChannelAssignment, CreateChannelBody, UpdateChannelBody, Version,
};
use ingot_registry::{Assigned, all_pages, rollback_targets};

#[derive(Debug, Subcommand)]
pub(super) enum ChannelCommand {
    /// List a bucket's channels
    List {
        /// The bucket
        bucket: String,
        #[command(flatten)]
        form: Form,
    },
    /// Show a channel
    Show {
        /// The bucket
        bucket: String,
        /// The channel
        channel: String,
        #[command(flatten)]
        form: Form,
    },
    /// Create a channel
    Create {
        /// The bucket
        bucket: String,
        /// The channel
        channel: String,
        /// Assign this version to it: a name, fingerprint or id
        #[arg(long, value_name = "VERSION")]
        assign: Option<String>,
        /// Show it only to contributors and admins
        #[arg(long)]
        restricted: bool,
    },
    /// Change who sees a channel
    Update {
        /// The bucket
        bucket: String,
        /// The channel
        channel: String,
        /// Show it only to contributors and admins, or with -restricted=false to all
        #[arg(long)]
        restricted: Option<bool>,
    },
    /// Remove a channel
    Delete {
        /// The bucket
        bucket: String,
        /// The channel
        channel: String,
    },
    /// Assign a version to a channel
    Assign {
        /// The bucket
        bucket: String,
        /// The channel
        channel: String,
        /// The version: its name, fingerprint or id
        version: String,
    },
    /// Undo the last change of a channel: assign the valid version that it had before
    Rollback {
        /// The bucket
        bucket: String,
        /// The channel
        channel: String,
    },
    /// List the versions that a channel was assigned, newest first
    History {
        /// The bucket
        bucket: String,
        /// The channel
        channel: String,
        #[command(flatten)]
        form: Form,
    },
}

pub(super) async fn run(command: &ChannelCommand, session: &Session) -> Result<()> {
    let registry = session.registry();
    match command {
        ChannelCommand::List { bucket, form } => {
            let channels = registry.list_channels(bucket).await?.channels;
            if form.json {
                return json(&channels);
            }
            let row = |channel: &Channel| {
                [channel.name.clone(), shown(channel), kind(channel), moment(channel.updated_at)]
            };
            let rows = channels.iter().map(row).collect();
            table(["NAME", "VERSION", "KIND", "UPDATED"], rows);
            Ok(())
        }
        ChannelCommand::Show { bucket, channel, form } => {
            let channel = registry.get_channel(bucket, channel).await?;
            if form.json {
                return json(&channel);
            }
            fields(&[
                ("bucket", channel.bucket_name.clone()),
                ("name", channel.name.clone()),
                ("id", channel.id.clone()),
                ("kind", kind(&channel)),
                ("version", shown(&channel)),
                ("status", channel.version.as_ref().map(status).unwrap_or_default()),
                ("author", channel.author_id.clone()),
                ("created", moment(channel.created_at)),
                ("updated", moment(channel.updated_at)),
            ]);
            Ok(())
        }
        ChannelCommand::Create { bucket, channel, assign, restricted } => {
            let fingerprint = match assign {
                Some(version) => session.version(bucket, version).await?.fingerprint,
                None => String::new(),
            };
            let body = CreateChannelBody {
                name: channel.clone(),
                restricted: *restricted,
                version_fingerprint: fingerprint,
            };
            registry.create_channel(bucket, &body).await?;
            line(format!("Made the channel {channel}."));
            if !is_bucket_name(channel) {
                line(format!(
                    "Warning: Terraform's provider hcp takes no channel called {channel}: its names are 3 to 36 \
                     letters, digits and hyphens."
                ));
            }
            Ok(())
        }
        ChannelCommand::Update { bucket, channel, restricted } => {
            let Some(restricted) = *restricted else {
                return Err(Error::new("there is nothing to change").hint("give -restricted"));
            };
            let body = UpdateChannelBody {
                update_mask: "restricted".into(),
                restricted,
                ..UpdateChannelBody::default()
            };
            registry.update_channel(bucket, channel, &body).await?;
            line(format!("Changed the channel {channel}."));
            Ok(())
        }
        ChannelCommand::Delete { bucket, channel } => {
            registry.delete_channel(bucket, channel).await?;
            line(format!("Removed the channel {channel}."));
            Ok(())
        }
        ChannelCommand::Assign { bucket, channel, version } => {
            let version = session.version(bucket, version).await?;
            let before = match session.connected.is_hcp() {
                // Requests there may be charged, and this one is for the message alone.
                true => None,
                // Whoever may not read it may not change it either, which says more.
                false => registry.get_channel(bucket, channel).await.ok(),
            };
            assign(session, bucket, channel, &version, before.and_then(|it| it.version)).await
        }
        ChannelCommand::Rollback { bucket, channel } => rollback(session, bucket, channel).await,
        ChannelCommand::History { bucket, channel, form } => {
            let history = history(session, bucket, channel).await?;
            if form.json {
                return json(&history);
            }
            let row = |one: &ChannelAssignment| {
                let version = one.version.as_ref();
                [
                    moment(one.assigned_at),
                    version.map_or("none".into(), |version| version.name.clone()),
                    version.map(|version| version.fingerprint.clone()).unwrap_or_default(),
                    one.author_id.clone(),
                ]
            };
            let rows = history.iter().map(row).collect();
            table(["ASSIGNED", "VERSION", "FINGERPRINT", "AUTHOR"], rows);
            Ok(())
        }
    }
}

/// The version that a channel points at.
fn shown(channel: &Channel) -> String {
    match &channel.version {
        Some(version) => format!("{} ({})", version.name, version.fingerprint),
        None => "none".into(),
    }
}

fn kind(channel: &Channel) -> String {
    match (channel.managed, channel.restricted) {
        (true, true) => "managed, restricted",
        (true, false) => "managed",
        (false, true) => "restricted",
        (false, false) => "",
    }
    .into()
}

async fn history(session: &Session, bucket: &str, channel: &str) -> Result<Vec<ChannelAssignment>> {
    let registry = session.registry();
    let ask = |page| async move { registry.channel_history(bucket, channel, &page).await };
    all_pages(ask).await.map_err(Error::from)
}

/// Assigns a version to a channel, which pointed at `before`, where that is known.
async fn assign(
    session: &Session,
    bucket: &str,
    channel: &str,
    version: &Version,
    before: Option<Version>,
) -> Result<()> {
    let body = UpdateChannelBody {
        update_mask: "versionFingerprint".into(),
        version_fingerprint: version.fingerprint.clone(),
        restricted: false,
    };
    session.registry().update_channel(bucket, channel, &body).await?;
    let before = before.filter(|it| it.id != version.id);
    let before =
        before.map(|it| format!("; before, it pointed at {} ({})", it.name, it.fingerprint));
    line(format!(
        "{channel} points at {} ({}) now{}.",
        version.name,
        version.fingerprint,
        before.unwrap_or_default()
    ));
    Ok(())
}

/// Undoes the last change of a channel: goes back to the newest valid version that it pointed at
/// before, and further back if the last change was a rollback.
async fn rollback(session: &Session, bucket: &str, channel: &str) -> Result<()> {
    let registry = session.registry();
    let now = registry.get_channel(bucket, channel).await?;
    if now.managed {
        // Nobody can assign it another one, so there is nothing to go back to.
        let what = format!(
            "the channel {channel} is managed by the registry: it points at the newest valid version"
        );
        return Err(Error::new(what).hint(format!(
            "`ingot registry revoke {bucket} VERSION` takes a version out of use, or let consumers read a \
             channel of your own"
        )));
    }
    let history = history(session, bucket, channel).await?;
    let current = now.version.as_ref();
    for to in rollback_targets(history.iter().rev().map(Assigned::of)) {
        // What the history holds may be as it was then; what counts is how it is now.
        let version = match registry.get_version(bucket, to.version).await {
            Err(error) if error.is_absent() => continue,
            result => result?,
        };
        if version.is_revoked() || !version.is_complete() {
            continue;
        }
        // The API cannot make an assignment depend on the one before; this leaves least time for
        // somebody else's.
        let again = registry.get_channel(bucket, channel).await?;
        if again.version.as_ref().map(|version| &version.id) != current.map(|version| &version.id) {
            let what = format!("somebody else has assigned {channel} {} just now", shown(&again));
            return Err(Error::new(what).hint("look at it, and roll it back again if need be"));
        }
        return assign(session, bucket, channel, &version, again.version).await;
    }
    let what = match current {
        Some(current) => format!(
            "{channel} has no valid version to go back to before {}: what it pointed at after that \
             counts as left by a rollback",
            current.name
        ),
        None => format!("{channel} pointed at no version that is still valid"),
    };
    Err(Error::new(what).hint(format!("ingot registry channel assign {bucket} {channel} VERSION")))
}
