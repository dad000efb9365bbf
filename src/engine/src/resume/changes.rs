//! What changed in a template since a build of it was kept.

use super::inputs::{Inputs, StepInputs, different, shown};

/// Options that say how a machine is reached and turned off, in every builder: they may change while
/// it waits.
const REACH: &[&str] = &[
    "ssh_",
    "winrm_",
    "communicator",
    "pause_before_connecting",
    "shutdown_command",
    "shutdown_timeout",
    "disable_shutdown",
];
/// Those among them that the machine was made with.
const MADE_WITH: &[&str] = &["ssh_keypair_name", "ssh_host_port_min", "ssh_host_port_max"];

/// What changed, and what that means for going on.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Changes {
    /// All of it, a line each.
    pub lines: Vec<String>,
    /// The source's options that the machine was made with.
    pub source: Vec<String>,
    /// The files that they name.
    pub source_files: Vec<String>,
    /// The first provisioner that is not what it was, of those there were and are.
    pub first_provisioner: Option<usize>,
}

impl Changes {
    /// What is not now as it was.
    pub(super) fn between(before: &Inputs, now: &Inputs) -> Changes {
        let mut changes = Changes::default();
        let source = different(&before.source, &now.source);
        let files = different(&before.source_files, &now.source_files);
        if !source.is_empty() || !files.is_empty() {
            changes.lines.push(format!("the source: {}", what_differs(&source, &files)));
        }
        changes.source_files = files.into_iter().map(str::to_owned).collect();
        let matters = |option: &&&str| !may_change(option);
        changes.source = source.iter().filter(matters).map(|&option| option.to_owned()).collect();
        let steps = before.provisioners.len().max(now.provisioners.len());
        for index in 0..steps {
            let (old, new) = (before.provisioners.get(index), now.provisioners.get(index));
            if let Some(line) = step_line("provisioner", index, old, new) {
                changes.first_provisioner.get_or_insert(index);
                changes.lines.push(line);
            }
        }
        let steps = before.post_processors.len().max(now.post_processors.len());
        for index in 0..steps {
            let (old, new) = (before.post_processors.get(index), now.post_processors.get(index));
            changes.lines.extend(step_line("post-processor", index, old, new));
        }
        let variables = different(&before.variables, &now.variables);
        let values = |name: &&&str| {
            before.variables.contains_key(**name) && now.variables.contains_key(**name)
        };
        let values: Vec<&str> = variables.iter().filter(values).copied().collect();
        if !values.is_empty() {
            let what = if values.len() == 1 { "the variable" } else { "the variables" };
            changes.lines.push(format!("{what} {}", shown(values.into_iter())));
        }
        changes
    }

    /// What the machine was made with and is not so any more: `other values of …`. None if that is
    /// all the same.
    pub(super) fn made_with(&self) -> Option<String> {
        let options = shown(self.source.iter().map(String::as_str));
        let files: Vec<&str> = self.source_files.iter().map(String::as_str).collect();
        match (self.source.is_empty(), files.is_empty()) {
            (true, true) => None,
            (false, true) => Some(format!("other values of {options}")),
            (true, false) => Some(format!("other contents of {}", file_names(&files))),
            (false, false) => {
                Some(format!("other values of {options} and contents of {}", file_names(&files)))
            }
        }
    }
}

/// How many files are named.
const NAMED: usize = 5;

/// Files by their names, the first few.
fn file_names(files: &[&str]) -> String {
    let named = files.iter().take(NAMED).copied().collect::<Vec<_>>().join(", ");
    match files.len().saturating_sub(NAMED) {
        0 => named,
        more => format!("{named} and {more} more"),
    }
}

/// Options and files that are not the same.
fn what_differs(options: &[&str], files: &[&str]) -> String {
    let mut parts = Vec::new();
    if !options.is_empty() {
        parts.push(shown(options.iter().copied()));
    }
    if !files.is_empty() {
        let what = if files.len() == 1 { "the file" } else { "the files" };
        parts.push(format!("{what} {}", file_names(files)));
    }
    parts.join(" and ")
}

/// Whether an option of a source may change while its machine waits.
fn may_change(option: &str) -> bool {
    !MADE_WITH.contains(&option) && REACH.iter().any(|reach| option.starts_with(reach))
}

/// The line about a step that has changed.
fn step_line(
    what: &str,
    index: usize,
    before: Option<&StepInputs>,
    now: Option<&StepInputs>,
) -> Option<String> {
    let number = index + 1;
    match (before, now) {
        (Some(old), Some(new)) if new.is_same(old) => None,
        (None, None) => None,
        (Some(old), None) => Some(format!("{what} {number}, {}, is gone", old.describe())),
        (None, Some(new)) => {
            Some(format!("{what} {number}, {}, is new ({})", new.describe(), new.place))
        }
        (Some(old), Some(new)) if (&old.kind, &old.name) != (&new.kind, &new.name) => {
            Some(format!(
                "{what} {number} is {} now, and was {} ({})",
                new.describe(),
                old.describe(),
                new.place
            ))
        }
        (Some(old), Some(new)) => {
            let options = different(&old.options, &new.options);
            let files = new.changed_files(old);
            let parts = what_differs(&options, &files);
            Some(format!("{what} {number}, {} ({}): {parts}", new.describe(), new.place))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn digests(entries: &[(&str, &str)]) -> BTreeMap<String, String> {
        entries.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect()
    }

    fn step(name: Option<&str>, inline: &str, file: &str) -> StepInputs {
        StepInputs {
            kind: "shell".into(),
            name: name.map(str::to_owned),
            place: "t.pkr.hcl:1:1".into(),
            options: digests(&[("inline", inline)]),
            files: digests(&[("setup.sh", file)]),
            possible: Vec::new(),
        }
    }

    fn inputs(source: &[(&str, &str)], provisioners: Vec<StepInputs>) -> Inputs {
        Inputs {
            salt: String::new(),
            source: digests(source),
            source_files: digests(&[("Dockerfile", source.first().map_or("", |(_, value)| value))]),
            variables: digests(&[("v", source.first().map_or("", |(_, value)| value))]),
            provisioners,
            post_processors: Vec::new(),
        }
    }

    #[test]
    fn changes_are_reported_by_name_and_place() {
        let before = inputs(
            &[("image", "a"), ("ssh_username", "u")],
            vec![step(None, "1", "x"), step(Some("two"), "2", "x"), step(None, "3", "x")],
        );
        assert_eq!(Changes::between(&before, &before), Changes::default());
        let now = inputs(
            &[("image", "b"), ("ssh_username", "w")],
            vec![step(None, "1", "x"), step(Some("two"), "other", "y")],
        );
        let changes = Changes::between(&before, &now);
        assert_eq!(changes.source, ["image"]);
        let made = "other values of `image` and contents of Dockerfile";
        assert_eq!(changes.made_with().as_deref(), Some(made));
        assert_eq!(changes.first_provisioner, Some(1));
        assert_eq!(
            changes.lines,
            [
                "the source: `image`, `ssh_username` and the file Dockerfile",
                "provisioner 2, shell \"two\" (t.pkr.hcl:1:1): `inline` and the file setup.sh",
                "provisioner 3, shell, is gone",
                "the variable `v`",
            ]
        );
    }

    #[test]
    fn what_only_may_be_read_and_was_not_there_is_no_change() {
        let before = step(None, "1", "x");
        let now = |new: &str, possible: &[&str]| {
            let files = digests(&[("setup.sh", "x"), (new, "y")]);
            let possible = possible.iter().map(|path| (*path).to_owned()).collect();
            StepInputs { files, possible, ..before.clone() }
        };
        assert!(now("./a.env", &["./a.env"]).is_same(&before));
        assert!(now("roles/a", &["roles"]).is_same(&before));
        assert_eq!(now("a.env", &[]).changed_files(&before), ["a.env"]);
        // One more in a directory, and another content.
        let mut more = now("roles/b", &["roles"]);
        more.files.insert("roles/a".into(), "y".into());
        assert_eq!(more.changed_files(&now("roles/a", &[])), ["roles/b"]);
        assert_eq!(now("a", &["a", "setup.sh"]).changed_files(&step(None, "1", "z")), ["setup.sh"]);
    }

    #[test]
    fn how_a_machine_is_reached_may_change_and_what_it_was_made_with_may_not() {
        assert!(may_change("ssh_username") && may_change("shutdown_command"));
        assert!(!may_change("ssh_keypair_name") && !may_change("image"));
    }
}
