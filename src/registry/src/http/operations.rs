//! The operations of a registry as calls of its API.

use async_trait::async_trait;
use reqwest::Method;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::response::not_found_by_registry;
use super::{Call, CallOutcome, HttpRegistry, host, json};
use crate::api::*;
use crate::client::Registry;
use crate::pages::find_in_pages;
use crate::sbom;

/// No query.
pub(super) const NONE: &Empty = &Empty {};
/// The order of a list, in its query. HCP Packer does not say which it is without that.
const ORDER: &str = "sorting.order_by";

impl HttpRegistry {
    /// Asks below the project.
    async fn ask<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &[&str],
        query: Vec<(String, String)>,
        body: Option<Vec<u8>>,
    ) -> Result<T> {
        let repeatable = method != Method::POST;
        let call = Call { method, path: path.to_vec(), query, body, repeatable };
        self.below(call).await?.result
    }

    /// Makes something; again if the answer is lost.
    pub(super) async fn make<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &[&str],
        body: &impl Serialize,
    ) -> Result<CallOutcome<T>> {
        let (path, body) = (path.to_vec(), Some(json(body)?));
        let call = Call { method, path, query: Vec::new(), body, repeatable: true };
        self.below(call).await
    }

    /// Makes a call whose path is below the project.
    pub(super) async fn below<'a, T: DeserializeOwned>(
        &'a self,
        call: Call<'a>,
    ) -> Result<CallOutcome<T>> {
        let Location { organization_id, project_id } = &self.location;
        let mut whole =
            vec!["packer", "2023-01-01", "organizations", organization_id, "projects", project_id];
        whole.extend(&call.path);
        if whole.iter().any(|part| part.is_empty() || matches!(*part, "." | "..")) {
            return Err(Error::invalid("a name is missing, or only dots"));
        }
        Ok(self.call(Call { path: whole, ..call }).await)
    }

    pub(super) async fn get<T: DeserializeOwned>(
        &self,
        path: &[&str],
        query: &impl Serialize,
    ) -> Result<T> {
        self.ask(Method::GET, path, pairs(query)?, None).await
    }

    /// A page of a list with `wish` in its query: the order, or how long the page is to be. HCP Packer
    /// does not say which it takes; where a registry refuses it, the list is as the registry has it.
    pub(super) async fn list_page<T: DeserializeOwned>(
        &self,
        path: &[&str],
        page: &Page,
        wish: (&str, &str),
    ) -> Result<T> {
        let mut query = pairs(page)?;
        query.push((wish.0.to_owned(), wish.1.to_owned()));
        match self.ask(Method::GET, path, query, None).await {
            Err(error) if matches!(error.code, Code::InvalidArgument | Code::Unimplemented) => {
                self.get(path, page).await
            }
            response => response,
        }
    }

    pub(super) async fn send_to<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &[&str],
        body: &impl Serialize,
    ) -> Result<T> {
        self.ask(method, path, Vec::new(), Some(json(body)?)).await
    }

    pub(super) async fn delete(&self, path: &[&str]) -> Result<()> {
        let (method, path) = (Method::DELETE, path.to_vec());
        let call = Call { method, path, query: Vec::new(), body: None, repeatable: true };
        let outcome: CallOutcome<Empty> = self.below(call).await?;
        // Something before the registry says 404, too, as while a registry is started again.
        let gone = outcome.perhaps_before && outcome.from_registry;
        match outcome.result {
            // The answer that it was removed has been lost.
            Err(error) if error.code == Code::NotFound && gone => Ok(()),
            result => result.map(drop),
        }
    }
}

/// The fields of a query that are set.
fn pairs(query: &impl Serialize) -> Result<Vec<(String, String)>> {
    let value = serde_json::to_value(query);
    let value = value.map_err(|error| Error::new(Code::Internal, error.to_string()))?;
    let fields = value.as_object().into_iter().flatten();
    let texts = fields.filter_map(|(name, value)| match value {
        serde_json::Value::String(text) if !text.is_empty() => Some((name.clone(), text.clone())),
        serde_json::Value::Number(number) if number.as_u64() != Some(0) => {
            Some((name.clone(), number.to_string()))
        }
        _ => None,
    });
    Ok(texts.collect())
}

/// What an answer has to hold.
pub(super) fn present<T>(part: Option<T>, what: &str) -> Result<T> {
    part.ok_or_else(|| Error::new(Code::Internal, format!("the registry's response has no {what}")))
}

#[async_trait]
impl Registry for HttpRegistry {
    fn location(&self) -> &Location {
        &self.location
    }

    fn address(&self) -> String {
        host(&self.base)
    }

    async fn registry(&self) -> Result<RegistryInfo> {
        let response: RegistryResponse = self.get(&["registry"], NONE).await?;
        let none = || Error::not_found("the project has no active registry");
        response.registry.ok_or_else(none)
    }

    async fn list_buckets(&self, page: &Page) -> Result<ListBucketsResponse> {
        self.list_page(&["buckets"], page, (ORDER, "name")).await
    }

    async fn create_bucket(&self, body: &CreateBucketBody) -> Result<Bucket> {
        let outcome: CallOutcome<BucketResponse> =
            self.make(Method::PUT, &["buckets"], body).await?;
        let exists = match outcome.result {
            Err(error) if error.code == Code::AlreadyExists && outcome.perhaps_before => error,
            result => return present(result?.bucket, "bucket"),
        };
        // The answer that it was made may have been lost; then it is as it was to be.
        let there = self.get_bucket(&body.name).await?;
        match there.description == body.description && there.labels == body.labels {
            true => Ok(there),
            false => Err(exists),
        }
    }

    async fn get_bucket(&self, bucket: &str) -> Result<Bucket> {
        let response: BucketResponse = self.get(&["buckets", bucket], NONE).await?;
        present(response.bucket, "bucket")
    }

    async fn update_bucket(&self, bucket: &str, body: &UpdateBucketBody) -> Result<Bucket> {
        let path = ["buckets", bucket];
        let response: BucketResponse = self.send_to(Method::PATCH, &path, body).await?;
        present(response.bucket, "bucket")
    }

    async fn delete_bucket(&self, bucket: &str) -> Result<()> {
        self.delete(&["buckets", bucket]).await
    }

    async fn list_versions(&self, bucket: &str, page: &Page) -> Result<ListVersionsResponse> {
        self.list_page(&["buckets", bucket, "versions"], page, (ORDER, "created_at desc")).await
    }

    async fn create_version(&self, bucket: &str, body: &CreateVersionBody) -> Result<Version> {
        let path = ["buckets", bucket, "versions"];
        let outcome: CallOutcome<VersionResponse> = self.make(Method::POST, &path, body).await?;
        match outcome.result {
            // The answer that it was made has been lost.
            Err(error) if error.code == Code::AlreadyExists && outcome.perhaps_before => {
                self.get_version(bucket, &body.fingerprint).await
            }
            result => present(result?.version, "version"),
        }
    }

    async fn get_version(&self, bucket: &str, fingerprint: &str) -> Result<Version> {
        let path = ["buckets", bucket, "versions", fingerprint];
        let response: VersionResponse = self.get(&path, NONE).await?;
        present(response.version, "version")
    }

    /// The API has no such call: the bucket's versions are looked through.
    async fn get_version_by_id(&self, bucket: &str, id: &str) -> Result<Version> {
        let ask = |page| async move { self.list_versions(bucket, &page).await };
        let found = find_in_pages(ask, |versions: Vec<Version>| {
            versions.into_iter().find(|version| version.id == id)
        });
        match found.await? {
            Some(version) => self.get_version(bucket, &version.fingerprint).await,
            None => Err(Error::not_found(format!("{bucket} has no version with the id {id}"))),
        }
    }

    async fn update_version(
        &self,
        bucket: &str,
        fingerprint: &str,
        body: &UpdateVersionBody,
    ) -> Result<Version> {
        let path = ["buckets", bucket, "versions", fingerprint];
        let outcome: CallOutcome<UpdateVersionResponse> =
            self.make(Method::PATCH, &path, body).await?;
        let refused = match outcome.result {
            Err(error) if error.code == Code::FailedPrecondition && outcome.perhaps_before => error,
            result => {
                let UpdateVersionResponse { operation, version } = result?;
                // What the answer holds is how the version was when that began.
                return match self.wait_for(operation.as_ref()).await? {
                    true => self.get_version(bucket, fingerprint).await,
                    false => present(version, "version"),
                };
            }
        };
        // The answer that it was revoked or restored may have been lost.
        let there = self.get_version(bucket, fingerprint).await?;
        let done = match body.restore {
            true => !there.revoke_at.is_set(),
            false => {
                there.status == VersionStatus::Revoked
                    && there.revocation_type == RevocationType::Manual
                    && there.revocation_message == body.revocation_message
            }
        };
        if done { Ok(there) } else { Err(refused) }
    }

    async fn delete_version(&self, bucket: &str, fingerprint: &str) -> Result<()> {
        self.delete(&["buckets", bucket, "versions", fingerprint]).await
    }

    async fn list_builds(
        &self,
        bucket: &str,
        fingerprint: &str,
        page: &Page,
    ) -> Result<ListBuildsResponse> {
        self.get(&["buckets", bucket, "versions", fingerprint, "builds"], page).await
    }

    async fn create_build(
        &self,
        bucket: &str,
        fingerprint: &str,
        body: &CreateBuildBody,
    ) -> Result<Build> {
        let path = ["buckets", bucket, "versions", fingerprint, "builds"];
        let outcome: CallOutcome<BuildResponse> = self.make(Method::POST, &path, body).await?;
        let exists = match outcome.result {
            Err(error) if error.code == Code::AlreadyExists && outcome.perhaps_before => error,
            result => return present(result?.build, "build"),
        };
        // The answer that it was made may have been lost; then the build is of the same run.
        let ask = |page| async move { self.list_builds(bucket, fingerprint, &page).await };
        let ours = find_in_pages(ask, |builds: Vec<Build>| {
            builds.into_iter().find(|build| {
                build.component_type == body.component_type
                    && build.packer_run_uuid == body.packer_run_uuid
            })
        });
        ours.await?.ok_or(exists)
    }

    async fn get_build(&self, bucket: &str, fingerprint: &str, id: &str) -> Result<Build> {
        let path = ["buckets", bucket, "versions", fingerprint, "builds", id];
        let response: BuildResponse = self.get(&path, NONE).await?;
        present(response.build, "build")
    }

    async fn update_build(
        &self,
        bucket: &str,
        fingerprint: &str,
        id: &str,
        body: &UpdateBuildBody,
    ) -> Result<Build> {
        let path = ["buckets", bucket, "versions", fingerprint, "builds", id];
        let response: BuildResponse = self.send_to(Method::PATCH, &path, body).await?;
        present(response.build, "build")
    }

    async fn delete_build(&self, bucket: &str, fingerprint: &str, id: &str) -> Result<()> {
        self.delete(&["buckets", bucket, "versions", fingerprint, "builds", id]).await
    }

    async fn upload_sbom(
        &self,
        bucket: &str,
        fingerprint: &str,
        build: &str,
        name: &str,
        format: SbomFormat,
        document: &[u8],
    ) -> Result<Sbom> {
        let path = ["buckets", bucket, "versions", fingerprint, "builds", build, "sboms"];
        let compressed_sbom = sbom::pack(document.to_vec()).await?;
        let body = UploadSbomBody { compressed_sbom, format, name: name.to_owned() };
        let response: UploadSbomResponse = self.send_to(Method::PUT, &path, &body).await?;
        present(response.sbom, "SBOM")
    }

    async fn list_sboms(
        &self,
        bucket: &str,
        fingerprint: &str,
        build: &str,
    ) -> Result<ListSbomsResponse> {
        self.get(&["buckets", bucket, "versions", fingerprint, "builds", build, "sboms"], NONE)
            .await
    }

    async fn get_sbom(
        &self,
        bucket: &str,
        fingerprint: &str,
        build: &str,
        name: &str,
    ) -> Result<Vec<u8>> {
        let path = vec!["buckets", bucket, "versions", fingerprint, "builds", build, "sboms", name];
        let (method, query) = (Method::GET, Vec::new());
        let call = Call { method, path, query, body: None, repeatable: true };
        let outcome: CallOutcome<GetSbomResponse> = self.below(call).await?;
        let from_registry = outcome.from_registry;
        let response =
            outcome.result.map_err(|error| not_found_by_registry(error, from_registry))?;
        sbom::unpack_download(self.download(&response.download_url).await?).await
    }

    async fn list_channels(&self, bucket: &str) -> Result<ListChannelsResponse> {
        self.get(&["buckets", bucket, "channels"], NONE).await
    }

    async fn create_channel(&self, bucket: &str, body: &CreateChannelBody) -> Result<Channel> {
        let path = ["buckets", bucket, "channels"];
        let outcome: CallOutcome<ChannelResponse> = self.make(Method::POST, &path, body).await?;
        let exists = match outcome.result {
            Err(error) if error.code == Code::AlreadyExists && outcome.perhaps_before => error,
            result => return present(result?.channel, "channel"),
        };
        // The answer that it was made may have been lost; then it is as it was to be.
        let there = self.get_channel(bucket, &body.name).await?;
        let at = there.version.as_ref().map_or("", |version| &version.fingerprint);
        match there.restricted == body.restricted && at == body.version_fingerprint {
            true => Ok(there),
            false => Err(exists),
        }
    }

    async fn get_channel(&self, bucket: &str, channel: &str) -> Result<Channel> {
        let path = ["buckets", bucket, "channels", channel];
        let response: ChannelResponse = self.get(&path, NONE).await?;
        present(response.channel, "channel")
    }

    async fn update_channel(
        &self,
        bucket: &str,
        channel: &str,
        body: &UpdateChannelBody,
    ) -> Result<Channel> {
        let path = ["buckets", bucket, "channels", channel];
        let response: ChannelResponse = self.send_to(Method::PATCH, &path, body).await?;
        present(response.channel, "channel")
    }

    async fn delete_channel(&self, bucket: &str, channel: &str) -> Result<()> {
        self.delete(&["buckets", bucket, "channels", channel]).await
    }

    async fn assign_channel_version(
        &self,
        bucket: &str,
        body: &AssignChannelVersionBody,
    ) -> Result<AssignChannelVersionResponse> {
        self.send_to(Method::POST, &["buckets", bucket, "channels", "assign"], body).await
    }

    async fn channel_history(
        &self,
        bucket: &str,
        channel: &str,
        page: &Page,
    ) -> Result<ListChannelAssignmentHistoryResponse> {
        self.get(&["buckets", bucket, "channels", channel, "history"], page).await
    }

    async fn list_ancestry(
        &self,
        bucket: &str,
        query: &AncestryQuery,
        page: &Page,
    ) -> Result<ListBucketAncestryResponse> {
        let query = [pairs(query)?, pairs(page)?].concat();
        self.ask(Method::GET, &["buckets", bucket, "ancestry"], query, None).await
    }

    async fn search_artifact(
        &self,
        body: &SearchExternalArtifactRequestBody,
        page: &Page,
    ) -> Result<SearchExternalArtifactResponse> {
        let (method, path) = (Method::POST, vec!["_search", "external_artifact"]);
        let (query, body) = (pairs(page)?, Some(json(body)?));
        // It only reads.
        self.below(Call { method, path, query, body, repeatable: true }).await?.result
    }
}
