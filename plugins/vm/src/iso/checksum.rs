//! What `iso_checksum` can say, and lists of checksums.

use std::path::Path;
use std::time::Duration;

use ingot_sdk::file_work::read_small;
use ingot_sdk::{Context, Error, Result, RunContext, Ui, http, netrc};

use super::source::Source;
use super::stall::{STALL, unless_stalled};

/// The algorithms, and how many hexadecimal digits their checksums have.
const ALGORITHMS: &[(&str, usize)] = &[("md5", 32), ("sha1", 40), ("sha256", 64), ("sha512", 128)];

/// A list of checksums is not longer than this; anything longer is something else.
const MAX_LIST: usize = 16 << 20;
/// How long its download may take.
const LIST_TIMEOUT: Duration = Duration::from_secs(5 * 60);

/// What a file should hash to. Displayed as Packer does, `sha256:0123…`, in lower case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checksum {
    algorithm: &'static str,
    value: String,
}

/// `iso_checksum`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChecksumOption {
    /// `none`: nothing is checked.
    None,
    /// The checksum itself.
    Given(Checksum),
    /// A list of checksums that has a line for the file.
    Listed(Source),
}

impl std::fmt::Display for Checksum {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.algorithm, self.value)
    }
}

impl Checksum {
    /// The algorithm: `md5`, `sha1`, `sha256` or `sha512`.
    pub fn algorithm(&self) -> &'static str {
        self.algorithm
    }

    /// The digits, in lower case.
    pub fn value(&self) -> &str {
        &self.value
    }

    /// Reads the digits; their number decides the algorithm where it is not given.
    fn parse(algorithm: Option<&str>, digits: &str) -> Result<Checksum, String> {
        let known = match algorithm {
            Some(name) => ALGORITHMS.iter().find(|(known, _)| name.eq_ignore_ascii_case(known)),
            None => ALGORITHMS.iter().find(|(_, length)| *length == digits.len()),
        };
        let is_hex = digits.chars().all(|c| c.is_ascii_hexdigit());
        match known {
            Some((name, length)) if is_hex && digits.len() == *length => {
                Ok(Checksum { algorithm: name, value: digits.to_ascii_lowercase() })
            }
            Some((name, length)) if algorithm.is_some() => Err(format!(
                "`{digits}` is not a {name} checksum, which has {length} hexadecimal digits"
            )),
            None if algorithm.is_some() => Err(format!(
                "`{}` is not a kind of checksum; use md5, sha1, sha256 or sha512",
                algorithm.unwrap_or_default()
            )),
            _ => Err(format!(
                "`{digits}` is not a checksum: md5 has 32 hexadecimal digits, sha1 40, sha256 64, \
                 sha512 128"
            )),
        }
    }
}

impl ChecksumOption {
    /// Reads the option.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<ChecksumOption, String> {
        if text.eq_ignore_ascii_case("none") {
            return Ok(ChecksumOption::None);
        }
        match text.split_once(':') {
            Some(("file", list)) => Source::parse_any(list).map(ChecksumOption::Listed),
            Some((algorithm, digits)) => {
                Checksum::parse(Some(algorithm), digits.trim()).map(ChecksumOption::Given)
            }
            None => Checksum::parse(None, text.trim()).map(ChecksumOption::Given),
        }
    }

    /// The checksum itself, looked up in the list if it is in one. `urls` are the places the
    /// file comes from: the list may have it under the name it has in any of them.
    pub(super) async fn resolve(
        &self,
        ctx: &RunContext,
        urls: &[&str],
    ) -> Result<Option<Checksum>> {
        match self {
            ChecksumOption::None => Ok(None),
            ChecksumOption::Given(checksum) => Ok(Some(checksum.clone())),
            ChecksumOption::Listed(Source::File(path)) => from_file(path, urls).map(Some),
            ChecksumOption::Listed(Source::Http(url)) => {
                let name = http::shown(url.as_str());
                let text = tokio::select! {
                    () = ctx.cancel.cancelled() => Err(Error::Cancelled),
                    text = tokio::time::timeout(LIST_TIMEOUT, download(&ctx.ui, url)) => {
                        let minutes = LIST_TIMEOUT.as_secs() / 60;
                        text.unwrap_or_else(|_| {
                            Err(Error::new(format!("it takes more than {minutes} minutes")))
                        })
                    }
                };
                let text = text.with_context(|| format!("reading the checksums at {name}"))?;
                find(&text, &name, urls).map(Some)
            }
        }
    }
}

async fn download(ui: &Ui, url: &reqwest::Url) -> Result<String> {
    let request = netrc::authorized(ui, url, http::client()?.get(url.clone()))?;
    let answer = unless_stalled(request.send()).await.context("asking")?;
    if !answer.status().is_success() {
        return Err(Error::new(format!("the server returned {}", answer.status())));
    }
    let is_gzip = http::is_gzip(answer.headers());
    let bytes = http::body_unless_stalled(answer, MAX_LIST, STALL).await;
    let bytes = bytes.context("reading the response")?;
    let bytes = if is_gzip { http::gunzip(bytes, MAX_LIST).await? } else { bytes };
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// The checksum in the list at `path`.
pub(super) fn from_file(path: &Path, urls: &[&str]) -> Result<Checksum> {
    let reading = || format!("reading the checksums in {}", path.display());
    let bytes = read_small(path, "list of checksums", MAX_LIST as u64);
    let bytes = bytes.map_err(|error| error.context(reading()))?;
    find(&String::from_utf8_lossy(&bytes), &path.display().to_string(), urls)
}

/// Finds the line for the file in a list. A line with nothing but a checksum is for any file.
fn find(text: &str, list: &str, urls: &[&str]) -> Result<Checksum> {
    let lines: Vec<(Checksum, &str)> = text.lines().filter_map(parse_line).collect();
    let files: Vec<String> =
        urls.iter().filter_map(|url| Source::parse_any(url).ok()).map(|file| file.path()).collect();
    for path in &files {
        let name = path.rsplit('/').next().unwrap_or(path);
        // By its whole path in the list first: netboot/mini.iso is not hwe-netboot/mini.iso.
        let in_directory = |listed: &str| {
            let listed = listed.trim_start_matches(['.', '/']);
            listed.contains('/')
                && path
                    .strip_suffix(listed)
                    .is_some_and(|before| before.is_empty() || before.ends_with('/'))
        };
        let found = lines
            .iter()
            .find(|(_, listed)| in_directory(listed))
            .or_else(|| lines.iter().find(|(_, listed)| listed.trim_start_matches("./") == name));
        if let Some((checksum, _)) = found {
            return Ok(checksum.clone());
        }
    }
    if let Some((checksum, _)) = lines.iter().find(|(_, listed)| listed.is_empty()) {
        return Ok(checksum.clone());
    }
    let names: Vec<&str> =
        files.iter().map(|path| path.rsplit('/').next().unwrap_or(path)).collect();
    let error = Error::new(format!("{list} has no checksum for {}", names.join(" or ")));
    Err(match lines.is_empty() {
        true => error.hint("it holds no checksums at all"),
        false => {
            let known: Vec<&str> = lines.iter().take(10).map(|(_, name)| *name).collect();
            error.hint(format!("it has checksums for {}", known.join(", ")))
        }
    })
}

/// Reads a line in GNU style (`digits  name`, `digits *name`), in BSD style (`SHA256 (name) =
/// digits`), or with the digits alone. None for anything else, such as a signature around the list.
fn parse_line(line: &str) -> Option<(Checksum, &str)> {
    let line = line.trim();
    if let Some((name, digits)) = line.rsplit_once('=')
        && let Some(name) = name.trim_end().strip_suffix(')')
        && let Some((algorithm, name)) = name.split_once('(')
    {
        let algorithm = algorithm.trim().replace('-', "");
        return Some((Checksum::parse(Some(&algorithm), digits.trim()).ok()?, name));
    }
    let (digits, name) = line.split_once([' ', '\t']).unwrap_or((line, ""));
    // One character before the name tells text from binary.
    let name = name.trim_start();
    let name = name.strip_prefix(['*', '?']).unwrap_or(name);
    Some((Checksum::parse(None, digits).ok()?, name))
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};

    use ingot_sdk::{hash, testing};

    use super::*;

    const MD5: &str = "d41d8cd98f00b204e9800998ecf8427e";
    const SHA1: &str = "da39a3ee5e6b4b0d3255bfef95601890afd80709";

    fn sha256() -> String {
        "e3b0c442".repeat(8)
    }

    #[test]
    fn reads_the_option() {
        let given = |text: &str| match ChecksumOption::parse(text).unwrap() {
            ChecksumOption::Given(checksum) => checksum.to_string(),
            other => panic!("{other:?}"),
        };
        assert_eq!(given(&format!("MD5:{}", MD5.to_uppercase())), format!("md5:{MD5}"));
        assert_eq!(given(SHA1), format!("sha1:{SHA1}"));
        assert_eq!(given(&sha256()), format!("sha256:{}", sha256()));
        assert_eq!(ChecksumOption::parse("none"), Ok(ChecksumOption::None));
        assert!(matches!(
            ChecksumOption::parse("file:https://h/SHA256SUMS"),
            Ok(ChecksumOption::Listed(Source::Http(_)))
        ));
        assert_eq!(
            ChecksumOption::parse("file:file://./local/sums"),
            Ok(ChecksumOption::Listed(Source::File("./local/sums".into())))
        );
        let error = |text: &str| ChecksumOption::parse(text).unwrap_err();
        assert!(error("crc32:0000").contains("crc32"));
        assert!(error("sha256:abc").contains("64 hexadecimal digits"));
        assert!(error("abc").contains("sha1 40"));
        assert!(error("file:s3://b/sums").contains("`s3`"));
    }

    #[test]
    fn finds_the_line() {
        let other = MD5.replace('d', "0");
        let url = ["https://h/pub/netboot/mini.iso"];
        for list in [
            format!("{other}  other.iso\n{MD5}  mini.iso\n"),
            format!("{other} *other.iso\r\n{MD5} *mini.iso\r\n"),
            format!("{other}  hwe-netboot/mini.iso\n{MD5}  ./netboot/mini.iso\n"),
            format!(
                "-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\n# a comment\nMD5 (mini.iso) = {MD5}"
            ),
            format!("MD5(mini.iso)= {MD5}\n"),
            format!("{MD5}\n"),
        ] {
            let found = find(&list, "list", &url);
            assert_eq!(found.unwrap().to_string(), format!("md5:{MD5}"), "{list}");
        }
        let spaced = format!("{other}  my\n{MD5}  my disk.iso\n");
        let equals = format!("{MD5}  a=b.iso");
        assert_eq!(find(&equals, "l", &["a=b.iso"]).unwrap().value(), MD5);
        assert_eq!(find(&spaced, "l", &["./my disk.iso"]).unwrap().value(), MD5);
        let error = find(&format!("{MD5}  other.iso"), "the list", &url).unwrap_err();
        assert_eq!(error.to_string(), "the list has no checksum for mini.iso");
        assert_eq!(error.advice(), Some("it has checksums for other.iso"));
    }

    /// One that responds nothing, and one that ends in the middle of its list.
    #[tokio::test]
    async fn a_server_that_sends_nothing_is_not_waited_for_without_end() {
        // The system takes connections for it, which it never answers.
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/sums", listener.local_addr().unwrap());
        let ctx = testing::context(Default::default(), &Default::default());
        let option = ChecksumOption::parse(&format!("file:{url}")).unwrap();
        let error = option.resolve(&ctx, &["a.iso"]).await.unwrap_err().to_string();
        let expected = format!("reading the checksums at {url}: asking: the server sent nothing");
        assert!(error.starts_with(&expected), "{error}");
        let server = std::thread::spawn(move || {
            // The request before has ended.
            let _ = listener.accept().unwrap();
            let (mut stream, _) = listener.accept().unwrap();
            // A response to what was not asked yet is another error.
            let _ = stream.read(&mut [0; 4096]).unwrap();
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nd41d8c").unwrap();
            stream
        });
        let error = option.resolve(&ctx, &["a.iso"]).await.unwrap_err().to_string();
        let expected = format!(
            "reading the checksums at {url}: reading the response: the server sent nothing"
        );
        assert!(error.starts_with(&expected), "{error}");
        drop(server.join().unwrap());
    }

    #[test]
    fn every_algorithm_can_be_computed() {
        assert!(ALGORITHMS.iter().all(|(name, _)| hash::hasher(name).is_some()));
    }
}
