//! Logins of servers in the user's netrc file, which curl and Packer's downloader read too: `NETRC`
//! names it, else it is `~/.netrc`.

use std::fmt;
use std::io::ErrorKind;
use std::path::PathBuf;

use ingot_base::read_once::ReadOnce;
use reqwest::{RequestBuilder, Url};

use crate::file_work::read_small;
use crate::home::{expanded, home_dir};
use crate::{Result, Ui, environment};

/// The largest file that is read, in bytes.
const LARGEST: u64 = 1 << 20;
/// What pipes gave: each request looks for its login.
static PIPES: ReadOnce<Vec<u8>> = ReadOnce::empty();
/// How reading fails where there is no file: a directory may be in its place, and a service's home may be
/// `/dev/null`.
const NO_FILE: [ErrorKind; 3] =
    [ErrorKind::NotFound, ErrorKind::NotADirectory, ErrorKind::IsADirectory];

/// A user and a password.
#[derive(Clone, PartialEq, Eq)]
pub struct Login {
    /// The user.
    pub user: String,
    /// The password, which must not be shown.
    pub password: String,
}

/// Without the password.
impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Login").field("user", &self.user).finish_non_exhaustive()
    }
}

/// The login for the server of `url`, whose password `ui` hides from now on. None where the URL has
/// a user of its own, where the file knows no login for the server, and where there is no file.
///
/// # Errors
/// The file cannot be read.
pub fn login(ui: &Ui, url: &Url) -> Result<Option<Login>> {
    if !url.username().is_empty() || url.password().is_some() {
        return Ok(None);
    }
    let (Some(host), Some(path)) = (url.host_str(), path()) else { return Ok(None) };
    let bytes = match PIPES.read(&path, |path| read_small(path, "netrc file", LARGEST)) {
        Err(error) if NO_FILE.iter().any(|&kind| error.is_io(kind)) => return Ok(None),
        Err(error) => {
            let error = error.context("looking for a login");
            return Err(error.further_hint("NETRC=/dev/null is a file without logins"));
        }
        Ok(bytes) => bytes,
    };
    let found = find(&String::from_utf8_lossy(&bytes), host, url.port());
    if let Some(login) = &found {
        ui.mask(&login.password);
    }
    Ok(found)
}

/// `request`, which is for `url`, with the [`login`] for its server. Redirects to other servers do
/// not get it.
///
/// # Errors
/// The file cannot be read.
pub fn authorized(ui: &Ui, url: &Url, request: RequestBuilder) -> Result<RequestBuilder> {
    Ok(match login(ui, url)? {
        Some(login) => request.basic_auth(login.user, Some(login.password)),
        None => request,
    })
}

fn path() -> Option<PathBuf> {
    match environment::set_text("NETRC") {
        Some(path) => Some(expanded(&path)),
        None => Some(home_dir()?.join(".netrc")),
    }
}

/// An entry of the file.
struct Entry {
    /// The server; none for what is for all others.
    machine: Option<String>,
    login: Login,
}

/// The login for a server. Packer looks for it with its port, curl without.
fn find(text: &str, host: &str, port: Option<u16>) -> Option<Login> {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let with_port = port.map(|port| format!("{host}:{port}"));
    let mut names = with_port.iter().map(String::as_str).chain([host]);
    let all = entries(text);
    let of = |name: &str| {
        let is_it = |machine: &String| machine.eq_ignore_ascii_case(name);
        all.iter().find(|entry| entry.machine.as_ref().is_some_and(is_it))
    };
    let found = names.find_map(of);
    let found = found.or_else(|| all.iter().find(|entry| entry.machine.is_none()));
    found.map(|entry| entry.login.clone())
}

fn entries(text: &str) -> Vec<Entry> {
    let mut entries: Vec<Entry> = Vec::new();
    let mut words = Words(text);
    while let Some(keyword) = words.keyword() {
        let machine = match keyword {
            "machine" => words.value(),
            "default" => None,
            "login" | "password" => {
                let value = words.value().unwrap_or_default();
                match entries.last_mut().map(|entry| &mut entry.login) {
                    Some(login) if keyword == "login" => login.user = value,
                    Some(login) => login.password = value,
                    None => {}
                }
                continue;
            }
            "account" => {
                words.value();
                continue;
            }
            "macdef" => {
                words.skip_macro();
                continue;
            }
            // Of another program.
            _ => continue,
        };
        // The last word of the file: it is for nobody.
        if machine.is_none() && keyword == "machine" {
            break;
        }
        let login = Login { user: String::new(), password: String::new() };
        entries.push(Entry { machine, login });
    }
    entries
}

/// What of a netrc file is still to be read: words with white space between them.
struct Words<'a>(&'a str);

impl<'a> Words<'a> {
    /// The next word where none is a value: a `#` begins a comment there.
    fn keyword(&mut self) -> Option<&'a str> {
        loop {
            self.0 = self.0.trim_start();
            if !self.0.starts_with('#') {
                return self.word();
            }
            self.next_line();
        }
    }

    /// The next word where it is a value. It may be in quotes, as for curl.
    fn value(&mut self) -> Option<String> {
        self.0 = self.0.trim_start();
        if let Some((value, rest)) = self.0.strip_prefix('"').and_then(quoted) {
            self.0 = rest;
            return Some(value);
        }
        self.word().map(str::to_owned)
    }

    fn word(&mut self) -> Option<&'a str> {
        let end = self.0.find(char::is_whitespace).unwrap_or(self.0.len());
        let (word, rest) = self.0.split_at(end);
        self.0 = rest;
        Some(word).filter(|word| !word.is_empty())
    }

    /// Passes over a macro, which ends with an empty line.
    fn skip_macro(&mut self) {
        while !self.next_line().trim().is_empty() {}
    }

    /// Passes over the rest of a line, and returns it.
    fn next_line(&mut self) -> &'a str {
        let (line, rest) = self.0.split_once('\n').unwrap_or((self.0, ""));
        self.0 = rest;
        line
    }
}

/// What is before the quote at the end of a value, and what is after it.
fn quoted(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut characters = text.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => {
                let rest = &text[at + 1..];
                let ends = rest.is_empty() || rest.starts_with(char::is_whitespace);
                return ends.then_some((value, rest));
            }
            '\n' => return None,
            '\\' => value.push(match characters.next()?.1 {
                'n' => '\n',
                'r' => '\r',
                't' => '\t',
                other => other,
            }),
            other => value.push(other),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "# of nobody: machine example.com login no password no\r\n\
        machine example.com login me password p#w\r\n\
        macdef init\r\nmachine macro.example.com login no password no\r\n\r\n\
        machine\n\tports.example.com:8443\n\tlogin other\n\tpassword \"a \\\"b\\\\\"\n\
        machine quoted.example.com login q account x password \"half\n\
        machine fd00::5 password six login v6 # a comment\n\
        machine example.com login later password later\n";

    fn found(host: &str, port: Option<u16>) -> Option<(String, String)> {
        find(FILE, host, port).map(|login| (login.user, login.password))
    }

    #[test]
    fn logins_are_found_by_server() {
        let login = |user: &str, password: &str| Some((user.to_owned(), password.to_owned()));
        assert_eq!(found("example.com", None), login("me", "p#w"));
        assert_eq!(found("EXAMPLE.com", Some(8080)), login("me", "p#w"));
        assert_eq!(found("ports.example.com", Some(8443)), login("other", "a \"b\\"));
        assert_eq!(found("quoted.example.com", None), login("q", "\"half"));
        assert_eq!(found("[fd00::5]", Some(80)), login("v6", "six"));
        for unknown in ["ports.example.com", "macro.example.com", "sub.example.com", "com"] {
            assert_eq!(found(unknown, None), None, "{unknown}");
        }
    }

    #[test]
    fn what_is_for_all_servers_is_for_those_that_are_not_named() {
        let text = "machine a login me password one default login any password two";
        let user = |host| find(text, host, None).map(|login| login.user);
        assert_eq!((user("a"), user("b")), (Some("me".to_owned()), Some("any".to_owned())));
    }

    #[test]
    fn what_is_no_netrc_has_no_logins() {
        let texts =
            ["", "machine", "login me password x", "\"", "macdef", "macdef x", "#", "a b c"];
        for text in texts {
            assert!(find(text, "a", None).is_none(), "{text}");
        }
    }

    #[test]
    fn a_login_is_not_shown() {
        let login = Login { user: "me".to_owned(), password: "secret".to_owned() };
        let shown = format!("{login:?}");
        assert!(shown.contains("me") && !shown.contains("secret"), "{shown}");
    }
}
