//! dpkg's `status`: paragraphs of fields. See `dpkg(1)` and `deb-control(5)`.

use super::{Ecosystem, Package, field, headers, some};

/// The packages that are there. Those of which only the configuration is left are not.
pub(super) fn parse(text: &str) -> Vec<Package> {
    paragraphs(text).filter_map(package).collect()
}

fn paragraphs(text: &str) -> impl Iterator<Item = &str> {
    text.split("\n\n").filter(|paragraph| !paragraph.trim().is_empty())
}

fn package(paragraph: &str) -> Option<Package> {
    let fields = headers(paragraph);
    let (name, version) = (field(&fields, "Package")?, field(&fields, "Version")?);
    // The third word is the state. Images without dpkg have no such field.
    let state = field(&fields, "Status").and_then(|status| status.split(' ').nth(2));
    if matches!(state, Some("not-installed" | "config-files")) {
        return None;
    }
    let mut package = Package::new(Ecosystem::Deb, name, version);
    package.architecture = field(&fields, "Architecture").and_then(some);
    package.supplier = field(&fields, "Maintainer").and_then(some);
    // `name` or `name (version)`, with the version where it differs.
    package.upstream = field(&fields, "Source").map(|source| match source.split_once(" (") {
        Some((name, version)) => format!("{name}@{}", version.trim_end_matches(')')),
        None => source.to_owned(),
    });
    Some(package)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_removed_is_not_there() {
        let status = "Package: libc6\nStatus: install ok installed\nArchitecture: amd64\n\
                      Source: glibc (2.36-9)\nVersion: 2.36-9+b1\nDescription: GNU C Library\n \
                      Shared: libraries\n .\n More.\n\nPackage: gone\nStatus: deinstall ok \
                      config-files\nVersion: 1\n\nPackage: half\nStatus: install ok unpacked\n\
                      Version: 2\n\nPackage: broken\n";
        let packages = parse(status);
        let names: Vec<&str> = packages.iter().map(|package| package.name.as_str()).collect();
        assert_eq!(names, ["libc6", "half"]);
        assert_eq!(packages[0].upstream.as_deref(), Some("glibc@2.36-9"));
        assert_eq!(packages[0].architecture.as_deref(), Some("amd64"));
    }
}
