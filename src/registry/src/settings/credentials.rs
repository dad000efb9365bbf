//! Who asks a registry: a key, a workload identity or a login, and the files that they are in.

use std::path::{Path, PathBuf};

use ingot_base::files::read_small_text;
use ingot_base::read_once::{ReadOnce, gives_once};
use ingot_base::{Error, Result};
use serde::Deserialize;

use super::{INGOT_REGISTRY, Settings, read};
use crate::environment::{Environment, set, variable};
use crate::login::Login;
use crate::workload::Workload;

pub(crate) const CLIENT_ID: &str = "HCP_CLIENT_ID";
pub(crate) const CLIENT_SECRET: &str = "HCP_CLIENT_SECRET";
pub(crate) const CRED_FILE: &str = "HCP_CRED_FILE";
/// Where credentials are by default, from the home directory.
const DEFAULT_CRED_FILE: &str = ".config/hcp/cred_file.json";

/// The largest file of credentials, in bytes.
const LARGEST_CREDENTIALS: u64 = 1 << 20;

/// Who asks a registry.
#[derive(Clone, PartialEq)]
pub enum Credentials {
    /// A service principal, by its key.
    Key {
        /// Its id.
        id: String,
        /// Its secret, which is shown nowhere.
        secret: String,
    },
    /// A service principal, by an identity of another platform.
    Workload(Box<Workload>),
    /// Somebody who logged in by browser.
    Login(Login),
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Credentials::Key { id, .. } => {
                f.debug_struct("Key").field("id", id).finish_non_exhaustive()
            }
            Credentials::Workload(workload) => workload.fmt(f),
            Credentials::Login(login) => login.fmt(f),
        }
    }
}

/// The file of credentials that is read where none is named, if it is there.
pub(crate) fn default_cred_file(environment: Environment) -> Option<PathBuf> {
    let path = Path::new(&set(environment, "HOME")?).join(DEFAULT_CRED_FILE);
    path.exists().then_some(path)
}

/// A file of credentials, as the hcp program writes it.
#[derive(Deserialize)]
struct CredentialFile {
    #[serde(default)]
    scheme: String,
    oauth: Option<Oauth>,
    workload: Option<Workload>,
}

#[derive(Deserialize)]
struct Oauth {
    #[serde(default)]
    client_id: String,
    #[serde(default)]
    client_secret: String,
}

/// What counts where there are no credentials.
pub(super) enum Fallback {
    /// Nothing: a server of one's own has keys.
    None,
    /// Somebody's login to HCP, if it may be used here.
    Login(Option<Login>),
}

/// The text of a file of credentials, which several parts of a run read.
fn credential_text(path: &Path) -> Result<String> {
    static PIPES: ReadOnce<String> = ReadOnce::empty();
    PIPES.read(path, |path| read_small_text(path, "file of credentials", LARGEST_CREDENTIALS))
}

/// The file of credentials: the one that is named, else the one where they are by default, if it is there.
fn cred_file(environment: Environment) -> Option<PathBuf> {
    let named = set(environment, CRED_FILE).map(PathBuf::from);
    named.or_else(|| default_cred_file(environment))
}

/// Makes sure that a process which this one starts can read the same credentials: a pipe, such as a
/// shell's `<(…)`, gives them once. They are not handed on in its environment, where every script that it
/// runs would see them.
///
/// # Errors
/// As of [`from_environment`](super::from_environment); or they came from a pipe.
pub fn check_others_can_read_credentials() -> Result<()> {
    check_readable_again(&variable)
}

fn check_readable_again(environment: Environment) -> Result<()> {
    let Settings::Remote(remote) = read(environment)? else { return Ok(()) };
    if set(environment, CLIENT_ID).is_some() {
        return Ok(());
    }
    let pipe = cred_file(environment).filter(|path| gives_once(path));
    let pipe = match remote.credentials {
        Credentials::Workload(workload) => pipe.or_else(|| workload.pipe()),
        _ => pipe,
    };
    match pipe {
        Some(pipe) => Err(Error::new(format!(
            "{} is no regular file: processes that this one starts cannot read it again",
            pipe.display()
        ))
        .hint("write what it gives to a file, and name that")),
        None => Ok(()),
    }
}

/// The environment's, else those of `HCP_CRED_FILE`, else those of `~/.config/hcp/cred_file.json`,
/// else a login that is kept.
pub(super) fn credentials(environment: Environment, login: Fallback) -> Result<Credentials> {
    match (set(environment, CLIENT_ID), set(environment, CLIENT_SECRET)) {
        (Some(id), Some(secret)) => return Ok(Credentials::Key { id, secret }),
        (None, None) => {}
        (id, _) => {
            let (is, isnt) = match id {
                Some(_) => (CLIENT_ID, CLIENT_SECRET),
                None => (CLIENT_SECRET, CLIENT_ID),
            };
            return Err(Error::new(format!("{is} is set and {isnt} is not")));
        }
    }
    let named = set(environment, CRED_FILE).map(PathBuf::from);
    if let Some(path) = named.filter(|path| !path.exists()) {
        return Err(Error::new(format!("{CRED_FILE}: there is no file {}", path.display())).hint(
            format!(
                "set it to the file of a service principal's key, or {CLIENT_ID} and \
                     {CLIENT_SECRET} instead"
            ),
        ));
    }
    let Some(path) = cred_file(environment) else {
        let own = format!("{INGOT_REGISTRY}=local for a registry on this machine");
        let key = format!("set {CLIENT_ID} and {CLIENT_SECRET}, or {CRED_FILE}");
        let none = Error::new("there are no credentials for a registry");
        return match login {
            Fallback::None => Err(none.hint(format!("{key}; or {own}"))),
            Fallback::Login(login) => match login {
                Some(login) if login.is_kept()? => Ok(Credentials::Login(login)),
                _ => Err(none.hint(format!(
                    "{key}; or log in to HCP by browser: `ingot registry login`; or {own}"
                ))),
            },
        };
    };
    let wrong = |why: &str| Error::new(format!("{}: {why}", path.display()));
    let text = credential_text(&path)?;
    // What serde says may quote the file.
    let file: CredentialFile =
        serde_json::from_str(&text).map_err(|_| wrong("this is not a file of credentials"))?;
    if file.oauth.is_some() && file.workload.is_some() {
        return Err(wrong("only one of `oauth` and `workload` can be there"));
    }
    match (file.scheme.as_str(), file.oauth, file.workload) {
        ("service_principal_creds", Some(Oauth { client_id: id, client_secret: secret }), _)
            if !id.is_empty() && !secret.is_empty() =>
        {
            Ok(Credentials::Key { id, secret })
        }
        ("service_principal_creds", ..) => {
            Err(wrong("`oauth` needs both `client_id` and `client_secret`"))
        }
        ("workload", _, Some(workload)) => match workload.problem() {
            None => Ok(Credentials::Workload(Box::new(workload))),
            Some(problem) => Err(wrong(&problem)),
        },
        ("workload", _, None) => Err(wrong("`workload` is missing")),
        _ => Err(wrong("`scheme` is neither service_principal_creds nor workload")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment<'a>(pairs: &'a [(&'a str, &'a str)]) -> impl Fn(&str) -> Option<String> + 'a {
        move |name| {
            let found = pairs.iter().find(|(key, _)| *key == name);
            found.map(|(_, value)| (*value).to_owned())
        }
    }

    #[test]
    fn a_file_of_credentials_that_is_not_there_is_named() {
        let error = read(&environment(&[("HCP_CRED_FILE", "/nowhere/cred.json")])).unwrap_err();
        assert_eq!(error.to_string(), "HCP_CRED_FILE: there is no file /nowhere/cred.json");
        // Keys in the environment go before it.
        let both = [
            ("HCP_CLIENT_ID", "id"),
            ("HCP_CLIENT_SECRET", "hidden"),
            ("HCP_CRED_FILE", "/nowhere/cred.json"),
        ];
        assert!(read(&environment(&both)).is_ok());
    }

    #[cfg(unix)]
    #[test]
    fn others_cannot_read_what_a_pipe_gave() {
        let directory = tempfile::tempdir().unwrap();
        let key =
            r#"{"scheme":"service_principal_creds","oauth":{"client_id":"i","client_secret":"s"}}"#;
        let workload = |source: &str| {
            let provider = r#""provider_resource_name":"iam/project/p/wip""#;
            format!(r#"{{"scheme":"workload","workload":{{{provider},{source}}}}}"#)
        };
        let path = |name: &str| directory.path().join(name).display().to_string();
        let pipe = |name: &str| {
            let made = std::process::Command::new("mkfifo").arg(path(name)).status().unwrap();
            assert!(made.success());
        };
        let check = |name: &str| {
            let path = path(name);
            check_readable_again(&environment(&[("HCP_CRED_FILE", path.as_str())]))
        };
        let of_file = |name: &str, text: &str| {
            std::fs::write(path(name), text).unwrap();
            check(name)
        };
        let of_pipe = |name: &str, text: &str| {
            pipe(name);
            let (written, text) = (path(name), text.to_owned());
            let writer = std::thread::spawn(move || std::fs::write(written, text));
            let checked = check(name);
            writer.join().unwrap().unwrap();
            checked
        };
        let refused = |checked: Result<()>, name: &str| {
            let error = checked.unwrap_err().to_string();
            assert!(error.starts_with(&format!("{} is no regular file", path(name))), "{error}");
        };
        of_file("key", key).unwrap();
        refused(of_pipe("key.pipe", key), "key.pipe");
        let known = workload(r#""token":{"token":"t"}"#);
        of_file("known", &known).unwrap();
        refused(of_pipe("known.pipe", &known), "known.pipe");
        // It is for the registry's client to read it, so that nobody has to write to it here.
        pipe("token.pipe");
        let file = workload(&format!(r#""file":{{"path":"{}"}}"#, path("token.pipe")));
        refused(of_file("file", &file), "token.pipe");
    }
}
