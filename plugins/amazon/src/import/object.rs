//! The object that the disk is uploaded to.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use ingot_sdk::{Resource, Result, RunContext};
use time::OffsetDateTime;
use tokio::sync::oneshot;

use super::marks::ObjectMark;
use super::records;
use crate::access::Access;
use crate::ebs::creation::Creation;
use crate::ebs::region_access::{RegionAccess, attribute};
use crate::ebs::removal::look_for;
use crate::ebs::steps::left_behind;
use crate::failure::{Failure, Kind};
use crate::s3::{Others, S3, Upload, Uploaded, comes_in_parts, give_up};

/// How much of a token is in the keys that are made here.
const OWN: usize = 12;

/// A token for an object.
pub(super) fn token() -> String {
    uuid::Uuid::new_v4().simple().to_string()
}

/// The part of a token that a key has which nobody else has.
pub(super) fn own(token: &str) -> &str {
    token.get(..OWN).unwrap_or(token)
}

impl ObjectMark {
    /// Whether nobody else can have the key.
    fn has_own_key(&self) -> bool {
        self.token.len() >= OWN && self.key.contains(own(&self.token))
    }
}

/// An object that is being written, or was.
pub(super) struct Object {
    s3: Arc<S3>,
    mark: ObjectMark,
    resource: Resource,
    call: Creation<Uploaded>,
    id: Option<oneshot::Receiver<String>>,
    clean: Arc<AtomicBool>,
}

impl Object {
    /// Starts uploading the file at `path`.
    ///
    /// # Errors
    /// The journal cannot be written.
    pub(super) async fn begin(
        ctx: &RunContext,
        place: &RegionAccess,
        s3: Arc<S3>,
        (key, token): (&str, &str),
        path: PathBuf,
        encryption: Vec<(&'static str, String)>,
    ) -> Result<Object> {
        let mut mark = ObjectMark {
            key: key.to_owned(),
            token: token.to_owned(),
            since: OffsetDateTime::now_utc(),
            others: Others(Some(BTreeSet::new())),
            in_parts: std::fs::metadata(&path).is_ok_and(|found| comes_in_parts(found.len())),
            upload: None,
            version: None,
            written: false,
        };
        if mark.in_parts && !mark.has_own_key() {
            mark.others = Others::of(&s3, key, mark.since).await;
            mark.since = OffsetDateTime::now_utc();
        }
        let resource = place.resource(records::OBJECT, &format!("{}/{key}", s3.bucket()));
        let (sender, id) = oneshot::channel();
        let clean = Arc::new(AtomicBool::new(false));
        let upload = Upload {
            s3: Arc::clone(&s3),
            key: key.to_owned(),
            token: mark.token.clone(),
            path,
            encryption,
            ui: ctx.ui.clone(),
            stop: ctx.cancel.clone(),
            since: mark.since,
            others: mark.others.clone(),
            id: sender,
            clean: Arc::clone(&clean),
        };
        let record = records::object(resource.clone(), &s3, &mark);
        let call = Creation::begin(ctx, &record, upload.run())?;
        Ok(Object { s3, mark, resource, call, id: Some(id), clean })
    }

    fn amend(&self) {
        self.call.amend(&records::object(self.resource.clone(), &self.s3, &self.mark));
    }

    /// Waits until it is there.
    ///
    /// # Errors
    /// Why it is not.
    pub(super) async fn written(&mut self) -> Result<(), Failure> {
        if let Some(id) = &mut self.id {
            // An upload in parts tells its id before all else; others end without having told one.
            let known = id.await.ok();
            self.id = None;
            if known.is_some() {
                self.mark.upload = known;
                self.amend();
            }
        }
        let uploaded = self.call.created().await?;
        self.keep(uploaded);
        Ok(())
    }

    /// Makes sure that the key still has what was uploaded, as EC2 imports whatever is there when it reads.
    /// False where the credentials may not see it.
    ///
    /// # Errors
    /// It has something else, or nothing.
    pub(super) async fn check(&self, ctx: &RunContext) -> Result<bool, Failure> {
        let what = self.place();
        match self.s3.find(&self.mark.key, &self.mark.token).await {
            Ok(Some(_)) => Ok(true),
            Ok(None) => {
                let message = format!(
                    "{what} was overwritten or removed by somebody else while it was imported"
                );
                let hint = "give each import a key of its own in s3_key_name, or remove that";
                let failure = Failure::new(Kind::Refused, message);
                Err(Failure { hint: Some(hint.to_owned()), ..failure })
            }
            Err(failure) if failure.kind == Kind::Denied => {
                if !self.mark.has_own_key() {
                    ctx.ui.error(format!(
                        "Nobody can see whether somebody else writes to {what} during the import, as \
                         the credentials lack s3:GetObject: {failure}"
                    ));
                }
                Ok(false)
            }
            Err(failure) => Err(failure.during(format!("looking at {what}"))),
        }
    }

    fn place(&self) -> String {
        format!("s3://{}/{}", self.s3.bucket(), self.mark.key)
    }

    fn keep(&mut self, uploaded: Uploaded) {
        self.mark.written = true;
        self.mark.upload = None;
        self.mark.version = uploaded.version;
        self.amend();
    }

    /// The object stays: it is the user's.
    pub(super) fn leave(self) {
        self.call.done();
    }

    /// Removes the object in `slot`, whatever has become of its upload. Stopped on the way, it can be done
    /// again.
    pub(super) async fn remove(slot: &mut Option<Object>, ctx: &RunContext) {
        let Some(object) = slot else { return };
        let gone = object.gone(ctx).await;
        if let Some(object) = slot.take()
            && gone
        {
            object.call.done();
        }
    }

    async fn gone(&mut self, ctx: &RunContext) -> bool {
        if !self.mark.written
            && let Some(uploaded) = self.call.settle().await
        {
            self.keep(uploaded);
        }
        if let Some(Ok(id)) = self.id.as_mut().map(oneshot::Receiver::try_recv) {
            self.mark.upload = Some(id);
        }
        let what = self.place();
        if !self.mark.written && self.clean.load(Ordering::Acquire) {
            return true;
        }
        ctx.ui.say(format!("Deleting the import source {what}"));
        let removed = remove(&self.s3, &self.mark).await;
        match &removed {
            Ok(true) => {}
            Ok(false) => {
                let other = "stays: it is not the object that was uploaded any more, or gone";
                ctx.ui.message(format!("{what} {other}"));
            }
            Err(failure) => {
                self.amend();
                left_behind(ctx, &what, failure);
            }
        }
        removed.is_ok()
    }
}

/// Removes an object and its upload. What is not there is removed; what another has written to the key
/// meanwhile stays, which is false.
async fn remove(s3: &S3, mark: &ObjectMark) -> Result<bool, Failure> {
    let ObjectMark { key, token, .. } = mark;
    if mark.written {
        // A version is what one upload made.
        let own = mark.version.is_some()
            || match s3.find(key, token).await {
                Err(failure) if failure.kind == Kind::Denied && mark.has_own_key() => true,
                found => found?.is_some(),
            };
        if own {
            s3.delete(key, mark.version.as_deref()).await?;
        }
        return Ok(own);
    }
    let given_up = match &mark.upload {
        Some(upload) => give_up(s3, key, upload).await?.existed,
        None if mark.in_parts => {
            mark.others.give_up_rest(s3, key, mark.since, None).await?;
            false
        }
        None => false,
    };
    // What S3 got may still be on its way to be an object, and one of this key may be another's.
    match look_for(|| s3.find(key, token)).await {
        Ok(Some(found)) => s3.delete(key, found.version.as_deref()).await?,
        // Without a permission that an import does not need, S3 does not say that no object is there.
        Err(failure) if given_up && failure.kind == Kind::Denied => {}
        found => drop(found?),
    }
    Ok(true)
}

/// Removes the object of a record, and the upload that was to become it.
///
/// # Errors
/// One of them may still be there.
pub(crate) async fn remove_object(access: &Access, resource: &Resource) -> Result<()> {
    let bucket = attribute(resource, "bucket").unwrap_or_default();
    let s3 = S3::new(access, bucket, attribute(resource, "s3_endpoint"))?;
    // What is not there is removed, but not where nothing of it is.
    s3.check_bucket().await?;
    Ok(remove(&s3, &records::object_mark(resource)).await.map(drop)?)
}
