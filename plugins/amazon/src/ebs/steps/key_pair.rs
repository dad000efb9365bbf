//! The key to log in with.

use std::path::PathBuf;

use aws_sdk_ec2::types::{KeyType, ResourceType};
use ingot_communicator::KeyPair;
use ingot_sdk::partial_file::PartialFile;
use ingot_sdk::steps::Outcome;
use ingot_sdk::{Context, Error, Result, RunContext, Step, async_trait};

use super::{State, once};
use crate::ebs::choices::KeyChoice;
use crate::ebs::creation::{Creation, create};
use crate::ebs::options::given;
use crate::ebs::removal::{find_key_pair, look_for, remove_key_pair};
use crate::ebs::resources::{KEY_PAIR, key_pair_resource};
use crate::ebs::tags::{marked, specification};
use crate::failure::{During, Failure, Kind};

/// Has EC2 make a key pair for the build, unless the template names another key. The private key
/// stays in memory, but for `-debug`.
pub(super) struct MakeKeyPair;

#[async_trait]
impl Step<State> for MakeKeyPair {
    fn name(&self) -> &'static str {
        "key pair"
    }

    async fn run(&self, ctx: &RunContext, state: &mut State) -> Result<()> {
        let ssh = &state.settings.raw.communicator.ssh;
        state.key_name = given(&ssh.ssh_keypair_name).map(str::to_owned);
        match &state.settings.key {
            KeyChoice::File(_) => ctx.ui.say("Using existing SSH private key"),
            KeyChoice::Agent => ctx.ui.say(match &state.key_name {
                Some(name) => format!("Using SSH Agent for existing key pair {name}"),
                None => "Using SSH Agent with key pair in Source AMI".to_owned(),
            }),
            KeyChoice::None => {
                ctx.ui.say("Not using temporary keypair");
                state.key_name = None;
            }
            KeyChoice::Temporary(name) => {
                let name = name.clone();
                make(ctx, state, &name).await?;
            }
        }
        Ok(())
    }

    async fn cleanup(&self, ctx: &RunContext, state: &mut State, _: Outcome) {
        if let Some(path) = state.debug_key.take()
            && let Err(error) = std::fs::remove_file(&path)
        {
            ctx.ui.error(format!("removing the debug key {}: {error}", path.display()));
        }
        let Some(mut creation) = state.created_key.take() else { return };
        if creation.is_taken() {
            creation.done();
            return;
        }
        let KeyChoice::Temporary(name) = &state.settings.key else { return };
        ctx.ui.say("Deleting temporary keypair...");
        let known = creation.settle().await.is_some();
        let removed = async {
            let (run, token) = (&ctx.prepare.run_uuid, state.mark.token.as_str());
            let find = || find_key_pair(&state.ec2, name, run, Some(token));
            if known || look_for(find).await?.is_some() {
                remove_key_pair(&state.ec2, name).await?;
            }
            Ok::<(), Failure>(())
        };
        match removed.await {
            Ok(()) => creation.done(),
            Err(failure) => super::left_behind(ctx, &format!("the key pair {name}"), failure),
        }
    }
}

async fn make(ctx: &RunContext, state: &mut State, name: &str) -> Result<()> {
    ctx.ui.say(format!("Creating temporary keypair: {name}"));
    let kind = given(&state.settings.raw.communicator.ssh.temporary_key_pair_type).unwrap_or("rsa");
    let mut tags = marked(ctx, &state.run_tags(ctx)?);
    tags.push(state.mark.tag());
    let tags = specification(ResourceType::KeyPair, tags);
    let (ec2, run) = (state.ec2.clone(), ctx.prepare.run_uuid.clone());
    let token = state.mark.token.clone();
    let (single, key, cancel) = (once(&ec2), name.to_owned(), state.patience(ctx));
    let request = single.create_key_pair().key_name(name).key_type(KeyType::from(kind));
    let request = request.set_tag_specifications(tags.map(|tags| vec![tags]));
    let call = async move {
        let attempt = || async {
            let response =
                request.clone().send().await.during("creating the temporary key pair")?;
            response.key_material.ok_or_else(|| {
                Failure::new(Kind::Refused, "AWS created a key pair without a private key")
            })
        };
        // One whose private key was lost with the answer is of no use.
        let find = || async {
            if look_for(|| find_key_pair(&ec2, &key, &run, Some(token.as_str()))).await?.is_some() {
                remove_key_pair(&ec2, &key).await?;
            }
            Ok(None)
        };
        create(&cancel, attempt, find, |_| false).await
    };
    let resource = key_pair_resource(state.resource(KEY_PAIR, name), &state.mark.token);
    let creation = Creation::begin(ctx, &resource, call)?;
    let private = state.created_key.insert(creation).created().await.map_err(|failure| {
        let is_taken = failure.is("InvalidKeyPair.Duplicate");
        let error = Error::from(failure);
        match is_taken {
            true => error.hint(
                "remove temporary_key_pair_name: each build has a key pair of its own then; or give \
                 each another name",
            ),
            false => error,
        }
    })?;
    let pair = KeyPair::from_private(private, "the key pair that AWS created")?;
    pair.mask(&ctx.ui);
    if ctx.prepare.debug {
        let path = PathBuf::from(format!("ec2_{}.pem", ctx.prepare.build_name));
        ctx.ui.say(format!("Saving key for debug purposes: {}", path.display()));
        state.debug_key = Some(path.clone());
        save(&path, &pair.private)
            .with_context(|| format!("saving the debug key {}", path.display()))?;
    }
    state.key_name = Some(name.to_owned());
    state.key = Some(pair);
    Ok(())
}

/// Writes a file that only its owner can read.
fn save(path: &std::path::Path, text: &str) -> std::io::Result<()> {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;
    let _ = std::fs::remove_file(path);
    let mut file =
        std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    let partial = PartialFile::new(path);
    file.write_all(text.as_bytes())?;
    partial.complete();
    Ok(())
}

/// The key that decrypts what EC2 encrypted for the instance.
pub(super) fn own_key(state: &State) -> Result<KeyPair> {
    match (&state.key, &state.settings.key) {
        (Some(pair), _) => Ok(pair.clone()),
        (None, KeyChoice::File(path)) => KeyPair::read(path),
        _ => Err(Error::new("there is no private key to decrypt the password of Windows with")),
    }
}
