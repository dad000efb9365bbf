//! `ingot cache`

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::{Args, Subcommand};
use ingot_engine::step_cache::{CacheDirectory, CachedState, shared_directory};
use ingot_hcl::diagnostic::closest;
use ingot_registry::api::Timestamp;
use ingot_sdk::{
    Context as _, Error, PluginSet, Result, StateDirectories, StateKey, StateStore, byte_size,
};
use ingot_template::Companion;
use ingot_ui::{Redactor, Renderer, UiOptions};
use serde_json::{Value as Json, json};
use time::OffsetDateTime;

use super::args::duration;
use super::asynchronous::{Threads, to_end};
use super::registry::output::{fields, json, line, moment, table};

/// How many digits of a key tables show.
const SHOWN_DIGITS: usize = 16;

#[derive(Debug, Args)]
pub(super) struct CacheArgs {
    /// The directory of a cache that machines share
    #[arg(long, global = true, value_name = "DIRECTORY")]
    cache_dir: Option<PathBuf>,
    #[command(subcommand)]
    command: CacheCommand,
}

#[derive(Debug, Subcommand)]
enum CacheCommand {
    /// List the states that the step cache keeps
    List {
        /// Print one JSON document
        #[arg(long)]
        json: bool,
    },
    /// Show the details of a state
    Show {
        /// Its key, or the beginning of it
        key: String,
        /// Print one JSON document
        #[arg(long)]
        json: bool,
    },
    /// Remove states, those that were not used for the longest time first
    Prune(PruneArgs),
}

#[derive(Debug, Args)]
struct PruneArgs {
    /// Remove what was not used for longer than this
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    older_than: Option<Duration>,
    /// Remove states until the rest takes no more than this, such as 10GB
    #[arg(long, value_name = "SIZE", value_parser = bytes)]
    keep_bytes: Option<u64>,
    /// Remove all
    #[arg(long)]
    all: bool,
    /// Only list what would be removed
    #[arg(long)]
    dry_run: bool,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

impl CacheArgs {
    /// Whether it is called for what it prints.
    pub(super) fn answers(&self) -> bool {
        match &self.command {
            CacheCommand::List { .. } | CacheCommand::Show { .. } => true,
            CacheCommand::Prune(args) => args.dry_run || args.json,
        }
    }
}

/// Lists, shows and removes the states of the step cache: 1 if something cannot be done.
pub(super) fn run(args: &CacheArgs, plugins: PluginSet) -> ExitCode {
    let renderer = Renderer::new(UiOptions::default());
    let redactor = renderer.redactor();
    super::logging::start_with(&renderer);
    match to_end(Threads::Current, answer(args, plugins, &redactor)) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            super::show_error(&error, &redactor);
            ExitCode::FAILURE
        }
    }
}

/// Whether all was done.
async fn answer(args: &CacheArgs, plugins: PluginSet, redactor: &Redactor) -> Result<bool> {
    let flag = args.cache_dir.as_deref();
    let shared = shared_directory(flag, &Companion::default(), Path::new("."));
    if let Some(shared) = &shared {
        has_to_be_there(shared)?;
    }
    let directory = CacheDirectory::open(shared.as_deref())?;
    let directories = StateDirectories { shared, records: directory.path().to_owned() };
    let stores = Stores { all: plugins.state_stores, directories };
    let (states, whole) = states(&directory, &stores, redactor).await?;
    match &args.command {
        CacheCommand::List { json: true } => json(&json!({
            "states": states.iter().map(State::json).collect::<Vec<_>>(),
            "bytes": total(&states),
            "unfreed_bytes": unfreed(&directory, &stores).await?,
        }))?,
        CacheCommand::List { .. } => {
            list(&states);
            report_unfreed(unfreed(&directory, &stores).await?);
        }
        CacheCommand::Show { key, json: as_json } => {
            let state = find(&states, key)?;
            match as_json {
                true => json(&state.json())?,
                false => state.show(),
            }
        }
        CacheCommand::Prune(args) => {
            return Ok(prune(args, &directory, &stores, states, redactor).await? && whole);
        }
    }
    Ok(whole)
}

/// Nothing is to be found in a directory that opening it would create: more likely its name is wrong.
fn has_to_be_there(shared: &Path) -> Result<()> {
    let found = std::fs::read_dir(shared).map(drop);
    found.with_context(|| format!("reading the step cache {}", shared.display())).map_err(|error| {
        error.hint(
            "-cache-dir, or INGOT_CACHE_DIR, names its directory; the first `ingot build -cache` with it \
             creates it",
        )
    })
}

/// Where builders keep states.
struct Stores {
    all: Vec<Arc<dyn StateStore>>,
    directories: StateDirectories,
}

/// A state that is there, and what is known of it.
struct State {
    key: StateKey,
    builder: &'static str,
    bytes: u64,
    /// Whether it takes room on a disk here.
    local: bool,
    created: OffsetDateTime,
    known: Option<CachedState>,
}

impl State {
    fn used(&self) -> OffsetDateTime {
        self.known.as_ref().map_or(self.created, |known| known.used)
    }

    fn json(&self) -> Json {
        let known = self.known.as_ref();
        json!({
            "key": self.key.as_str(),
            "builder": self.builder,
            "bytes": self.bytes,
            "created": Timestamp::from(self.created),
            "used": Timestamp::from(self.used()),
            "template": known.map(|known| &known.template),
            "build": known.map(|known| &known.build),
            "step": known.map(|known| &known.step),
            "number": known.map(|known| known.number),
            "inputs": known.map(|known| known.input_names().collect::<Vec<_>>()),
        })
    }

    fn show(&self) {
        let known = self.known.as_ref();
        let of_known = |part: fn(&CachedState) -> String| known.map(part).unwrap_or_default();
        fields(&[
            ("Key", self.key.to_string()),
            ("Builder", self.builder.to_owned()),
            ("Template", of_known(|known| known.template.clone())),
            ("Build", of_known(|known| known.build.clone())),
            ("After", of_known(|known| known.step.clone())),
            ("Size", byte_size(self.bytes)),
            ("Kept", moment(self.created.into())),
            ("Used", moment(self.used().into())),
            ("Depends on", of_known(|known| known.input_names().collect::<Vec<_>>().join(", "))),
        ]);
    }
}

/// All states that are there, those that were used last first, and whether these are all.
async fn states(
    directory: &CacheDirectory,
    stores: &Stores,
    redactor: &Redactor,
) -> Result<(Vec<State>, bool)> {
    let owner = directory.owner().await?;
    let index = directory.index();
    let (mut states, mut whole) = (Vec::new(), true);
    for store in &stores.all {
        let builder = store.builder();
        let found = match store.list(&owner, &stores.directories).await {
            Ok(found) => found,
            // Who has never kept one there need not hear of it.
            Err(error) if index.states.values().any(|known| known.builder == builder) => {
                super::show_error(&error, redactor);
                whole = false;
                continue;
            }
            Err(error) => {
                tracing::info!(%error, builder, "states cannot be listed");
                continue;
            }
        };
        for error in &found.unreadable {
            super::show_error(error, redactor);
            whole = false;
        }
        states.extend(found.states.into_iter().map(|state| {
            State {
                local: store.is_local(),
                known: index.states.get(state.key.as_str()).cloned(),
                created: OffsetDateTime::from_unix_timestamp(state.created)
                    .unwrap_or(OffsetDateTime::UNIX_EPOCH),
                key: state.key,
                builder,
                bytes: state.bytes,
            }
        }));
    }
    states.sort_by_key(|state| std::cmp::Reverse((state.used(), state.created)));
    Ok((states, whole))
}

fn total<'a>(states: impl IntoIterator<Item = &'a State>) -> u64 {
    // Nobody checks what is written down of AMIs.
    states.into_iter().fold(0, |sum, state| sum.saturating_add(state.bytes))
}

/// How many bytes on disks here are of states that were removed.
async fn unfreed(directory: &CacheDirectory, stores: &Stores) -> Result<u64> {
    let owner = directory.owner().await?;
    // A store that cannot be read was already reported.
    let all = stores.all.iter().map(|store| store.unfreed(&owner).unwrap_or_default());
    Ok(all.fold(0, u64::saturating_add))
}

/// Reports the room that removed states still take, if there is any.
fn report_unfreed(bytes: u64) {
    if bytes > 0 {
        line(format!(
            "About {} more are on disk for states that were removed: states of a machine share its \
             disks. A build that starts from these disks frees the room, and so does removing the last \
             state in them.",
            byte_size(bytes)
        ));
    }
}

fn list(states: &[State]) {
    let row = |state: &State| {
        let known = state.known.as_ref();
        let build = known.map(|known| known.build.clone());
        let step = known.map(|known| known.step.clone());
        [
            state.key.as_str()[..SHOWN_DIGITS].to_owned(),
            state.builder.to_owned(),
            build.unwrap_or_else(|| "unknown".to_owned()),
            step.unwrap_or_default(),
            byte_size(state.bytes),
            moment(state.used().into()),
        ]
    };
    if states.is_empty() {
        line("The step cache keeps no states. `ingot build -cache` keeps some.");
        return;
    }
    let head = ["KEY", "BUILDER", "BUILD", "AFTER", "SIZE", "USED"];
    table(head, states.iter().map(row).collect());
    line(format!("{}, {}", counted(states.len()), byte_size(total(states))));
}

fn counted(number: usize) -> String {
    match number {
        1 => "1 state".to_owned(),
        number => format!("{number} states"),
    }
}

/// The one state whose key begins like this.
fn find<'a>(states: &'a [State], key: &str) -> Result<&'a State> {
    let mut found = states.iter().filter(|state| state.key.as_str().starts_with(key));
    match (found.next(), found.next()) {
        (Some(state), None) => Ok(state),
        (Some(_), Some(_)) => {
            Err(Error::new(format!("several keys begin with {key:?}")).hint("give more digits"))
        }
        (None, _) => {
            let error = Error::new(format!("no state has a key that begins with {key:?}"));
            let keys = states.iter().map(|state| &state.key.as_str()[..SHOWN_DIGITS]);
            Err(match closest(key, keys) {
                Some(close) => error.hint(format!("did you mean {close}?")),
                None => error.hint("`ingot cache list` shows all"),
            })
        }
    }
}

/// The states that are to be removed, of those that were used last first.
fn chosen<'a>(args: &PruneArgs, states: &'a [State], now: OffsetDateTime) -> Vec<&'a State> {
    let mut kept = 0_u64;
    let is_chosen = |state: &&State| {
        let old = args.older_than.is_some_and(|limit| now - state.used() > limit);
        // What is kept elsewhere takes no room here.
        let after = if state.local { kept.saturating_add(state.bytes) } else { kept };
        let large = state.local && args.keep_bytes.is_some_and(|most| after > most);
        let chosen = args.all || old || large;
        if !chosen {
            kept = after;
        }
        chosen
    };
    states.iter().filter(is_chosen).collect()
}

/// Whether all that was to be removed is.
async fn prune(
    args: &PruneArgs,
    directory: &CacheDirectory,
    stores: &Stores,
    states: Vec<State>,
    redactor: &Redactor,
) -> Result<bool> {
    if args.older_than.is_none() && args.keep_bytes.is_none() && !args.all {
        return Err(Error::new("no states to remove are selected")
            .hint("write -older-than=168h, -keep-bytes=10GB or -all"));
    }
    let mut chosen = chosen(args, &states, OffsetDateTime::now_utc());
    let (mut removed, mut failed) = (Vec::new(), 0);
    // Those that others may be started from last.
    chosen.sort_by_key(|state| std::cmp::Reverse(state.created));
    for state in chosen {
        let store = stores.all.iter().find(|store| store.builder() == state.builder);
        let done = match (args.dry_run, store) {
            (true, _) | (_, None) => Ok(()),
            (false, Some(store)) => store.remove(&state.key, &stores.directories).await,
        };
        match done {
            Ok(()) => removed.push(state),
            Err(error) => {
                failed += 1;
                let error = error.context(format_args!("removing the state {}", state.key));
                super::show_error(&error, redactor);
            }
        }
    }
    if !args.dry_run {
        let keys: Vec<&str> = removed.iter().map(|state| state.key.as_str()).collect();
        directory.change(|index| keys.iter().for_each(|key| index.remove(key))).await?;
        // What was made of shared states is written down in the cache of this user.
        let own = CacheDirectory::open(None)?;
        if own.path() != directory.path() {
            own.change(|index| keys.iter().for_each(|key| index.remove(key))).await?;
        }
    }
    let bytes = total(removed.iter().copied());
    let unfreed = unfreed(directory, stores).await?;
    if args.json {
        json(&json!({
            "removed": removed.iter().map(|state| state.json()).collect::<Vec<_>>(),
            "bytes": bytes,
            "unfreed_bytes": unfreed,
            "failed": failed,
            "dry_run": args.dry_run,
        }))?;
    } else {
        let verb = if args.dry_run { "Would remove" } else { "Removed" };
        line(format!("{verb} {}, {}", counted(removed.len()), byte_size(bytes)));
        report_unfreed(unfreed);
    }
    Ok(failed == 0)
}

/// A number of bytes with a unit: `500MB`, `10GB`, `2GiB`.
fn bytes(text: &str) -> Result<u64, String> {
    const UNITS: &[(&str, u64)] = &[
        ("KIB", 1 << 10),
        ("MIB", 1 << 20),
        ("GIB", 1 << 30),
        ("TIB", 1 << 40),
        ("KB", 1_000),
        ("MB", 1_000_000),
        ("GB", 1_000_000_000),
        ("TB", 1_000_000_000_000),
        ("B", 1),
        ("", 1),
    ];
    let upper = text.trim().to_ascii_uppercase();
    let wrong = || "write a number of bytes such as 500MB, 10GB or 2GiB".to_owned();
    let split = upper.find(|c: char| !c.is_ascii_digit()).unwrap_or(upper.len());
    let (number, unit) = upper.split_at(split);
    let (_, size) = UNITS.iter().find(|(name, _)| *name == unit.trim()).ok_or_else(wrong)?;
    let number: u64 = number.parse().map_err(|_| wrong())?;
    number.checked_mul(*size).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_elsewhere_takes_no_room_here() {
        let state = |name: &str, bytes, local| State {
            key: StateKey::of("test", [name]),
            builder: "any",
            bytes,
            local,
            created: OffsetDateTime::UNIX_EPOCH,
            known: None,
        };
        let states =
            [state("ami", u64::MAX, false), state("disk", 6, true), state("older", 5, true)];
        let chosen_by = |keep_bytes, all| {
            let args = PruneArgs { older_than: None, keep_bytes, all, dry_run: false, json: false };
            let chosen = chosen(&args, &states, OffsetDateTime::now_utc()).into_iter();
            chosen.map(|state| state.bytes).collect::<Vec<_>>()
        };
        assert_eq!(chosen_by(Some(10), false), [5]);
        assert_eq!(chosen_by(Some(11), false), [0; 0]);
        assert_eq!(chosen_by(Some(0), false), [6, 5]);
        assert_eq!(chosen_by(None, true), [u64::MAX, 6, 5]);
        assert_eq!(total(&states), u64::MAX);
    }

    #[test]
    fn sizes_are_read_with_their_units() {
        for (text, size) in [("0", 0), ("12 B", 12), ("10GB", 10_000_000_000), ("2GiB", 2 << 30)] {
            assert_eq!(bytes(text), Ok(size), "{text}");
        }
        for wrong in ["", "GB", "10 potatoes", "-1", "99999999999999TB"] {
            assert!(bytes(wrong).is_err(), "{wrong}");
        }
    }
}
