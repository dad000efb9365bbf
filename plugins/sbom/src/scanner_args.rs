//! `scanner_args`: the flags of Packer's scanner, as far as they mean something to Ingot.

use globset::{Glob, GlobSet, GlobSetBuilder};
use ingot_sdk::SbomFormat;

/// What a scan shall do.
#[derive(Debug, Clone)]
pub struct ScannerArgs {
    /// The document's format; CycloneDX unless the flags say otherwise.
    pub format: SbomFormat,
    /// The paths to leave out.
    pub exclude: GlobSet,
    /// The flags that mean nothing here.
    pub ignored: Vec<String>,
}

/// Reads the format that a flag or an option names, as in `cyclonedx-json`.
///
/// # Errors
/// It is no format that can be written.
pub fn format(text: &str) -> Result<SbomFormat, String> {
    let lower = text.to_lowercase();
    let format = match () {
        () if lower.contains("xml") || lower.contains("tag-value") => None,
        () if lower.contains("cyclonedx") => Some(SbomFormat::CycloneDx),
        () if lower.contains("spdx") => Some(SbomFormat::Spdx),
        () => None,
    };
    format.ok_or_else(|| {
        format!("`{text}` is not a format that can be written; use cyclonedx-json or spdx-json")
    })
}

/// Reads a scope, which is about the layers of container images. A machine has one.
///
/// # Errors
/// There is no such scope.
pub fn scope(text: &str) -> Result<(), String> {
    match text.trim().to_lowercase().as_str() {
        "squashed" | "all-layers" | "all" | "alllayers" => Ok(()),
        _ => Err(format!("`{text}` is not a scope; use squashed or all-layers")),
    }
}

/// Reads glob patterns of paths.
///
/// # Errors
/// One of them is not a valid pattern.
pub fn exclude<'a>(patterns: impl IntoIterator<Item = &'a str>) -> Result<GlobSet, String> {
    let mut set = GlobSetBuilder::new();
    for pattern in patterns {
        // A pattern may start anywhere, as with Packer's scanner: ./opt/**, **/opt, /opt.
        let anchored = pattern.strip_prefix('.').filter(|rest| rest.starts_with('/'));
        let pattern = anchored.unwrap_or(pattern);
        let inside = format!("{}/**", pattern.trim_end_matches('/'));
        for pattern in [pattern, &inside] {
            set.add(Glob::new(pattern).map_err(|error| error.to_string())?);
        }
    }
    set.build().map_err(|error| error.to_string())
}

impl ScannerArgs {
    /// What is done without flags.
    pub fn none() -> ScannerArgs {
        let exclude = GlobSet::empty();
        ScannerArgs { format: SbomFormat::CycloneDx, exclude, ignored: Vec::new() }
    }

    /// Reads the flags: `-o FORMAT`, `--exclude GLOB`, `--scope SCOPE`.
    ///
    /// # Errors
    /// A flag lacks its value, or has one that makes no sense.
    pub fn parse(args: &[String]) -> Result<ScannerArgs, String> {
        let mut parsed = ScannerArgs::none();
        let mut excluded = Vec::new();
        // Words of one item count as several: they are joined into a command line.
        let mut words = args.iter().flat_map(|arg| arg.split_whitespace());
        while let Some(word) = words.next() {
            let (flag, given) = match word.split_once('=') {
                Some((flag, value)) if flag.starts_with("--") => (flag, Some(value)),
                _ => (word, None),
            };
            let mut value = || {
                let value = given.or_else(|| words.next()).filter(|value| !value.is_empty());
                value.ok_or_else(|| format!("the flag {flag} lacks its value"))
            };
            match flag {
                "-o" | "--output" => parsed.format = format(value()?)?,
                "--exclude" => excluded.push(value()?),
                "--scope" => scope(value()?)?,
                _ => parsed.ignored.push(word.to_owned()),
            }
        }
        parsed.exclude = exclude(excluded)?;
        Ok(parsed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(args: &[&str]) -> Result<ScannerArgs, String> {
        ScannerArgs::parse(&args.iter().map(|&arg| arg.to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn flags() {
        let args =
            ["-o", "spdx-json", "--exclude=/opt/**", "--exclude ./srv", "--scope", "all", "-q"];
        let parsed = parse(&args).unwrap();
        assert_eq!(parsed.format, SbomFormat::Spdx);
        assert!(parsed.exclude.is_match("/opt/a/b") && parsed.exclude.is_match("/srv/x"));
        assert!(!parsed.exclude.is_match("/var/opt/a"));
        assert_eq!(parsed.ignored, ["-q"]);
        assert_eq!(parse(&[]).unwrap().format, SbomFormat::CycloneDx);
        for (args, wanted) in [
            (&["-o"][..], "lacks its value"),
            (&["-o", "syft-table"], "`syft-table` is not a format"),
            (&["-o", "cyclonedx-xml"], "not a format"),
            (&["--scope", "some"], "`some` is not a scope"),
            (&["--exclude", "[a"], "[a"),
        ] {
            assert!(parse(args).unwrap_err().contains(wanted), "{args:?}");
        }
    }
}
