//! Workload identities: a token of another platform (a CI's, a cloud's) that HCP exchanges for one of
//! its own, as a file of credentials describes it. Names and rules are those of hcp-sdk-go.

mod aws;

use std::path::{Path, PathBuf};
use std::time::Duration;

use ingot_base::files::read_small;
use ingot_base::read_once::{ReadOnce, gives_once};
use reqwest::{Client, Url};
use serde::Deserialize;
use serde_json::{Value, json};

/// The variables of an environment, by name, for what waits in between.
pub(super) type Variables<'a> = &'a (dyn Fn(&str) -> Option<String> + Sync);

/// The largest token that is read, in bytes.
const LARGEST: usize = 1 << 20;
/// Tokens of pipes: several parts of a run ask for one.
static PIPES: ReadOnce<Vec<u8>> = ReadOnce::empty();
/// How long a URL may take to give a token.
const LIMIT: Duration = Duration::from_secs(10);

/// What `workload` in a file of credentials says.
#[derive(Clone, PartialEq, Deserialize)]
pub struct Workload {
    /// The identity provider at HCP that exchanges the token:
    /// `iam/project/…/workload-identity-provider/…`.
    #[serde(default)]
    pub provider_resource_name: String,
    file: Option<FileSource>,
    token: Option<TokenSource>,
    env: Option<VariableSource>,
    url: Option<UrlSource>,
    aws: Option<AwsSource>,
}

impl std::fmt::Debug for Workload {
    /// Without tokens and headers, which may be secret.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Workload").field(&self.provider_resource_name).finish()
    }
}

#[derive(Clone, PartialEq, Deserialize)]
struct FileSource {
    #[serde(default)]
    path: PathBuf,
    #[serde(flatten)]
    format: Format,
}

#[derive(Clone, PartialEq, Deserialize)]
struct TokenSource {
    #[serde(default)]
    token: String,
}

#[derive(Clone, PartialEq, Deserialize)]
struct VariableSource {
    #[serde(default)]
    var: String,
    #[serde(flatten)]
    format: Format,
}

#[derive(Clone, PartialEq, Deserialize)]
struct UrlSource {
    #[serde(default)]
    url: String,
    #[serde(default)]
    headers: std::collections::BTreeMap<String, String>,
    #[serde(flatten)]
    format: Format,
}

#[derive(Clone, PartialEq, Deserialize)]
struct AwsSource {
    #[serde(default)]
    imds_v2: bool,
}

/// How a token is found in what a source gives.
#[derive(Clone, PartialEq, Deserialize)]
struct Format {
    #[serde(default)]
    format_type: String,
    #[serde(default)]
    subject_cred_pointer: String,
}

impl Format {
    fn problem(&self) -> Option<&'static str> {
        match (self.format_type.as_str(), self.subject_cred_pointer.as_str()) {
            ("" | "value", "") => None,
            ("" | "value", _) => Some("`subject_cred_pointer` needs `format_type` json"),
            ("json", "") => Some("`format_type` json needs a `subject_cred_pointer`"),
            ("json", pointer) if pointer.starts_with('/') => None,
            ("json", _) => Some("`subject_cred_pointer` is not a JSON pointer: begin it with /"),
            _ => Some("`format_type` is neither value nor json"),
        }
    }

    /// The token in `text`. What is wrong never quotes it.
    fn token(&self, text: &str) -> Result<String, String> {
        if self.format_type != "json" {
            return Ok(text.to_owned());
        }
        let value: Value = serde_json::from_str(text).map_err(|_| "it is not JSON".to_owned())?;
        let pointer = &self.subject_cred_pointer;
        match value.pointer(pointer) {
            Some(Value::String(token)) => Ok(token.clone()),
            Some(_) => Err(format!("the value at {pointer} is not a string")),
            None => Err(format!("there is nothing at {pointer}")),
        }
    }
}

impl Workload {
    /// What is wrong with it, in words.
    pub(super) fn problem(&self) -> Option<String> {
        if self.provider_resource_name.is_empty() {
            return Some("`workload` needs a `provider_resource_name`".into());
        }
        let sources = [
            self.file.is_some(),
            self.token.is_some(),
            self.env.is_some(),
            self.url.is_some(),
            self.aws.is_some(),
        ];
        match sources.iter().filter(|is_set| **is_set).count() {
            0 => return Some("`workload` needs one of file, token, env, url and aws".into()),
            1 => {}
            _ => {
                return Some(
                    "`workload` can have only one of file, token, env, url and aws".into(),
                );
            }
        }
        let needs = |source: &str, option: &str, format: Option<&Format>, is_empty: bool| {
            let empty = is_empty.then(|| format!("`{option}` is missing"));
            let problem = empty.or_else(|| format?.problem().map(str::to_owned));
            problem.map(|problem| format!("`workload`: {source}: {problem}"))
        };
        let Workload { file, token, env, url, .. } = self;
        let file = file.as_ref();
        file.and_then(|s| needs("file", "path", Some(&s.format), s.path.as_os_str().is_empty()))
            .or_else(|| {
                token.as_ref().and_then(|s| needs("token", "token", None, s.token.is_empty()))
            })
            .or_else(|| {
                env.as_ref().and_then(|s| needs("env", "var", Some(&s.format), s.var.is_empty()))
            })
            .or_else(|| {
                let source = url.as_ref()?;
                let bad = Url::parse(&source.url).is_err();
                needs("url", "url", Some(&source.format), source.url.is_empty())
                    .or_else(|| bad.then(|| "`workload`: url: it is not a URL".to_owned()))
            })
    }

    /// The file that its token is in, if that [`gives_once`].
    pub(super) fn pipe(&self) -> Option<PathBuf> {
        self.file.as_ref().map(|source| source.path.clone()).filter(|path| gives_once(path))
    }

    /// What HCP exchanges for a token, and all that is secret in it.
    ///
    /// # Errors
    /// There is no token to exchange, in words without secrets.
    pub(super) async fn subject(
        &self,
        client: &Client,
        environment: Variables<'_>,
    ) -> Result<(Value, Vec<String>), String> {
        let token = match self {
            Workload { token: Some(source), .. } => source.token.clone(),
            Workload { file: Some(source), .. } => {
                let path = source.path.display();
                let token = |path: &Path| read_small(path, "token", LARGEST as u64);
                let read = PIPES.read(&source.path, token);
                let read = read.map_err(|error| error.to_string())?;
                let text = text(&read).map_err(|why| format!("{path}: {why}"))?;
                source.format.token(text.trim()).map_err(|why| format!("{path}: {why}"))?
            }
            Workload { env: Some(source), .. } => {
                let name = &source.var;
                let text = environment(name).filter(|text| !text.is_empty());
                let text = text.ok_or_else(|| format!("the variable {name} is not set"))?;
                source.format.token(&text).map_err(|why| format!("{name}: {why}"))?
            }
            Workload { url: Some(source), .. } => {
                let place = ingot_base::http::shown(&source.url);
                source.fetch(client).await.map_err(|why| format!("{place}: {why}"))?
            }
            Workload { aws: Some(source), .. } => {
                let resource = &self.provider_resource_name;
                let (request, secrets) =
                    aws::caller_identity(client, source.imds_v2, resource, environment).await?;
                return Ok((json!({ "aws_get_caller_id_token": request }), secrets));
            }
            _ => return Err("it names no source of a token".into()),
        };
        if token.is_empty() {
            return Err("the token is empty".into());
        }
        Ok((json!({ "jwt_token": token }), vec![token]))
    }
}

impl UrlSource {
    async fn fetch(&self, client: &Client) -> Result<String, String> {
        let mut request = client.get(&self.url).timeout(LIMIT);
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        let response = request.send().await.map_err(|error| why(&error))?;
        let status = response.status();
        if !status.is_success() {
            return Err(format!("it returned {status}"));
        }
        let read = body(response).await?;
        self.format.token(text(&read)?)
    }
}

fn text(bytes: &[u8]) -> Result<&str, String> {
    if bytes.is_empty() {
        return Err("it is empty".into());
    }
    if bytes.len() > LARGEST {
        return Err(format!("it is larger than {LARGEST} bytes"));
    }
    std::str::from_utf8(bytes).map_err(|_| "it is not UTF-8".into())
}

/// All of a response, up to what a token may be.
async fn body(response: reqwest::Response) -> Result<Vec<u8>, String> {
    let body = ingot_base::http::bounded(response, LARGEST).await.map_err(|error| why(&error))?;
    body.ok_or_else(|| format!("it returned more than {LARGEST} bytes"))
}

/// Why a call failed, without the URL, which may hold a secret.
fn why(error: &reqwest::Error) -> String {
    let causes = ingot_base::error::causes(error);
    causes.skip(1).last().map_or_else(|| "no response".to_owned(), ToString::to_string)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn workload(source: Value) -> Workload {
        let mut all = json!({ "provider_resource_name": "iam/project/p/wip" });
        all.as_object_mut().unwrap().extend(source.as_object().unwrap().clone());
        serde_json::from_value(all).unwrap()
    }

    #[test]
    fn mistakes_are_named() {
        for (source, problem) in [
            (json!({}), "one of file, token, env, url and aws"),
            (json!({ "token": { "token": "x" }, "aws": {} }), "only one of"),
            (json!({ "token": {} }), "token: `token` is missing"),
            (json!({ "env": { "format_type": "xml", "var": "A" } }), "neither value nor json"),
            (json!({ "file": { "format_type": "json", "path": "x" } }), "subject_cred_pointer"),
            (json!({ "url": { "url": "nowhere" } }), "it is not a URL"),
        ] {
            let found = workload(source).problem().unwrap();
            assert!(found.contains(problem), "{found}");
        }
        assert_eq!(workload(json!({ "aws": {} })).problem(), None);
        let nameless: Workload = serde_json::from_value(json!({ "aws": {} })).unwrap();
        assert!(nameless.problem().unwrap().contains("provider_resource_name"));
    }

    #[tokio::test]
    async fn tokens_come_from_where_the_file_says() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("token");
        std::fs::write(&file, "{ \"a\": [\"of-file\"] }\n").unwrap();
        let client = ingot_base::http::client().unwrap();
        let environment = |name: &str| (name == "CI_TOKEN").then(|| "of-env".to_owned());
        for (source, expected) in [
            (json!({ "token": { "token": "given" } }), Ok("given")),
            (json!({ "env": { "var": "CI_TOKEN" } }), Ok("of-env")),
            (json!({ "env": { "var": "OTHER" } }), Err("the variable OTHER is not set")),
            (
                json!({ "file": {
                    "path": file, "format_type": "json", "subject_cred_pointer": "/a/0"
                } }),
                Ok("of-file"),
            ),
            (
                json!({ "file": {
                    "path": file, "format_type": "json", "subject_cred_pointer": "/b"
                } }),
                Err("there is nothing at /b"),
            ),
            (json!({ "file": { "path": "/nowhere" } }), Err("reading /nowhere")),
        ] {
            let found = workload(source).subject(&client, &environment).await;
            match (found, expected) {
                (Ok((subject, secrets)), Ok(expected)) => {
                    assert_eq!(subject, json!({ "jwt_token": expected }));
                    assert_eq!(secrets, [expected]);
                }
                (Err(found), Err(expected)) => assert!(found.contains(expected), "{found}"),
                (found, expected) => panic!("{found:?}, not {expected:?}"),
            }
        }
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn the_token_of_a_pipe_can_be_exchanged_again() {
        let directory = tempfile::tempdir().unwrap();
        let pipe = directory.path().join("token");
        let made = std::process::Command::new("mkfifo").arg(&pipe).status().unwrap();
        assert!(made.success());
        let workload = workload(json!({ "file": { "path": pipe } }));
        let writer = std::thread::spawn(move || std::fs::write(pipe, "t\n"));
        let client = ingot_base::http::client().unwrap();
        for _ in 0..2 {
            let subject = workload.subject(&client, &|_: &str| None).await;
            assert_eq!(subject.unwrap().0, json!({ "jwt_token": "t" }));
        }
        writer.join().unwrap().unwrap();
    }
}
