//! Which members are to be built, and in which order.

use std::process::ExitCode;

use ingot_registry::Connected;
use ingot_sdk::{Error, Result, Ui};

use crate::family::{Family, Member, Standing, standing};

/// Why each member is to be built, if it is, as far as that is known before: building a parent moves
/// its channels.
pub(in crate::cli) fn foreseen(family: &Family, standings: &[Standing]) -> Vec<Vec<String>> {
    let mut all: Vec<Vec<String>> = Vec::new();
    for (place, member) in family.members.iter().enumerate() {
        let mut reasons = standings[place].reasons.clone();
        for &parent in &family.parents[place] {
            let bucket = &family.members[parent].bucket;
            if !all[parent].is_empty() && follows(member, &family.members[parent]) {
                reasons.push(format!("{bucket} is built before it"));
            }
        }
        all.push(reasons);
    }
    all
}

/// Whether what `member` is built from changes when `parent` is built.
pub(super) fn follows(member: &Member, parent: &Member) -> bool {
    let links = member.parents.iter().filter(|link| link.bucket == parent.bucket);
    let mut channels = links.filter_map(|link| link.channel.as_deref());
    channels.any(|channel| parent.moves(channel))
}

/// Says what would be built, and builds nothing.
pub(super) async fn dry_run(
    family: &Family,
    connected: &Connected,
    ui: &Ui,
    changed_only: bool,
) -> Result<ExitCode> {
    let mut standings = Vec::new();
    for member in &family.members {
        standings.push(ask(connected, member).await?);
    }
    let foreseen = foreseen(family, &standings);
    let mut number = 0;
    for (place, reasons) in foreseen.iter().enumerate() {
        let member = &family.members[place];
        if reasons.is_empty() {
            continue;
        }
        number += 1;
        let bucket = &member.bucket;
        let to = match &member.promote {
            Some(channel) => format!(", to be promoted to {channel}"),
            None => String::new(),
        };
        ui.say(format!("{number}. {bucket} ({}){to}", member.template.display()));
        for reason in reasons {
            ui.say(format!("   {reason}"));
        }
    }
    let rest = family.members.len() - number;
    ui.say(match (number, changed_only) {
        (0, false) => format!("Nothing is out of date: {rest} unchanged."),
        (_, false) => format!("{number} would be built in this order, {rest} unchanged."),
        (_, true) => format!(
            "{number} would be built in this order; {rest} only if their templates changed, which \
             `ingot plan` tells."
        ),
    });
    Ok(ExitCode::SUCCESS)
}

/// How a member stands.
pub(in crate::cli) async fn ask(connected: &Connected, member: &Member) -> Result<Standing> {
    let asked = standing(&*connected.registry, member).await;
    asked.map_err(|error| {
        let (name, bucket) = (&connected.name, &member.bucket);
        Error::from(error).context(format_args!("the {name} registry: the bucket {bucket}"))
    })
}
