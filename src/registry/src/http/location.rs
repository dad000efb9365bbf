//! Which organization and project credentials are for: the resource manager of HCP is asked where
//! the environment does not say, as Packer does.

use reqwest::Method;
use serde::Deserialize;

use super::{Call, HttpRegistry};
use crate::api::{Code, Error, Location, Result, Timestamp};
use crate::client::Registry;
use crate::settings::Remote;

const API: [&str; 2] = ["resource-manager", "2019-12-10"];

#[derive(Default, Deserialize)]
#[serde(default)]
struct Organizations {
    organizations: Vec<Named>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Projects {
    projects: Vec<Named>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Named {
    id: String,
    created_at: Timestamp,
}

impl HttpRegistry {
    /// Where the registry is.
    pub(super) async fn find_location(&mut self, settings: &Remote) -> Result<Location> {
        let organization_id = match &settings.organization {
            Some(id) => id.clone(),
            None => self.organization().await?,
        };
        let project_id = match &settings.project {
            Some(id) => id.clone(),
            None => self.project(&organization_id).await?,
        };
        let location = Location { organization_id, project_id };
        if settings.project.is_some() && settings.organization.is_none() {
            // Two that were not named together may not belong together.
            self.location = location.clone();
            self.registry().await?;
        }
        Ok(location)
    }

    async fn organization(&self) -> Result<String> {
        let found: Organizations = self.list("organizations", Vec::new()).await?;
        match found.organizations.as_slice() {
            [one] => Ok(one.id.clone()),
            [] => Err(Error::not_found("the credentials give access to no organization")),
            many => Err(Error::precondition(format!(
                "the credentials give access to {} organizations: say which in \
                 HCP_ORGANIZATION_ID",
                many.len()
            ))),
        }
    }

    /// The oldest project of an organization.
    async fn project(&self, organization: &str) -> Result<String> {
        let scope = [("scope.type", "ORGANIZATION"), ("scope.id", organization)];
        let scope = scope.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let found: Result<Projects> = self.list("projects", scope.into()).await;
        let found = found.map_err(|error| match error.code {
            Code::PermissionDenied => Error::new(
                Code::PermissionDenied,
                "the credentials are for one project only: say which in HCP_PROJECT_ID",
            ),
            _ => error,
        })?;
        if found.projects.len() > 1 {
            tracing::warn!("there are several projects: the oldest is used; see HCP_PROJECT_ID");
        }
        let oldest = found.projects.into_iter().min_by_key(|project| project.created_at);
        let none = || Error::not_found("the organization has no project");
        Ok(oldest.ok_or_else(none)?.id)
    }

    async fn list<T: serde::de::DeserializeOwned>(
        &self,
        what: &str,
        query: Vec<(String, String)>,
    ) -> Result<T> {
        let path = [API[0], API[1], what].into();
        let call = Call { method: Method::GET, path, query, body: None, repeatable: true };
        self.call(call).await.result
    }
}
