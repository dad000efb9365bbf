//! What a provisioner can leave in a container besides files that an image holds: processes, shared
//! memory, mounts, files that the Engine mounts.

use std::collections::BTreeSet;
use std::time::Duration;

use ingot_sdk::communicator::CapturedOutput;
use ingot_sdk::{Error, ExitStatus, OutputSink, Result};

use crate::exec::{How, Runner};
use crate::piece::Piece;

/// How often, and how long apart, processes that were left are looked at: some are about to end.
const LOOKS: usize = 6;
const PAUSE: Duration = Duration::from_millis(100);
/// How long the container may take to answer.
const TIMEOUT: Duration = Duration::from_secs(30);
/// How much it may answer, in bytes.
const MOST: usize = 4 << 20;

/// What is in a container besides files that an image holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fingerprint {
    processes: BTreeSet<Process>,
    /// What is in places that no image holds, and must be empty.
    left: Vec<String>,
    /// Everything else: mounts, files that the Engine mounts, devices.
    rest: String,
}

/// A process, told from a later one with its number by when it started.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Process {
    number: u64,
    started: u64,
    name: String,
}

/// What the container is asked, in what every shell has built in. `scratch` is the directory of the
/// scratch volume.
fn question(scratch: &str) -> String {
    let scratch = ingot_sdk::command::quote(scratch);
    let places: String = ["/dev/shm", "/dev/mqueue", &scratch]
        .map(|place| format!("for f in {place}/* {place}/.[!.]* {place}/..?*; do [ -e \"$f\" ] || [ -h \"$f\" ] && echo \"left $f\"; done\n"))
        .concat();
    format!(
        "echo \"self $$\"\n\
         for d in /proc/[0-9]*; do {{ read -r l <\"$d/stat\"; }} 2>/dev/null && echo \"process $l\"; done\n\
         {places}\
         for f in /proc/self/mountinfo /etc/hosts /etc/hostname /etc/resolv.conf \
         /proc/sysvipc/shm /proc/sysvipc/sem /proc/sysvipc/msg; do\n\
         echo \"file $f\"; [ -r \"$f\" ] && while read -r l || [ -n \"$l\" ]; do echo \"line $l\"; done <\"$f\"\n\
         done\n\
         echo dev /dev/*\n\
         echo \"places $(stat -c '%a %u %g' / /dev/shm {scratch} 2>/dev/null)\"\n\
         echo end"
    )
}

impl Fingerprint {
    /// Asks the container.
    ///
    /// # Errors
    /// It does not tell.
    pub(super) async fn of(runner: &Runner, scratch: &str) -> Result<Fingerprint> {
        let asked = tokio::time::timeout(TIMEOUT, ask(runner, scratch)).await;
        asked.unwrap_or_else(|_| Err(Error::new("the container does not respond")))
    }

    /// What was left since `before`, once processes that are about to end have.
    ///
    /// # Errors
    /// What was left, for people; or the container does not tell.
    pub(super) async fn check(runner: &Runner, scratch: &str, before: &Fingerprint) -> Result<()> {
        for look in 1..=LOOKS {
            let now = Fingerprint::of(runner, scratch).await?;
            let Some(left) = now.since(before) else { return Ok(()) };
            let ends = now.processes.difference(&before.processes).next().is_some();
            if !ends || look == LOOKS {
                return Err(Error::new(left));
            }
            tokio::time::sleep(PAUSE).await;
        }
        Ok(())
    }

    /// Why no state can be kept of a container that is like this before its first provisioner.
    pub(super) fn unfit(&self) -> Option<String> {
        let place = self.left.first()?;
        Some(format!("an image does not hold {place}"))
    }

    fn since(&self, before: &Fingerprint) -> Option<String> {
        if let Some(process) = self.processes.difference(&before.processes).next() {
            return Some(format!("the process `{}` is still running", process.name));
        }
        if let Some(place) = self.left.first() {
            return Some(format!("an image does not hold {place}"));
        }
        (self.rest != before.rest).then(|| {
            "mounts, devices, shared memory, the mode or owner of /, or files that the Engine mounts \
             (/etc/hosts, /etc/hostname, /etc/resolv.conf) were changed, which an image does not hold"
                .to_owned()
        })
    }

    /// Reads what the container answered.
    fn read(text: &str) -> Option<Fingerprint> {
        let text = text.strip_suffix("end\n")?;
        let mut own = None;
        let (mut processes, mut left, mut rest) = (Vec::new(), Vec::new(), String::new());
        for line in text.lines() {
            match line.split_once(' ') {
                Some(("self", number)) => own = number.parse::<u64>().ok(),
                Some(("process", stat)) => processes.push(stat_line(stat)?),
                Some(("left", place)) => left.push(place.to_owned()),
                _ => {
                    rest.push_str(line);
                    rest.push('\n');
                }
            }
        }
        // The shell that asks, and what it started.
        let mut asking = BTreeSet::from([own?]);
        loop {
            let more = processes.iter().filter(|(_, parent, _)| asking.contains(parent));
            let more: Vec<u64> = more.map(|(process, ..)| process.number).collect();
            let before = asking.len();
            asking.extend(more);
            if asking.len() == before {
                break;
            }
        }
        let processes = processes.into_iter();
        let processes = processes.filter(|(_, _, dead)| !dead).map(|(process, ..)| process);
        let processes = processes.filter(|process| !asking.contains(&process.number)).collect();
        Some(Fingerprint { processes, left, rest })
    }
}

/// A line of `/proc/NUMBER/stat`: the process, its parent, and whether it is dead and only waits for
/// its parent to notice.
fn stat_line(stat: &str) -> Option<(Process, u64, bool)> {
    let (number, rest) = stat.split_once(" (")?;
    // A program's name may hold anything.
    let (name, rest) = rest.rsplit_once(") ")?;
    let fields: Vec<&str> = rest.split(' ').collect();
    let dead = matches!(*fields.first()?, "Z" | "X" | "x");
    let parent = fields.get(1)?.parse().ok()?;
    let started = fields.get(19)?.parse().ok()?;
    let number = number.parse().ok()?;
    Some((Process { number, started, name: name.to_owned() }, parent, dead))
}

async fn ask(runner: &Runner, scratch: &str) -> Result<Fingerprint> {
    let how = How { user: Some("0"), ..How::default() };
    let mut running = runner.start(&question(scratch), how).await?;
    let output = CapturedOutput::default();
    let mut length = 0;
    while let Some(piece) = running.next().await {
        if let Piece::Output(bytes) = piece {
            length += bytes.len();
            if length > MOST {
                return Err(Error::new("the container reports too much about itself"));
            }
            output.stdout(&bytes);
        }
    }
    let status = running.status().await?;
    let found = Fingerprint::read(&output.stdout_text()).filter(|_| status == ExitStatus::Code(0));
    found.ok_or_else(|| Error::new("the container does not report what runs in it"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The fields of a process between its session and its start.
    const STAT: &str = "0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0";

    fn read(more: &str) -> Fingerprint {
        let text = format!(
            "self 20\nprocess 1 (sh) S 0 1 1 {STAT} 100 9 9\nprocess 20 (sh) S 0 20 20 {STAT} 900 9\n\
             process 21 (sh) R 20 20 20 {STAT} 901 9\n{more}file /etc/hosts\nline 127.0.0.1 a\nend\n"
        );
        Fingerprint::read(&text).unwrap()
    }

    #[test]
    fn only_processes_of_the_step_count_as_left() {
        let before = read("");
        assert_eq!(before.processes.len(), 1);
        assert_eq!(read("").since(&before), None);
        let daemon = format!("process 30 (my (bad) d) S 1 30 30 {STAT} 950 9\n");
        let left = read(&daemon).since(&before).unwrap();
        assert_eq!(left, "the process `my (bad) d` is still running");
        // Dead ones have no state, and that one has ended does not matter.
        let zombie = format!("process 30 (gone) Z 1 30 30 {STAT} 950 9\n");
        assert_eq!(read(&zombie).since(&before), None);
        assert_eq!(before.since(&read(&daemon)), None);
        // The same number, started again.
        let again = format!("process 30 (my (bad) d) S 1 30 30 {STAT} 951 9\n");
        assert!(read(&again).since(&read(&daemon)).is_some());
        let left = read("left /dev/shm/x\n").since(&before).unwrap();
        assert_eq!(left, "an image does not hold /dev/shm/x");
        assert!(read("line 10.0.0.1 db\n").since(&before).unwrap().contains("/etc/hosts"));
        assert_eq!(Fingerprint::read("self 1\nfile"), None);
    }
}
