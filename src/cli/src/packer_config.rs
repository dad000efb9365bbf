//! Packer's configuration file: JSON in the file that `PACKER_CONFIG` names, else in
//! `.packerconfig` in `PACKER_CONFIG_DIR` or in the home directory. It is not the template.
//!
//! All that is left in it are switches for what Packer reports to its makers, which Ingot does not
//! do, and components of a form that Packer gave up. What Packer refuses is refused.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{ErrorKind, Read as _};
use std::path::{Path, PathBuf};

use ingot_sdk::environment;
use ingot_sdk::home::home_dir;
use serde::Deserialize;

use ingot_hcl::Diagnostic;

/// The file's name where nothing else names it.
const FILE: &str = ".packerconfig";
/// The largest file that is read, in bytes.
const MAX_SIZE: u64 = 1 << 20;

/// What the file may say.
#[derive(Deserialize)]
struct PackerConfig {
    #[serde(rename = "disable_checkpoint")]
    _disable_checkpoint: Option<bool>,
    #[serde(rename = "disable_checkpoint_signature")]
    _disable_checkpoint_signature: Option<bool>,
    builders: Option<Components>,
    provisioners: Option<Components>,
    #[serde(rename = "post-processors")]
    post_processors: Option<Components>,
}

/// Programs by the name of the one component that each has.
type Components = BTreeMap<String, String>;

/// Reads the file, if there is one.
///
/// # Errors
/// Packer would not start with it: it cannot be read, is not what it should be, or names programs
/// of one component.
pub(super) fn check() -> Result<(), Diagnostic> {
    match path() {
        Some(path) => check_file(&path),
        None => Ok(()),
    }
}

fn path() -> Option<PathBuf> {
    let set = |name| environment::set(name).map(PathBuf::from);
    set("PACKER_CONFIG").or_else(|| Some(set("PACKER_CONFIG_DIR").or_else(home_dir)?.join(FILE)))
}

fn check_file(path: &Path) -> Result<(), Diagnostic> {
    let shown = path.display();
    let failed = |why: &dyn std::fmt::Display| {
        Diagnostic::error(format!("Packer's configuration file {shown} cannot be used: {why}"))
            .help("PACKER_CONFIG names another file; Ingot needs none")
    };
    let mut text = Vec::new();
    match File::open(path) {
        // As in Packer, also where it was asked for by name. A service's home may be `/dev/null`.
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            return Ok(());
        }
        Err(error) => return Err(failed(&error)),
        Ok(file) => file.take(MAX_SIZE).read_to_end(&mut text).map_err(|error| failed(&error))?,
    };
    // Packer reads the first value and leaves what follows.
    let mut values =
        serde_json::Deserializer::from_slice(&text).into_iter::<Option<PackerConfig>>();
    let config = match values.next() {
        Some(Ok(config)) => config,
        Some(Err(error)) => return Err(failed(&error)),
        None => return Err(failed(&"it is empty; write {} for no settings")),
    };
    let Some(config) = config else { return Ok(()) };
    let groups = [config.builders, config.provisioners, config.post_processors];
    let programs: Vec<String> =
        groups.into_iter().flatten().flat_map(BTreeMap::into_values).collect();
    if programs.is_empty() {
        return Ok(());
    }
    Err(Diagnostic::error(format!(
        "Packer's configuration file {shown} names programs of one component each: {}",
        programs.join(", ")
    ))
    .note("Packer 1.11 gave up this form of plugins")
    .help(
        "remove `builders`, `provisioners` and `post-processors` from it, and install the plugins \
         with `ingot plugins install`",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The messages about a file with this text.
    fn said(text: &str) -> Option<String> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        check_file(file.path()).err().map(|error| error.message)
    }

    #[test]
    fn what_packer_starts_with_is_taken_and_what_it_refuses_is_refused() {
        for text in [
            "{}",
            "null",
            "{} and more",
            r#"{"disable_checkpoint": true, "disable_checkpoint_signature": false}"#,
            r#"{"builders": {}, "provisioners": null, "plugin_min_port": 10000}"#,
        ] {
            assert_eq!(said(text), None, "{text}");
        }
        for (text, why) in [
            ("", "it is empty"),
            ("{", "line 1 column 1"),
            ("[]", "cannot be used"),
            (r#"{"builders": []}"#, "expected a map"),
            (r#"{"disable_checkpoint": "yes"}"#, "expected a boolean"),
            (r#"{"provisioners": {"x": "/opt/x"}}"#, "of one component each: /opt/x"),
            (r#"{"post-processors": {"y": "/opt/y"}}"#, "of one component each: /opt/y"),
        ] {
            let said = said(text).unwrap_or_default();
            assert!(said.contains(why), "{text}: {said}");
        }
        assert!(check_file(Path::new("/nowhere/at/all")).is_ok());
        assert!(check_file(Path::new("/dev/null/.packerconfig")).is_ok());
        assert!(check_file(Path::new("/")).is_err());
    }
}
