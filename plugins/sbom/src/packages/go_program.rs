//! What a Go program was built of, as the linker writes it into the section `.go.buildinfo`. See Go's
//! package `debug/buildinfo`.

use super::file_packages::FilePackages;
use super::{Ecosystem, Package};

/// How the section begins.
const MAGIC: &[u8] = b"\xff Go buildinf:";
/// How long the header is: the magic, the size of a pointer, flags, and room.
const HEADER: usize = 32;
/// The flag that says that the texts follow the header, as they do since Go 1.18.
const INLINE: u8 = 2;
/// How long what stands around the list of modules is.
const SENTINEL: usize = 16;

/// Adds the modules, with what `replace` put in their place, and the standard library.
///
/// # Errors
/// Why the section cannot be read.
pub(super) fn parse(section: &[u8], found: &mut FilePackages) -> Result<(), String> {
    let header = section.get(..HEADER).filter(|header| header.starts_with(MAGIC));
    let header = header.ok_or("its build information is damaged")?;
    if header[15] & INLINE == 0 {
        return Err("it was built by a Go older than 1.18".to_owned());
    }
    let mut rest = &section[HEADER..];
    let (version, modules) = text(&mut rest)
        .zip(text(&mut rest))
        .ok_or_else(|| "its build information is damaged".to_owned())?;
    let version = String::from_utf8_lossy(version);
    let version = version.split_whitespace().next().unwrap_or_default();
    // As the database of Go's vulnerabilities calls it.
    let version = version.strip_prefix("go").unwrap_or(version);
    found.push(Package::new(Ecosystem::Golang, "stdlib", version));
    let modules = modules.get(SENTINEL..modules.len().saturating_sub(SENTINEL)).unwrap_or_default();
    let modules = String::from_utf8_lossy(modules);
    let mut last: Option<Package> = None;
    for line in modules.lines() {
        let mut words = line.split('\t');
        let (kind, path, version) = (words.next(), words.next(), words.next());
        let (Some(kind @ ("mod" | "dep" | "=>")), Some(path)) = (kind, path) else { continue };
        // What was replaced is not in the program.
        if kind != "=>" {
            found.extend(last.take());
        }
        let version = version.filter(|version| *version != "(devel)").unwrap_or_default();
        // A directory in place of a module: the module is there, in a version that nobody knows.
        let directory = kind == "=>" && path.starts_with(['.', '/']);
        match (&mut last, directory) {
            (Some(replaced), true) => replaced.version.clear(),
            _ => last = Some(Package::new(Ecosystem::Golang, path, version)),
        }
    }
    found.extend(last);
    Ok(())
}

/// A text behind its length, which is a varint; `from` starts behind it afterwards.
fn text<'a>(from: &mut &'a [u8]) -> Option<&'a [u8]> {
    let mut length = 0usize;
    for shift in (0..).step_by(7).take(4) {
        let (byte, rest) = from.split_first()?;
        *from = rest;
        length |= usize::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            let (text, rest) = from.split_at_checked(length)?;
            *from = rest;
            return Some(text);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn section(version: &str, modules: &str) -> Vec<u8> {
        let mut section = [MAGIC, &[8, INLINE], &[0; 16]].concat();
        for text in [version.to_owned(), format!("{0}{modules}{0}", "s".repeat(SENTINEL))] {
            let length = text.len();
            section.extend([(length & 0x7f) as u8 | 0x80, (length >> 7) as u8]);
            section.extend(text.bytes());
        }
        section
    }

    #[test]
    fn modules_replacements_and_the_standard_library() {
        let modules = "path\texample.org/me/cmd\nmod\texample.org/me\t(devel)\t\n\
                       dep\tgolang.org/x/net\tv0.1.0\th1:x=\ndep\tx.org/a\tv1.0.0\n\
                       =>\ty.org/a\tv1.0.1\th1:x=\ndep\tx.org/b\tv1.0.0\n=>\t../b\t(devel)\t\n\
                       build\t-compiler=gc\n";
        let mut found = FilePackages::default();
        parse(&section("go1.22.1 X:loopvar", modules), &mut found).unwrap();
        let wanted = [
            "stdlib 1.22.1",
            "example.org/me ",
            "golang.org/x/net v0.1.0",
            "y.org/a v1.0.1",
            "x.org/b ",
        ];
        assert_eq!(found.names(), wanted);
    }

    #[test]
    fn damaged_build_information_is_reported() {
        let whole = section("go1.22", "mod\ta\tv1\n");
        for length in 0..whole.len() {
            assert!(parse(&whole[..length], &mut FilePackages::default()).is_err(), "{length}");
        }
        let mut old = whole.clone();
        old[15] = 0;
        let error = parse(&old, &mut FilePackages::default()).unwrap_err();
        assert!(error.contains("older than 1.18"), "{error}");
        let endless = [&whole[..HEADER], &[0xff; 64]].concat();
        assert!(parse(&endless, &mut FilePackages::default()).is_err());
    }
}
