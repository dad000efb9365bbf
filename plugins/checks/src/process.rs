//! Processes, by the name of their program.

use ingot_sdk::{Error, Result};

use crate::options::ProcessOptions;
use crate::shell::Shell;

/// Prints the name of each process, as Linux keeps it, and whether those of other users are hidden
/// (`hidepid` of /proc).
const SCRIPT: &str = r#"
for file in /proc/[0-9]*/comm; do
  read -r name < "$file" && printf 'process %s\n' "$name"
done 2>/dev/null
[ -r /proc/1/comm ] || echo hidden
exit 0
"#;

/// How many bytes of a name Linux keeps.
const KEPT: usize = 15;

/// A program that must run, or must not.
#[derive(Debug, Clone)]
pub(crate) struct ProcessCheck {
    name: String,
    pub(crate) running: bool,
}

impl ProcessCheck {
    pub(crate) fn new(name: &str, options: ProcessOptions) -> Self {
        ProcessCheck { name: name.to_owned(), running: options.running.unwrap_or(true) }
    }

    pub(crate) async fn examine(&self, shell: Shell<'_>) -> Result<Vec<String>> {
        let found = shell.script(SCRIPT, &[]).await?;
        let mut names = found.lines().filter_map(|line| line.strip_prefix("process ")).peekable();
        if names.peek().is_none() {
            return Err(Error::new("the machine does not list its processes in /proc"));
        }
        let program = self.name.rsplit('/').next().unwrap_or(&self.name);
        let kept = program.char_indices().take_while(|(at, c)| at + c.len_utf8() <= KEPT).last();
        let kept = &program[..kept.map_or(0, |(at, c)| at + c.len_utf8())];
        Ok(match (self.running, names.any(|name| name == kept)) {
            (true, false) => vec!["no such process runs".to_owned()],
            (false, true) => vec!["such a process runs".to_owned()],
            (false, false) if found.lines().any(|line| line == "hidden") => {
                vec!["the processes of other users are hidden from this user".to_owned()]
            }
            _ => Vec::new(),
        })
    }
}
