//! What the administrator of a served registry does on its database: principals, projects,
//! webhooks, the audit log.

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, Subcommand};

use super::output;
use super::serve::DatabaseArgs;
use ingot_registry::api::{Error, Result, Timestamp};
use ingot_registry::service::EVENTS;
use ingot_registry::store::{AuditRow, Project, Role, Tx, transaction};
use ingot_registry_server::secret;
use serde_json::json;

/// Reads a principal's role.
fn role() -> impl TypedValueParser<Value = Role> {
    PossibleValuesParser::new(["viewer", "contributor", "admin"]).map(|text| Role::parse(&text))
}

#[derive(Debug, Subcommand)]
pub(super) enum PrincipalCommand {
    /// Make a principal and print its secret, once
    Create {
        /// Its name
        name: String,
        /// What it may do
        #[arg(long, value_parser = role(), default_value = "contributor")]
        role: Role,
        /// The only project it may use; all of them unless it is given
        #[arg(long, value_name = "NAME")]
        project: Option<String>,
        #[command(flatten)]
        database: DatabaseArgs,
    },
    /// List the principals
    List {
        #[command(flatten)]
        database: DatabaseArgs,
    },
    /// Remove a principal; its tokens are refused from then on
    Delete {
        /// Its client id or its name
        principal: String,
        #[command(flatten)]
        database: DatabaseArgs,
    },
}

#[derive(Debug, Subcommand)]
pub(super) enum ProjectCommand {
    /// Make a project
    Create {
        /// Its name
        name: String,
        #[command(flatten)]
        database: DatabaseArgs,
    },
    /// List the projects
    List {
        #[command(flatten)]
        database: DatabaseArgs,
    },
}

#[derive(Debug, Subcommand)]
pub(super) enum WebhookCommand {
    /// Have events posted to a URL, and print what they are signed with
    Create {
        /// The URL
        url: String,
        /// The events, with commas between; all unless it is given
        #[arg(long, value_delimiter = ',', value_parser = clap::builder::PossibleValuesParser::new(EVENTS))]
        events: Vec<String>,
        /// The project; the first one unless it is given
        #[arg(long, value_name = "NAME")]
        project: Option<String>,
        #[command(flatten)]
        database: DatabaseArgs,
    },
    /// List the webhooks
    List {
        #[command(flatten)]
        database: DatabaseArgs,
    },
    /// Remove a webhook, and what was still to be posted to it
    Delete {
        /// Its id
        id: String,
        #[command(flatten)]
        database: DatabaseArgs,
    },
}

#[derive(Debug, Args)]
pub(super) struct AuditArgs {
    /// How many lines to show, the newest ones; 0 for all
    #[arg(long, value_name = "NUMBER", default_value_t = 100)]
    limit: u32,
    /// Only lines since a time as 2026-02-03T04:05:06Z
    #[arg(long, value_name = "TIME")]
    since: Option<Timestamp>,
    /// A JSON object on each line, to export the log
    #[arg(long, default_value_t = false, action = clap::ArgAction::Set, value_parser = crate::cli::args::go_bool)]
    json: bool,
    #[command(flatten)]
    database: DatabaseArgs,
}

/// The project of this name, or the first one.
pub(super) async fn find_project(tx: &mut Tx, name: Option<&str>) -> Result<Project> {
    let projects = tx.projects().await?;
    let found = projects.into_iter().find(|it| name.is_none_or(|name| it.name == name));
    found.ok_or_else(|| match name {
        Some(name) => Error::not_found(format!(
            "there is no project {name:?}; see `ingot registry project list`"
        )),
        None => Error::not_found("the database is empty; run `ingot registry serve` first"),
    })
}

pub(super) async fn principal(command: &PrincipalCommand) -> Result<()> {
    match command {
        PrincipalCommand::Create { name, role, project, database } => {
            let store = database.open().await?;
            let (principal, secret) = transaction!(store, |tx| async {
                let found = find_project(tx, project.as_deref()).await?;
                let only = project.is_some().then_some(found.location.project_id.as_str());
                let organization = &found.location.organization_id;
                let made = secret::new_principal(organization, only, name, *role);
                tx.insert_principal(&made.0).await?;
                let target = format!("{name} {} ({})", role.as_str(), made.0.id);
                note(tx, only.unwrap_or_default(), "create principal", target).await?;
                Ok(made)
            })?;
            output::line(format!("HCP_CLIENT_ID={}", principal.id));
            output::line(format!("HCP_CLIENT_SECRET={secret}"));
        }
        PrincipalCommand::List { database } => {
            for principal in database.open().await?.read().await?.principals().await? {
                let project = principal.project_id.as_deref().unwrap_or("all projects");
                let (id, role, name) = (&principal.id, principal.role.as_str(), &principal.name);
                output::line(format!("{id}  {role:<11}  {project:<36}  {name}"));
            }
        }
        PrincipalCommand::Delete { principal, database } => {
            let store = database.open().await?;
            let gone = transaction!(store, |tx| async {
                let gone = tx.delete_principal(principal).await?;
                if gone {
                    note(tx, "", "delete principal", principal.clone()).await?;
                }
                Ok(gone)
            })?;
            if !gone {
                return Err(Error::not_found(format!("there is no principal {principal:?}")));
            }
        }
    }
    Ok(())
}

pub(super) async fn project(command: &ProjectCommand) -> Result<()> {
    match command {
        ProjectCommand::Create { name, database } => {
            let store = database.open().await?;
            let project = transaction!(store, |tx| async {
                let first = find_project(tx, None).await?;
                let made = tx.ensure_project(&first.location.organization_id, name).await?;
                note(tx, &made.location.project_id, "create project", name.clone()).await?;
                Ok(made)
            })?;
            output::line(format!("HCP_ORGANIZATION_ID={}", project.location.organization_id));
            output::line(format!("HCP_PROJECT_ID={}", project.location.project_id));
        }
        ProjectCommand::List { database } => {
            for project in database.open().await?.read().await?.projects().await? {
                output::line(format!("{}  {}", project.location.project_id, project.name));
            }
        }
    }
    Ok(())
}

pub(super) async fn webhook(command: &WebhookCommand) -> Result<()> {
    match command {
        WebhookCommand::Create { url, events, project, database } => {
            let parsed = reqwest::Url::parse(url);
            if !parsed.is_ok_and(|url| matches!(url.scheme(), "http" | "https")) {
                return Err(Error::invalid("a webhook's URL must be http:// or https://"));
            }
            let store = database.open().await?;
            let secret = secret::random_hex();
            let id = transaction!(store, |tx| async {
                let project = find_project(tx, project.as_deref()).await?;
                let events = events.join(",");
                let project = &project.location.project_id;
                let id = tx.insert_webhook(project, url, &secret, &events).await?;
                let target = format!("{} ({id})", ingot_sdk::http::shown(url));
                note(tx, project, "create webhook", target).await?;
                Ok(id)
            })?;
            output::line(format!("id {id}"));
            output::line(format!("secret {secret}"));
        }
        WebhookCommand::List { database } => {
            for hook in database.open().await?.read().await?.webhooks().await? {
                let events = if hook.events.is_empty() { "all" } else { &hook.events };
                output::line(format!(
                    "{}  {}  {events}",
                    hook.id,
                    ingot_sdk::http::shown(&hook.url)
                ));
            }
        }
        WebhookCommand::Delete { id, database } => {
            let store = database.open().await?;
            let gone = transaction!(store, |tx| async {
                let gone = tx.delete_webhook(id).await?;
                if gone {
                    note(tx, "", "delete webhook", id.clone()).await?;
                }
                Ok(gone)
            })?;
            if !gone {
                return Err(Error::not_found(format!("there is no webhook {id:?}")));
            }
        }
    }
    Ok(())
}

/// Writes into the audit log what was done to the database from here, without signing in.
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

pub(super) async fn audit(args: &AuditArgs) -> Result<()> {
    let limit = if args.limit == 0 { i64::MAX } else { args.limit.into() };
    let store = args.database.open().await?;
    let mut lines = store.read().await?.audit_log(limit, args.since.unwrap_or_default()).await?;
    lines.reverse();
    for line in lines {
        if args.json {
            let line = json!({
                "at": line.at,
                "principal": line.principal,
                "project_id": line.project_id,
                "action": line.action,
                "target": line.target,
                "outcome": line.outcome,
                "address": line.address,
            });
            output::line(line.to_string());
            continue;
        }
        let (at, who, from) = (line.at, line.principal, line.address);
        output::line(output::plain(format!(
            "{at}  {who}  {from}  {}  {}  {}",
            line.outcome, line.action, line.target
        )));
    }
    Ok(())
}
