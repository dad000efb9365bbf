//! Commands: what they exit with and put out.

use ingot_sdk::{ConfigError, ConfigErrors, ExitStatus, Result};

use crate::lines::Lines;
use crate::options::CommandOptions;
use crate::pattern::Pattern;
use crate::shell::Shell;
use crate::verdict::Verdict;

/// A command that must end as it should.
#[derive(Debug, Clone)]
pub(crate) struct CommandCheck {
    command: String,
    exit_status: i32,
    stdout: Vec<Pattern>,
    stderr: Vec<Pattern>,
}

impl CommandCheck {
    pub(crate) fn new(name: &str, options: CommandOptions, errors: &mut ConfigErrors) -> Self {
        if options.exec.as_deref().is_some_and(|exec| exec.trim().is_empty()) {
            errors.push(ConfigError::on("exec", "`exec` is empty"));
        }
        CommandCheck {
            command: options.exec.unwrap_or_else(|| name.to_owned()),
            exit_status: options.exit_status,
            stdout: Pattern::list("stdout", &options.stdout, errors),
            stderr: Pattern::list("stderr", &options.stderr, errors),
        }
    }

    pub(crate) fn tells_stderr(&self) -> bool {
        !self.stderr.is_empty()
    }

    pub(crate) async fn examine(&self, shell: Shell<'_>) -> Result<Verdict> {
        let lines = Lines::new(&self.stdout, &self.stderr);
        let mut problems = Vec::new();
        match shell.command(&self.command, &lines).await? {
            ExitStatus::Code(code) if code == self.exit_status => {}
            ExitStatus::Code(code) => {
                problems.push(format!("the exit status is {code}, not {}", self.exit_status));
            }
            ExitStatus::Disconnected => problems.push("the connection was lost".to_owned()),
        }
        problems.extend(lines.problems(0, "stdout"));
        problems.extend(lines.problems(1, "stderr"));
        let output = if problems.is_empty() { Vec::new() } else { lines.shown() };
        Ok(Verdict { problems, output })
    }
}
