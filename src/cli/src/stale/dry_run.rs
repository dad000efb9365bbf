//! `-dry-run`: what would be built, and in which order.

use std::process::ExitCode;

use ingot_family::{Family, predicted_reasons};
use ingot_sdk::{Result, Ui};

use crate::family::standings;

/// Says what would be built, and builds nothing. A registry's file is not created by that.
pub(super) async fn dry_run(family: &Family, ui: &Ui, changed_only: bool) -> Result<ExitCode> {
    let standings = standings(family, ui).await?;
    let predicted = predicted_reasons(family, &standings);
    let mut number = 0;
    for (place, reasons) in predicted.iter().enumerate() {
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
