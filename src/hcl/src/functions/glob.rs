//! Files by pattern: `*` and `?` within a name, `**` over directories, `[…]` and `{a,b}`.

use std::fs::DirEntry;
use std::path::{Path, PathBuf};

use globset::GlobBuilder;
use ingot_go_template::clean_path;

/// The regular files whose paths match `pattern` below `directory`, as paths from there.
///
/// # Errors
/// The pattern is not one.
pub(super) fn files(directory: &str, pattern: &str) -> Result<Vec<String>, String> {
    let whole = clean_path(&format!("{directory}/{pattern}"));
    let glob = GlobBuilder::new(&whole).literal_separator(true).backslash_escape(true).build();
    let glob = glob.map_err(|error| format!("the pattern is not valid: {error}"))?;
    // Nothing above the first special character needs to be looked at.
    let special = whole.find(['*', '?', '[', '{', '\\']).unwrap_or(whole.len());
    let (start, rest) = match whole[..special].rfind('/') {
        Some(0) => ("/", &whole[1..]),
        Some(slash) => (&whole[..slash], &whole[slash + 1..]),
        None => (".", whole.as_str()),
    };
    let deepest = (!rest.contains("**")).then(|| rest.matches('/').count());
    let mut walk = Walk { deepest, open: Vec::new(), found: Vec::new() };
    if let Ok(real) = std::fs::canonicalize(start) {
        walk.directory(Path::new(start), real);
    }
    let matcher = glob.compile_matcher();
    let paths = walk.found.iter().map(|path| path.strip_prefix("./").unwrap_or(path));
    Ok(paths.filter(|path| matcher.is_match(path)).map(|path| relative(directory, path)).collect())
}

/// Collects the files below a directory, also those behind links, as in Packer.
struct Walk {
    /// How many directories below the first one files can match, if the pattern says.
    deepest: Option<usize>,
    /// The directories that are looked into, each in the one before, where they really are.
    open: Vec<PathBuf>,
    found: Vec<String>,
}

impl Walk {
    /// Looks into a directory, which is really at `real`.
    fn directory(&mut self, directory: &Path, real: PathBuf) {
        let Ok(entries) = std::fs::read_dir(directory) else { return };
        self.open.push(real);
        for entry in entries.flatten() {
            let path = entry.path();
            let Ok(found) = std::fs::metadata(&path) else { continue };
            if found.is_file() {
                self.found.push(path.to_string_lossy().into_owned());
            } else if found.is_dir()
                && let Some(real) = self.enters(&entry)
            {
                self.directory(&path, real);
            }
        }
        self.open.pop();
    }

    /// Where a directory really is that is to be looked into, if it is.
    fn enters(&self, entry: &DirEntry) -> Option<PathBuf> {
        if self.deepest.is_some_and(|deepest| self.open.len() > deepest) {
            return None;
        }
        if !entry.file_type().ok()?.is_symlink() {
            return Some(self.open.last()?.join(entry.file_name()));
        }
        let real = std::fs::canonicalize(entry.path()).ok()?;
        // From a directory around the link `**` leads to the link again: Packer goes around until the
        // system refuses.
        let is_cycle =
            self.deepest.is_none() && self.open.iter().any(|open| open.starts_with(&real));
        (!is_cycle).then_some(real)
    }
}

/// The way from a directory to a path; both are clean, and absolute or not alike.
fn relative(directory: &str, path: &str) -> String {
    let parts = |path: &str| -> Vec<String> {
        path.split('/').filter(|part| !matches!(*part, "" | ".")).map(str::to_owned).collect()
    };
    let (directory, path) = (parts(directory), parts(path));
    let common = directory.iter().zip(&path).take_while(|(a, b)| a == b).count();
    let up = std::iter::repeat_n("..".to_owned(), directory.len() - common);
    up.chain(path[common..].iter().cloned()).collect::<Vec<_>>().join("/")
}
