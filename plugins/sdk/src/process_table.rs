//! The processes of this machine, as Linux shows them below `/proc` (see `proc(5)`).

use std::fmt::Display;

use crate::{Context, Result};

/// Which texts of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Texts {
    /// The program's name and its arguments.
    CommandLine,
    /// The variables that it was started with, as `NAME=value`.
    Environment,
}

/// The numbers of the processes but this one for whose texts `is_sought` says so. A process whose texts
/// this user may not read has none.
///
/// # Errors
/// Processes cannot be listed.
pub fn find(texts: Texts, is_sought: impl Fn(&[&[u8]]) -> bool) -> Result<Vec<i32>> {
    let file = match texts {
        Texts::CommandLine => "cmdline",
        Texts::Environment => "environ",
    };
    let own = std::process::id().cast_signed();
    let processes = std::fs::read_dir("/proc").context("listing processes")?;
    let pids = processes.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let found = |pid: &i32| {
        // Empty for a process that has ended and was not waited for.
        let bytes = std::fs::read(format!("/proc/{pid}/{file}")).unwrap_or_default();
        is_sought(&bytes.split(|&byte| byte == 0).collect::<Vec<_>>())
    };
    Ok(pids.filter(|&pid| pid != own).filter(found).collect())
}

/// Where a process belongs, and when it started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stat {
    /// Its parent.
    pub parent: i32,
    /// Its process group.
    pub group: i32,
    /// Its session.
    pub session: i32,
    /// When it started, in clock ticks since boot: tells it from a later one with its number.
    pub started: u64,
}

impl Stat {
    /// That of a process by its number, or of this one as `self`; none if there is no such process, or
    /// it has ended and its parent has not waited for it yet.
    pub fn of(id: impl Display) -> Option<Stat> {
        let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
        // The program's name before may hold anything.
        let (_, fields) = stat.rsplit_once(')')?;
        let fields: Vec<&str> = fields.split_whitespace().collect();
        // In a container whose first process waits for nobody such a process stays there for ever.
        if matches!(fields.first(), Some(&("Z" | "X" | "x"))) {
            return None;
        }
        let number = |at: usize| fields.get(at)?.parse::<i32>().ok();
        Some(Stat {
            parent: number(1)?,
            group: number(2)?,
            session: number(3)?,
            started: fields.get(19)?.parse().ok()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_process_is_found_by_its_texts() {
        let marker = format!("marker-{}", uuid::Uuid::new_v4());
        let variable = format!("MARKED={marker}");
        // It waits for input that does not come.
        let mut shell = Command::new("sh")
            .args(["-c", "read -r line", &marker])
            .env("MARKED", &marker)
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        for (texts, sought) in [(Texts::CommandLine, &marker), (Texts::Environment, &variable)] {
            let find = || find(texts, |all| all.contains(&sought.as_bytes())).unwrap();
            // A program that has just started has neither for a moment.
            while find().is_empty() {
                std::thread::sleep(Duration::from_millis(5));
            }
            assert_eq!(find(), [shell.id().cast_signed()]);
        }
        let (own, stat) = (Stat::of("self").unwrap(), Stat::of(shell.id()).unwrap());
        assert_eq!(stat.parent, std::process::id().cast_signed());
        assert_eq!((stat.group, stat.session), (own.group, own.session));
        assert!(stat.started >= own.started);
        shell.kill().unwrap();
        shell.wait().unwrap();
        assert_ne!(Stat::of(shell.id()), Some(stat));
    }
}
