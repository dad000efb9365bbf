//! `os-release`: which operating system this is. See `os-release(5)`.

/// An operating system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OperatingSystem {
    /// Its short name: `debian`.
    pub id: String,
    /// Its version: `12`. Empty where it has none.
    pub version: String,
    /// Its name and version for people.
    pub name: String,
}

impl OperatingSystem {
    /// Its name and version as package URLs hold them: `debian-12`.
    pub(super) fn distro(&self) -> String {
        match (self.id.as_str(), self.version.as_str()) {
            ("", _) => String::new(),
            (id, "") => id.to_owned(),
            (id, version) => format!("{id}-{version}"),
        }
    }
}

/// Reads the file; none if it names no operating system.
pub(super) fn parse(text: &str) -> Option<OperatingSystem> {
    let value = |name: &str| {
        let line = text.lines().find_map(|line| line.trim().strip_prefix(name)?.strip_prefix('='));
        let line = line.unwrap_or_default().trim();
        let quoted = ['"', '\'']
            .iter()
            .find_map(|&quote| line.strip_prefix(quote).and_then(|rest| rest.strip_suffix(quote)));
        quoted.unwrap_or(line).to_owned()
    };
    let (id, version, pretty) = (value("ID"), value("VERSION_ID"), value("PRETTY_NAME"));
    let name = if pretty.is_empty() { format!("{id} {version}") } else { pretty };
    let name = name.trim().to_owned();
    (!name.is_empty()).then_some(OperatingSystem { id, version, name })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_are_optional() {
        let os =
            parse("PRETTY_NAME=\"Alpine Linux v3.20\"\nID=alpine\nVERSION_ID='3.20.1'\n").unwrap();
        assert_eq!(
            (os.distro().as_str(), os.name.as_str()),
            ("alpine-3.20.1", "Alpine Linux v3.20")
        );
        assert_eq!(parse("ID=arch\n").unwrap().distro(), "arch");
        assert_eq!(parse("# nothing\n"), None);
    }
}
