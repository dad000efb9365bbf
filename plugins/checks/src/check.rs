//! A check, and how it went.

use std::time::{Duration, Instant};

use ingot_sdk::{Config, ConfigError, ConfigErrors, Result, Schema};

use crate::account::{GroupCheck, UserCheck};
use crate::command::CommandCheck;
use crate::file::FileCheck;
use crate::options::{
    CommandOptions, FileOptions, GroupOptions, PackageOptions, PortOptions, ProcessOptions,
    ServiceOptions, UserOptions, Waiting,
};
use crate::package::PackageCheck;
use crate::port::PortCheck;
use crate::process::ProcessCheck;
use crate::service::ServiceCheck;
use crate::shell::Shell;
use crate::verdict::Verdict;

/// The blocks of a test that are checks, each with one label.
pub const KINDS: &[&str] =
    &["command", "file", "package", "service", "port", "user", "group", "process"];

/// How long one attempt may take, if nothing says so.
const TIMEOUT: Duration = Duration::from_secs(60);
/// For how long what has to start is waited for, if nothing says so.
const START_TIMEOUT: Duration = Duration::from_secs(10);
/// The pause before a check is tried again.
const RETRY_PAUSE: Duration = Duration::from_millis(250);
/// How long a command that took too long may take to end.
const SETTLE_TIMEOUT: Duration = Duration::from_secs(15);

/// What a test says for all its checks.
#[derive(Debug, Clone, Copy, Default)]
pub struct Defaults {
    /// How long one attempt may take.
    pub timeout: Option<Duration>,
    /// For how long a check that fails is tried again.
    pub retry: Option<Duration>,
}

/// One thing that must be true of a machine.
#[derive(Debug, Clone)]
pub struct Check {
    /// What kind of thing, as one of [`KINDS`].
    pub kind: &'static str,
    /// What it is called: a path, a package, a command line.
    pub name: String,
    /// Why it is not looked at, if it is not.
    pub skipped: Option<String>,
    pub(crate) subject: Subject,
    pub(crate) timeout: Duration,
    pub(crate) retry: Duration,
}

#[derive(Debug, Clone)]
pub(crate) enum Subject {
    Command(CommandCheck),
    File(FileCheck),
    Package(PackageCheck),
    Service(ServiceCheck),
    Port(PortCheck),
    User(UserCheck),
    Group(GroupCheck),
    Process(ProcessCheck),
}

/// The options of a block of a kind; none if there is no such kind.
pub fn schema(kind: &str) -> Option<Schema> {
    Some(match kind {
        "command" => Schema::of::<CommandOptions>(),
        "file" => Schema::of::<FileOptions>(),
        "package" => Schema::of::<PackageOptions>(),
        "service" => Schema::of::<ServiceOptions>(),
        "port" => Schema::of::<PortOptions>(),
        "user" => Schema::of::<UserOptions>(),
        "group" => Schema::of::<GroupOptions>(),
        "process" => Schema::of::<ProcessOptions>(),
        _ => return None,
    })
}

impl Check {
    /// Reads the block `kind "name"` with the options `config`.
    ///
    /// # Errors
    /// What is wrong with them. An error without an option may be about the name.
    pub fn of_block(
        kind: &str,
        name: &str,
        config: &Config,
        defaults: Defaults,
    ) -> Result<Check, ConfigErrors> {
        let mut errors = ConfigErrors::default();
        if name.trim().is_empty() {
            errors.push(ConfigError::new(format!("this {kind} has an empty name")));
        }
        let (kind, subject, waiting) = match kind {
            "command" => {
                let options: CommandOptions = config.decode()?;
                let waiting = options.waiting.clone();
                let check = CommandCheck::new(name, options, &mut errors);
                ("command", Subject::Command(check), waiting)
            }
            "file" => {
                let options: FileOptions = config.decode()?;
                let waiting = options.waiting.clone();
                ("file", Subject::File(FileCheck::new(name, options, &mut errors)), waiting)
            }
            "package" => {
                let options: PackageOptions = config.decode()?;
                let waiting = options.waiting.clone();
                let check = PackageCheck::new(name, options, &mut errors);
                ("package", Subject::Package(check), waiting)
            }
            "service" => {
                let options: ServiceOptions = config.decode()?;
                let waiting = options.waiting.clone();
                let check = ServiceCheck::new(name, options, &mut errors);
                ("service", Subject::Service(check), waiting)
            }
            "port" => {
                let options: PortOptions = config.decode()?;
                let waiting = options.waiting.clone();
                ("port", Subject::Port(PortCheck::new(name, options, &mut errors)), waiting)
            }
            "user" => {
                let options: UserOptions = config.decode()?;
                let waiting = options.waiting.clone();
                ("user", Subject::User(UserCheck::new(name, options, &mut errors)), waiting)
            }
            "group" => {
                let options: GroupOptions = config.decode()?;
                let waiting = options.waiting.clone();
                ("group", Subject::Group(GroupCheck::new(name, options, &mut errors)), waiting)
            }
            "process" => {
                let options: ProcessOptions = config.decode()?;
                let waiting = options.waiting.clone();
                ("process", Subject::Process(ProcessCheck::new(name, options)), waiting)
            }
            _ => return Err(ConfigError::new(format!("there is no check `{kind}`")).into()),
        };
        let check = Check::new(kind, name, subject, &waiting, defaults);
        errors.into_result(check)
    }

    /// A check that waits as the options say, else as the defaults do.
    pub(crate) fn new(
        kind: &'static str,
        name: &str,
        subject: Subject,
        waiting: &Waiting,
        defaults: Defaults,
    ) -> Check {
        let given = waiting.timeout.map(|limit| limit.0).filter(|limit| !limit.is_zero());
        let timeout = given.or(defaults.timeout).unwrap_or(TIMEOUT);
        let retry = waiting.retry_timeout.map(|limit| limit.0).or(defaults.retry);
        let retry = retry.unwrap_or(match subject.has_to_start() {
            true => START_TIMEOUT,
            false => Duration::ZERO,
        });
        Check { kind, name: name.to_owned(), skipped: None, subject, timeout, retry }
    }

    /// Whether it looks at the machine by a POSIX shell; a command is for whatever shell there is.
    pub fn needs_posix(&self) -> bool {
        !matches!(self.subject, Subject::Command(_))
    }

    /// Whether it looks at error output, which a terminal would mix with output.
    pub fn tells_stderr(&self) -> bool {
        matches!(&self.subject, Subject::Command(check) if check.tells_stderr())
    }

    /// Looks, until all is as it should be or the time for that is over.
    pub async fn run(&self, shell: Shell<'_>) -> Verdict {
        let started = Instant::now();
        loop {
            let attempt = tokio::time::timeout(self.timeout, self.subject.examine(shell)).await;
            let verdict = match attempt {
                Ok(Ok(verdict)) => verdict,
                Ok(Err(error)) => {
                    let advice = error.advice().map(|advice| format!(" ({advice})"));
                    Verdict::problem(format!("{error}{}", advice.unwrap_or_default()))
                }
                Err(_) => {
                    let settle = shell.communicator.settle();
                    let _ = tokio::time::timeout(SETTLE_TIMEOUT, settle).await;
                    let limit = ingot_sdk::GoDuration(self.timeout);
                    Verdict::problem(format!("there was no result within {limit}"))
                }
            };
            if verdict.problems.is_empty() || started.elapsed() + RETRY_PAUSE > self.retry {
                return verdict;
            }
            tokio::time::sleep(RETRY_PAUSE).await;
        }
    }
}

impl Subject {
    /// Whether it is something that may take a while after the machine is up.
    fn has_to_start(&self) -> bool {
        match self {
            Subject::Service(check) => check.running == Some(true),
            Subject::Port(check) => check.listening,
            Subject::Process(check) => check.running,
            _ => false,
        }
    }

    async fn examine(&self, shell: Shell<'_>) -> Result<Verdict> {
        let problems = match self {
            Subject::Command(check) => return check.examine(shell).await,
            Subject::File(check) => check.examine(shell).await?,
            Subject::Package(check) => check.examine(shell).await?,
            Subject::Service(check) => check.examine(shell).await?,
            Subject::Port(check) => check.examine(shell).await?,
            Subject::User(check) => check.examine(shell).await?,
            Subject::Group(check) => check.examine(shell).await?,
            Subject::Process(check) => check.examine(shell).await?,
        };
        Ok(Verdict { problems, output: Vec::new() })
    }
}
