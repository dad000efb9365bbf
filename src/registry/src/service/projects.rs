//! Projects, by whoever has the database.

use super::administration::{Administration, find_project, note};
use super::rules;
use crate::api::{Code, Error, Result};
use crate::store::{Project, transaction};

impl Administration {
    /// All projects, oldest first.
    ///
    /// # Errors
    /// The database failed.
    pub async fn projects(&self) -> Result<Vec<Project>> {
        self.store.read().await?.projects().await
    }

    /// The project of a name, or the first one.
    ///
    /// # Errors
    /// There is none, or the database failed.
    pub async fn project(&self, name: Option<&str>) -> Result<Project> {
        find_project(&mut self.store.read().await?, name).await
    }

    /// Creates a project in the first organization; the one that is there if there is one of the
    /// name.
    ///
    /// # Errors
    /// The name is invalid, or the database is empty or failed.
    pub async fn create_project(&self, name: &str) -> Result<Project> {
        rules::project_name(name)?;
        transaction!(self.store, |tx| async {
            let first = find_project(tx, None).await?;
            let created = tx.ensure_project(&first.location.organization_id, name).await?;
            note(tx, &created.location.project_id, "create project", name.to_owned()).await?;
            Ok(created)
        })
    }

    /// Gives a project, by its name or id, another name.
    ///
    /// # Errors
    /// There is no such project, or the name is invalid or another's.
    pub async fn rename_project(&self, project: &str, name: &str) -> Result<()> {
        rules::project_name(name)?;
        transaction!(self.store, |tx| async {
            let found = find_project(tx, Some(project)).await?;
            let id = &found.location.project_id;
            let renamed = tx.rename_project(id, name).await;
            renamed.map_err(|error| match error.code {
                Code::AlreadyExists => {
                    let name = rules::quoted(name);
                    Error::new(error.code, format!("there is a project {name} already"))
                }
                _ => error,
            })?;
            note(tx, id, "rename project", format!("{} to {name}", found.name)).await
        })
    }

    /// Deletes a project, by its name or id, that nothing is in; its webhooks go with it.
    ///
    /// # Errors
    /// There is no such project, something is in it, or it is the only one.
    pub async fn delete_project(&self, project: &str) -> Result<()> {
        transaction!(self.store, |tx| async {
            let found = find_project(tx, Some(project)).await?;
            let id = &found.location.project_id;
            for (what, count) in tx.project_contents(id).await? {
                let what = match what {
                    "buckets" => "buckets",
                    "enforced_blocks" => "enforced blocks",
                    _ => "principals that may use no other project",
                };
                if count > 0 {
                    let name = rules::quoted(&found.name);
                    return Err(Error::precondition(format!(
                        "the project {name} has {count} {what}; remove them first"
                    )));
                }
            }
            if tx.projects().await?.len() == 1 {
                return Err(Error::precondition("the only project cannot be removed"));
            }
            tx.delete_project(id).await?;
            note(tx, id, "delete project", found.name).await
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::CreateBucketBody;
    use crate::client::Registry as _;
    use crate::service::{Caller, Session};
    use crate::store::{Location, Role, Store};

    #[tokio::test]
    async fn projects_are_renamed_and_empty_ones_removed() {
        let dir = tempfile::tempdir().expect("a directory");
        let file = Location::Sqlite(dir.path().join("r.db"));
        let store = Store::open(&file, 4).await.expect("a store");
        let administration = Administration::new(store.clone());
        let (first, _) = administration.bootstrap().await.expect("a first run");
        let refused = |result: Result<()>, why: &str| {
            let error = result.expect_err(why);
            assert!(error.message.contains(why), "{error}");
        };
        refused(administration.delete_project("default").await, "the only project");
        for name in ["", "a/b", "..", "a\u{202e}b"] {
            administration.create_project(name).await.expect_err(name);
            administration.rename_project("default", name).await.expect_err(name);
        }
        let other = administration.create_project("other").await.expect("a project");
        refused(administration.rename_project("other", "default").await, "already");
        // One whose name cannot be typed has its id.
        let id = &other.location.project_id;
        administration.rename_project(id, "another").await.expect("it is renamed");
        let found = administration.project(Some("another")).await.expect("it is called so");
        assert_eq!(found.location, other.location);
        administration.create_principal("own", Role::Viewer, Some("another")).await.expect("one");
        refused(administration.delete_project("another").await, "1 principals");
        administration.delete_principal("own").await.expect("it is removed");
        let caller = Caller {
            id: "a".to_owned(),
            name: "a".to_owned(),
            role: Role::Admin,
            address: String::new(),
        };
        let session = Session::new(store.clone(), found, caller, String::new());
        let body = CreateBucketBody { name: "b".to_owned(), ..CreateBucketBody::default() };
        session.create_bucket(&body).await.expect("a bucket");
        refused(administration.delete_project("another").await, "1 buckets");
        session.delete_bucket("b").await.expect("it is removed");
        administration.delete_project("another").await.expect("nothing is in it");
        let left = administration.projects().await.expect("projects");
        assert_eq!(left.len(), 1);
        assert_eq!(left[0].location, first.location);
        store.close().await;
    }
}
