//! What a release has: the files that its list of checksums names.

use semver::Version;

use super::PluginAddress;
use crate::discovery::API;

/// One file of a release that may be installed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Asset {
    /// Its name.
    pub file: String,
    /// Its SHA-256, in hexadecimal.
    pub sha256: String,
    /// For which machines, such as `linux_amd64`.
    pub platform: String,
    /// The version of the protocol, such as `x5.0`, where its name says it.
    pub api: Option<String>,
    /// Whether it is an archive with the program in it, rather than the program.
    pub archive: bool,
}

impl Asset {
    /// Whether its protocol is one that is spoken here, as far as its name tells.
    pub(super) fn usable(&self) -> bool {
        self.api.as_deref().is_none_or(|api| api == API)
    }
}

/// Reads a list of checksums: lines of a SHA-256 and a file's name, as `sha256sum` writes them.
/// Files of other versions, and what is no archive of a program, are left out.
pub(super) fn assets(list: &str, address: &PluginAddress, version: &Version) -> Vec<Asset> {
    list.lines().filter_map(|line| asset(line, address, version)).collect()
}

fn asset(line: &str, address: &PluginAddress, version: &Version) -> Option<Asset> {
    let (sum, file) = line.trim().split_once(char::is_whitespace)?;
    let file = file.trim_start().trim_start_matches('*');
    if sum.len() != 64 || !sum.chars().all(|c| c.is_ascii_hexdigit()) {
        return None;
    }
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '+');
    if !file.chars().all(plain) {
        return None;
    }
    let rest = file.strip_prefix("packer-plugin-")?.strip_prefix(address.name())?;
    let parts: Vec<&str> = rest.strip_prefix('_')?.strip_suffix(".zip")?.split('_').collect();
    // On GitHub v1.2.3_x5.0_linux_amd64, on releases servers 1.2.3_linux_amd64.
    let (said, api, os, arch) = match parts[..] {
        [said, api, os, arch] => (said, Some(api.to_owned()), os, arch),
        [said, os, arch] => (said, None, os, arch),
        _ => return None,
    };
    let said = said.strip_prefix('v').unwrap_or(said);
    (said == version.to_string()).then(|| Asset {
        file: file.to_owned(),
        sha256: sum.to_ascii_lowercase(),
        platform: format!("{os}_{arch}"),
        api,
        archive: true,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_both_kinds_of_servers_are_read() {
        let address = PluginAddress::parse("github.com/acme/thing").unwrap();
        let version = Version::new(1, 2, 3);
        let sum = "a".repeat(64);
        let list = format!(
            "{sum}  packer-plugin-thing_v1.2.3_x5.0_linux_amd64.zip\n\
             {sum} *packer-plugin-thing_1.2.3_darwin_arm64.zip\r\n\
             {sum}  packer-plugin-thing_v1.2.4_x5.0_linux_arm64.zip\n\
             {sum}  packer-plugin-thing_v1.2.3_manifest.json\n\
             {sum}  ../packer-plugin-thing_v1.2.3_x5.0_linux_386.zip\n\
             abc  packer-plugin-thing_v1.2.3_x5.0_linux_arm.zip\n"
        );
        let found = assets(&list, &address, &version);
        let shown: Vec<_> = found.iter().map(|a| (a.platform.as_str(), a.api.as_deref())).collect();
        assert_eq!(shown, [("linux_amd64", Some("x5.0")), ("darwin_arm64", None)]);
    }
}
