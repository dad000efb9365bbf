//! Opening a version, or one that another run has opened.

use std::collections::BTreeMap;

use ingot_registry::all_pages;
use ingot_registry::api::*;
use ingot_registry::client::Registry;

/// Where builds are published: what must exist before.
#[derive(Debug, Clone)]
pub(super) struct Target<'a> {
    pub bucket: &'a CreateBucketBody,
    pub fingerprint: &'a str,
    /// The syntax of the template.
    pub template_type: TemplateType,
    /// Whether a bucket that is there gets the description and labels of this one: not from a run
    /// that is long over.
    pub describes: bool,
}

/// What was opened.
pub(super) struct Opened {
    /// The version; nothing can be added to it if it is complete.
    pub version: Version,
    /// Its builds by their components.
    pub builds: BTreeMap<String, Build>,
}

impl Target<'_> {
    /// Makes what is not there yet: the bucket, the version and the builds called `components`.
    /// Several runs may do so at once. A version that is complete is left as it is.
    ///
    /// # Errors
    /// The registry refuses.
    pub(super) async fn open(
        &self,
        registry: &dyn Registry,
        components: &[String],
        run_uuid: &str,
    ) -> Result<Opened> {
        self.bucket(registry).await?;
        let version = self.open_version(registry).await?;
        let builds = match version.is_complete() {
            true => all_builds(registry, &self.bucket.name, self.fingerprint).await?,
            false => self.builds(registry, components, run_uuid).await?,
        };
        Ok(Opened { version, builds })
    }

    /// The version in a bucket that is there, whose builds may not be.
    ///
    /// # Errors
    /// The registry refuses.
    pub(super) async fn open_version(&self, registry: &dyn Registry) -> Result<Version> {
        let version = self.version(registry).await?;
        let begun = version.template_type;
        if begun != TemplateType::Unset && begun != self.template_type {
            return Err(Error::precondition(format!(
                "the version with the fingerprint {} was begun with a template in {}, and this one \
                 is in {}",
                self.fingerprint,
                begun.as_str(),
                self.template_type.as_str()
            )));
        }
        Ok(version)
    }

    /// The bucket, with the description and labels that the template gives it.
    ///
    /// # Errors
    /// The registry refuses.
    pub(super) async fn bucket(&self, registry: &dyn Registry) -> Result<()> {
        let CreateBucketBody { name, description, labels } = self.bucket;
        match registry.get_bucket(name).await {
            Ok(_) if !self.describes => Ok(()),
            Ok(found) if found.description == *description && found.labels == *labels => Ok(()),
            Ok(found) => {
                let body = UpdateBucketBody {
                    description: description.clone(),
                    labels: labels.clone(),
                    platforms: found.platforms,
                };
                registry.update_bucket(name, &body).await.map(drop)
            }
            Err(error) if error.code == Code::NotFound => {
                match registry.create_bucket(self.bucket).await {
                    Err(error) if error.code == Code::AlreadyExists => Ok(()),
                    result => result.map(drop),
                }
            }
            Err(error) => Err(error),
        }
    }

    async fn version(&self, registry: &dyn Registry) -> Result<Version> {
        let (bucket, fingerprint) = (&self.bucket.name, self.fingerprint);
        match registry.get_version(bucket, fingerprint).await {
            Err(error) if error.is_absent() => {}
            result => return result,
        }
        let body = CreateVersionBody {
            fingerprint: fingerprint.to_owned(),
            template_type: self.template_type,
        };
        match registry.create_version(bucket, &body).await {
            // Another run was faster.
            Err(error) if error.code == Code::AlreadyExists => {
                registry.get_version(bucket, fingerprint).await
            }
            result => result,
        }
    }

    /// The builds of a version that is not complete. Those called `components` are made known to the
    /// registry where they are not.
    ///
    /// # Errors
    /// The registry refuses.
    pub(super) async fn builds(
        &self,
        registry: &dyn Registry,
        components: &[String],
        run_uuid: &str,
    ) -> Result<BTreeMap<String, Build>> {
        let bucket = &self.bucket.name;
        let mut builds = all_builds(registry, bucket, self.fingerprint).await?;
        let mut behind = false;
        for component in components
            .iter()
            .filter(|name| !builds.contains_key(*name))
            .cloned()
            .collect::<Vec<_>>()
        {
            let body = CreateBuildBody {
                component_type: component.clone(),
                packer_run_uuid: run_uuid.to_owned(),
                ..CreateBuildBody::default()
            };
            match registry.create_build(bucket, self.fingerprint, &body).await {
                Ok(build) => drop(builds.insert(component, build)),
                Err(error) if error.code == Code::AlreadyExists => behind = true,
                Err(error) => return Err(error),
            }
        }
        match behind {
            true => all_builds(registry, bucket, self.fingerprint).await,
            false => Ok(builds),
        }
    }
}

/// That a version is complete, and nothing can be built for it.
pub(super) fn complete_error(fingerprint: &str) -> Error {
    // Begins as Packer's, for those who look for it in logs.
    Error::precondition(format!(
        "The version associated to the fingerprint {fingerprint} is complete. To build again, \
         change the fingerprint (HCP_PACKER_BUILD_FINGERPRINT)"
    ))
}

/// All builds of a version, by their components.
pub(super) async fn all_builds(
    registry: &dyn Registry,
    bucket: &str,
    fingerprint: &str,
) -> Result<BTreeMap<String, Build>> {
    let ask = |page| async move { registry.list_builds(bucket, fingerprint, &page).await };
    let builds = all_pages(ask).await?.into_iter();
    Ok(builds.map(|build| (build.component_type.clone(), build)).collect())
}

/// Publishes the artifacts of a build. Publishing them twice is not an error: a response may have been
/// lost. The build's parent may be gone by now; it is published all the same, and the result says so.
///
/// # Errors
/// The registry refuses it, or does not answer.
pub(super) async fn deliver(
    registry: &dyn Registry,
    bucket: &str,
    fingerprint: &str,
    id: &str,
    body: &UpdateBuildBody,
) -> Result<Option<&'static str>> {
    let refused = match registry.update_build(bucket, fingerprint, id, body).await {
        Ok(_) => return Ok(None),
        Err(error) => error,
    };
    if matches!(refused.code, Code::FailedPrecondition | Code::Aborted | Code::InvalidArgument)
        && let Ok(build) = registry.get_build(bucket, fingerprint, id).await
        && build.status == BuildStatus::Done
        && same_artifacts(&build, body)
    {
        return Ok(None);
    }
    // The registry does not say which part it refused: parts that may be gone are left out in turn.
    if matches!(refused.code, Code::InvalidArgument | Code::NotFound) {
        let without_channel = UpdateBuildBody { parent_channel_id: String::new(), ..body.clone() };
        let without_parent =
            UpdateBuildBody { parent_version_id: String::new(), ..without_channel.clone() };
        let lost = "the channel that its parent was found by does not exist in the registry any \
                    more: the build is published without it";
        let orphan = "the version that it was built from does not exist in the registry any more: \
                      the build is published without a parent";
        for (less, warning) in [(without_channel, lost), (without_parent, orphan)] {
            if less == *body {
                continue;
            }
            match registry.update_build(bucket, fingerprint, id, &less).await {
                Ok(_) => return Ok(Some(warning)),
                Err(error) if error.code == refused.code => {}
                Err(error) => return Err(error),
            }
        }
    }
    Err(refused)
}

fn same_artifacts(build: &Build, body: &UpdateBuildBody) -> bool {
    let mut there: Vec<_> =
        build.artifacts.iter().map(|one| (&one.external_identifier, &one.region)).collect();
    let mut here: Vec<_> =
        body.artifacts.iter().map(|one| (&one.external_identifier, &one.region)).collect();
    there.sort();
    here.sort();
    there == here
}

/// Whether a refusal is for good: neither waiting nor what may be changed in the registry or in
/// one's credentials makes the same thing succeed.
pub(super) async fn is_final(
    registry: &dyn Registry,
    bucket: &str,
    fingerprint: &str,
    refused: &Error,
) -> bool {
    match refused.code {
        Code::InvalidArgument | Code::AlreadyExists | Code::Unimplemented => true,
        // By the version, or by a registry that is out of use for now.
        Code::FailedPrecondition => registry.get_version(bucket, fingerprint).await.is_ok(),
        // What is not there is made before the next try.
        Code::NotFound
        | Code::PermissionDenied
        | Code::Unauthenticated
        | Code::ResourceExhausted
        | Code::Aborted
        | Code::Unavailable
        | Code::Internal
        | Code::Unknown => false,
    }
}
