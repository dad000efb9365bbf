//! Logging in to HCP by browser, with a real OpenID provider in place of HCP's.

use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use crate::world::{World, run};
use ingot_test_support::{Run, eventually, missing, repository};

/// What opens browsers, and somebody there who sends the page `LOGIN_ANSWER`, or nothing and is sent
/// back as one who refuses (RFC 6749, section 4.1.2.1): keeps what is shown in the end.
const BROWSER: &str = r#"#!/usr/bin/env python3
import os, ssl, sys, urllib.parse, urllib.request
page, answer = sys.argv[1], os.environ["LOGIN_ANSWER"].encode()
if not answer:
    asked = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(page).query))
    refusal = {"error": "access_denied", "error_description": "not today", "state": asked["state"]}
    page = asked["redirect_uri"] + "?" + urllib.parse.urlencode(refusal)
anyone = urllib.request.HTTPSHandler(context=ssl._create_unverified_context())
browser = urllib.request.build_opener(urllib.request.ProxyHandler({}), anyone)
shown = browser.open(page, answer or None, timeout=20).read()
path = os.path.join(os.environ["HOME"], "browser.html")
open(path + ".new", "wb").write(shown)
os.rename(path + ".new", path)
"#;

/// An OpenID provider, stopped when it goes out of scope.
struct Provider {
    child: Child,
    address: String,
}

impl Provider {
    fn start() -> Option<Provider> {
        let child = Command::new("python3")
            .arg(repository("tests/registry_client/identity_provider.py"))
            .stdout(Stdio::piped())
            .spawn();
        let mut child = match child {
            Ok(child) => child,
            Err(error) => {
                missing(format_args!("python3 cannot be run: {error}"));
                return None;
            }
        };
        let mut port = String::new();
        let stdout = child.stdout.take().expect("its output is piped");
        BufReader::new(stdout).read_line(&mut port).expect("it writes text");
        if port.trim().is_empty() {
            let _ = child.wait();
            missing(format_args!("the Python package oidc-provider-mock is missing"));
            return None;
        }
        Some(Provider { child, address: format!("https://127.0.0.1:{}", port.trim()) })
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

struct Somebody<'a> {
    world: &'a World,
    provider: &'a Provider,
}

impl Somebody<'_> {
    /// The program, for somebody without keys; `answer` is what they send from the page.
    fn command(&self, args: &[&str], answer: &str) -> Command {
        let directory = self.world.dir.path();
        let bin = directory.join("bin");
        std::fs::create_dir_all(&bin).unwrap();
        let browser = bin.join("xdg-open");
        std::fs::write(&browser, BROWSER).unwrap();
        std::fs::set_permissions(&browser, PermissionsExt::from_mode(0o755)).unwrap();
        let path = std::env::var("PATH").unwrap();
        let mut command = self.world.command(args);
        command
            .env_remove("HCP_CLIENT_ID")
            .env_remove("HCP_CLIENT_SECRET")
            // Nobody logs in in a CI.
            .env_remove("CI")
            .env("HCP_OAUTH_CLIENT_ID", "ingot-tests")
            .env("HCP_AUTH_URL", &self.provider.address)
            .env("HCP_AUTH_TLS", "insecure")
            .env("LOGIN_ANSWER", answer)
            .env("PATH", format!("{}:{path}", bin.display()));
        command
    }

    fn run(&self, args: &[&str], answer: &str) -> Run {
        run(self.command(args, answer).output().expect("the program can be run"))
    }

    fn file(&self) -> PathBuf {
        self.world.dir.path().join(".config/hcp/creds-cache.json")
    }

    fn login(&self) -> Value {
        let text = std::fs::read_to_string(self.file()).expect("a login is kept");
        serde_json::from_str::<Value>(&text).expect("it is JSON")["login"].clone()
    }

    fn change(&self, change: impl FnOnce(&mut Value)) {
        let text = std::fs::read_to_string(self.file()).expect("a login is kept");
        let mut file = serde_json::from_str::<Value>(&text).expect("it is JSON");
        change(&mut file["login"]);
        std::fs::write(self.file(), file.to_string()).unwrap();
    }
}

#[test]
fn somebody_logs_in_by_browser_and_stays_logged_in() {
    let Some(provider) = Provider::start() else { return };
    let world = World::served();
    let somebody = Somebody { world: &world, provider: &provider };

    // Without a login the error says how to get one.
    let list = ["registry", "buckets", "list"];
    let none = somebody.run(&list, "");
    assert_eq!(none.code, Some(1), "{none:?}");
    assert!(none.stderr.contains("`ingot registry login`"), "{none:?}");

    // Where the user refuses, the error says so, and nothing is kept.
    let refused = somebody.run(&["registry", "login"], "");
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(refused.stderr.contains("HCP did not log you in: not today"), "{refused:?}");
    assert!(!somebody.file().exists());

    let logged_in = somebody.run(&["registry", "login"], "sub=alice");
    assert_eq!(logged_in.code, Some(0), "{logged_in:?}");
    assert!(logged_in.stdout.contains("Logged in."), "{logged_in:?}");
    // The browser shows it after the program has ended.
    eventually("the browser shows it", || {
        let shown = std::fs::read_to_string(world.dir.path().join("browser.html"));
        let shown = shown.map_err(|error| error.to_string())?;
        if shown.contains("You are logged in.") { Ok(()) } else { Err(shown) }
    });
    let mode = std::fs::metadata(somebody.file()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let first = somebody.login();
    let token = |login: &Value| login["access_token"].as_str().unwrap().to_owned();
    assert!(!logged_in.stdout.contains(&token(&first)), "{logged_in:?}");
    assert_eq!(first["geography"], "us");

    // A server that does not know it refuses it, which a renewed one does not change. (There is no
    // HCP here that would take it.)
    let asked = somebody.run(&list, "");
    assert_eq!(asked.code, Some(1), "{asked:?}");
    assert!(!asked.stderr.contains(&token(&first)), "{asked:?}");
    let second = somebody.login();
    assert_ne!(token(&first), token(&second), "it was renewed");
    assert_eq!(first["refresh_token"], second["refresh_token"]);

    // One that has ended is renewed before it is used.
    somebody.change(|login| login["access_token_expiry"] = "2026-01-01T00:00:00Z".into());
    somebody.run(&list, "");
    let third = somebody.login();
    assert_ne!(token(&second), token(&third));
    assert!(third["access_token_expiry"].as_str() > Some("2026-01-02"), "{third}");

    // One that cannot be renewed any more has to be made anew.
    somebody.change(|login| {
        login["access_token_expiry"] = "2026-01-01T00:00:00Z".into();
        login["refresh_token"] = "gone".into();
    });
    let ended = somebody.run(&list, "");
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.stderr.contains("your login to HCP has ended"), "{ended:?}");
    assert!(ended.stderr.contains("log in again: `ingot registry login`"), "{ended:?}");

    // Somebody's tokens go nowhere but to HCP unless a client for the other place is named; a CI has
    // keys of its own.
    let changes: [fn(&mut Command) -> &mut Command; 2] =
        [|command| command.env_remove("HCP_OAUTH_CLIENT_ID"), |command| command.env("CI", "true")];
    for change in changes {
        let mut elsewhere = somebody.command(&list, "");
        change(&mut elsewhere);
        let elsewhere = run(elsewhere.output().unwrap());
        assert!(elsewhere.stderr.contains("there are no credentials"), "{elsewhere:?}");
    }

    let logged_out = somebody.run(&["registry", "logout"], "");
    assert!(logged_out.stdout.contains("the login was removed from"), "{logged_out:?}");
    let again = somebody.run(&["registry", "logout"], "");
    assert!(again.stdout.contains("You were not logged in."), "{again:?}");

    // Servers of one's own have keys.
    let mut own = somebody.command(&["registry", "login"], "");
    own.env("INGOT_REGISTRY", "https://registry.example");
    let own = run(own.output().unwrap());
    assert_eq!(own.code, Some(1), "{own:?}");
    assert!(own.stderr.contains("INGOT_REGISTRY names a registry of your own"), "{own:?}");
}
