//! What is on a machine: what the collector printed, read record by record.

use std::collections::BTreeMap;
use std::sync::Arc;

use globset::GlobSet;

use super::file_packages::{FilePackages, MOST_PACKAGES};
use super::{
    Ecosystem, OperatingSystem, Package, apk, cargo, dpkg, go, go_program, npm, os_release, python,
    rpm, rust_program,
};
use crate::collector::{LARGEST_FILE, Record, records};

/// The most notes that are shown.
const MOST_NOTES: usize = 50;

/// What is on a machine.
#[derive(Debug, Clone, Default)]
pub struct Inventory {
    /// Its operating system, if it says so.
    pub os: Option<OperatingSystem>,
    /// Its packages, each once, by ecosystem, name and version.
    pub packages: Vec<Package>,
    /// What could not be read, or is there and not listed.
    pub notes: Vec<String>,
    /// The files that the inventory is of, with their SHA-256, where it is of files.
    pub files: Vec<(String, String)>,
}

impl Inventory {
    /// Reads what the collector printed, but for the paths that `exclude` matches; none if this is the
    /// output of something else. It takes a while for a large machine.
    pub fn of(output: &[u8], exclude: &GlobSet) -> Option<Inventory> {
        let mut reading = Reading::new(exclude);
        for record in records(output)? {
            reading.record(record);
        }
        Some(reading.finish())
    }
}

/// What tells packages apart.
type Key = (Ecosystem, String, String, Option<String>);

/// A package, and the number of the file that listed it last.
struct Listed {
    package: Package,
    file: usize,
}

/// What has been read so far of a collector's output.
struct Reading<'e> {
    exclude: &'e GlobSet,
    root: String,
    os: Option<OperatingSystem>,
    packages: BTreeMap<Key, Listed>,
    /// How many files that list packages were read.
    files: usize,
    rpm: FilePackages,
    notes: Vec<String>,
    more_notes: usize,
}

impl<'e> Reading<'e> {
    fn new(exclude: &'e GlobSet) -> Self {
        Reading {
            exclude,
            root: String::new(),
            os: None,
            packages: BTreeMap::new(),
            files: 0,
            rpm: FilePackages::default(),
            notes: Vec::new(),
            more_notes: 0,
        }
    }

    fn record(&mut self, record: Record<'_>) {
        match record {
            Record::Root(root) => self.root = root.into_owned(),
            Record::Note(note) => self.note(note.into_owned()),
            Record::Rpm(line) => self.rpm.extend(rpm::package(&line)),
            Record::GoProgram(path, section) => self.program(&path, &section, go_program::parse),
            Record::RustProgram(path, section) => {
                self.program(&path, &section, rust_program::parse);
            }
            Record::File(path, text) => {
                let path = inside(&path, &self.root);
                if self.exclude.is_match(&path) {
                    return;
                }
                match text {
                    Some(text) => self.file(&path, &text),
                    None => {
                        let most = LARGEST_FILE >> 20;
                        self.note(format!("{path} has more than {most} MiB and is skipped"));
                    }
                }
            }
        }
    }

    fn file(&mut self, path: &str, text: &str) {
        if let "/etc/os-release" | "/usr/lib/os-release" = path {
            self.os = os_release::parse(text).or(self.os.take());
            return;
        }
        let mut found = FilePackages::default();
        match parse(path, text, &mut found) {
            Ok(()) => self.add(path, Some(path), found),
            Err(why) => self.note(format!("{path} is skipped: {why}")),
        }
    }

    fn program(
        &mut self,
        path: &str,
        section: &[u8],
        parse: impl FnOnce(&[u8], &mut FilePackages) -> Result<(), String>,
    ) {
        let path = inside(path, &self.root);
        if self.exclude.is_match(&path) {
            return;
        }
        let mut found = FilePackages::default();
        match parse(section, &mut found) {
            Ok(()) => self.add(&path, Some(&path), found),
            Err(why) => self.note(format!("{path} is skipped: {why}")),
        }
    }

    /// Adds the packages of a file, all or none.
    fn add(&mut self, shown: &str, path: Option<&str>, found: FilePackages) {
        let room = MOST_PACKAGES - self.packages.len();
        let Some(packages) = found.into_packages().filter(|found| found.len() <= room) else {
            self.note(format!(
                "{shown} is skipped: with it there would be more than {MOST_PACKAGES} packages"
            ));
            return;
        };
        let location: Option<Arc<str>> = path.map(Arc::from);
        self.files += 1;
        for package in packages {
            let Package { ecosystem, name, version, architecture, .. } = &package;
            let key = (*ecosystem, name.clone(), version.clone(), architecture.clone());
            // Each package once, with the files that list it.
            let known = self.packages.entry(key).or_insert(Listed { package, file: 0 });
            if let Some(location) = &location
                && known.file != self.files
            {
                known.file = self.files;
                known.package.add_location(Arc::clone(location));
            }
        }
    }

    fn note(&mut self, note: String) {
        match self.notes.len() < MOST_NOTES {
            true => self.notes.push(note),
            false => self.more_notes += 1,
        }
    }

    fn finish(mut self) -> Inventory {
        let rpm = std::mem::take(&mut self.rpm);
        self.add("the database of rpm", None, rpm);
        if self.more_notes > 0 {
            self.notes.push(format!("{} more files are skipped", self.more_notes));
        }
        let packages = self.packages.into_values().map(|listed| listed.package).collect();
        Inventory { os: self.os, packages, notes: self.notes, files: Vec::new() }
    }
}

/// A path as it is called inside of the directory that was looked in.
fn inside(path: &str, root: &str) -> String {
    let path = path.strip_prefix("./").unwrap_or(path);
    let root = root.strip_prefix("./").unwrap_or(root).trim_end_matches('/');
    let rest = path.strip_prefix(root).filter(|rest| rest.starts_with('/'));
    match rest {
        Some(rest) => rest.to_owned(),
        None => format!("/{}", path.trim_start_matches('/')),
    }
}

/// Reads the packages that a file lists.
///
/// # Errors
/// Why it cannot be read.
fn parse(path: &str, text: &str, found: &mut FilePackages) -> Result<(), String> {
    let ends = |ending: &str| path.ends_with(ending);
    match path {
        "/lib/apk/db/installed" | "/usr/lib/apk/db/installed" => found.extend(apk::parse(text)),
        path if path.starts_with("/var/lib/dpkg/") => found.extend(dpkg::parse(text)),
        _ if ends("/METADATA") || ends("/PKG-INFO") || ends(".egg-info") => {
            found.extend(python::parse(text));
        }
        _ if ends("/package.json") => npm::installed(path, text, found)?,
        _ if ends("/package-lock.json") => npm::lock_file(text, found)?,
        _ if ends("/go.mod") => go::parse(text, found)?,
        _ if ends("/Cargo.lock") => found.extend(cargo::lock_file(text)),
        _ if ends("/.crates2.json") => cargo::installed(text, found)?,
        _ => {}
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_start_at_the_directory_that_was_looked_in() {
        assert_eq!(inside("/etc/os-release", "/"), "/etc/os-release");
        assert_eq!(inside("/mnt/root/etc/os-release", "/mnt/root/"), "/etc/os-release");
        assert_eq!(inside("./a/b", "a"), "/b");
    }

    /// The inventory of files.
    fn inventory(files: &[(&str, &str)]) -> Inventory {
        let mut output = "INGOT-PACKAGES 2\nD /\n".to_owned();
        for (path, text) in files {
            output += &format!("F {path}\n");
            text.lines().for_each(|line| output += &format!(" {line}\n"));
        }
        Inventory::of(output.as_bytes(), &GlobSet::empty()).unwrap()
    }

    #[test]
    fn a_package_is_listed_once_with_all_places() {
        let lock = "[[package]]\nname = \"a\"\nversion = \"1\"\n";
        let twice = lock.repeat(2);
        let found = inventory(&[("/x/Cargo.lock", &twice), ("/y/Cargo.lock", lock)]);
        assert_eq!(found.packages.len(), 1);
        let places: Vec<&str> = found.packages[0].locations.iter().map(|it| &**it).collect();
        assert_eq!(places, ["/x/Cargo.lock", "/y/Cargo.lock"]);
    }

    #[test]
    fn of_many_places_some_are_named_and_the_others_counted() {
        let lock = "[[package]]\nname = \"a\"\nversion = \"1\"\n".repeat(2);
        let paths: Vec<String> = (0..50).map(|index| format!("/{index}/Cargo.lock")).collect();
        let files: Vec<(&str, &str)> = paths.iter().map(|path| (&**path, &*lock)).collect();
        let found = inventory(&files);
        let package = &found.packages[0];
        let named: Vec<String> = package.locations.iter().map(|it| it.to_string()).collect();
        assert_eq!(named, paths[..20]);
        assert_eq!(package.more_locations, 30);
    }

    #[test]
    fn what_is_skipped_is_named_and_the_rest_is_listed() {
        let lock = |count: usize| -> String {
            let one = |index| format!("[[package]]\nname = \"a{index}\"\nversion = \"1\"\n");
            (0..count).map(one).collect()
        };
        let found = inventory(&[
            ("/a/Cargo.lock", &lock(2)),
            ("/b/Cargo.lock", &lock(MOST_PACKAGES + 1)),
            ("/c/Cargo.lock", &lock(MOST_PACKAGES)),
            ("/d/package-lock.json", "{"),
            ("/e/Cargo.lock", &lock(3)),
        ]);
        assert_eq!(found.packages.len(), 3);
        let wanted = [
            "/b/Cargo.lock is skipped: with it there would be more than 200000 packages",
            "/c/Cargo.lock is skipped: with it there would be more than 200000 packages",
            "/d/package-lock.json is skipped: it is not valid JSON: EOF",
        ];
        assert_eq!(found.notes.len(), wanted.len(), "{:?}", found.notes);
        for (note, wanted) in found.notes.iter().zip(wanted) {
            assert!(note.starts_with(wanted), "{note}");
        }
        let many = vec![("/x/package-lock.json", "{"); 60];
        let notes = inventory(&many).notes;
        assert_eq!((notes.len(), notes[50].as_str()), (51, "10 more files are skipped"));
    }
}
