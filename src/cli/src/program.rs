//! The name that the program was started by. Where it is installed as `packer`, it says what Packer
//! says where scripts read it.

use std::borrow::Cow;
use std::ffi::OsStr;
use std::path::Path;
use std::sync::OnceLock;

/// What Packer's program is called.
const PACKER: &str = "packer";

/// Whether the program was started as `packer`.
pub(super) fn is_packer() -> bool {
    static IS_PACKER: OnceLock<bool> = OnceLock::new();
    *IS_PACKER.get_or_init(|| std::env::args_os().next().is_some_and(|program| named(&program)))
}

fn named(program: &OsStr) -> bool {
    Path::new(program).file_stem() == Some(OsStr::new(PACKER))
}

/// A message as it is right for the name that the program was started by: commands in it, such as
/// `` `ingot init` ``, begin with that name.
pub(super) fn in_own_name(text: &str) -> Cow<'_, str> {
    match is_packer() {
        true => renamed(text).into(),
        false => text.into(),
    }
}

fn renamed(text: &str) -> String {
    text.replace("`ingot ", "`packer ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_packer_by_the_last_part_of_its_path() {
        for program in ["packer", "/usr/local/bin/packer", "./packer", "packer.exe"] {
            assert!(named(OsStr::new(program)), "{program}");
        }
        for program in ["ingot", "/opt/packer/ingot", "packer-next", ""] {
            assert!(!named(OsStr::new(program)), "{program}");
        }
        let hint = "run `ingot init` to install it; .ingot.lock.hcl";
        assert_eq!(renamed(hint), "run `packer init` to install it; .ingot.lock.hcl");
    }
}
