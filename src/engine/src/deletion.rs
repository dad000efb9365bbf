//! What goes along when an artifact is deleted.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ingot_sdk::{Artifact, Resource};

/// A file of one of `others` that would be deleted with `artifact`, without being one of its files: it
/// is in a directory that goes.
pub(crate) fn also_deleted(
    artifact: &Arc<dyn Artifact>,
    others: &[Arc<dyn Artifact>],
) -> Option<PathBuf> {
    let own = artifact.files();
    let own: HashSet<PathBuf> = own.iter().filter_map(|file| entry(file)).collect();
    let resources = artifact.resources();
    let directories = resources.iter().map(Resource::path).filter(|path| path.is_absolute());
    let directories: HashSet<PathBuf> = directories.filter_map(|path| entry(&path)).collect();
    let goes =
        |path: &Path| path.ancestors().any(|part| own.contains(part) || directories.contains(part));
    let is_lost = |file: &PathBuf| {
        let Some(named) = entry(file) else { return false };
        // Where it leads if it is a link counts, too.
        !own.contains(&named) && (goes(&named) || file.canonicalize().is_ok_and(|path| goes(&path)))
    };
    others.iter().flat_map(|other| other.files()).find(is_lost)
}

/// Where a file or directory is, by a path without links, but for itself; none if it is not found.
fn entry(path: &Path) -> Option<PathBuf> {
    let Some(name) = path.file_name() else { return path.canonicalize().ok() };
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    Some(parent.unwrap_or(Path::new(".")).canonicalize().ok()?.join(name))
}

#[cfg(test)]
mod tests {
    use async_trait::async_trait;
    use ingot_sdk::Result;

    use super::*;

    /// Files, and a directory that goes with them.
    struct Machine {
        files: Vec<PathBuf>,
        directory: Option<PathBuf>,
    }

    #[async_trait]
    impl Artifact for Machine {
        fn builder_id(&self) -> &str {
            "machine"
        }

        fn id(&self) -> String {
            "VM".into()
        }

        fn files(&self) -> Vec<PathBuf> {
            self.files.clone()
        }

        fn description(&self) -> String {
            "a machine".into()
        }

        fn resources(&self) -> Vec<Resource> {
            self.directory.iter().map(|path| Resource::at("directory", path)).collect()
        }

        async fn destroy(&self) -> Result<()> {
            Ok(())
        }
    }

    fn artifact(files: &[&Path], directory: Option<&Path>) -> Arc<dyn Artifact> {
        let files = files.iter().map(|&file| file.to_owned()).collect();
        Arc::new(Machine { files, directory: directory.map(Path::to_owned) })
    }

    #[test]
    fn what_is_in_a_directory_that_goes_is_found() {
        let root = tempfile::tempdir().unwrap();
        let path = |name: &str| root.path().join(name);
        std::fs::create_dir_all(path("output/more")).unwrap();
        for name in ["output/disk", "output/disk.tar", "output/more/list", "disk.tar"] {
            std::fs::write(path(name), "x").unwrap();
        }
        std::os::unix::fs::symlink(path("output"), path("link")).unwrap();
        std::os::unix::fs::symlink(path("output/disk.tar"), path("link.tar")).unwrap();
        let (disk, output) = (path("output/disk"), path("output"));
        let machine = artifact(&[&disk], Some(&output));
        let others = |file: &Path| [artifact(&[], None), artifact(&[&disk, file], None)];
        for inside in ["output/disk.tar", "output/more/list", "link/disk.tar", "link.tar"] {
            let file = path(inside);
            assert_eq!(also_deleted(&machine, &others(&file)), Some(file), "{inside}");
        }
        for outside in ["disk.tar", "output/../disk.tar", "no-such-directory/disk.tar"] {
            assert_eq!(also_deleted(&machine, &others(&path(outside))), None, "{outside}");
        }
        // A directory may be a file of the artifact; a file is none, whatever its name begins with.
        let packed = others(&path("output/disk.tar"));
        assert_eq!(also_deleted(&artifact(&[&disk], None), &packed), None);
        assert_eq!(also_deleted(&artifact(&[&output], None), &packed), Some(disk.clone()));
    }
}
