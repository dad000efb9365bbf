//! What `ingot inspect` shows of the companion files, after all that Packer shows of the template.

use std::fmt::Write as _;

use ingot_sdk::GoDuration;
use ingot_template::Companion;
use ingot_template::companion::TestBlock;

pub(super) fn text(companion: &Companion) -> String {
    let mut text = String::new();
    let mut line = |line: String| {
        let _ = writeln!(text, "{line}");
    };
    if let Some(cache) = &companion.cache {
        line("> cache:\n".into());
        if let Some(enabled) = cache.enabled {
            line(format!("  enabled: {enabled}"));
        }
        if let Some(age) = cache.max_age {
            line(format!("  max_age: {}", GoDuration(age)));
        }
        if let Some(directory) = &cache.directory {
            line(format!("  directory: {directory}"));
        }
        if let Some(amazon) = cache.amazon {
            line(format!("  amazon: {amazon}"));
        }
        line(String::new());
    }
    if !companion.steps.is_empty() {
        line("> steps:\n".into());
        for (name, step) in &companion.steps {
            match step.cache {
                Some(cache) => line(format!("  {name}: cache = {cache}")),
                None => line(format!("  {name}")),
            }
        }
        line(String::new());
    }
    if let Some(family) = &companion.family {
        line("> family:\n".into());
        if let Some(channel) = &family.promote {
            line(format!("  promote: {channel}"));
        }
        line(String::new());
    }
    if !companion.tests.is_empty() {
        line("> tests:".into());
        companion.tests.iter().for_each(|test| show(test, &mut line));
    }
    text.trim_end().to_owned() + "\n"
}

fn show(test: &TestBlock, line: &mut impl FnMut(String)) {
    line(format!("\n  > {}:\n", test.name));
    match test.applies.named() {
        ([], _) => {}
        (names, true) => line(format!("    only: {}\n", names.join(", "))),
        (names, false) => line(format!("    except: {}\n", names.join(", "))),
    }
    for check in &test.checks {
        line(format!("    {} {:?}", check.check.kind, check.check.name));
    }
}
