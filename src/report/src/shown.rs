//! Durations, sizes and steps for people.

use ingot_sdk::{StepInfo, StepKind};

use super::model::Step;

/// A duration in milliseconds, in at most two units: `850 ms`, `12.3 s`, `4 m 05 s`, `2 h 10 m`.
pub fn duration(millis: u64) -> String {
    let seconds = millis / 1000;
    match seconds {
        0 => format!("{millis} ms"),
        1..60 => format!("{seconds}.{} s", millis % 1000 / 100),
        60..3600 => format!("{} m {:02} s", seconds / 60, seconds % 60),
        _ => format!("{} h {:02} m", seconds / 3600, seconds % 3600 / 60),
    }
}

/// A step in a sentence: "provisioner `shell` (2 of 3)".
pub fn describe(step: &StepInfo) -> String {
    in_words(step.kind, &step.name, step.label.as_deref(), step.number)
}

/// The same of a step of a report.
pub(super) fn describe_step(step: &Step) -> String {
    let kind = match step.kind.as_str() {
        "builder" => StepKind::Builder,
        "builder_step" => StepKind::BuilderStep,
        "error_cleanup_provisioner" => StepKind::ErrorCleanup,
        "cleanup" => StepKind::Cleanup,
        "test" => StepKind::Test,
        "check" => StepKind::Check,
        "post_processor" => StepKind::PostProcessor,
        "publish" => StepKind::Publish,
        _ => StepKind::Provisioner,
    };
    in_words(kind, &step.name, step.label.as_deref(), step.number.zip(step.of))
}

fn in_words(
    kind: StepKind,
    name: &str,
    label: Option<&str>,
    number: Option<(usize, usize)>,
) -> String {
    let number = match number {
        Some((number, of)) if of > 1 => format!(" ({number} of {of})"),
        _ => String::new(),
    };
    let label = label.map_or_else(String::new, |label| format!(" {label:?}"));
    match kind {
        StepKind::Builder => format!("builder `{name}`"),
        StepKind::BuilderStep => format!("step `{name}` of the builder"),
        StepKind::Provisioner => format!("provisioner `{name}`{label}{number}"),
        StepKind::ErrorCleanup => format!("error-cleanup-provisioner `{name}`{label}"),
        StepKind::Cleanup => "cleanup".to_owned(),
        StepKind::Test => format!("test {name:?}"),
        StepKind::Check => format!("check `{name}`{label}{number}"),
        StepKind::PostProcessor => format!("post-processor `{name}`{label}{number}"),
        StepKind::Publish => "publishing to the registry".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_short() {
        for (millis, shown) in
            [(850, "850 ms"), (12_345, "12.3 s"), (245_000, "4 m 05 s"), (7_800_000, "2 h 10 m")]
        {
            assert_eq!(duration(millis), shown);
        }
    }
}
