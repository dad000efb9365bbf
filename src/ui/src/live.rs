//! The live view: for each build what it does, for how long, and the last that was heard of it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use console::{measure_text_width, truncate_str};
use ingot_sdk::{Event, StepInfo, StepKind, StepOutcome, byte_size};
use parking_lot::Mutex;

use super::clean;
use super::text::COLORS;

/// Rows are no longer than this: on wide screens the ends of a row would be too far apart.
const WIDEST: usize = 100;
/// How many characters of a line of output are looked at.
const LINE_LENGTH: usize = 500;

/// What the live view knows.
pub(super) struct Live {
    /// Whether builds are shown, or only transfers.
    builds_shown: bool,
    color: bool,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    builds: Vec<BuildState>,
    /// Transfers of the run as a whole.
    transfers: Vec<Transfer>,
}

struct BuildState {
    name: Arc<str>,
    color: usize,
    started: Option<Instant>,
    ended: Option<(Duration, StepOutcome)>,
    /// Those that run, the innermost last.
    steps: Vec<(u64, StepInfo)>,
    /// The step that failed.
    failed: Option<String>,
    last_line: String,
    transfers: Vec<Transfer>,
}

struct Transfer {
    id: u64,
    label: String,
    position: u64,
    total: Option<u64>,
    started: Instant,
}

impl Live {
    /// A view of the builds called `names`, or only of transfers.
    pub(super) fn new<'a>(
        names: impl Iterator<Item = &'a str>,
        builds_shown: bool,
        color: bool,
    ) -> Self {
        let builds = names.enumerate().map(|(color, name)| BuildState {
            name: name.into(),
            color,
            started: None,
            ended: None,
            steps: Vec::new(),
            failed: None,
            last_line: String::new(),
            transfers: Vec::new(),
        });
        let state = State { builds: builds.collect(), transfers: Vec::new() };
        Live { builds_shown, color, state: Mutex::new(state) }
    }

    /// Takes an event to the view.
    pub(super) fn take(&self, event: &Event) {
        let mut state = self.state.lock();
        match event {
            Event::Say { build: Some(name), text }
            | Event::Message { build: Some(name), text }
            | Event::Error { build: Some(name), text } => {
                let line = text.trim_end().rsplit('\n').next().unwrap_or_default();
                let line: String = line.chars().take(LINE_LENGTH).collect();
                let line = clean::line(&line, false);
                if let Some(build) = state.owner(name).filter(|_| !line.trim().is_empty()) {
                    build.last_line = line;
                }
            }
            Event::BuildStart { build, .. } => {
                if let Some(build) = state.owner(build) {
                    build.started = Some(Instant::now());
                }
            }
            Event::BuildEnd { build, outcome, .. } => {
                if let Some(build) = state.owner(build) {
                    let took = build.started.map_or(Duration::ZERO, |started| started.elapsed());
                    build.ended = Some((took, outcome.clone()));
                    build.transfers.clear();
                }
            }
            Event::StepStart { build, id, step } => {
                if let Some(build) = state.owner(build) {
                    build.steps.push((*id, step.clone()));
                    build.last_line.clear();
                }
            }
            Event::StepEnd { build, id, outcome } => {
                let Some(build) = state.owner(build) else { return };
                let Some(at) = build.steps.iter().position(|(other, _)| other == id) else {
                    return;
                };
                if matches!(outcome, StepOutcome::Failed(_)) && build.failed.is_none() {
                    build.failed = Some(short(&build.steps[at].1));
                } else if matches!(outcome, StepOutcome::Tolerated(_)) {
                    build.failed = None;
                }
                build.steps.truncate(at);
            }
            Event::ProgressStart { build, id, label, total } => {
                let transfer = Transfer {
                    id: *id,
                    label: clean::line(label, false),
                    position: 0,
                    total: *total,
                    started: Instant::now(),
                };
                let owner = build.as_ref().and_then(|name| state.owner(name));
                match owner {
                    Some(build) => build.transfers.push(transfer),
                    None => state.transfers.push(transfer),
                }
            }
            Event::ProgressAt { id, position, total } => {
                if let Some(transfer) = state.transfers().find(|transfer| transfer.id == *id) {
                    transfer.position = *position;
                    transfer.total = total.or(transfer.total);
                }
            }
            Event::ProgressEnd { id } => {
                state.transfers.retain(|transfer| transfer.id != *id);
                let builds = state.builds.iter_mut();
                builds.for_each(|build| build.transfers.retain(|transfer| transfer.id != *id));
            }
            _ => {}
        }
    }

    /// The rows for a terminal of this size.
    pub(super) fn rows(&self, width: usize, height: usize) -> Vec<String> {
        // A row that fills the last column makes some terminals begin another one.
        let width = width.saturating_sub(1).clamp(1, WIDEST);
        // The rest is for what scrolls above.
        let limit = (height * 2 / 3).max(1);
        let state = self.state.lock();
        let of_run = state.transfers.iter();
        let of_run = of_run.map(|transfer| self.dim(&fit(&transfer.shown(None), width)));
        let mut rows: Vec<String> = of_run.take(limit).collect();
        if !self.builds_shown {
            for build in &state.builds {
                let shown = build.transfers.iter().map(|one| one.shown(Some(&build.name)));
                rows.extend(shown.map(|row| self.dim(&fit(&row, width))));
            }
            rows.truncate(limit);
            return rows;
        }
        let left = limit - rows.len();
        let running = state.builds.iter().filter(|build| build.runs()).count();
        let detailed = state.builds.len() + running <= left;
        if state.builds.len() <= left {
            for build in &state.builds {
                rows.extend(self.build_rows(build, width, detailed));
            }
            return rows;
        }
        // Too many for the screen: those that run, and how many others there are.
        let (shown, hidden) = (left.saturating_sub(1), state.builds.len());
        let mut order: Vec<&BuildState> = state.builds.iter().collect();
        order.sort_by_key(|build| match (build.runs(), &build.ended) {
            (true, _) => 0,
            (false, None) => 2,
            (false, Some((_, outcome))) => 1 + u8::from(*outcome == StepOutcome::Succeeded) * 2,
        });
        let rest = &order[shown.min(hidden)..];
        for build in order.iter().take(shown) {
            rows.extend(self.build_rows(build, width, false));
        }
        let count = |which: fn(&BuildState) -> bool| rest.iter().filter(|one| which(one)).count();
        let parts = [
            (count(BuildState::runs), "running"),
            (count(|one| one.started.is_none()), "waiting"),
            (count(|one| one.ended.is_some()), "ended"),
        ];
        let parts = parts.into_iter().filter(|(count, _)| *count > 0);
        let parts: Vec<String> = parts.map(|(count, what)| format!("{count} {what}")).collect();
        rows.push(self.dim(&fit(&format!("  and {}", parts.join(", ")), width)));
        rows
    }

    fn build_rows(&self, build: &BuildState, width: usize, detailed: bool) -> Vec<String> {
        let (mark, what, took) = match (&build.ended, build.started) {
            (Some((took, outcome)), _) => {
                let (mark, what) = match outcome {
                    StepOutcome::Succeeded => ('✓', "finished".to_owned()),
                    StepOutcome::Failed(_) => {
                        let step = build.failed.as_ref().map(|step| format!(": {step}"));
                        ('✗', format!("failed{}", step.unwrap_or_default()))
                    }
                    StepOutcome::Tolerated(_) => ('!', "kept to be published later".to_owned()),
                    StepOutcome::Cancelled => ('✗', "cancelled".to_owned()),
                    StepOutcome::Skipped => ('✓', "already done".to_owned()),
                };
                (mark, what, elapsed(*took))
            }
            (None, Some(started)) => ('●', build.step(), elapsed(started.elapsed())),
            (None, None) => ('○', "waiting".to_owned(), String::new()),
        };
        // The time is always seen; then the name, of which at most half the row is taken.
        let room = width.saturating_sub(measure_text_width(&took) + 1);
        let name = fit(&build.name, (room / 2).max(8).min(room.saturating_sub(2)));
        let what = fit(&what, room.saturating_sub(measure_text_width(&name) + 4));
        let used = measure_text_width(&name) + measure_text_width(&what) + 4;
        let gap = " ".repeat(room.saturating_sub(used) + 1);
        let row = match self.color {
            false => format!("{mark} {name}  {what}{gap}{took}"),
            true => {
                let own = COLORS[build.color % COLORS.len()];
                let mark_color = match mark {
                    '✗' => 31,
                    '!' => 33,
                    _ => own,
                };
                format!(
                    "\u{1b}[{mark_color}m{mark}\u{1b}[0m \u{1b}[1;{own}m{name}\u{1b}[0m  {what}{gap}{took}"
                )
            }
        };
        // Where there is no room for all of that, it is still one row.
        let mut rows = vec![fit(&row, width)];
        if detailed && build.runs() {
            let detail = match build.transfers.last() {
                Some(transfer) => transfer.shown(None),
                None => format!("    {}", build.last_line),
            };
            rows.push(self.dim(&fit(&detail, width)));
        }
        rows
    }

    fn dim(&self, text: &str) -> String {
        match self.color {
            true => format!("\u{1b}[2m{text}\u{1b}[0m"),
            false => text.to_owned(),
        }
    }
}

impl State {
    /// The build called `speaker`, or that has a step called `speaker`.
    fn owner(&mut self, speaker: &str) -> Option<&mut BuildState> {
        let whole = self.builds.iter().position(|build| *build.name == *speaker);
        let part = || {
            let name = speaker.rsplit_once(" (")?.0;
            self.builds.iter().position(|build| *build.name == *name)
        };
        let found = whole.or_else(part)?;
        self.builds.get_mut(found)
    }

    fn transfers(&mut self) -> impl Iterator<Item = &mut Transfer> {
        let of_builds = self.builds.iter_mut().flat_map(|build| &mut build.transfers);
        self.transfers.iter_mut().chain(of_builds)
    }
}

impl BuildState {
    fn runs(&self) -> bool {
        self.started.is_some() && self.ended.is_none()
    }

    /// What it does.
    fn step(&self) -> String {
        self.steps.last().map_or_else(|| "starting".to_owned(), |(_, step)| short(step))
    }
}

/// A step in as few words as tell it from others.
fn short(step: &StepInfo) -> String {
    let name = step.label.as_ref().unwrap_or(&step.name);
    let numbered = |kind: &str| match step.number {
        Some((number, of)) => format!("{kind} {number}/{of} {name}"),
        None => format!("{kind} {name}"),
    };
    let short = match step.kind {
        StepKind::Builder => "building".to_owned(),
        StepKind::BuilderStep => name.clone(),
        StepKind::Provisioner => numbered("provisioner"),
        StepKind::ErrorCleanup => numbered("error-cleanup-provisioner"),
        StepKind::Cleanup => "cleaning up".to_owned(),
        StepKind::Test => format!("test {}", step.name),
        StepKind::Check => numbered("check"),
        StepKind::PostProcessor => numbered("post-processor"),
        StepKind::Publish => "publishing".to_owned(),
    };
    clean::line(&short, false)
}

impl Transfer {
    fn shown(&self, build: Option<&str>) -> String {
        let label = match build {
            Some(build) => format!("{build}: {}", self.label),
            None => self.label.clone(),
        };
        let seconds = self.started.elapsed().as_secs();
        // In the first second the speed says nothing.
        let speed = match self.position.checked_div(seconds) {
            Some(speed) if speed > 0 => format!("  {}/s", byte_size(speed)),
            _ => String::new(),
        };
        let done = byte_size(self.position);
        match self.total.filter(|total| *total > 0) {
            Some(total) => {
                let percent = (u128::from(self.position) * 100 / u128::from(total)).min(100);
                format!("    {label}  {percent}%  {done}/{}{speed}", byte_size(total))
            }
            None => format!("    {label}  {done}{speed}"),
        }
    }
}

/// `text` in at most `width` columns.
fn fit(text: &str, width: usize) -> String {
    truncate_str(text, width, "…").into_owned()
}

/// A duration as it runs: `7s`, `1m05s`, `2h03m`.
fn elapsed(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3600 => format!("{}m{:02}s", seconds / 60, seconds % 60),
        _ => format!("{}h{:02}m", seconds / 3600, seconds % 3600 / 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn start(live: &Live, build: &str) {
        live.take(&Event::BuildStart { build: build.into(), place: None });
    }

    fn say(live: &Live, build: &str, text: &str) {
        live.take(&Event::Say { build: Some(build.into()), text: text.into() });
    }

    #[test]
    fn each_build_has_its_step_its_time_and_its_last_line() {
        let names = ["docker.a", "docker.b", "null.c"];
        let live = Live::new(names.into_iter(), true, false);
        start(&live, "docker.a");
        start(&live, "docker.b");
        let step = StepInfo::new(StepKind::Provisioner, "shell").numbered(2, 5);
        live.take(&Event::StepStart { build: "docker.a".into(), id: 1, step });
        say(&live, "docker.a (x)", "Reading\n\u{1b}[2K10%\r漢字 unpacking\u{1b}[5A…\n");
        let build = Some("docker.b".into());
        let label = "Downloading ubuntu.iso".into();
        live.take(&Event::ProgressStart { build, id: 7, label, total: Some(400) });
        live.take(&Event::ProgressAt { id: 7, position: 100, total: None });
        assert_eq!(
            live.rows(60, 24),
            [
                format!("{:<57}0s", "● docker.a  provisioner 2/5 shell"),
                "    漢字 unpacking…".to_owned(),
                format!("{:<57}0s", "● docker.b  starting"),
                "    Downloading ubuntu.iso  25%  100 B/400 B".to_owned(),
                format!("{:<59}", "○ null.c  waiting"),
            ]
        );
        let outcome = StepOutcome::Failed("no".into());
        live.take(&Event::StepEnd { build: "docker.a".into(), id: 1, outcome: outcome.clone() });
        let build = "docker.a".into();
        live.take(&Event::BuildEnd { build, outcome, hint: None, artifacts: Vec::new() });
        let rows = live.rows(60, 24);
        assert_eq!(rows[0], format!("{:<57}0s", "✗ docker.a  failed: provisioner 2/5 shell"));
        assert!(rows[1].starts_with("● docker.b"), "{rows:?}");
    }

    #[test]
    fn no_row_is_wider_than_the_terminal_and_there_are_not_too_many() {
        let names: Vec<String> = (0..40).map(|n| format!("docker.名前の長いビルド-{n}")).collect();
        for color in [false, true] {
            let live = Live::new(names.iter().map(String::as_str), true, color);
            names.iter().take(30).for_each(|name| start(&live, name));
            names.iter().for_each(|name| say(&live, name, &"漢".repeat(300)));
            for (width, height) in [(60, 24), (20, 10), (5, 3), (1, 1), (300, 200)] {
                let rows = live.rows(width, height);
                assert!(!rows.is_empty() && rows.len() <= (height * 2 / 3).max(1), "{rows:?}");
                for row in &rows {
                    assert!(measure_text_width(row) <= width.max(1), "{width}: {row:?}");
                }
            }
            let rows = live.rows(60, 24);
            assert!(rows.last().unwrap().contains("and 15 running, 10 waiting"), "{rows:?}");
        }
    }
}
