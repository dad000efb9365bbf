//! The packages that one file lists.

use super::Package;

/// The most packages that an inventory lists. A document of so many is larger than what any registry
/// takes.
pub(super) const MOST_PACKAGES: usize = 200_000;

/// The packages that one file lists, up to [`MOST_PACKAGES`].
#[derive(Default)]
pub(super) struct FilePackages {
    packages: Vec<Package>,
    too_many: bool,
}

impl FilePackages {
    pub(super) fn push(&mut self, package: Package) {
        match self.packages.len() < MOST_PACKAGES {
            true => self.packages.push(package),
            false => self.too_many = true,
        }
    }

    /// Whether there is no room for more, so that the rest of the file need not be read.
    pub(super) fn is_full(&self) -> bool {
        self.too_many
    }

    /// The packages; none if there were too many.
    pub(super) fn into_packages(self) -> Option<Vec<Package>> {
        (!self.too_many).then_some(self.packages)
    }
}

impl Extend<Package> for FilePackages {
    fn extend<I: IntoIterator<Item = Package>>(&mut self, packages: I) {
        for package in packages {
            self.push(package);
            if self.too_many {
                return;
            }
        }
    }
}

#[cfg(test)]
impl FilePackages {
    /// `name version` of all, in the order of the file.
    pub(super) fn names(self) -> Vec<String> {
        let packages = self.into_packages().expect("there are not too many");
        packages.iter().map(|it| format!("{} {}", it.name, it.version)).collect()
    }
}
