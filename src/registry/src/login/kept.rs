//! The file that logins are kept in. It holds the tokens of service principals of HCP's tools, too,
//! which stay as they are.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::Duration;

use ingot_base::file_lock::FileLock;
use ingot_base::files::read_small;
use ingot_base::whole_file::{self, Options};
use ingot_base::{Context as _, Error, Result};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use time::OffsetDateTime;
use tokio_util::sync::CancellationToken;

use super::Login;

/// The member of the file that is a login.
const MEMBER: &str = "login";
/// How large the file may be, in bytes.
const MOST: u64 = 4 << 20;
/// How often, and how long apart, a file that makes no sense is read.
const LOOKS: u32 = 4;
const PAUSE: Duration = Duration::from_millis(50);
/// How long another process may take to renew a login.
const PATIENCE: Duration = Duration::from_secs(60);

/// The tokens of a login. Times as RFC 3339 has them.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Entry {
    #[serde(default)]
    pub access_token: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub refresh_token: String,
    #[serde(with = "time::serde::rfc3339")]
    pub access_token_expiry: OffsetDateTime,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub geography: String,
}

/// The login in its file.
pub(crate) struct StoredLogin<'a> {
    login: &'a Login,
}

impl<'a> StoredLogin<'a> {
    pub(crate) fn of(login: &'a Login) -> Self {
        StoredLogin { login }
    }

    /// The file; empty where there is none.
    fn read(&self) -> Result<Map<String, Value>> {
        let path = &self.login.path;
        for look in 1.. {
            if !path.exists() {
                break;
            }
            let bytes = read_small(path, "file of logins", MOST)?;
            match serde_json::from_slice(&bytes) {
                Ok(Value::Object(file)) => return Ok(file),
                Ok(Value::Null) => break,
                // HCP's tools write it in place, and may be about to.
                _ if look < LOOKS => std::thread::sleep(PAUSE),
                _ if bytes.is_empty() => break,
                // What serde says may quote the file.
                _ => {
                    return Err(Error::new(format!("{} is not a file of logins", path.display()))
                        .hint("move it away, and log in again: `ingot registry login`"));
                }
            }
        }
        Ok(Map::new())
    }

    /// Whether there is a login of whichever geography, good or not.
    pub(super) fn is_any(&self) -> Result<bool> {
        Ok(self.read()?.get(MEMBER).is_some_and(|entry| !entry.is_null()))
    }

    /// The login, unless it is for another geography.
    ///
    /// # Errors
    /// The file cannot be read, or is something else.
    pub(crate) fn entry(&self) -> Result<Option<Entry>> {
        let file = self.read()?;
        let entry = file.get(MEMBER).filter(|entry| !entry.is_null());
        let entry = entry.and_then(|entry| Entry::deserialize(entry).ok());
        // Older tools wrote down no geography; HCP's own do not use such a login either.
        Ok(entry.filter(|entry| entry.geography == self.login.geography))
    }

    /// Keeps a login, or removes it.
    ///
    /// # Errors
    /// The file cannot be read or written; what was there before is untouched.
    pub(crate) fn keep(&self, entry: Option<&Entry>) -> Result<()> {
        let mut file = self.read()?;
        let kept = entry.map(serde_json::to_value).transpose();
        match kept.map_err(|_| Error::new("the login cannot be written down"))? {
            Some(entry) => drop(file.insert(MEMBER.into(), entry)),
            None => drop(file.remove(MEMBER)),
        }
        self.make_directory()?;
        // Through a link to where somebody keeps such files.
        let path = &self.login.path;
        let path = std::fs::canonicalize(path).unwrap_or_else(|_| path.clone());
        let writing = || format!("writing {}", path.display());
        let directory = path.parent().unwrap_or(Path::new("."));
        // With `sudo -E` the file stays its owner's.
        let owner = std::fs::metadata(&path).or_else(|_| std::fs::metadata(directory));
        let owner = owner.with_context(writing)?;
        let others = owner.uid() != rustix::process::geteuid().as_raw();
        let owner = others.then(|| (owner.uid(), owner.gid()));
        let text = serde_json::to_vec_pretty(&file)
            .map_err(|_| Error::new("the login cannot be written down"))?;
        // For the owner only from the start.
        whole_file::write(&path, &text, &Options { owner, ..Options::default() })
            .with_context(writing)
    }

    /// Keeps a renewed login in place of the one that `token` renewed; not if that is gone or another
    /// meanwhile.
    ///
    /// # Errors
    /// The file cannot be read or written; what was there before is untouched.
    pub(crate) fn replace(&self, token: &str, entry: &Entry) -> Result<()> {
        match self.entry()?.is_some_and(|found| found.refresh_token == token) {
            true => self.keep(Some(entry)),
            false => Ok(()),
        }
    }

    fn make_directory(&self) -> Result<()> {
        let directory = self.login.path.parent().unwrap_or(Path::new("."));
        let made = std::fs::create_dir_all(directory);
        made.with_context(|| format!("creating {}", directory.display()))
    }

    /// Keeps other processes of Ingot from renewing the login at the same time: a token to renew it
    /// with is good for once.
    ///
    /// # Errors
    /// Another one does not end, or the lock's file cannot be made.
    pub(crate) async fn lock(&self) -> Result<FileLock> {
        let path = self.login.path.with_extension("json.lock");
        self.make_directory()?;
        let never = CancellationToken::new();
        let taken = FileLock::take_within(PATIENCE, &never, &path, || ()).await;
        taken.map(FileLock::remove_on_drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn login(directory: &Path) -> Login {
        Login {
            path: directory.join("hcp/creds-cache.json"),
            client_id: "x".into(),
            geography: "us".into(),
        }
    }

    fn entry() -> Entry {
        Entry {
            access_token: "a".into(),
            refresh_token: "r".into(),
            access_token_expiry: OffsetDateTime::UNIX_EPOCH,
            geography: "us".into(),
        }
    }

    #[test]
    fn what_others_keep_in_the_file_stays() {
        use std::os::unix::fs::PermissionsExt;
        let directory = tempfile::tempdir().unwrap();
        let login = login(directory.path());
        let kept = StoredLogin::of(&login);
        assert!(kept.entry().unwrap().is_none() && !login.is_kept().unwrap());
        kept.keep(Some(&entry())).unwrap();
        let mode = std::fs::metadata(&login.path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let text = std::fs::read_to_string(&login.path).unwrap();
        assert!(text.contains(r#""access_token_expiry": "1970-01-01T00:00:00Z""#), "{text}");
        let text = text.replacen('{', r#"{"service-principals": {"p": {"access_token": "o"}},"#, 1);
        std::fs::write(&login.path, text).unwrap();
        assert_eq!(kept.entry().unwrap().unwrap().refresh_token, "r");
        kept.keep(None).unwrap();
        let text = std::fs::read_to_string(&login.path).unwrap();
        assert!(text.contains("service-principals") && !text.contains("login"), "{text}");
        assert!(!login.is_kept().unwrap());
    }

    #[test]
    fn a_renewed_one_takes_the_place_of_the_old_one_only() {
        let directory = tempfile::tempdir().unwrap();
        let real = directory.path().join("kept.json");
        std::fs::write(&real, "{}").unwrap();
        let login = login(directory.path());
        std::fs::create_dir(login.path.parent().unwrap()).unwrap();
        std::os::unix::fs::symlink(&real, &login.path).unwrap();
        let kept = StoredLogin::of(&login);
        // Somebody logged out meanwhile.
        kept.replace("r", &entry()).unwrap();
        assert!(!kept.is_any().unwrap());
        kept.keep(Some(&entry())).unwrap();
        kept.replace("other", &Entry { access_token: "b".into(), ..entry() }).unwrap();
        assert_eq!(kept.entry().unwrap().unwrap().access_token, "a");
        kept.replace("r", &Entry { access_token: "b".into(), ..entry() }).unwrap();
        assert_eq!(kept.entry().unwrap().unwrap().access_token, "b");
        assert!(std::fs::symlink_metadata(&login.path).unwrap().is_symlink());
        assert!(std::fs::read_to_string(&real).unwrap().contains("access_token"));
    }

    #[test]
    fn a_login_for_another_geography_does_not_count() {
        let directory = tempfile::tempdir().unwrap();
        let login = login(directory.path());
        let kept = StoredLogin::of(&login);
        kept.keep(Some(&Entry { geography: "eu".into(), ..entry() })).unwrap();
        assert!(kept.entry().unwrap().is_none() && kept.is_any().unwrap());
        // As empty as HCP's tools leave it for a moment.
        std::fs::write(&login.path, "").unwrap();
        assert!(!kept.is_any().unwrap());
        std::fs::write(&login.path, "secret").unwrap();
        let error = kept.entry().err().unwrap().to_string();
        assert!(error.contains("creds-cache.json") && !error.contains("secret"), "{error}");
    }
}
