//! The file that logins are kept in. It holds the tokens of service principals of HCP's tools, too,
//! which stay as they are.

use std::io::Write as _;
use std::path::Path;
use std::time::Duration;

use ingot_sdk::file_lock::FileLock;
use ingot_sdk::{Context as _, Error, Result};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use time::OffsetDateTime;
use tokio_util::sync::CancellationToken;

use super::Login;

/// The member of the file that is a login.
const MEMBER: &str = "login";
/// How large the file may be, in bytes.
const MOST: u64 = 4 << 20;
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
pub(crate) struct KeptLogin<'a> {
    login: &'a Login,
}

impl<'a> KeptLogin<'a> {
    pub(crate) fn of(login: &'a Login) -> Self {
        KeptLogin { login }
    }

    /// The file; empty where there is none.
    fn read(&self) -> Result<Map<String, Value>> {
        let path = &self.login.path;
        let reading = || format!("reading {}", path.display());
        match std::fs::metadata(path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Map::new()),
            found => {
                if found.with_context(reading)?.len() > MOST {
                    return Err(Error::new(format!("{} is too large", path.display())));
                }
            }
        }
        let text = std::fs::read(path).with_context(reading)?;
        // What serde says may quote the file.
        serde_json::from_slice(&text).map_err(|_| {
            Error::new(format!("{} is not a file of logins", path.display()))
                .hint("remove it, and log in again: `ingot registry login`")
        })
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
        let path = &self.login.path;
        let writing = || format!("writing {}", path.display());
        let directory = self.make_directory()?;
        // For the owner only from the start, and whole or not at all.
        let mut new = tempfile::Builder::new()
            .prefix(".creds-cache-")
            .tempfile_in(directory)
            .with_context(writing)?;
        let text = serde_json::to_vec_pretty(&file)
            .map_err(|_| Error::new("the login cannot be written down"))?;
        new.write_all(&text).with_context(writing)?;
        new.persist(path).map_err(|failed| failed.error).with_context(writing)?;
        Ok(())
    }

    fn make_directory(&self) -> Result<&Path> {
        let directory = self.login.path.parent().unwrap_or(Path::new("."));
        let made = std::fs::create_dir_all(directory);
        made.with_context(|| format!("creating {}", directory.display()))?;
        Ok(directory)
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
        let taken = tokio::time::timeout(PATIENCE, FileLock::take(&never, &path, || ())).await;
        let taken = taken.unwrap_or_else(|_| {
            Err(Error::new(format!("another process holds {} for too long", path.display())))
        });
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
        let kept = KeptLogin::of(&login);
        assert!(kept.entry().unwrap().is_none() && !login.is_kept());
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
        assert!(!login.is_kept());
    }

    #[test]
    fn one_for_another_geography_is_none() {
        let directory = tempfile::tempdir().unwrap();
        let login = login(directory.path());
        let kept = KeptLogin::of(&login);
        kept.keep(Some(&Entry { geography: "eu".into(), ..entry() })).unwrap();
        assert!(kept.entry().unwrap().is_none());
        std::fs::write(&login.path, "secret").unwrap();
        let error = kept.entry().err().unwrap().to_string();
        assert!(error.contains("creds-cache.json") && !error.contains("secret"), "{error}");
    }
}
