//! apk's `installed`: paragraphs of fields with names of one letter. See Alpine's `apk spec`.

use super::text::some;
use super::{Ecosystem, Package};

/// The packages that are there.
pub(super) fn parse(text: &str) -> impl Iterator<Item = Package> {
    text.split("\n\n").filter_map(package)
}

fn package(paragraph: &str) -> Option<Package> {
    // Later lines describe files, with letters of their own.
    let field = |letter: &str| {
        let mut lines = paragraph.lines().take_while(|line| !line.starts_with("F:"));
        lines.find_map(|line| line.strip_prefix(letter)?.strip_prefix(':')).and_then(some)
    };
    let (name, version) = (field("P")?, field("V")?);
    let mut package = Package::new(Ecosystem::Apk, &name, &version);
    package.architecture = field("A");
    package.license = field("L");
    package.supplier = field("m");
    package.upstream = field("o").filter(|origin| *origin != name);
    Some(package)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_of_files_are_not_those_of_packages() {
        let installed = "C:Q1abc=\nP:musl-utils\nV:1.2.5-r0\nA:x86_64\nS:1\nI:2\nL:MIT AND BSD-2-Clause\n\
                         o:musl\nm:Natanael Copa <n@example.org>\nF:sbin\nR:ldconfig\na:0:0:755\n\n\
                         P:busybox\nV:1.36.1-r29\no:busybox\n\n";
        let packages: Vec<Package> = parse(installed).collect();
        assert_eq!(packages.len(), 2);
        assert_eq!(packages[0].upstream.as_deref(), Some("musl"));
        assert_eq!(packages[0].license.as_deref(), Some("MIT AND BSD-2-Clause"));
        assert_eq!((packages[1].name.as_str(), &packages[1].upstream), ("busybox", &None));
    }
}
