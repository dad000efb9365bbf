//! The import that EC2 does.

use std::time::Duration;

use aws_sdk_ec2::operation::import_image::builders::ImportImageFluentBuilder;
use aws_sdk_ec2::types::{
    BootModeValues, ImageDiskContainer, ImportImageTask, ResourceType, UserBucket,
};
use ingot_sdk::{Error, Resource, Result, RunContext};
use parking_lot::Mutex;
use tokio::time::{Instant, sleep};

use super::marks::TaskMark;
use super::options::Options;
use super::records;
use crate::access::{Access, Ec2};
use crate::ebs::creation::{Creation, Patience, create};
use crate::ebs::options::given;
use crate::ebs::region_access::RegionAccess;
use crate::ebs::removal::{Snapshots, TOKEN_TAG, look_for, remove_image};
use crate::ebs::steps::{CreatedImage, left_behind, once};
use crate::ebs::tags::{specification, tag};
use crate::ebs::wait::{WaitStatus, may_pass, until};
use crate::ebs::wait_times;
use crate::failure::{During as _, Failure, Kind, Subject};

/// How long EC2 may take to end an import that was cancelled.
const END: Duration = Duration::from_secs(10 * 60);
/// The pause between two looks at one that ends.
const PAUSE: Duration = Duration::from_secs(2);
/// Where AWS explains why imports fail.
const HELP: &str =
    "https://docs.aws.amazon.com/vm-import/latest/userguide/vmimport-troubleshooting.html";

/// An import that is under way, or was.
pub(super) struct Task {
    mark: TaskMark,
    resource: Resource,
    call: Creation<String>,
    /// The call without tags.
    untagged: ImportImageFluentBuilder,
    patience: Patience,
    /// Whether EC2 has refused to start it.
    refused: bool,
}

/// The call that starts an import.
pub(super) fn request(ec2: &Ec2, options: &Options, key: &str) -> ImportImageFluentBuilder {
    let place = UserBucket::builder().s3_bucket(&options.s3_bucket_name).s3_key(key).build();
    let disk = ImageDiskContainer::builder().format(options.format()).user_bucket(place).build();
    let encrypted = options.ami_encrypt;
    let kms_key = given(&options.ami_kms_key).filter(|_| encrypted);
    once(ec2)
        .import_image()
        .disk_containers(disk)
        .encrypted(encrypted)
        .set_kms_key_id(kms_key.map(str::to_owned))
        .architecture(options.architecture())
        .boot_mode(BootModeValues::from(options.boot_mode()))
        .set_platform(given(&options.platform).map(str::to_owned))
        .set_license_type(given(&options.license_type).map(str::to_owned))
        .set_role_name(given(&options.role_name).map(str::to_owned))
}

impl Task {
    /// Starts an import by `request`, of the object `key`.
    ///
    /// # Errors
    /// The journal cannot be written.
    pub(super) fn begin(
        ctx: &RunContext,
        place: &RegionAccess,
        access: &Access,
        request: ImportImageFluentBuilder,
        (bucket, key): (&str, &str),
    ) -> Result<Task> {
        let mark = TaskMark {
            token: uuid::Uuid::new_v4().to_string(),
            bucket: bucket.to_owned(),
            key: key.to_owned(),
            ..TaskMark::default()
        };
        let request = request.client_token(&mark.token);
        let tags = vec![tag(TOKEN_TAG, &mark.token)];
        let tagged = request.clone().set_tag_specifications(
            specification(ResourceType::ImportImageTask, tags).map(|it| vec![it]),
        );
        let patience = Patience::new(&ctx.cancel, access.tries());
        let call = start(patience.clone(), tagged);
        let resource = place.resource(records::TASK, &mark.token);
        let call = Creation::begin(ctx, &records::task(resource.clone(), &mark), call)?;
        Ok(Task { mark, resource, call, untagged: request, patience, refused: false })
    }

    fn amend(&self) {
        self.call.amend(&records::task(self.resource.clone(), &self.mark));
    }

    /// Waits until it has started; its id.
    ///
    /// # Errors
    /// EC2 refuses.
    pub(super) async fn started(&mut self) -> Result<String> {
        let mut created = self.call.created().await;
        // The permission to tag is one that an import can do without.
        if created.as_ref().is_err_and(|failure| failure.is("UnauthorizedOperation")) {
            self.mark.untagged = true;
            let call = start(self.patience.clone(), self.untagged.clone());
            self.call.instead(&records::task(self.resource.clone(), &self.mark), call);
            created = self.call.created().await;
        }
        self.refused = created.as_ref().is_err_and(|failure| !may_pass(failure));
        let id = created.map_err(refused)?;
        self.mark.task = Some(id.clone());
        self.amend();
        Ok(id)
    }

    /// Waits until it is complete, and says how far it is; the AMI's id.
    ///
    /// # Errors
    /// It fails, or takes longer than the options for polling allow.
    pub(super) async fn completed(
        &mut self,
        ctx: &RunContext,
        access: &Access,
        ec2: &Ec2,
        id: &str,
    ) -> Result<String> {
        let said = Mutex::new(String::new());
        let look = || async {
            let Some(task) = describe(ec2, id).await? else {
                return Ok(WaitStatus::Pending("not seen yet".to_owned()));
            };
            let state = state(&task);
            let mut said = said.lock();
            if *said != state && task.status() == Some("active") {
                ctx.ui.message(format!("Import task {id}: {state}"));
                said.clone_from(&state);
            }
            Ok(match (task.status(), task.image_id()) {
                (Some("completed"), Some(image)) => WaitStatus::Ready(image.to_owned()),
                (Some("deleted"), _) => WaitStatus::Failed(failed(id, &task)),
                _ => WaitStatus::Pending(state),
            })
        };
        let polling = wait_times::import(access.polling());
        let image = until(&ctx.ui, &format!("the import task {id}"), polling, look).await?;
        self.mark.image = Some(image.clone());
        self.amend();
        Ok(image)
    }

    /// Writes down the snapshots of its AMI.
    pub(super) fn made(&mut self, image: &CreatedImage) {
        self.mark.snapshots = image.snapshots.iter().cloned().collect();
        self.amend();
    }

    /// The AMI that it has made stays: it is the user's.
    pub(super) fn leave(self) {
        self.call.done();
    }

    /// Cancels the import in `slot`, and removes the AMI and the snapshots that it has made. Stopped on the
    /// way, it can be done again.
    pub(super) async fn remove(slot: &mut Option<Task>, ctx: &RunContext, ec2: &Ec2) {
        let Some(task) = slot else { return };
        let gone = task.gone(ctx, ec2).await;
        if let Some(task) = slot.take()
            && gone
        {
            task.call.done();
        }
    }

    async fn gone(&mut self, ctx: &RunContext, ec2: &Ec2) -> bool {
        if self.mark.task.is_none() {
            match self.call.settle().await {
                Some(id) => self.mark.task = Some(id),
                None if self.refused => return true,
                None => {}
            }
        }
        let removed = remove(ec2, &self.mark).await;
        if let Err(failure) = &removed {
            self.amend();
            let id = self.mark.task.as_deref().unwrap_or(&self.mark.token);
            left_behind(ctx, &format!("the import task {id}"), failure);
        }
        removed.is_ok()
    }
}

/// Starts an import. Where an answer is lost, the call is made again with the same token, for which EC2
/// starts no second one: what it might be found by, another's may have too.
async fn start(patience: Patience, request: ImportImageFluentBuilder) -> Result<String, Failure> {
    let attempt = || async {
        let response = request.clone().send().await.during("starting the import")?;
        let missing = || Failure::new(Kind::Broken, "AWS did not return the import's id");
        response.import_task_id.ok_or_else(missing)
    };
    create(&patience, attempt, || async { Ok(None) }, |_| false).await
}

/// What EC2 said no to. That the role is not there, or not good enough, is what goes wrong most.
fn refused(failure: Failure) -> Error {
    let hint = failure.is_about(Subject::ImportRole).then_some(
        "EC2 reads the bucket with a role of yours, by default `vmimport`, which has to be made once \
         for the account: docs/amazon.md says how. Name another one with role_name",
    );
    hint.into_iter().fold(Error::from(failure), Error::hint)
}

fn failed(id: &str, task: &ImportImageTask) -> Error {
    let why = task.status_message().unwrap_or("AWS does not say why");
    Error::new(format!("the import task {id} failed: {why}"))
        .hint(format!("{HELP} explains what AWS says here"))
}

/// How far an import is, in words.
fn state(task: &ImportImageTask) -> String {
    let word = |text: Option<&str>| text.filter(|text| !text.is_empty()).map(str::to_owned);
    let state = word(task.status_message()).or_else(|| word(task.status()));
    let state = state.unwrap_or_else(|| "pending".to_owned());
    match task.progress().filter(|progress| !progress.is_empty()) {
        Some(progress) => format!("{state} ({progress}%)"),
        None => state,
    }
}

/// None where EC2 does not know it, or not yet.
async fn describe(ec2: &Ec2, id: &str) -> Result<Option<ImportImageTask>, Failure> {
    let call = ec2.describe_import_image_tasks().import_task_ids(id).send().await;
    match call.during("describing the import task") {
        Err(failure) if unknown(&failure) => Ok(None),
        response => Ok(response?.import_image_tasks.unwrap_or_default().into_iter().next()),
    }
}

/// Whether EC2 says that it knows no such import.
fn unknown(failure: &Failure) -> bool {
    let code = failure.code.as_deref().unwrap_or_default();
    failure.kind == Kind::NotFound || code.starts_with("InvalidConversionTaskId")
}

/// The id of the import with this tag. One that was started without a tag is recognized by what it
/// imports, and only while it is under way: those that are done may be of another run.
async fn find(ec2: &Ec2, mark: &TaskMark) -> Result<Option<String>, Failure> {
    let mut tasks = ec2.describe_import_image_tasks().into_paginator().items().send();
    let mut untagged = None;
    while let Some(task) = tasks.next().await {
        let task = task.during("looking for the import task")?;
        let tagged = task.tags().iter().find(|tag| tag.key() == Some(TOKEN_TAG));
        if tagged.is_some_and(|tag| tag.value() == Some(mark.token.as_str())) {
            return Ok(task.import_task_id);
        }
        let own = |bucket: &aws_sdk_ec2::types::UserBucketDetails| {
            bucket.s3_bucket() == Some(mark.bucket.as_str())
                && bucket.s3_key() == Some(mark.key.as_str())
        };
        let mut disks = task.snapshot_details().iter().filter_map(|disk| disk.user_bucket());
        let active = mark.untagged && task.status() == Some("active");
        if tagged.is_none() && active && disks.any(own) {
            untagged = untagged.or(task.import_task_id);
        }
    }
    Ok(untagged)
}

/// Cancels an import and removes what has come of it. What is not there is removed.
async fn remove(ec2: &Ec2, mark: &TaskMark) -> Result<(), Failure> {
    let id = match &mark.task {
        Some(id) => Some(id.clone()),
        None => look_for(|| find(ec2, mark)).await?,
    };
    let made = match id {
        Some(id) if mark.image.is_none() => end(ec2, &id).await?,
        _ => mark.image.clone(),
    };
    let Some(image) = made else { return Ok(()) };
    let which = Snapshots { known: mark.snapshots.clone(), ..Snapshots::default() };
    remove_image(ec2, &image, which, |_| {}).await
}

/// Ends an import, if it has not ended; the AMI that it has made all the same.
async fn end(ec2: &Ec2, id: &str) -> Result<Option<String>, Failure> {
    let deadline = Instant::now() + END;
    loop {
        // Before any look: what was started a moment ago may not be seen yet.
        let call = ec2.cancel_import_task().import_task_id(id).send().await;
        let cancelled = call.during("cancelling the import task");
        let gone = match &cancelled {
            Err(failure) if failure.kind == Kind::Denied => return Err(failure.clone()),
            Err(failure) => {
                // It may have ended, which the look tells.
                tracing::debug!(%failure, id, "the import task was not cancelled");
                unknown(failure)
            }
            Ok(_) => false,
        };
        let found = look_for(|| describe(ec2, id)).await?;
        match found.as_ref().map(|task| task.status()) {
            Some(Some("completed")) => return Ok(found.and_then(|task| task.image_id)),
            Some(Some("deleted")) => return Ok(None),
            None if gone => return Ok(None),
            _ => {}
        }
        if Instant::now() + PAUSE > deadline {
            let state = found.as_ref().map_or_else(|| "not seen".to_owned(), state);
            let message = format!("the import task {id} does not end: {state}");
            return Err(Failure::new(Kind::Refused, message));
        }
        sleep(PAUSE).await;
    }
}

/// Removes the import of a record, and what has come of it.
///
/// # Errors
/// One of them may still be there.
pub(crate) async fn remove_task(ec2: &Ec2, resource: &Resource) -> Result<()> {
    Ok(remove(ec2, &records::task_mark(resource)).await?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_error_of_a_missing_role_says_how_to_create_it() {
        let message = "The service role vmimport provided does not exist or does not have \
                       sufficient permissions";
        let error = refused(Failure::from_code("InvalidParameter", message));
        assert!(error.advice().is_some_and(|text| text.contains("role_name")), "{error:?}");
        let other = refused(Failure::from_code("InvalidParameter", "no such format"));
        assert_eq!(other.advice(), None);
    }

    #[test]
    fn the_state_of_an_import_is_shown_in_the_words_of_aws() {
        let task = ImportImageTask::builder().status("active");
        assert_eq!(state(&task.clone().build()), "active");
        let task = task.status_message("converting").progress("28");
        assert_eq!(state(&task.build()), "converting (28%)");
    }
}
