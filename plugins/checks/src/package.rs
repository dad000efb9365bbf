//! Packages of the system's package manager.

use ingot_sdk::{ConfigErrors, Error, Result};

use crate::options::{PackageOptions, refuse_details};
use crate::pattern::Pattern;
use crate::shell::Shell;

/// Prints `installed VERSION` for each installed package of that name, `partly STATE VERSION` for
/// each whose files are there without that (the states of dpkg(1)), and `manager NAME` for each
/// package manager that was asked.
const SCRIPT: &str = r#"
n=$1
if command -v dpkg-query >/dev/null 2>&1; then
  echo "manager dpkg"
  dpkg-query -W -f '${db:Status-Status} ${Version}\n' -- "$n" 2>/dev/null | while read -r s v; do
    case "$s" in
      installed) echo "installed $v" ;;
      not-installed|config-files) ;;
      *) echo "partly $s $v" ;;
    esac
  done
fi
if command -v rpm >/dev/null 2>&1; then
  echo "manager rpm"
  if rpm -q -- "$n" >/dev/null 2>&1; then rpm -q --qf 'installed %{VERSION}-%{RELEASE}\n' -- "$n"; fi
fi
if command -v apk >/dev/null 2>&1; then
  echo "manager apk"
  if apk info -e "$n" >/dev/null 2>&1; then
    v=$(apk info -v 2>/dev/null | while read -r one; do
      rest=${one#"$n"-}
      case "$rest" in
        "$one"|*-*-*) ;; # another package, such as `$n-3d`: a version has one hyphen, before its `r`
        [0-9]*-r[0-9]*) echo "$rest" ;;
      esac
    done)
    echo "installed $v"
  fi
fi
if command -v pacman >/dev/null 2>&1; then
  echo "manager pacman"
  pacman -Q -- "$n" 2>/dev/null | while read -r _ v; do echo "installed $v"; done
fi
exit 0
"#;

/// A package that must be installed, or must not.
#[derive(Debug, Clone)]
pub(crate) struct PackageCheck {
    name: String,
    installed: bool,
    version: Vec<Pattern>,
}

impl PackageCheck {
    pub(crate) fn new(name: &str, options: PackageOptions, errors: &mut ConfigErrors) -> Self {
        let installed = options.installed.unwrap_or(true);
        if !installed {
            refuse_details("installed", &[("version", !options.version.is_empty())], errors);
        }
        let version = Pattern::list("version", &options.version, errors);
        PackageCheck { name: name.to_owned(), installed, version }
    }

    pub(crate) async fn examine(&self, shell: Shell<'_>) -> Result<Vec<String>> {
        let found = shell.script(SCRIPT, &[&self.name]).await?;
        if !found.contains("manager ") {
            return Err(Error::new(
                "there is no package manager that Ingot knows: dpkg, rpm, apk or pacman",
            ));
        }
        Ok(self.judge(&found))
    }

    /// What is wrong with what the script found.
    fn judge(&self, found: &str) -> Vec<String> {
        let after =
            |word: &'static str| found.lines().filter_map(move |line| line.strip_prefix(word));
        let versions: Vec<&str> = after("installed ").collect();
        let partly: Vec<&str> = after("partly ").collect();
        match (versions.is_empty(), self.installed) {
            (true, true) if partly.is_empty() => vec!["it is not installed".to_owned()],
            (true, _) if !partly.is_empty() => {
                vec![format!("it is installed only in part: {}", partly.join(", "))]
            }
            (true, _) => Vec::new(),
            (false, false) => vec![format!("it is installed: {}", versions.join(", "))],
            (false, true) => {
                let unfit = self
                    .version
                    .iter()
                    .filter(|pattern| !versions.iter().any(|version| fits(pattern, version)));
                let problem = |pattern: &Pattern| {
                    format!("the version is {}, not {:?}", versions.join(", "), pattern.text)
                };
                unfit.map(problem).collect()
            }
        }
    }
}

/// Whether a version, with or without the epoch before it, is as it should be.
fn fits(pattern: &Pattern, version: &str) -> bool {
    let bare = version.split_once(':').map_or(version, |(_, bare)| bare);
    match pattern.is_negated() {
        true => pattern.fits_version(version) && pattern.fits_version(bare),
        false => pattern.fits_version(version) || pattern.fits_version(bare),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judge(installed: bool, found: &str) -> Vec<String> {
        let options = PackageOptions { installed: Some(installed), ..Default::default() };
        let mut errors = ConfigErrors::default();
        PackageCheck::new("a", options, &mut errors).judge(found)
    }

    #[test]
    fn a_package_in_part_is_neither_installed_nor_not() {
        let partly = "manager dpkg\npartly half-configured 1.2-3\n";
        for wanted in [true, false] {
            let problem = "it is installed only in part: half-configured 1.2-3";
            assert_eq!(judge(wanted, partly), [problem]);
        }
        assert_eq!(judge(true, "manager dpkg\n"), ["it is not installed"]);
        assert!(judge(false, "manager dpkg\n").is_empty());
        assert!(judge(true, "manager dpkg\ninstalled 1\n").is_empty());
        assert_eq!(judge(false, "manager dpkg\ninstalled 1\n"), ["it is installed: 1"]);
    }

    #[test]
    fn an_epoch_may_be_left_out() {
        let fits = |pattern: &str, version| fits(&Pattern::parse(pattern).unwrap(), version);
        assert!(fits("9.2", "1:9.2p1-2") && fits("1:9.2", "1:9.2p1-2") && !fits("9.", "1:8.1"));
        assert!(!fits("!9.", "1:9.2") && fits("!8.", "1:9.2"));
    }
}
