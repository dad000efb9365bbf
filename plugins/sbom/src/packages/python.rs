//! The metadata of an installed Python distribution: `METADATA` of wheels, `PKG-INFO` of eggs.

use super::fields::fields;
use super::{Ecosystem, Package};

/// The distribution; none if the file names none.
pub(super) fn parse(text: &str) -> Option<Package> {
    // Behind the first empty line stands the description.
    let head = text.split("\n\n").next().unwrap_or(text);
    let names = ["Name", "Version", "License-Expression", "License", "Author"];
    let [name, version, expression, license, author] = fields(head, names);
    let mut package = Package::new(Ecosystem::Pypi, &name?, &version?);
    // Some put the whole text there.
    package.license = expression.or(license).filter(|license| license.len() <= 200);
    package.supplier = author;
    Some(package)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_description_is_not_read_as_metadata() {
        let text = "Metadata-Version: 2.1\nName: requests\nVersion: 2.31.0\nLicense: Apache 2.0\n\n\
                    Version: 9\n";
        let package = parse(text).unwrap();
        assert_eq!((package.name.as_str(), package.version.as_str()), ("requests", "2.31.0"));
        assert_eq!(package.license.as_deref(), Some("Apache 2.0"));
        assert_eq!(parse("Name: x\n"), None);
    }
}
