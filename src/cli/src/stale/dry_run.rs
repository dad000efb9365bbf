//! `-dry-run`: what would be built, and in which order.

use std::process::ExitCode;

use ingot_family::{Family, predicted_reasons};
use ingot_sdk::{Result, Ui};

use crate::family::standings;

/// Says what would be built or promoted, and does nothing of it. A registry's file is not created by
/// that.
pub(super) async fn dry_run(family: &Family, ui: &Ui, changed_only: bool) -> Result<ExitCode> {
    let standings = standings(family, ui).await?;
    let predicted = predicted_reasons(family, &standings);
    let (mut built, mut promoted) = (0, 0);
    for (place, reasons) in predicted.iter().enumerate() {
        let (member, standing) = (&family.members[place], &standings[place]);
        let named =
            |number: usize| format!("{number}. {} ({})", member.bucket, member.template.display());
        if reasons.is_empty() {
            if let (Some(channel), Some(last)) = (&standing.promotion, &standing.last) {
                promoted += 1;
                let name = named(built + promoted);
                let version = &last.name;
                ui.say(format!("{name}: {version}, built before, to be promoted to {channel}"));
            }
            continue;
        }
        built += 1;
        let to = match &member.promote {
            Some(channel) => format!(", to be promoted to {channel}"),
            None => String::new(),
        };
        ui.say(format!("{}{to}", named(built + promoted)));
        for reason in reasons {
            ui.say(format!("   {reason}"));
        }
    }
    let rest = family.members.len() - built - promoted;
    let order = match promoted {
        0 => format!("{built} would be built in this order"),
        _ => format!("{promoted} would be promoted, {built} built in this order"),
    };
    ui.say(match (built + promoted, changed_only) {
        (0, false) => format!("Nothing is out of date: {rest} unchanged."),
        (_, false) => format!("{order}, {rest} unchanged."),
        (_, true) => {
            format!("{order}; {rest} only if their templates changed, which `ingot plan` tells.")
        }
    });
    Ok(ExitCode::SUCCESS)
}
