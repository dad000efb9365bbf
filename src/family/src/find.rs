//! Finding the templates of a family.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use ingot_hcl::{Diagnostic, Diagnostics};
use ingot_template::load;

/// How many directories deep templates are looked for.
const DEEPEST: usize = 8;

/// The templates that `paths` stand for: files, directories with a template in them, and directories
/// with such directories somewhere below. Hidden directories are skipped.
pub fn find_templates(paths: &[PathBuf], diagnostics: &mut Diagnostics) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = Vec::new();
    for path in paths {
        let before = found.len();
        match load::find(path) {
            Ok(_) => found.push(path.clone()),
            Err(_) if path.is_dir() => below(path, &mut found),
            Err(error) => {
                diagnostics.push(error);
                continue;
            }
        }
        if found.len() == before {
            diagnostics.push(
                Diagnostic::error(format!("there is no template in or below {}", path.display()))
                    .help("templates are files whose names end in .pkr.hcl or .pkr.json"),
            );
        }
    }
    let mut seen = Vec::new();
    found.retain(|path| {
        // A template that is named twice counts once.
        let real = path.canonicalize().unwrap_or_else(|_| path.clone());
        let new = !seen.contains(&real);
        seen.push(real);
        new
    });
    found
}

/// Adds the templates below a directory. The nearest directories come first, and each once: one that is
/// reached by symbolic links too would be read again by each of them.
fn below(top: &Path, found: &mut Vec<PathBuf>) {
    let real = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let before = found.len();
    let mut seen = BTreeSet::from([real(top)]);
    let mut level = vec![top.to_owned()];
    for _ in 0..DEEPEST {
        let mut next = Vec::new();
        for path in level.iter().flat_map(|directory| directories_in(directory)) {
            if !seen.insert(real(&path)) {
                continue;
            }
            match load::find(&path) {
                Ok(_) => found.push(path),
                Err(_) => next.push(path),
            }
        }
        level = next;
    }
    found[before..].sort();
}

/// The directories in one, in order, without hidden ones.
fn directories_in(directory: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    let mut directories: Vec<PathBuf> = entries
        .filter(|entry| !entry.file_name().to_string_lossy().starts_with('.'))
        .map(|entry| entry.path())
        .filter(|path| path.is_dir())
        .collect();
    directories.sort();
    directories
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn templates_are_found_below_a_directory() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["images/web", "images/base", ".hidden/x", "empty"] {
            std::fs::create_dir_all(dir.path().join(name)).unwrap();
        }
        for name in ["images/web/a.pkr.hcl", "images/base/b.pkr.json", ".hidden/x/c.pkr.hcl"] {
            std::fs::write(dir.path().join(name), "").unwrap();
        }
        let all = |paths: &[&str]| {
            let paths: Vec<PathBuf> = paths.iter().map(|path| dir.path().join(path)).collect();
            let mut diagnostics = Diagnostics::default();
            let found = find_templates(&paths, &mut diagnostics);
            let names = found.iter().map(|path| path.strip_prefix(dir.path()).unwrap().to_owned());
            (names.collect::<Vec<_>>(), diagnostics.errors())
        };
        let both = vec![PathBuf::from("images/base"), PathBuf::from("images/web")];
        assert_eq!(all(&[""]), (both.clone(), 0));
        assert_eq!(all(&["images", "images/web"]), (both, 0));
        assert_eq!(all(&["empty", "nowhere"]), (Vec::new(), 2));
    }
    #[test]
    fn directories_that_link_to_each_other_are_read_once() {
        let dir = tempfile::tempdir().unwrap();
        let names: Vec<String> = (0..12).map(|number| format!("d{number:02}")).collect();
        for name in &names {
            std::fs::create_dir(dir.path().join(name)).unwrap();
            // From each to all: 12 to the 8th paths.
            std::os::unix::fs::symlink(dir.path(), dir.path().join(name).join("up")).unwrap();
            for other in &names {
                let link = dir.path().join(name).join(format!("to-{other}"));
                std::os::unix::fs::symlink(dir.path().join(other), link).unwrap();
            }
        }
        let deep = dir.path().join("d11/a/b/c");
        std::fs::create_dir_all(&deep).unwrap();
        std::fs::write(deep.join("a.pkr.hcl"), "").unwrap();
        let mut diagnostics = Diagnostics::default();
        let found = find_templates(&[dir.path().to_owned()], &mut diagnostics);
        assert_eq!((found, diagnostics.errors()), (vec![deep], 0));
    }
}
