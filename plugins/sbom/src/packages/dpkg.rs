//! dpkg's `status`: paragraphs of fields. See `dpkg(1)` and `deb-control(5)`.

use super::fields::fields;
use super::{Ecosystem, Package};

/// The packages that are there. Those of which only the configuration is left are not.
pub(super) fn parse(text: &str) -> impl Iterator<Item = Package> {
    text.split("\n\n").filter_map(package)
}

fn package(paragraph: &str) -> Option<Package> {
    let names = ["Package", "Version", "Status", "Architecture", "Maintainer", "Source"];
    let [name, version, status, architecture, maintainer, source] = fields(paragraph, names);
    let (name, version) = (name?, version?);
    // The third word is the state. Images without dpkg have no such field.
    let state = status.as_deref().and_then(|status| status.split(' ').nth(2));
    if matches!(state, Some("not-installed" | "config-files")) {
        return None;
    }
    let mut package = Package::new(Ecosystem::Deb, &name, &version);
    package.architecture = architecture;
    package.supplier = maintainer;
    // `name` or `name (version)`, with the version where it differs.
    package.upstream = source.map(|source| match source.split_once(" (") {
        Some((name, version)) => format!("{name}@{}", version.trim_end_matches(')')),
        None => source,
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
        let packages: Vec<Package> = parse(status).collect();
        let names: Vec<&str> = packages.iter().map(|package| package.name.as_str()).collect();
        assert_eq!(names, ["libc6", "half"]);
        assert_eq!(packages[0].upstream.as_deref(), Some("glibc@2.36-9"));
        assert_eq!(packages[0].architecture.as_deref(), Some("amd64"));
    }
}
