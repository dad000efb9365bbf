//! Finding the templates of a family.

use std::path::{Path, PathBuf};

use ingot_hcl::{Diagnostic, Diagnostics};

use crate::template::load;

/// How many directories deep templates are looked for.
const DEEPEST: usize = 8;

/// The templates that `paths` stand for: files, directories with a template in them, and directories
/// with such directories somewhere below. Hidden directories are passed over.
pub fn find_templates(paths: &[PathBuf], diagnostics: &mut Diagnostics) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = Vec::new();
    for path in paths {
        let before = found.len();
        match load::find(path) {
            Ok(_) => found.push(path.clone()),
            Err(_) if path.is_dir() => below(path, 1, &mut found),
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
        // A template that is named twice is one.
        let real = path.canonicalize().unwrap_or_else(|_| path.clone());
        let new = !seen.contains(&real);
        seen.push(real);
        new
    });
    found
}

fn below(directory: &Path, depth: usize, found: &mut Vec<PathBuf>) {
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    let mut directories: Vec<PathBuf> = entries
        .filter(|entry| !entry.file_name().to_string_lossy().starts_with('.'))
        .map(|entry| entry.path())
        .filter(|path| path.is_dir())
        .collect();
    directories.sort();
    for path in directories {
        if load::find(&path).is_ok() {
            found.push(path);
        } else if depth < DEEPEST {
            below(&path, depth + 1, found);
        }
    }
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
}
