//! The output of `rpm -qa` for each package, in the fields that the collector asks for.

use super::text::some;
use super::{Ecosystem, Package};

/// What rpm prints for a tag that a package does not have.
const NONE: &str = "(none)";

/// A package: name, epoch, version and release, architecture, source package, licence and vendor,
/// with tabs between them.
pub(super) fn package(line: &str) -> Option<Package> {
    let mut fields = line.split('\t').map(|field| some(field).filter(|field| field != NONE));
    let mut next = || fields.next().flatten();
    let (name, epoch, version) = (next()?, next(), next()?);
    // The keys that signatures are checked with are in the database as well.
    if name == "gpg-pubkey" {
        return None;
    }
    let mut package = Package::new(Ecosystem::Rpm, &name, &version);
    package.epoch = epoch;
    package.architecture = next();
    package.upstream = next();
    package.license = next();
    package.supplier = next();
    Some(package)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_that_are_not_there() {
        let line = "bash\t\t5.1.8-9.el9\tx86_64\tbash-5.1.8-9.el9.src.rpm\tGPLv3+\tRed Hat, Inc.";
        let bash = package(line).unwrap();
        assert_eq!((bash.version.as_str(), &bash.epoch), ("5.1.8-9.el9", &None));
        assert_eq!(bash.supplier.as_deref(), Some("Red Hat, Inc."));
        let line = "hand-made\t2\t1-1\tnoarch\t(none)\t(none)\t(none)";
        let created = package(line).unwrap();
        assert_eq!((created.epoch.as_deref(), &created.upstream), (Some("2"), &None));
        assert_eq!(package("gpg-pubkey\t\t1-2\t(none)\t(none)\tpubkey\t(none)"), None);
        assert_eq!(package(""), None);
    }
}
