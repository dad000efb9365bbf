//! A package, and its package URL.

use std::sync::Arc;

use packageurl::PackageUrl;

use super::OperatingSystem;

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
    /// The files that list it: the first 20.
    pub locations: Vec<Arc<str>>,
    /// How many more files list it.
    pub more_locations: usize,
}

/// How many of the files that list a package are named. A machine may have thousands.
const MOST_LOCATIONS: usize = 20;

impl Package {
    /// A package of which nothing more is known.
    pub(super) fn new(ecosystem: Ecosystem, name: &str, version: &str) -> Package {
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
            more_locations: 0,
        }
    }

    /// Adds a file that lists it.
    pub(super) fn add_location(&mut self, location: Arc<str>) {
        match self.locations.len() < MOST_LOCATIONS {
            true => self.locations.push(location),
            false => self.more_locations += 1,
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
                let vendor = os.map(|os| vendor(ecosystem, &os.id)).filter(|id| !id.is_empty());
                (vendor.map(str::to_owned), self.name.clone())
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

/// Who makes an operating system, as package URLs and databases of vulnerabilities have it. `id` is its
/// `ID` in `os-release`.
fn vendor(ecosystem: Ecosystem, id: &str) -> &str {
    match (ecosystem, id) {
        (Ecosystem::Rpm, "rhel") => "redhat",
        (Ecosystem::Rpm, id) if id.starts_with("opensuse") => "opensuse",
        (_, id) => id,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn package_urls_name_the_vendor_of_the_system() {
        for (id, version, wanted) in [
            ("rhel", "9.4", "pkg:rpm/redhat/bash@5.1-2?distro=rhel-9.4"),
            ("opensuse-leap", "15.6", "pkg:rpm/opensuse/bash@5.1-2?distro=opensuse-leap-15.6"),
            ("opensuse-tumbleweed", "", "pkg:rpm/opensuse/bash@5.1-2?distro=opensuse-tumbleweed"),
            ("fedora", "40", "pkg:rpm/fedora/bash@5.1-2?distro=fedora-40"),
        ] {
            let os = OperatingSystem {
                id: id.to_owned(),
                version: version.to_owned(),
                name: String::new(),
            };
            let package = Package::new(Ecosystem::Rpm, "bash", "5.1-2");
            assert_eq!(package.purl(Some(&os)).unwrap(), wanted);
        }
    }

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
}
