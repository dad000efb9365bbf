//! What a user means by the name of an image.

use std::path::{Path, PathBuf};

use ingot_sdk::{Error, Result};

/// Says that a Docker image is meant.
const DOCKER: &str = "docker:";
/// Says that a version of a registry is meant.
const REGISTRY: &str = "registry:";

/// What is meant.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Subject {
    /// A file with an SBOM.
    Sbom(PathBuf),
    /// A Docker image.
    Docker(String),
    /// A version of a bucket: by its fingerprint, its name, or the channel that points at it.
    Registry { bucket: String, version: String },
    /// `NAME:TAG`, which both can be: an image if there is one.
    DockerOrChannel { image: String, bucket: String, channel: String },
}

/// Reads `docker:IMAGE`, `registry:BUCKET@FINGERPRINT`, `BUCKET:CHANNEL`, a file or an image.
///
/// # Errors
/// It names nothing that can be compared.
pub(super) fn of(name: &str) -> Result<Subject> {
    if let Some(image) = name.strip_prefix(DOCKER).filter(|image| !image.is_empty()) {
        return Ok(Subject::Docker(image.to_owned()));
    }
    if let Some(version) = name.strip_prefix(REGISTRY) {
        let (bucket, version) = version.split_once(['@', ':']).unwrap_or((version, ""));
        if bucket.is_empty() || version.is_empty() {
            return Err(Error::new("this names no version of a bucket")
                .hint("write registry:BUCKET@FINGERPRINT or registry:BUCKET:CHANNEL"));
        }
        return Ok(registry(bucket, version));
    }
    if Path::new(name).is_file() {
        return file(Path::new(name));
    }
    if let Some((bucket, fingerprint)) = name.split_once('@')
        && !fingerprint.contains(':')
        && !bucket.contains('/')
    {
        return Ok(registry(bucket, fingerprint));
    }
    match name.rsplit_once(':') {
        Some((bucket, channel)) if !name.starts_with("sha256:") && !bucket.contains(['/', '@']) => {
            Ok(Subject::DockerOrChannel {
                image: name.to_owned(),
                bucket: bucket.to_owned(),
                channel: channel.to_owned(),
            })
        }
        _ => Ok(Subject::Docker(name.to_owned())),
    }
}

fn registry(bucket: &str, version: &str) -> Subject {
    Subject::Registry { bucket: bucket.to_owned(), version: version.to_owned() }
}

/// A file, whose first bytes tell what it is.
fn file(path: &Path) -> Result<Subject> {
    use std::io::Read as _;
    let mut head = [0; 512];
    let mut file = std::fs::File::open(path)?;
    let count = file.read(&mut head)?;
    let head = &head[..count];
    match head.trim_ascii_start().first() {
        Some(b'{') => Ok(Subject::Sbom(path.to_owned())),
        _ => Err(Error::new("this file is not an SBOM in JSON").hint(
            "disks are compared by their SBOMs: those that a registry keeps (BUCKET@FINGERPRINT), \
             or what `ingot sbom-generate DIRECTORY` writes of a disk that is mounted",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_say_what_they_are() {
        let docker = |image: &str| Subject::Docker(image.into());
        for (name, expected) in [
            ("docker:web:1", docker("web:1")),
            ("sha256:0123", docker("sha256:0123")),
            ("web", docker("web")),
            ("localhost:5000/web:1", docker("localhost:5000/web:1")),
            ("web@sha256:0123", docker("web@sha256:0123")),
            ("web@01ABC", registry("web", "01ABC")),
            ("registry:web@01ABC", registry("web", "01ABC")),
            ("registry:web:production", registry("web", "production")),
        ] {
            assert_eq!(of(name).unwrap(), expected, "{name}");
        }
        let both = Subject::DockerOrChannel {
            image: "web:production".into(),
            bucket: "web".into(),
            channel: "production".into(),
        };
        assert_eq!(of("web:production").unwrap(), both);
        assert!(of("registry:web").is_err());
        assert!(of(&std::env::current_exe().unwrap().display().to_string()).is_err());
    }
}
