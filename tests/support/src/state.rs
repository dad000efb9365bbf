//! What runs leave in the directory for their state.

use std::path::Path;

/// The names in the directory for state, in order, without those that may stay after a run: `logs` has
/// the logs of builds that failed, `kept` what `-resume` needs. The others are journals, which are gone
/// when nothing is left to be removed.
pub fn left_in_state(directory: &Path, may_stay: &[&str]) -> Vec<String> {
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
    let mut left: Vec<String> = names.filter(|name| !may_stay.contains(&name.as_str())).collect();
    left.sort();
    left
}
