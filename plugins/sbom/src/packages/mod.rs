//! The packages of a machine, as its package managers have written them down.

mod apk;
mod cargo;
mod dpkg;
mod go;
mod npm;
mod os_release;
mod python;
mod rpm;

use std::collections::BTreeMap;

use globset::GlobSet;
use packageurl::PackageUrl;

use crate::collector::Collected;
pub use os_release::OperatingSystem;

/// What a package manager calls its packages in a package URL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Ecosystem {
    /// Debian and its descendants.
    Deb,
    /// Red Hat, SUSE and their descendants.
    Rpm,
    /// Alpine and its descendants.
    Apk,
    /// Python.
    Pypi,
    /// Node.js.
    Npm,
    /// Go modules.
    Golang,
    /// Rust crates.
    Cargo,
}

impl Ecosystem {
    /// Its type in package URLs.
    pub fn purl_type(self) -> &'static str {
        match self {
            Ecosystem::Deb => "deb",
            Ecosystem::Rpm => "rpm",
            Ecosystem::Apk => "apk",
            Ecosystem::Pypi => "pypi",
            Ecosystem::Npm => "npm",
            Ecosystem::Golang => "golang",
            Ecosystem::Cargo => "cargo",
        }
    }

    /// Whether the operating system is made of such packages.
    fn is_of_system(self) -> bool {
        matches!(self, Ecosystem::Deb | Ecosystem::Rpm | Ecosystem::Apk)
    }
}

/// An installed package.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Package {
    /// What manages it.
    pub ecosystem: Ecosystem,
    /// Its name, with its namespace where the ecosystem has some: `@scope/name`.
    pub name: String,
    /// Its version as the package manager writes it.
    pub version: String,
    /// The architecture it is for, where that is known.
    pub architecture: Option<String>,
    /// The epoch of an rpm.
    pub epoch: Option<String>,
    /// The source package it was built from, where that has another name.
    pub upstream: Option<String>,
    /// The licence as the package declares it.
    pub license: Option<String>,
    /// Who maintains or supplies it.
    pub supplier: Option<String>,
    /// The files that tell of it.
    pub locations: Vec<String>,
}

impl Package {
    /// A package of which nothing more is known.
    fn new(ecosystem: Ecosystem, name: &str, version: &str) -> Package {
        Package {
            ecosystem,
            name: name.to_owned(),
            version: version.to_owned(),
            architecture: None,
            epoch: None,
            upstream: None,
            license: None,
            supplier: None,
            locations: Vec::new(),
        }
    }

    /// Its package URL, if its name is one that such a URL can hold.
    pub fn purl(&self, os: Option<&OperatingSystem>) -> Option<String> {
        let (namespace, name) = match self.ecosystem {
            Ecosystem::Npm | Ecosystem::Golang => match self.name.rsplit_once('/') {
                Some((namespace, name)) => (Some(namespace.to_owned()), name.to_owned()),
                None => (None, self.name.clone()),
            },
            // Python's index takes names that differ in this alone for one.
            Ecosystem::Pypi => (None, self.name.to_lowercase().replace('_', "-")),
            ecosystem if ecosystem.is_of_system() => {
                let vendor = os.map(|os| os.id.clone()).filter(|id| !id.is_empty());
                (vendor, self.name.clone())
            }
            _ => (None, self.name.clone()),
        };
        let mut purl = PackageUrl::new(self.ecosystem.purl_type(), name).ok()?;
        if let Some(namespace) = namespace {
            purl.with_namespace(namespace).ok()?;
        }
        if !self.version.is_empty() {
            purl.with_version(self.version.clone()).ok()?;
        }
        let distro = os.filter(|_| self.ecosystem.is_of_system()).map(OperatingSystem::distro);
        for (key, value) in [
            ("arch", self.architecture.clone()),
            ("distro", distro.filter(|distro| !distro.is_empty())),
            ("epoch", self.epoch.clone()),
            ("upstream", self.upstream.clone()),
        ] {
            if let Some(value) = value {
                purl.add_qualifier(key, value).ok()?;
            }
        }
        Some(purl.to_string())
    }
}

/// What is on a machine.
#[derive(Debug, Clone, Default)]
pub struct Inventory {
    /// Its operating system, if it says so.
    pub os: Option<OperatingSystem>,
    /// Its packages, each once, by ecosystem, name and version.
    pub packages: Vec<Package>,
    /// What could not be read.
    pub notes: Vec<String>,
    /// The files that the inventory is of, with their SHA-256, where it is of files.
    pub files: Vec<(String, String)>,
}

impl Inventory {
    /// Reads what the collector printed, but for the paths that `exclude` matches. Paths start at
    /// `root`, the directory that was looked in.
    pub fn of(collected: &Collected, root: &str, exclude: &GlobSet) -> Inventory {
        let mut found = Inventory { notes: collected.notes.clone(), ..Inventory::default() };
        let mut packages = Vec::new();
        for (path, text) in &collected.files {
            let path = inside(path, root);
            if exclude.is_match(&path) {
                continue;
            }
            let before = packages.len();
            read(&path, text, &mut found, &mut packages);
            for package in &mut packages[before..] {
                package.locations.push(path.clone());
            }
        }
        packages.extend(collected.rpm.iter().filter_map(|line| rpm::package(line)));
        found.packages = merge(packages);
        found
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

fn read(path: &str, text: &str, found: &mut Inventory, packages: &mut Vec<Package>) {
    match path {
        "/etc/os-release" | "/usr/lib/os-release" => {
            found.os = os_release::parse(text).or(found.os.take());
        }
        "/lib/apk/db/installed" | "/usr/lib/apk/db/installed" => packages.extend(apk::parse(text)),
        path if path.starts_with("/var/lib/dpkg/") => packages.extend(dpkg::parse(text)),
        path if path.ends_with("/METADATA")
            || path.ends_with("/PKG-INFO")
            || path.ends_with(".egg-info") =>
        {
            packages.extend(python::parse(text));
        }
        path if path.ends_with("/package.json") => packages.extend(npm::installed(path, text)),
        path if path.ends_with("/package-lock.json") => packages.extend(npm::lock_file(text)),
        path if path.ends_with("/go.mod") => packages.extend(go::parse(text)),
        path if path.ends_with("/Cargo.lock") => packages.extend(cargo::lock_file(text)),
        path if path.ends_with("/.crates2.json") => packages.extend(cargo::installed(text)),
        _ => {}
    }
}

/// Each package once, with all places that tell of it.
fn merge(packages: Vec<Package>) -> Vec<Package> {
    let mut merged: BTreeMap<(Ecosystem, String, String, Option<String>), Package> =
        BTreeMap::new();
    for package in packages {
        let Package { ecosystem, name, version, architecture, .. } = &package;
        let key = (*ecosystem, name.clone(), version.clone(), architecture.clone());
        match merged.get_mut(&key) {
            Some(known) => {
                for location in package.locations {
                    if !known.locations.contains(&location) {
                        known.locations.push(location);
                    }
                }
            }
            None => drop(merged.insert(key, package)),
        }
    }
    merged.into_values().collect()
}

/// Text that says something.
fn some(text: &str) -> Option<String> {
    let text = text.trim();
    (!text.is_empty()).then(|| text.to_owned())
}

/// The fields of text in the form of mail headers: `Name: value`, where lines that start with a
/// blank go on with the one before.
fn headers(text: &str) -> Vec<(&str, String)> {
    let mut fields: Vec<(&str, String)> = Vec::new();
    for line in text.lines() {
        let line = line.trim_end_matches('\r');
        match line.split_once(':') {
            _ if line.starts_with([' ', '\t']) => {
                if let Some((_, value)) = fields.last_mut() {
                    value.push('\n');
                    value.push_str(line.trim());
                }
            }
            Some((name, value)) => fields.push((name, value.trim().to_owned())),
            None => {}
        }
    }
    fields
}

/// The value of the first field called `name`.
fn field<'a>(fields: &'a [(&str, String)], name: &str) -> Option<&'a str> {
    let found = fields.iter().find(|(field, _)| *field == name);
    found.map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn package_urls_are_of_their_ecosystem() {
        let os = OperatingSystem {
            id: "debian".to_owned(),
            version: "12".to_owned(),
            name: "Debian GNU/Linux 12".to_owned(),
        };
        let purl = |ecosystem, name: &str, version: &str| {
            Package::new(ecosystem, name, version).purl(Some(&os)).unwrap()
        };
        assert_eq!(
            purl(Ecosystem::Deb, "libc6", "2.36-9+deb12u4"),
            "pkg:deb/debian/libc6@2.36-9%2Bdeb12u4?distro=debian-12"
        );
        assert_eq!(purl(Ecosystem::Pypi, "Typing_Extensions", "4"), "pkg:pypi/typing-extensions@4");
        assert_eq!(purl(Ecosystem::Npm, "@types/node", "1.0"), "pkg:npm/%40types/node@1.0");
        assert_eq!(
            purl(Ecosystem::Golang, "golang.org/x/net", "v0.1.0"),
            "pkg:golang/golang.org/x/net@v0.1.0"
        );
        let mut package = Package::new(Ecosystem::Rpm, "bash", "5.1-2.el9");
        package.epoch = Some("1".to_owned());
        package.architecture = Some("x86_64".to_owned());
        assert_eq!(package.purl(None).unwrap(), "pkg:rpm/bash@5.1-2.el9?arch=x86_64&epoch=1");
    }

    #[test]
    fn paths_start_at_the_directory_that_was_looked_in() {
        assert_eq!(inside("/etc/os-release", "/"), "/etc/os-release");
        assert_eq!(inside("/mnt/root/etc/os-release", "/mnt/root/"), "/etc/os-release");
        assert_eq!(inside("./a/b", "a"), "/b");
    }
}
