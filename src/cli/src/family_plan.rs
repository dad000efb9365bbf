//! `ingot plan -family`: how templates build on each other, and which are out of date.

use std::process::ExitCode;
use std::sync::Arc;

use ingot_engine::signals::or_cancelled;
use ingot_family::{Family, ParentStanding, Standing, predicted_reasons};
use ingot_registry::settings;
use ingot_sdk::{Error, PluginSet, Ui};
use ingot_ui::Renderer;
use serde::Serialize;

use super::args::{PlanArgs, PlanFormat};
use super::asynchronous::{Threads, to_end};
use super::family;
use super::masked_json::masked_json;
use super::output::failed;
use crate::build_plan::{Branch, Graph, PlannedVersion, Style};

/// The form of the JSON.
const FORMAT: u32 = 1;

/// A family, as its JSON has it. docs/reference/plan.md describes it; fields are only ever added.
#[derive(Debug, Serialize)]
struct FamilyPlan {
    format: u32,
    registry_asked: bool,
    members: Vec<PlannedMember>,
}

#[derive(Debug, Serialize)]
struct PlannedMember {
    bucket: String,
    template: String,
    level: usize,
    promote: Option<String>,
    state: MemberState,
    promotion_pending: bool,
    reasons: Vec<String>,
    last_version: Option<PlannedVersion>,
    parents: Vec<PlannedLink>,
}

#[derive(Debug, Serialize)]
struct PlannedLink {
    data_source: String,
    file: String,
    line: usize,
    in_family: bool,
    #[serde(flatten)]
    standing: ParentStanding,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum MemberState {
    NotCompared,
    Stale,
    AfterParents,
    UpToDate,
}

impl MemberState {
    fn shown(self) -> &'static str {
        match self {
            MemberState::NotCompared => "not compared",
            MemberState::Stale => "out of date",
            MemberState::AfterParents => "after its parents",
            MemberState::UpToDate => "up to date",
        }
    }

    fn style(self) -> Style {
        match self {
            MemberState::NotCompared => Style::Plain,
            MemberState::Stale | MemberState::AfterParents => Style::Attention,
            MemberState::UpToDate => Style::Good,
        }
    }
}

impl PlannedMember {
    /// How it stands, for people.
    fn shown(&self) -> &'static str {
        match self.promotion_pending {
            true => "to be promoted",
            false => self.state.shown(),
        }
    }

    fn style(&self) -> Style {
        match self.promotion_pending {
            true => Style::Attention,
            false => self.state.style(),
        }
    }
}

/// Shows the family: 0 if that can be said, 1 if not.
pub(super) fn run(args: &PlanArgs, plugins: PluginSet, renderer: Arc<Renderer>) -> ExitCode {
    let redactor = renderer.redactor();
    let ui = Ui::new(renderer);
    let paths: Vec<_> = std::iter::once(&args.template).chain(&args.more).cloned().collect();
    let releases_only = args.installed.ignore_prerelease_plugins;
    let (variables, selection) = (&args.variables, &args.selection);
    let family = family::read(&paths, plugins, variables, selection, releases_only, &redactor);
    let Some(family) = family else { return ExitCode::FAILURE };
    let asks = !args.offline && settings::is_configured();
    let asking = || to_end(Threads::Current, or_cancelled(family::standings(&family, &ui)));
    let standings = match asks.then(asking).transpose() {
        Ok(standings) => standings,
        Err(error) => return failed(&error, &redactor),
    };
    let shown = planned(&family, standings.as_deref());
    let text = match args.format {
        PlanFormat::Tree => {
            let color = super::may_color(&std::io::stdout());
            tree(&shown).render(color)
        }
        PlanFormat::Dot => dot(&shown),
        PlanFormat::Json => match masked_json(&shown, &redactor) {
            Ok(json) => json + "\n",
            Err(error) => return failed(&Error::new(error.to_string()), &redactor),
        },
    };
    let text = match args.format {
        // Masked already: the text as a whole would not stay JSON.
        PlanFormat::Json => text,
        PlanFormat::Tree | PlanFormat::Dot => redactor.apply(&text),
    };
    super::write_answer(text.as_bytes());
    ExitCode::SUCCESS
}

fn planned(family: &Family, standings: Option<&[Standing]>) -> FamilyPlan {
    let all = standings.map(|standings| predicted_reasons(family, standings));
    let members = family.members.iter().enumerate().map(|(place, member)| {
        let standing = standings.map(|standings| &standings[place]);
        let reasons = all.as_ref().map(|all| all[place].clone()).unwrap_or_default();
        let state = match standing {
            None => MemberState::NotCompared,
            Some(standing) if !standing.reasons.is_empty() => MemberState::Stale,
            Some(_) if !reasons.is_empty() => MemberState::AfterParents,
            Some(_) => MemberState::UpToDate,
        };
        // What is built anew is promoted in place of what was.
        let promotion = standing.and_then(|standing| standing.promotion.as_ref());
        let promotion_pending = promotion.is_some() && reasons.is_empty();
        let links = member.parents.iter().enumerate().map(|(index, link)| PlannedLink {
            data_source: link.data_source.clone(),
            file: link.place.file.clone(),
            line: link.place.line,
            in_family: family.members.iter().any(|other| other.bucket == link.bucket),
            standing: standing.and_then(|standing| standing.parents.get(index).cloned()).unwrap_or(
                ParentStanding {
                    bucket: link.bucket.clone(),
                    channel: link.channel.clone(),
                    version: None,
                    built_from: None,
                },
            ),
        });
        PlannedMember {
            bucket: member.bucket.clone(),
            template: member.template.display().to_string(),
            level: family.levels[place],
            promote: member.promote.clone(),
            state,
            promotion_pending,
            reasons,
            last_version: standing.and_then(|standing| standing.last.as_ref()).map(|last| {
                PlannedVersion {
                    name: last.name.clone(),
                    fingerprint: last.fingerprint.clone(),
                    revoked: last.is_revoked(),
                }
            }),
            parents: links.collect(),
        }
    });
    FamilyPlan { format: FORMAT, registry_asked: standings.is_some(), members: members.collect() }
}

fn tree(plan: &FamilyPlan) -> Branch {
    let mut root = Branch::new(format!("family of {} templates", plan.members.len()));
    for member in &plan.members {
        let version = match &member.last_version {
            Some(last) => format!(" {}", last.name),
            None => String::new(),
        };
        let text = format!("{}{version}: {}", member.bucket, member.shown());
        let mut branch = Branch::new(text).style(member.style());
        for reason in &member.reasons {
            branch.push(Branch::new(reason).style(member.style()));
        }
        if member.promotion_pending {
            let why = "the run that built it ended before it was promoted";
            branch.push(Branch::new(why).style(member.style()));
        }
        branch.push(Branch::new(&member.template).style(Style::Detail));
        for PlannedLink { standing, .. } in &member.parents {
            let ParentStanding { bucket, channel, version, built_from } = standing;
            let channel = channel.as_ref().map(|one| format!(" {one}")).unwrap_or_default();
            let at = version.as_ref().map(|one| format!(", at {one}")).unwrap_or_default();
            let from = built_from.as_ref().map(|one| format!(", built from {one}"));
            let from = from.unwrap_or_default();
            branch.push(Branch::new(format!("builds on {bucket}{channel}{at}{from}")));
        }
        if let Some(channel) = &member.promote {
            branch.push(Branch::new(format!("promoted to {channel}")).style(Style::Detail));
        }
        root.push(branch);
    }
    root
}

fn dot(plan: &FamilyPlan) -> String {
    let mut graph = Graph::new("family");
    for member in &plan.members {
        let color = match member.state {
            _ if member.promotion_pending => "khaki",
            MemberState::NotCompared => "white",
            MemberState::Stale | MemberState::AfterParents => "khaki",
            MemberState::UpToDate => "palegreen",
        };
        let label = format!("{}\n{}", member.bucket, member.shown());
        graph.node(&member.bucket, &label, &format!("shape=box, style=filled, fillcolor={color}"));
    }
    for member in &plan.members {
        for PlannedLink { standing, .. } in &member.parents {
            // One of the family is there already.
            graph.node(&standing.bucket, &standing.bucket, "shape=cylinder");
            graph.edge(&standing.bucket, &member.bucket);
        }
    }
    graph.finish()
}
