//! Files: that they are there, what they are and what is in them.

use ingot_sdk::command::quote;
use ingot_sdk::{ConfigError, ConfigErrors, Result};

use crate::lines::Lines;
use crate::options::{FileOptions, refuse_details};
use crate::pattern::Pattern;
use crate::shell::{Shell, field};
use crate::verdict::expect;

/// Prints what a path is: nothing if there is nothing. A path below a directory that cannot be
/// searched may be there, so the nearest directory above it that can be seen is looked at, also
/// where a link leads to it. `stat` of GNU and of BusyBox knows these formats, that of the BSDs
/// others. The target of a link comes last, as it can have lines of its own.
const SCRIPT: &str = r#"
p=$1
if [ ! -e "$p" ] && [ ! -L "$p" ]; then
  d=$p; links=0
  until [ -e "$d" ]; do
    if [ -L "$d" ]; then
      links=$((links + 1)); [ $links -le 40 ] || exit 0
      t=$(readlink "$d")
      case "$t" in /*) d=$t ;; *) d=$(dirname -- "$d")/$t ;; esac
    else
      case "$d" in /|.) break ;; esac
      d=$(dirname -- "$d")
    fi
  done
  if [ ! -e "$d" ] || { [ -d "$d" ] && [ ! -x "$d" ]; }; then printf 'unreadable=%s\n' "$d"; fi
  exit 0
fi
if [ -L "$p" ]; then t=symlink
elif [ -f "$p" ]; then t=file
elif [ -d "$p" ]; then t=directory
elif [ -S "$p" ]; then t=socket
elif [ -p "$p" ]; then t=pipe
elif [ -b "$p" ]; then t=block-device
elif [ -c "$p" ]; then t=character-device
else t=unknown; fi
echo "type=$t"
s=$(stat -c '%a|%U|%G|%u|%g|%s' "$p" 2>/dev/null) || s=$(stat -f '%Lp|%Su|%Sg|%u|%g|%z' "$p") || exit 1
echo "stat=$s"
[ "$t" != symlink ] || { printf linked_to=; readlink "$p"; }
"#;

/// Prints sums of what is in a file.
const SUMS: &str = r#"
p=$1; shift
for kind in "$@"; do
  sum=$("${kind}sum" < "$p") || exit 1
  echo "$kind=${sum%% *}"
done
"#;

/// What the types of files are called.
const TYPES: &[&str] =
    &["file", "directory", "symlink", "socket", "pipe", "block-device", "character-device"];

/// A file that must be as it should.
#[derive(Debug, Clone)]
pub(crate) struct FileCheck {
    path: String,
    exists: bool,
    file_type: Option<String>,
    mode: Option<u32>,
    owner: Option<String>,
    group: Option<String>,
    size: Option<u64>,
    linked_to: Option<String>,
    contains: Vec<Pattern>,
    /// The kind of each sum, and what it must be in hexadecimal.
    sums: Vec<(&'static str, String)>,
}

impl FileCheck {
    pub(crate) fn new(name: &str, options: FileOptions, errors: &mut ConfigErrors) -> Self {
        let exists = options.exists.unwrap_or(true);
        if !exists {
            let given = [
                ("type", options.file_type.is_some()),
                ("mode", options.mode.is_some()),
                ("owner", options.owner.is_some()),
                ("group", options.group.is_some()),
                ("size", options.size.is_some()),
                ("linked_to", options.linked_to.is_some()),
                ("contains", !options.contains.is_empty()),
                ("md5", options.md5.is_some()),
                ("sha256", options.sha256.is_some()),
                ("sha512", options.sha512.is_some()),
            ];
            refuse_details("exists", &given, errors);
        }
        if let Some(wrong) = options.file_type.as_deref().filter(|ty| !TYPES.contains(ty)) {
            let error = ConfigError::on("type", format!("there is no type of files {wrong:?}"));
            errors.push(match ingot_suggest::closest(wrong, TYPES.iter().copied()) {
                Some(close) => error.hint(format!("did you mean `{close}`?")),
                None => error.hint(format!("it is one of {}", TYPES.join(", "))),
            });
        }
        let mode = options.mode.as_deref().and_then(|text| match u32::from_str_radix(text, 8) {
            Ok(mode) if mode <= 0o7777 => Some(mode),
            _ => {
                errors.push(
                    ConfigError::on("mode", format!("{text:?} is not a file mode"))
                        .hint("write it in octal, as in \"0644\""),
                );
                None
            }
        });
        let mut sums = Vec::new();
        let given = [
            ("md5", options.md5, 32),
            ("sha256", options.sha256, 64),
            ("sha512", options.sha512, 128),
        ];
        for (kind, sum, length) in given {
            let Some(sum) = sum else { continue };
            let sum = sum.to_ascii_lowercase();
            if sum.len() != length || !sum.bytes().all(|byte| byte.is_ascii_hexdigit()) {
                let message = format!("invalid checksum: it must have {length} hexadecimal digits");
                errors.push(ConfigError::on(kind, message));
            }
            sums.push((kind, sum));
        }
        FileCheck {
            path: name.to_owned(),
            exists,
            file_type: options.file_type,
            mode,
            owner: options.owner,
            group: options.group,
            size: options.size,
            linked_to: options.linked_to,
            contains: Pattern::list("contains", &options.contains, errors),
            sums,
        }
    }

    pub(crate) async fn examine(&self, shell: Shell<'_>) -> Result<Vec<String>> {
        let found = shell.script(SCRIPT, &[&self.path]).await?;
        if let Some(directory) = field(&found, "unreadable") {
            return Ok(vec![format!("{directory} cannot be looked into by this user")]);
        }
        let Some(file_type) = field(&found, "type") else {
            return Ok(match self.exists {
                true => vec!["it does not exist".to_owned()],
                false => Vec::new(),
            });
        };
        if !self.exists {
            return Ok(vec![format!("it exists, as a {file_type}")]);
        }
        let mut problems = Vec::new();
        let file_type = file_type.to_owned();
        expect(&mut problems, "the type", self.file_type.as_ref(), &file_type);
        let stat: Vec<&str> = field(&found, "stat").unwrap_or_default().split('|').collect();
        if let [mode, owner, group, uid, gid, size] = stat[..] {
            self.compare(&mut problems, mode, [owner, uid], [group, gid], size);
        } else {
            problems.push("its mode and owner cannot be read".to_owned());
        }
        if let Some(wanted) = &self.linked_to {
            match target(&found) {
                Some(target) if target == wanted => {}
                Some(target) => problems.push(format!("it leads to {target}, not to {wanted}")),
                None => problems.push(format!("it is a {file_type}, not a link to {wanted}")),
            }
        }
        self.compare_sums(shell, &mut problems).await?;
        if !self.contains.is_empty() {
            let lines = Lines::new(&self.contains, &[]);
            let command = format!("cat -- {}", quote(&self.path));
            if !shell.command(&command, &lines).await?.success() {
                problems.push(format!("it cannot be read: {}", lines.shown().join(", ")));
            } else {
                problems.extend(lines.problems(0, "it"));
            }
        }
        Ok(problems)
    }

    fn compare(
        &self,
        problems: &mut Vec<String>,
        mode: &str,
        owner: [&str; 2],
        group: [&str; 2],
        size: &str,
    ) {
        let found = u32::from_str_radix(mode, 8).ok();
        if let Some(wanted) = self.mode.filter(|wanted| Some(*wanted) != found) {
            problems.push(format!("the mode is {mode:0>4}, not {wanted:04o}"));
        }
        for (what, wanted, found) in [("owner", &self.owner, owner), ("group", &self.group, group)]
        {
            if let Some(wanted) = wanted.as_deref().filter(|wanted| !found.contains(wanted)) {
                let [name, number] = found;
                problems.push(format!("the {what} is {name} ({number}), not {wanted}"));
            }
        }
        if let Some(wanted) = self.size.filter(|wanted| size.parse() != Ok(*wanted)) {
            problems.push(format!("the size is {size} bytes, not {wanted}"));
        }
    }

    async fn compare_sums(&self, shell: Shell<'_>, problems: &mut Vec<String>) -> Result<()> {
        if self.sums.is_empty() {
            return Ok(());
        }
        let kinds = self.sums.iter().map(|(kind, _)| *kind);
        let arguments: Vec<&str> = std::iter::once(self.path.as_str()).chain(kinds).collect();
        match shell.script(SUMS, &arguments).await {
            Ok(found) => {
                for (kind, wanted) in &self.sums {
                    let found = field(&found, kind).unwrap_or_default().to_owned();
                    expect(problems, &format!("the {kind} sum"), Some(wanted), &found);
                }
            }
            Err(error) => problems.push(format!("its checksum cannot be computed: {error}")),
        }
        Ok(())
    }
}

/// The target of a link: all that [`SCRIPT`] printed after its name.
fn target(found: &str) -> Option<&str> {
    let (_, target) = found.split_once("\nlinked_to=")?;
    let target = target.strip_suffix('\n').unwrap_or(target);
    // A terminal ends lines with both.
    Some(target.strip_suffix('\r').unwrap_or(target))
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};
    use std::path::Path;

    use super::*;
    use crate::shell::run_here;

    fn look(path: &Path) -> String {
        run_here(SCRIPT, &[path.to_str().expect("a path of text")])
    }

    #[test]
    fn the_target_of_a_link_says_nothing_of_its_mode() {
        let directory = tempfile::tempdir().unwrap();
        let link = directory.path().join("link");
        let planted = "/x\nstat=644|root|root|0|0|5";
        symlink(planted, &link).unwrap();
        let found = look(&link);
        assert_eq!(field(&found, "type"), Some("symlink"));
        assert!(field(&found, "stat").unwrap().starts_with("777|"), "{found}");
        assert_eq!(target(&found), Some(planted));
        assert_eq!(target("type=file\nstat=1\n"), None);
        assert_eq!(target("type=symlink\r\nlinked_to=/x\r\n"), Some("/x"));
    }

    #[test]
    fn what_is_hidden_is_not_missing() {
        let directory = tempfile::tempdir().unwrap();
        let set = |path: &Path, mode| {
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
        };
        let top = directory.path();
        set(top, 0o755);
        let closed = top.join("closed");
        std::fs::create_dir_all(closed.join(".ssh")).unwrap();
        std::fs::write(closed.join(".ssh/keys"), "").unwrap();
        symlink("closed/.ssh", top.join("way")).unwrap();
        symlink("loop", top.join("loop")).unwrap();
        set(&closed, 0o600);
        let unreadable = |path: &str| {
            let found = look(&top.join(path));
            assert!(field(&found, "type").is_none(), "{path}: {found}");
            field(&found, "unreadable").map(str::to_owned)
        };
        let results = ["closed/.ssh/keys", "closed/x", "way/keys", "open/a/b", "loop/a"]
            .map(|path| (path, unreadable(path)));
        set(&closed, 0o755);
        for (path, found) in results {
            let hidden = path.starts_with("closed") || path.starts_with("way");
            assert_eq!(found.is_some_and(|at| at.ends_with("/closed")), hidden, "{path}");
        }
        assert_eq!(field(&look(&closed.join("x")), "unreadable"), None);
    }
}
