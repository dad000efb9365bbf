//! A server with releases of the plugin `trial`, as GitHub, a releases server or a mirror has them,
//! which fails where a test wants it to.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use zip::CompressionMethod;
use zip::write::SimpleFileOptions;

use ingot_sdk::Platform;
use ingot_test_support::trial_plugin::program;

/// What a path answers with.
#[derive(Clone)]
pub(crate) struct Response {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Arc<Vec<u8>>,
    pub how: How,
}

/// How an answer is sent.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum How {
    /// As it should be.
    Whole,
    /// The connection is closed after so many bytes of the body, the first time.
    CutOnce(usize),
    /// Nothing more is sent after so many bytes of the body, the first time.
    StallOnce(usize),
    /// Nothing more is sent after so many bytes, ever.
    Stall(usize),
}

impl Response {
    pub(crate) fn ok(body: impl Into<Vec<u8>>) -> Response {
        Response { status: 200, headers: Vec::new(), body: Arc::new(body.into()), how: How::Whole }
    }

    pub(crate) fn status(status: u16, headers: &[(&str, &str)]) -> Response {
        let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        let headers = headers.iter().map(own).collect();
        Response { status, headers, ..Response::ok("") }
    }
}

#[derive(Default)]
struct Shared {
    answers: Mutex<HashMap<String, Response>>,
    /// Each request: its path, and its head.
    requests: Mutex<Vec<(String, String)>>,
}

/// The server; it ends with the test.
pub(crate) struct ReleaseServer {
    pub url: String,
    shared: Arc<Shared>,
}

impl ReleaseServer {
    pub(crate) fn start() -> ReleaseServer {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let shared = Arc::new(Shared::default());
        let served = Arc::clone(&shared);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let shared = Arc::clone(&served);
                std::thread::spawn(move || serve(stream, &shared));
            }
        });
        ReleaseServer { url, shared }
    }

    pub(crate) fn put(&self, path: &str, answer: Response) {
        self.shared.answers.lock().unwrap().insert(path.to_owned(), answer);
    }

    /// What a path answers with.
    pub(crate) fn body(&self, path: &str) -> Vec<u8> {
        self.shared.answers.lock().unwrap()[path].body.to_vec()
    }

    /// Changes what a path answers with.
    pub(crate) fn change(&self, path: &str, change: impl FnOnce(&mut Response)) {
        let mut answers = self.shared.answers.lock().unwrap();
        change(answers.get_mut(path).unwrap_or_else(|| panic!("nothing at {path}")));
    }

    /// The paths that were asked for, since the last time.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.heads().into_iter().map(|(path, _)| path).collect()
    }

    /// The requests since the last time: their paths and heads.
    pub(crate) fn heads(&self) -> Vec<(String, String)> {
        std::mem::take(&mut *self.shared.requests.lock().unwrap())
    }

    /// Has releases of `github.com/acme/trial` as GitHub has them.
    pub(crate) fn github(&self, versions: &[&str]) {
        let tags: Vec<String> = versions
            .iter()
            .map(|version| format!("{{\"ref\": \"refs/tags/v{version}\", \"url\": \"…\"}}"))
            .collect();
        self.put(
            "/repos/acme/packer-plugin-trial/git/matching-refs/tags",
            Response::ok(format!("[{}]", tags.join(","))),
        );
        for version in versions {
            let zip = github_zip(version);
            let list = format!("packer-plugin-trial_v{version}_SHA256SUMS");
            let archive = archive(version);
            let sums = format!(
                "{}  packer-plugin-trial_v{version}_x5.0_darwin_arm64.zip\n{}  {zip}\n",
                "d".repeat(64),
                sha256(&archive)
            );
            self.put(&github_path(version, &list), Response::ok(sums));
            self.put(&github_path(version, &zip), Response::ok(archive));
        }
    }

    /// Has releases of `github.com/hashicorp/trial` as a releases server has them.
    pub(crate) fn releases(&self, versions: &[&str]) {
        let listed: Vec<String> = versions
            .iter()
            .map(|version| {
                format!("\"{version}\": {{\"name\": \"packer-plugin-trial\", \"version\": \"{version}\"}}")
            })
            .collect();
        let index = format!(
            "{{\"name\": \"packer-plugin-trial\", \"versions\": {{{}}}}}",
            listed.join(",")
        );
        self.put("/packer-plugin-trial/index.json", Response::ok(index));
        for version in versions {
            let at = |file: &str| {
                format!("/packer-plugin-trial/{version}/packer-plugin-trial_{version}_{file}")
            };
            let archive = archive(version);
            let zip = format!("{}.zip", Platform::current());
            let sums = format!("{}  packer-plugin-trial_{version}_{zip}\n", sha256(&archive));
            self.put(&at("SHA256SUMS"), Response::ok(sums));
            self.put(&at(&zip), Response::ok(archive));
            let manifest = "{\"version\": 1, \"metadata\": {\"protocol_version\": \"5.0\"}}";
            self.put(&at("manifest.json"), Response::ok(manifest));
        }
    }
}

/// The path of a file of a release on GitHub.
pub(crate) fn github_path(version: &str, file: &str) -> String {
    format!("/acme/packer-plugin-trial/releases/download/v{version}/{file}")
}

/// The name of the archive for this machine on GitHub.
pub(crate) fn github_zip(version: &str) -> String {
    format!("{}.zip", program_name(version))
}

/// The name of the program for this machine.
pub(crate) fn program_name(version: &str) -> String {
    format!("packer-plugin-trial_v{version}_x5.0_{}", Platform::current())
}

/// The program as the release `version` has it: each release has other bytes.
pub(crate) fn program_of(version: &str) -> Vec<u8> {
    let mut bytes = std::fs::read(program().expect("the plugin")).expect("the plugin can be read");
    bytes.extend_from_slice(version.as_bytes());
    bytes
}

/// The archive of a release.
pub(crate) fn archive(version: &str) -> Vec<u8> {
    zip_of(&[("README.md", b"a plugin"), (&program_name(version), &program_of(version))], false)
}

/// An archive of some files.
pub(crate) fn zip_of(files: &[(&str, &[u8])], compressed: bool) -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let method = match compressed {
        true => CompressionMethod::Deflated,
        false => CompressionMethod::Stored,
    };
    for (name, bytes) in files {
        writer
            .start_file(*name, SimpleFileOptions::default().compression_method(method))
            .expect("a file in an archive");
        writer.write_all(bytes).expect("an archive in memory");
    }
    writer.finish().expect("an archive").into_inner()
}

pub(crate) fn sha256(bytes: &[u8]) -> String {
    ingot_sdk::hash::sha256(bytes)
}

fn serve(mut stream: TcpStream, shared: &Shared) {
    let Ok(copy) = stream.try_clone() else { return };
    let mut head = String::new();
    let mut lines = BufReader::new(copy.take(64 * 1024));
    while lines.read_line(&mut head).is_ok_and(|read| read > 2) {}
    let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
    shared.requests.lock().unwrap().push((path.clone(), head.to_ascii_lowercase()));
    let answer = {
        let mut answers = shared.answers.lock().unwrap();
        let found = answers.get_mut(&path).map(|answer| {
            let now = answer.clone();
            if matches!(answer.how, How::CutOnce(_) | How::StallOnce(_)) {
                answer.how = How::Whole;
            }
            now
        });
        found.unwrap_or_else(|| Response::status(404, &[]))
    };
    let from = range_start(&head).filter(|from| answer.status == 200 && *from < answer.body.len());
    let body = &answer.body[from.unwrap_or(0)..];
    let status = if from.is_some() { 206 } else { answer.status };
    let mut text = format!(
        "HTTP/1.1 {status} Whatever\r\nContent-Length: {}\r\nConnection: close\r\n",
        body.len()
    );
    if let Some(from) = from {
        let whole = answer.body.len();
        text.push_str(&format!("Content-Range: bytes {from}-{}/{whole}\r\n", whole - 1));
    }
    for (name, value) in &answer.headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    text.push_str("\r\n");
    let sent = match answer.how {
        How::Whole => body.len(),
        How::CutOnce(count) | How::StallOnce(count) | How::Stall(count) => count.min(body.len()),
    };
    // Whoever asked may be gone.
    let _ = stream.write_all(text.as_bytes()).and_then(|()| stream.write_all(&body[..sent]));
    if matches!(answer.how, How::StallOnce(_) | How::Stall(_)) {
        // Until the other side goes.
        let _ = stream.set_read_timeout(Some(Duration::from_secs(60)));
        let _ = stream.read(&mut [0]);
    }
}

fn range_start(head: &str) -> Option<usize> {
    let line = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("range").then(|| value.trim().to_owned())
    })?;
    line.strip_prefix("bytes=")?.split('-').next()?.parse().ok()
}
