//! Images on their way to being somebody's.
//!
//! The Engine names a new image by its contents, so that its id is known only when it is there.
//! To be in the journal before, it is made under a name of ours, which is taken off again. A name
//! that is its last cannot simply be removed: the image would go with it. It is moved to another
//! image first, as `docker tag` moves names.

use bollard::query_parameters::{CreateImageOptionsBuilder, TagImageOptionsBuilder};
use bytes::Bytes;
use futures_util::StreamExt;
use ingot_sdk::{Error, JournalEntry, Resource, Result, RunContext};
use tokio::task::JoinHandle;

use crate::engine::{Engine, EngineContext, is_away};
use crate::reclaim::{image_resource, is_taken, remove_image, still_coming};
use crate::unfinished_name::REPOSITORY;

/// The call that makes an image of a container, in a task of its own.
pub(crate) type Committing = JoinHandle<Result<String, bollard::errors::Error>>;

fn name_of(tag: &str) -> String {
    format!("{REPOSITORY}:{tag}")
}

/// An image that is being made, or was, and is not the user's yet.
pub(crate) struct UnfinishedImage {
    /// The tag of its name.
    tag: String,
    id: Option<String>,
    entries: Vec<JournalEntry>,
    /// What the first of them is of: the image by its name.
    by_name: Resource,
    /// Whether the call that makes it got no answer, so that the Engine may still be at it.
    unanswered: bool,
}

impl UnfinishedImage {
    /// Notes that an image is about to be made under [`UnfinishedImage::name`], of a container if
    /// one is named.
    ///
    /// # Errors
    /// It cannot be written down.
    pub(crate) fn begin(
        ctx: &RunContext,
        engine: &Engine,
        container: Option<&str>,
    ) -> Result<UnfinishedImage> {
        let tag = uuid::Uuid::new_v4().simple().to_string();
        let resource = image_resource(engine, &name_of(&tag));
        let resource = match container {
            Some(container) => resource.with("container", container),
            None => resource,
        };
        UnfinishedImage::noted(ctx, tag, None, resource)
    }

    /// What [`UnfinishedImage::again`] takes: the tag of its name, and its id.
    pub(crate) fn identity(&self) -> (String, Option<String>) {
        (self.tag.clone(), self.id.clone())
    }

    /// An image that an earlier run of the build has made.
    ///
    /// # Errors
    /// It cannot be written down.
    pub(crate) fn again(
        ctx: &RunContext,
        engine: &Engine,
        tag: &str,
        id: Option<&str>,
    ) -> Result<UnfinishedImage> {
        let (tag, id) = (tag.to_owned(), id.map(str::to_owned));
        let by_name = image_resource(engine, &name_of(&tag));
        let mut image = UnfinishedImage::noted(ctx, tag, id, by_name)?;
        let names = [Some(format!("{}-empty", image.name())), image.id.clone()];
        for name in names.into_iter().flatten() {
            image.note(ctx, &image_resource(engine, &name))?;
        }
        Ok(image)
    }

    fn noted(
        ctx: &RunContext,
        tag: String,
        id: Option<String>,
        by_name: Resource,
    ) -> Result<UnfinishedImage> {
        let entries = vec![JournalEntry::open(&ctx.journal, &by_name)?];
        Ok(UnfinishedImage { tag, id, entries, by_name, unanswered: false })
    }

    /// The tag to make it with, in [`REPOSITORY`].
    pub(crate) fn tag(&self) -> &str {
        &self.tag
    }

    /// The name to make it with.
    pub(crate) fn name(&self) -> String {
        name_of(&self.tag)
    }

    fn note(&mut self, ctx: &RunContext, resource: &Resource) -> Result<()> {
        self.entries.push(JournalEntry::open(&ctx.journal, resource)?);
        Ok(())
    }

    /// Notes the image's id, and takes its name off. `named` is an image that has had a name of its
    /// own, if one is at hand; it need not have it any more.
    ///
    /// # Errors
    /// What the Engine says.
    pub(crate) async fn created(
        &mut self,
        ctx: &RunContext,
        engine: &Engine,
        id: &str,
        named: Option<&str>,
    ) -> Result<()> {
        self.id = Some(id.to_owned());
        self.note(ctx, &image_resource(engine, id))?;
        let name = self.name();
        // Either fails if that image has lost its own name by now.
        if let Some(named) = named
            && self.move_name(engine, named).await.is_ok()
            && remove_image(engine, &name).await.is_ok()
        {
            return Ok(());
        }
        let empty = format!("{name}-empty");
        self.note(ctx, &image_resource(engine, &empty))?;
        make_empty(engine, &empty).await?;
        self.move_name(engine, &empty).await?;
        remove_image(engine, &empty).await?;
        remove_image(engine, &name).await
    }

    async fn move_name(&self, engine: &Engine, to: &str) -> Result<()> {
        let options = TagImageOptionsBuilder::new().repo(REPOSITORY).tag(&self.tag).build();
        let moved = engine.ask(engine.api.tag_image(to, Some(options))).await;
        moved.doing(format_args!("taking the name {} off the image", self.name()))
    }

    /// Waits for the call that makes it, which nobody else waits for any more, as the Engine finishes a
    /// commit in any case.
    pub(crate) async fn settle(&mut self, engine: &Engine, commit: Committing) {
        match tokio::time::timeout(engine.patience.cleanup, commit).await {
            Ok(Ok(answer)) => self.unanswered = answer.is_err_and(|error| is_away(&error)),
            Ok(Err(_)) | Err(_) => self.unanswered = true,
        }
    }

    /// The call that makes it got no answer.
    pub(crate) fn mark_unanswered(&mut self) {
        self.unanswered = true;
    }

    /// It is the user's now.
    pub(crate) fn keep(self) {
        self.entries.into_iter().for_each(JournalEntry::done);
    }

    /// Removes it, as far as it is there and has no other name: one that has is somebody's.
    ///
    /// # Errors
    /// It may be left; it then stays in the journal.
    pub(crate) async fn remove(self, engine: &Engine) -> Result<()> {
        let name = self.name();
        if self.unanswered {
            // First of all: the Engine may not answer the rest either.
            if let Some(entry) = self.entries.first() {
                entry.amend(&still_coming(self.by_name.clone()));
            }
            // That it is not there says nothing while it may still come.
            if engine.ask(engine.api.inspect_image(&name)).await.is_err() {
                return Err(Error::new(
                    "the Engine may still be making it. `ingot cleanup` removes it once it is there",
                ));
            }
        }
        if let Some(id) = &self.id
            && !is_taken(engine, id).await?
        {
            remove_image(engine, id).await?;
        }
        remove_image(engine, &name).await?;
        remove_image(engine, &format!("{name}-empty")).await?;
        self.keep();
        Ok(())
    }
}

/// Makes an image with nothing in it.
async fn make_empty(engine: &Engine, name: &str) -> Result<()> {
    let options = CreateImageOptionsBuilder::new().from_src("-").repo(name).build();
    // The end of a tar archive.
    let body = bollard::body_full(Bytes::from_static(&[0; 1024]));
    let mut lines = engine.api.create_image(Some(options), Some(body), None);
    let making = async {
        while let Some(line) = lines.next().await {
            line.doing("making an empty image")?;
        }
        Ok::<_, Error>(())
    };
    engine.while_alive(making).await?
}
