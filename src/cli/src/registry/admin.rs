//! What the administrator of a served registry does on its database: principals, projects,
//! webhooks, the audit log.

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, Subcommand};

use super::output;
use super::serve::DatabaseArgs;
use crate::args::time;
use ingot_registry::api::{Result, Timestamp};
use ingot_registry::service::EVENTS;
use ingot_registry::store::{Role, WaitingDeliveries};
use serde_json::json;

/// Reads a principal's role.
fn role() -> impl TypedValueParser<Value = Role> {
    PossibleValuesParser::new(["viewer", "contributor", "admin"]).map(|text| Role::parse(&text))
}

#[derive(Debug, Subcommand)]
pub(super) enum PrincipalCommand {
    /// Create a principal and print its secret, once
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
    /// Create a project
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
    /// Rename a project
    Rename {
        /// Its name or its id
        project: String,
        /// Its new name
        name: String,
        #[command(flatten)]
        database: DatabaseArgs,
    },
    /// Remove a project that has no buckets, enforced blocks and principals of its own
    Delete {
        /// Its name or its id
        project: String,
        #[command(flatten)]
        database: DatabaseArgs,
    },
}

#[derive(Debug, Subcommand)]
pub(super) enum WebhookCommand {
    /// Create a webhook that posts events to a URL, and print its signing key
    Create {
        /// The URL
        url: String,
        /// The events, separated by commas; all unless it is given
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
    /// Remove a webhook with its undelivered events
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
    /// Only lines since this time: 2026-02-03T04:05:06Z, or 2026-02-03
    #[arg(long, value_name = "TIME", value_parser = time)]
    since: Option<Timestamp>,
    /// Print each line as a JSON object, to export the log
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    database: DatabaseArgs,
}

pub(super) async fn principal(command: &PrincipalCommand) -> Result<()> {
    match command {
        PrincipalCommand::Create { name, role, project, database } => {
            let administration = database.administration().await?;
            let created = administration.create_principal(name, *role, project.as_deref()).await?;
            output::line(format!("HCP_CLIENT_ID={}", created.principal.id));
            output::line(format!("HCP_CLIENT_SECRET={}", created.secret));
        }
        PrincipalCommand::List { database } => {
            let administration = database.administration().await?;
            let projects = administration.projects().await?;
            let project = |id: &str| {
                let found = projects.iter().find(|it| it.location.project_id == id);
                found.map_or_else(|| id.to_owned(), |it| it.name.clone())
            };
            let rows = administration.principals().await?.into_iter().map(|principal| {
                let project = principal.project_id.as_deref().map_or("(all)".into(), project);
                let role = principal.role.as_str().to_owned();
                [principal.id, role, project, output::moment(principal.created_at), principal.name]
            });
            output::table(["CLIENT ID", "ROLE", "PROJECT", "CREATED", "NAME"], rows.collect());
        }
        PrincipalCommand::Delete { principal, database } => {
            database.administration().await?.delete_principal(principal).await?;
        }
    }
    Ok(())
}

pub(super) async fn project(command: &ProjectCommand) -> Result<()> {
    match command {
        ProjectCommand::Create { name, database } => {
            let project = database.administration().await?.create_project(name).await?;
            output::line(format!("HCP_ORGANIZATION_ID={}", project.location.organization_id));
            output::line(format!("HCP_PROJECT_ID={}", project.location.project_id));
        }
        ProjectCommand::List { database } => {
            let projects = database.administration().await?.projects().await?.into_iter();
            let rows = projects.map(|project| {
                let created = output::moment(project.created_at);
                [project.location.project_id, created, project.name]
            });
            output::table(["PROJECT ID", "CREATED", "NAME"], rows.collect());
        }
        ProjectCommand::Rename { project, name, database } => {
            database.administration().await?.rename_project(project, name).await?;
        }
        ProjectCommand::Delete { project, database } => {
            database.administration().await?.delete_project(project).await?;
        }
    }
    Ok(())
}

pub(super) async fn webhook(command: &WebhookCommand) -> Result<()> {
    match command {
        WebhookCommand::Create { url, events, project, database } => {
            let administration = database.administration().await?;
            let created = administration.create_webhook(url, events, project.as_deref()).await?;
            output::line(format!("id {}", created.id));
            output::line(format!("secret {}", created.secret));
        }
        WebhookCommand::List { database } => {
            let administration = database.administration().await?;
            let projects = administration.projects().await?;
            let waiting = administration.waiting_deliveries().await?;
            let rows = administration.webhooks().await?.into_iter().map(|hook| {
                let waiting = WaitingDeliveries::in_words(&waiting, &hook.id);
                let events = if hook.events.is_empty() { "all".into() } else { hook.events };
                let project = projects.iter().find(|it| it.location.project_id == hook.project_id);
                let project = project.map_or(hook.project_id, |it| it.name.clone());
                [hook.id, project, ingot_sdk::http::shown(&hook.url), events, waiting]
            });
            output::table(["ID", "PROJECT", "URL", "EVENTS", "DELIVERIES"], rows.collect());
        }
        WebhookCommand::Delete { id, database } => {
            database.administration().await?.delete_webhook(id).await?;
        }
    }
    Ok(())
}

pub(super) async fn audit(args: &AuditArgs) -> Result<()> {
    let limit = if args.limit == 0 { i64::MAX } else { args.limit.into() };
    let administration = args.database.administration().await?;
    for line in administration.audit_log(limit, args.since.unwrap_or_default()).await? {
        if args.json {
            let line = json!({
                "at": line.at,
                "principal": line.principal,
                "principal_name": line.principal_name,
                "project_id": line.project_id,
                "action": line.action,
                "target": line.target,
                "outcome": line.outcome,
                "address": line.address,
            });
            output::line(line.to_string());
            continue;
        }
        let (at, who, from) = (line.at, line.who(), &line.address);
        output::line(output::plain(format!(
            "{at}  {who}  {from}  {}  {}  {}",
            line.outcome, line.action, line.target
        )));
    }
    Ok(())
}
