//! Go's names of systems and processors, which Packer, its plugins and their releases use.

use std::env::consts;
use std::fmt;

/// An operating system and an architecture, under Go's names (`GOOS` and `GOARCH`); shown as
/// `linux_amd64`, as names of releases have it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Platform {
    /// The operating system, such as `linux` or `darwin`.
    pub os: &'static str,
    /// The architecture, such as `amd64`.
    pub arch: &'static str,
}

impl Platform {
    /// What this program was built for.
    pub fn current() -> Platform {
        Platform::of_rust(consts::OS, consts::ARCH, cfg!(target_endian = "little"))
    }

    /// The platform that Rust gives these names. Where Go and Rust agree they stay.
    fn of_rust(os: &'static str, arch: &'static str, little_endian: bool) -> Platform {
        let os = match os {
            "macos" => "darwin",
            os => os,
        };
        let arch = match (arch, little_endian) {
            ("x86_64", _) => "amd64",
            ("x86", _) => "386",
            ("aarch64", _) => "arm64",
            ("powerpc64", true) => "ppc64le",
            ("powerpc64", false) => "ppc64",
            ("loongarch64", _) => "loong64",
            (arch, _) => arch,
        };
        Platform { os, arch }
    }

    /// How the names of programs for it end, as in `packer-plugin-docker_v1.0.0_x5.0_linux_amd64`.
    pub fn suffix(self) -> String {
        format!("{self}{}", if self.os == "windows" { ".exe" } else { "" })
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}_{}", self.os, self.arch)
    }
}

#[cfg(test)]
mod tests {
    use super::Platform;

    #[test]
    fn has_the_names_of_go() {
        let named = |os, arch| Platform::of_rust(os, arch, true).to_string();
        assert_eq!(named("linux", "x86_64"), "linux_amd64");
        assert_eq!(named("macos", "aarch64"), "darwin_arm64");
        assert_eq!(named("linux", "powerpc64"), "linux_ppc64le");
        assert_eq!(named("linux", "riscv64"), "linux_riscv64");
        assert_eq!(named("windows", "x86"), "windows_386");
    }
}
