//! The metadata of an installed Python distribution: `METADATA` of wheels, `PKG-INFO` of eggs.

use super::{Ecosystem, Package, field, headers, some};

/// The distribution; none if the file names none.
pub(super) fn parse(text: &str) -> Option<Package> {
    // Behind the first empty line stands the description.
    let head = text.split("\n\n").next().unwrap_or(text);
    let fields = headers(head);
    let mut package =
        Package::new(Ecosystem::Pypi, field(&fields, "Name")?, field(&fields, "Version")?);
    let license = field(&fields, "License-Expression").or(field(&fields, "License"));
    // Some put the whole text there.
    package.license = license.and_then(some).filter(|license| license.len() <= 200);
    package.supplier = field(&fields, "Author").and_then(some);
    Some(package)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_description_is_no_metadata() {
        let text = "Metadata-Version: 2.1\nName: requests\nVersion: 2.31.0\nLicense: Apache 2.0\n\n\
                    Version: 9\n";
        let package = parse(text).unwrap();
        assert_eq!((package.name.as_str(), package.version.as_str()), ("requests", "2.31.0"));
        assert_eq!(package.license.as_deref(), Some("Apache 2.0"));
        assert_eq!(parse("Name: x\n"), None);
    }
}
