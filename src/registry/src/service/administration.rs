//! Administration: projects, service principals, webhooks and the audit log.
//!
//! A [`Session`] does it for an administrator who signed in, in one project; [`Administration`] for
//! whoever has the database itself, as the command line does.

use super::credentials::{Credentials, random_hex};
use super::run_tasks::ensure;
use super::{EVENTS, Session, rules};
use crate::api::{Code, Error, Result, Timestamp, UpdateRunTaskConfigBody};
use crate::store::{
    AuditRow, Principal, Project, Role, RunTaskKey, Store, Tx, WaitingDeliveries, Webhook,
    transaction,
};

/// How many webhooks a project may have: every event is written down for each.
const WEBHOOKS: usize = 100;
/// How many principals an organization may have: pages and commands list all of them.
const PRINCIPALS: usize = 1000;
/// How long a webhook's URL may be, in bytes.
const URL: usize = 2048;

/// What the first organization, project and principal are called.
const ORGANIZATION: &str = "default";
const PROJECT: &str = "default";
/// The name of the principal that the first run creates.
pub const ADMIN: &str = "admin";

/// A new webhook.
#[derive(Debug, Clone)]
pub struct NewWebhook {
    /// Its id.
    pub id: String,
    /// What its deliveries are signed with, which is shown once.
    pub secret: String,
}

async fn insert_principal(tx: &mut Tx, credentials: &Credentials) -> Result<()> {
    let name = &credentials.principal.name;
    rules::principal_name(name)?;
    let organization = &credentials.principal.organization_id;
    let there = tx.principals().await?;
    if there.iter().filter(|it| it.organization_id == *organization).count() >= PRINCIPALS {
        return Err(Error::precondition(format!(
            "an organization must not have more than {PRINCIPALS} principals; remove some that are \
             not used any more"
        )));
    }
    tx.insert_principal(&credentials.principal).await.map_err(|error| match error.code {
        Code::AlreadyExists => {
            let name = rules::quoted(name);
            Error::new(error.code, format!("there is a principal {name} already"))
        }
        _ => error,
    })
}

/// Adds a webhook; `anywhere` if whoever adds it has the server itself, so that it may be in the
/// server's own network.
async fn insert_webhook(
    tx: &mut Tx,
    project: &str,
    url: &str,
    events: &[String],
    anywhere: bool,
) -> Result<NewWebhook> {
    let parsed = reqwest::Url::parse(url).ok();
    if !parsed.is_some_and(|url| matches!(url.scheme(), "http" | "https")) {
        return Err(Error::invalid("a webhook's URL must be http:// or https:// and a host"));
    }
    rules::text("a webhook's URL", url, URL)?;
    if let Some(event) = events.iter().find(|event| !EVENTS.contains(&event.as_str())) {
        return Err(Error::invalid(format!(
            "there is no event {}; there are {}",
            rules::quoted(event),
            EVENTS.join(", ")
        )));
    }
    let events = events.join(",");
    let hooks = tx.webhooks_of(project).await?;
    if hooks.iter().any(|hook| hook.url == url && hook.events == events) {
        return Err(Error::new(
            Code::AlreadyExists,
            "there is a webhook with this URL and these events already",
        ));
    }
    if hooks.len() >= WEBHOOKS {
        return Err(Error::precondition(format!(
            "a project must not have more than {WEBHOOKS} webhooks"
        )));
    }
    let secret = random_hex();
    let id = tx.insert_webhook(project, url, &secret, &events, anywhere).await?;
    Ok(NewWebhook { id, secret })
}

fn webhook_target(url: &str, id: &str) -> String {
    format!("{} ({id})", ingot_base::http::shown(url))
}

/// For an administrator of the project.
impl Session {
    /// The principals that may use the project, oldest first.
    ///
    /// # Errors
    /// The caller is not an administrator, or the database failed.
    pub async fn members(&self) -> Result<Vec<Principal>> {
        self.need(Role::Admin)?;
        self.members_in(&mut self.store.read().await?).await
    }

    async fn members_in(&self, tx: &mut Tx) -> Result<Vec<Principal>> {
        let location = &self.project.location;
        let mut members = tx.principals().await?;
        members.retain(|member| {
            member.organization_id == location.organization_id
                && member.project_id.as_ref().is_none_or(|id| *id == location.project_id)
        });
        Ok(members)
    }

    /// Checks within a change that the caller still is an administrator: since the request came
    /// the caller may have been removed. With `all`, of all projects: who may use one only cannot
    /// create or delete those who may use others.
    async fn still_needs_admin(&self, tx: &mut Tx, all: bool) -> Result<()> {
        let caller = tx.principal(&self.caller.id).await?;
        let denied = match caller.filter(|caller| caller.role >= Role::Admin) {
            None => "this needs an administrator",
            Some(caller) if all && caller.project_id.is_some() => {
                "this needs an administrator of all projects"
            }
            Some(_) => return Ok(()),
        };
        Err(Error::new(Code::PermissionDenied, denied))
    }

    /// Creates a principal for the project, or for all projects.
    ///
    /// # Errors
    /// The caller is not an administrator (of all projects), the name is invalid or another's.
    pub async fn create_member(
        &self,
        name: &str,
        role: Role,
        all_projects: bool,
    ) -> Result<Credentials> {
        self.need(Role::Admin)?;
        let location = &self.project.location;
        transaction!(self.store, |tx| async {
            self.still_needs_admin(tx, all_projects).await?;
            let only = (!all_projects).then_some(location.project_id.as_str());
            let created = Credentials::new(&location.organization_id, only, name, role);
            insert_principal(tx, &created).await?;
            let target = format!("{name} {} ({})", role.as_str(), created.principal.id);
            self.audit(tx, "create principal", target).await?;
            Ok(created)
        })
    }

    /// Deletes a principal of the project by its client id; its tokens are refused from then on.
    ///
    /// # Errors
    /// The caller is not an administrator (of all projects, if the principal may use all), is the
    /// principal, or there is no such one.
    pub async fn delete_member(&self, id: &str) -> Result<()> {
        self.need(Role::Admin)?;
        transaction!(self.store, |tx| async {
            let members = self.members_in(tx).await?;
            let member = members.iter().find(|member| member.id == id);
            let member = member.ok_or_else(|| Error::not_found("there is no such member"))?;
            if member.id == self.caller.id {
                return Err(Error::precondition("nobody can remove themselves"));
            }
            self.still_needs_admin(tx, member.project_id.is_none()).await?;
            tx.delete_principal(id).await?;
            self.audit(tx, "delete principal", format!("{} ({id})", member.name)).await
        })
    }

    /// The project's webhooks, oldest first.
    ///
    /// # Errors
    /// The caller is not an administrator, or the database failed.
    pub async fn webhooks(&self) -> Result<Vec<Webhook>> {
        self.need(Role::Admin)?;
        self.store.read().await?.webhooks_of(self.project_id()).await
    }

    /// What waits for the project's webhooks.
    ///
    /// # Errors
    /// The caller is not an administrator, or the database failed.
    pub async fn waiting_deliveries(&self) -> Result<Vec<WaitingDeliveries>> {
        self.need(Role::Admin)?;
        self.store.read().await?.waiting_deliveries(Some(self.project_id())).await
    }

    /// Creates a webhook of the project for these events, or for all if none is named.
    ///
    /// # Errors
    /// The caller is not an administrator, the URL or an event is invalid, or there is one already.
    pub async fn create_webhook(&self, url: &str, events: &[String]) -> Result<NewWebhook> {
        self.need(Role::Admin)?;
        transaction!(self.store, |tx| async {
            self.still_needs_admin(tx, false).await?;
            let created = insert_webhook(tx, self.project_id(), url, events, false).await?;
            self.audit(tx, "create webhook", webhook_target(url, &created.id)).await?;
            Ok(created)
        })
    }

    /// Removes a webhook of the project, and what was still to be delivered to it.
    ///
    /// # Errors
    /// The caller is not an administrator, or there is no such webhook.
    pub async fn delete_webhook(&self, id: &str) -> Result<()> {
        self.need(Role::Admin)?;
        transaction!(self.store, |tx| async {
            self.still_needs_admin(tx, false).await?;
            let own = tx.webhooks_of(self.project_id()).await?;
            if !own.iter().any(|hook| hook.id == id) {
                return Err(Error::not_found("there is no such webhook"));
            }
            tx.delete_webhook(id).await?;
            self.audit(tx, "delete webhook", id.to_owned()).await
        })
    }

    /// What was done in the project, the newest first, up to a number.
    ///
    /// # Errors
    /// The caller is not an administrator, or the database failed.
    pub async fn audit_log(&self, most: u32) -> Result<Vec<AuditRow>> {
        self.need(Role::Admin)?;
        let project = Some(self.project_id());
        let tx = &mut self.store.read().await?;
        tx.audit_log(i64::from(most), Timestamp::default(), project).await
    }
}

/// Administration by whoever has the database.
#[derive(Debug, Clone)]
pub struct Administration {
    pub(super) store: Store,
}

impl Administration {
    /// Of the registry in a database.
    pub fn new(store: Store) -> Self {
        Administration { store }
    }

    /// Creates what a first run needs where it is missing: an organization, a project, and a
    /// principal, whose credentials are returned if there was none.
    ///
    /// # Errors
    /// The database failed.
    pub async fn bootstrap(&self) -> Result<(Project, Option<Credentials>)> {
        let first = transaction!(self.store, |tx| async {
            let organization = tx.ensure_organization(ORGANIZATION).await?;
            let mut projects = tx.projects().await?;
            let project = match projects.is_empty() {
                true => tx.ensure_project(&organization, PROJECT).await?,
                false => projects.remove(0),
            };
            if !tx.principals().await?.is_empty() {
                return Ok((project, None));
            }
            let created = Credentials::new(&organization, None, ADMIN, Role::Admin);
            tx.insert_principal(&created.principal).await?;
            let target = format!("{ADMIN} {} ({})", Role::Admin.as_str(), created.principal.id);
            note(tx, "", "create principal", target).await?;
            Ok((project, Some(created)))
        });
        match first {
            // Another server on this database was a moment earlier.
            Err(error) if error.code == Code::AlreadyExists => {
                let mut projects = self.projects().await?;
                match projects.is_empty() {
                    true => Err(error),
                    false => Ok((projects.remove(0), None)),
                }
            }
            first => first,
        }
    }

    /// All principals, oldest first.
    ///
    /// # Errors
    /// The database failed.
    pub async fn principals(&self) -> Result<Vec<Principal>> {
        self.store.read().await?.principals().await
    }

    /// Creates a principal for a project, or for all projects of the first one's organization.
    ///
    /// # Errors
    /// There is no such project, or the name is invalid or another's.
    pub async fn create_principal(
        &self,
        name: &str,
        role: Role,
        project: Option<&str>,
    ) -> Result<Credentials> {
        transaction!(self.store, |tx| async {
            let found = find_project(tx, project).await?;
            let only = project.is_some().then_some(found.location.project_id.as_str());
            let created = Credentials::new(&found.location.organization_id, only, name, role);
            insert_principal(tx, &created).await?;
            let target = format!("{name} {} ({})", role.as_str(), created.principal.id);
            note(tx, only.unwrap_or_default(), "create principal", target).await?;
            Ok(created)
        })
    }

    /// Deletes a principal by its client id, or by its name where none has it as its id.
    ///
    /// # Errors
    /// There is none, or the database failed.
    pub async fn delete_principal(&self, id_or_name: &str) -> Result<()> {
        transaction!(self.store, |tx| async {
            let all = tx.principals().await?;
            let by_id = all.iter().find(|it| it.id == id_or_name);
            let found = by_id.or_else(|| all.iter().find(|it| it.name == id_or_name));
            let none = || Error::not_found(format!("there is no principal {id_or_name:?}"));
            let Principal { id, name, project_id, .. } = found.ok_or_else(none)?;
            tx.delete_principal(id).await?;
            let project = project_id.as_deref().unwrap_or_default();
            note(tx, project, "delete principal", format!("{name} ({id})")).await
        })
    }

    /// The webhooks of all projects, oldest first.
    ///
    /// # Errors
    /// The database failed.
    pub async fn webhooks(&self) -> Result<Vec<Webhook>> {
        self.store.read().await?.webhooks().await
    }

    /// What waits for the webhooks of all projects.
    ///
    /// # Errors
    /// The database failed.
    pub async fn waiting_deliveries(&self) -> Result<Vec<WaitingDeliveries>> {
        self.store.read().await?.waiting_deliveries(None).await
    }

    /// Creates a webhook of a project, or of the first one, for these events, or for all if none is
    /// named.
    ///
    /// # Errors
    /// There is no such project, the URL or an event is invalid, or there is one already.
    pub async fn create_webhook(
        &self,
        url: &str,
        events: &[String],
        project: Option<&str>,
    ) -> Result<NewWebhook> {
        transaction!(self.store, |tx| async {
            let project = find_project(tx, project).await?.location.project_id;
            let created = insert_webhook(tx, &project, url, events, true).await?;
            note(tx, &project, "create webhook", webhook_target(url, &created.id)).await?;
            Ok(created)
        })
    }

    /// Deletes a webhook by its id, and what was still to be delivered to it.
    ///
    /// # Errors
    /// There is none, or the database failed.
    pub async fn delete_webhook(&self, id: &str) -> Result<()> {
        let gone = transaction!(self.store, |tx| async {
            let gone = tx.delete_webhook(id).await?;
            if gone {
                note(tx, "", "delete webhook", id.to_owned()).await?;
            }
            Ok(gone)
        })?;
        match gone {
            true => Ok(()),
            false => Err(Error::not_found(format!("there is no webhook {id:?}"))),
        }
    }

    /// The run task of a project, or of the first one, created if there is none: with a new key if
    /// `rotate`, and changed where `change` says something.
    ///
    /// # Errors
    /// There is no such project, or the database failed.
    pub async fn run_task(
        &self,
        project: Option<&str>,
        rotate: bool,
        change: &UpdateRunTaskConfigBody,
    ) -> Result<RunTaskKey> {
        transaction!(self.store, |tx| async {
            let project = find_project(tx, project).await?.location.project_id;
            ensure(tx, &project).await?;
            if rotate {
                tx.rotate_run_task(&project, &random_hex()).await?;
            }
            if rotate || *change != UpdateRunTaskConfigBody::default() {
                let action = if rotate { "rotate run task key" } else { "change run task" };
                note(tx, &project, action, String::new()).await?;
            }
            tx.configure_run_task(&project, change).await
        })
    }

    /// The newest lines of the audit log since a time, the oldest of them first.
    ///
    /// # Errors
    /// The database failed.
    pub async fn audit_log(&self, limit: i64, since: Timestamp) -> Result<Vec<AuditRow>> {
        let mut lines = self.store.read().await?.audit_log(limit, since, None).await?;
        lines.reverse();
        Ok(lines)
    }
}

/// The project of this name, or of this id where none is called so; the first one without.
pub(super) async fn find_project(tx: &mut Tx, name: Option<&str>) -> Result<Project> {
    let mut projects = tx.projects().await?;
    let place = match name {
        None => (!projects.is_empty()).then_some(0),
        Some(name) => {
            let by_name = projects.iter().position(|it| it.name == name);
            by_name.or_else(|| projects.iter().position(|it| it.location.project_id == name))
        }
    };
    place.map(|place| projects.swap_remove(place)).ok_or_else(|| match name {
        Some(name) => Error::not_found(format!(
            "there is no project {name:?}; see `ingot registry project list`"
        )),
        None => Error::not_found("the database is empty; run `ingot registry serve` first"),
    })
}

/// Adds a line to the audit log of what was done to the database without signing in.
pub(super) async fn note(tx: &mut Tx, project: &str, action: &str, target: String) -> Result<()> {
    tx.audit(&AuditRow {
        principal: "command line".into(),
        project_id: project.to_owned(),
        action: action.to_owned(),
        target,
        outcome: "done".into(),
        ..AuditRow::default()
    })
    .await
}

#[cfg(test)]
mod tests;
