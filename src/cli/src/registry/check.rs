//! `ingot registry check`: which images of a Terraform plan must not be deployed.

use std::fs::File;
use std::io::Read;
use std::process::ExitCode;

use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use ingot_sdk::{Context as _, Error, Result};
use serde_json::json;

use super::output;
use super::session::Session;
use ingot_plan_check::{
    Behaviour, Inventory, Level, Plan, Report, Rules, Status, check, sarif, text,
};

/// The largest plan, in bytes; it is held in memory.
const LARGEST_PLAN: u64 = 1 << 30;

/// Reads what to do about a finding.
fn behaviour() -> impl TypedValueParser<Value = Behaviour> {
    PossibleValuesParser::new(["ignore", "warn", "fail"]).try_map(|text| text.parse::<Behaviour>())
}

#[derive(Debug, Args)]
pub(super) struct CheckArgs {
    /// Plans, as `terraform show -json` writes them; - for standard input
    #[arg(value_name = "PLAN", required = true)]
    plans: Vec<String>,
    /// What to do about outdated images, and those of incomplete versions
    #[arg(long, value_parser = behaviour(), default_value = "warn", value_name = "WHAT")]
    outdated: Behaviour,
    /// What to do about images that the registry does not know
    #[arg(long, value_parser = behaviour(), default_value = "warn", value_name = "WHAT")]
    untracked: Behaviour,
    /// What to do about images with a scheduled revocation
    #[arg(long, value_parser = behaviour(), default_value = "warn", value_name = "WHAT")]
    scheduled: Behaviour,
    /// What to do about images that are known only at apply
    #[arg(long, value_parser = behaviour(), default_value = "warn", value_name = "WHAT")]
    unknown: Behaviour,
    /// What to do about revoked images that a resource has already and keeps
    #[arg(long, value_parser = behaviour(), default_value = "warn", value_name = "WHAT")]
    existing: Behaviour,
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Print SARIF 2.1.0
    #[arg(long)]
    sarif: bool,
}

/// What it exits with where an image must not be deployed.
const FAILED: u8 = 2;

/// Plans that have been read.
pub(super) type Plans = Vec<(String, Plan)>;

/// Reads the plans, before the registry is asked for anything.
pub(super) fn read(args: &CheckArgs) -> Result<Plans> {
    if args.json && args.sarif {
        return Err(Error::new("-json and -sarif cannot be given together"));
    }
    if args.plans.iter().filter(|file| *file == "-").count() > 1 {
        return Err(Error::new("standard input can be read once only; give - once"));
    }
    args.plans.iter().map(|file| read_one(file)).collect()
}

fn read_one(file: &str) -> Result<(String, Plan)> {
    let (name, bytes) = match file {
        "-" => ("stdin", read_whole(std::io::stdin().lock())),
        // What writes to a pipe, as `<(terraform show -json plan)`, may take its time: it is waited
        // for, as for standard input.
        file => (file, File::open(file).map_err(Error::from).and_then(read_whole)),
    };
    let bytes = bytes.with_context(|| format!("the plan {name}"))?;
    let plan =
        Plan::read(&bytes).map_err(|error| Error::new(format!("the plan {name}: {error}")))?;
    Ok((name.to_owned(), plan))
}

/// All that a plan's source gives until it ends.
fn read_whole(source: impl Read) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let length = source.take(LARGEST_PLAN + 1).read_to_end(&mut bytes)?;
    match length as u64 > LARGEST_PLAN {
        true => Err(Error::new(format!("it has more than {LARGEST_PLAN} bytes"))),
        false => Ok(bytes),
    }
}

/// Checks plans: 0 if all may be applied, 2 if one must not be.
pub(super) async fn run(args: &CheckArgs, plans: Plans, session: &Session) -> Result<ExitCode> {
    let rules = Rules {
        existing: args.existing,
        scheduled: args.scheduled,
        outdated: args.outdated,
        untracked: args.untracked,
        unknown: args.unknown,
    };
    let mut reports: Vec<(&str, &Plan, Report)> = Vec::new();
    for (file, plan) in &plans {
        let report = check(Inventory::of(plan), session.registry(), &rules).await;
        reports.push((file, plan, report?));
    }
    if args.json {
        output::json(&document(&reports))?;
    } else if args.sarif {
        output::json(&sarif(reports.iter().map(|(file, _, report)| (*file, report))))?;
    } else {
        for (file, _, report) in &reports {
            output::line(text(file, report).trim_end());
        }
    }
    let worst = reports.iter().map(|(.., report)| report.level()).max().unwrap_or_default();
    Ok(match worst {
        Level::Fail => ExitCode::from(FAILED),
        Level::Warn | Level::Pass => ExitCode::SUCCESS,
    })
}

fn document(reports: &[(&str, &Plan, Report)]) -> serde_json::Value {
    let plans: Vec<serde_json::Value> = reports
        .iter()
        .map(|(file, plan, report)| {
            let counts: serde_json::Map<String, serde_json::Value> = Status::ALL
                .into_iter()
                .map(|status| (status.name().replace('-', "_"), json!(report.count(status))))
                .collect();
            json!({
                "plan": file,
                "terraform_version": plan.terraform_version,
                "result": report.level(),
                "counts": counts,
                "images": report.images,
                "notes": report.notes,
            })
        })
        .collect();
    let worst = reports.iter().map(|(.., report)| report.level()).max().unwrap_or_default();
    json!({ "result": worst, "plans": plans })
}
