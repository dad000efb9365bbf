//! Files by pattern: `*` and `?` within a name, `**` over directories, `[…]` and `{a,b}`.

use std::path::Path;

use globset::GlobBuilder;

use super::files::clean;

/// The regular files whose paths match `pattern` below `directory`, as paths from there.
///
/// # Errors
/// The pattern is not one.
pub(super) fn files(directory: &str, pattern: &str) -> Result<Vec<String>, String> {
    let whole = clean(&format!("{directory}/{pattern}"));
    let glob = GlobBuilder::new(&whole).literal_separator(true).backslash_escape(true).build();
    let glob = glob.map_err(|error| format!("the pattern is not valid: {error}"))?;
    // Nothing above the first special character needs to be looked at.
    let special = whole.find(['*', '?', '[', '{', '\\']).unwrap_or(whole.len());
    let start = match whole[..special].rfind('/') {
        Some(0) => "/",
        Some(slash) => &whole[..slash],
        None => ".",
    };
    let mut found = Vec::new();
    walk(Path::new(start), &mut found);
    let matcher = glob.compile_matcher();
    let paths = found.iter().map(|path| path.strip_prefix("./").unwrap_or(path));
    Ok(paths.filter(|path| matcher.is_match(path)).map(|path| relative(directory, path)).collect())
}

/// All files below a directory. Links to directories are not followed: they could lead around in circles.
fn walk(directory: &Path, found: &mut Vec<String>) {
    let Ok(entries) = std::fs::read_dir(directory) else { return };
    for entry in entries.flatten() {
        let path = entry.path();
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => walk(&path, found),
            _ if path.is_file() => found.push(path.to_string_lossy().into_owned()),
            _ => {}
        }
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
