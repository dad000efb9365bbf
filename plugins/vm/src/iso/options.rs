//! The options, checked and carried out.

use std::path::{Path, PathBuf};

use ingot_sdk::file_lock::FileLock;
use ingot_sdk::file_work::with_suffix;
use ingot_sdk::hash::{hasher, hex};
use ingot_sdk::{
    ConfigError, ConfigErrors, ConfigWarning, Context, Error, Prepared, Result, RunContext,
    file_work, hash,
};
use schemars::JsonSchema;
use serde::Deserialize;

use super::checksum::{Checksum, ChecksumOption};
use super::source::Source;
use super::{checksum, download, source};
use crate::cache;

/// The options, to be flattened into a builder's own.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
pub struct IsoOptions {
    /// The checksum of the file: `sha256:…` (or md5, sha1, sha512), the bare hexadecimal
    /// digits, `file:` with the path or URL of a list of checksums, or `none`.
    pub iso_checksum: Option<String>,
    /// Where the file is: an http or https URL, or a file on this machine. A file that ends in
    /// `.gz`, `.bz2`, `.xz` or `.zip` (with a single file) is unpacked, unless its URL has
    /// `?archive=false`; `iso_checksum` is that of the packed file.
    pub iso_url: Option<String>,
    /// Several places that have the same file, tried in this order. Not with `iso_url`.
    #[serde(default)]
    pub iso_urls: Vec<String>,
    /// Where to keep the download instead of the cache. A path without an extension is a directory.
    pub iso_target_path: Option<String>,
    /// The extension of the download in the cache: `iso`.
    pub iso_target_extension: Option<String>,
}

/// A file that is on this machine and has the right checksum.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retrieved {
    /// Where it is.
    pub path: PathBuf,
    /// The one of the URLs that it is from, as the template writes it.
    pub url: String,
    /// Its checksum, or that of the packed file it comes from; none where the template says
    /// `none`.
    pub checksum: Option<Checksum>,
}

impl IsoOptions {
    /// `iso_url` or `iso_urls`, whichever is set.
    pub fn urls(&self) -> Vec<&str> {
        match self.iso_url.as_deref() {
            Some(url) if !url.is_empty() => vec![url],
            _ => self.iso_urls.iter().map(String::as_str).collect(),
        }
    }

    /// Whether one of the files is packed, so that it has to be here to be read.
    pub fn is_packed(&self) -> bool {
        let packed = |url: &&str| Source::parse(url).is_ok_and(|file| file.packing().is_some());
        self.urls().iter().any(packed)
    }

    /// Judges the options, without the network. A list of checksums on this machine is read.
    pub fn prepare(&self, prepared: &mut Prepared, errors: &mut ConfigErrors) {
        let urls = self.urls();
        let single = self.iso_url.as_deref().is_some_and(|url| !url.is_empty());
        if single && !self.iso_urls.is_empty() {
            errors.push(
                ConfigError::on("iso_urls", "`iso_url` and `iso_urls` cannot be used together")
                    .hint("put all URLs into `iso_urls`"),
            );
        }
        if urls.is_empty() {
            let error = ConfigError::new("one of `iso_url` and `iso_urls` must be set");
            errors.push(error.related(["iso_url", "iso_urls"]));
            return;
        }
        let option = if single { "iso_url" } else { "iso_urls" };
        for url in &urls {
            let checked = Source::parse(url).and_then(|source| match source.checksum() {
                Some(text) => ChecksumOption::parse(&text).map(drop),
                None => Ok(()),
            });
            if let Err(why) = checked {
                errors.push(ConfigError::on(option, why));
            }
        }
        let Some(text) = self.iso_checksum.as_deref().filter(|text| !text.is_empty()) else {
            let error = ConfigError::new("`iso_checksum` must be set").hint(
                "write iso_checksum = \"sha256:…\", \"file:URL_OF_A_LIST\" or, to go without, \
                 \"none\"",
            );
            errors.push(error.related(["iso_checksum", "iso_skip_cache"]));
            return;
        };
        match ChecksumOption::parse(text) {
            Err(why) => errors.push(ConfigError::on("iso_checksum", why)),
            Ok(ChecksumOption::None) => prepared.warnings.push(ConfigWarning::on(
                "iso_checksum",
                "iso_checksum is `none`: a download that was cut short or changed is not noticed",
            )),
            Ok(ChecksumOption::Listed(Source::File(list))) => {
                if let Err(error) = checksum::from_file(&list, &urls) {
                    let error = ConfigError::on("iso_checksum", error.to_string());
                    errors.push(error.related(["iso_url", "iso_urls"]));
                }
            }
            Ok(_) => {}
        }
    }

    /// Brings the file here. `what` says what it is, such as `ISO`. Builds that want the same
    /// file at the same time, in whatever process, download it once.
    ///
    /// # Errors
    /// Why none of the URLs would do; or the build was cancelled.
    pub async fn retrieve(&self, ctx: &RunContext, what: &str) -> Result<Retrieved> {
        ctx.ui.say(format!("Retrieving {what}"));
        let urls = self.urls();
        let option = ChecksumOption::parse(self.iso_checksum.as_deref().unwrap_or("none"))
            .map_err(|why| Error::new(why).context("iso_checksum"))?;
        let checksum = option.resolve(ctx, &urls).await?;
        let mut reasons = Vec::new();
        for &url in &urls {
            ctx.ui.say(format!("Trying {}", source::shown(url)));
            match self.retrieve_from(ctx, what, checksum.clone(), url).await {
                Ok(found) => {
                    ctx.ui.say(format!("{} => {}", source::shown(url), found.path.display()));
                    return Ok(found);
                }
                Err(error) if error.is_cancelled() => return Err(error),
                Err(error) => {
                    if urls.len() > 1 {
                        ctx.ui.error(error.to_string());
                    }
                    reasons.push(error);
                }
            }
        }
        match reasons.len() {
            0 => Err(Error::new("one of `iso_url` and `iso_urls` must be set")),
            1 => Err(reasons.remove(0).context(format_args!("retrieving the {what}"))),
            _ => {
                let reasons: Vec<String> = reasons.iter().map(|why| format!("- {why}")).collect();
                Err(Error::new(format!(
                    "retrieving the {what}: none of its URLs worked:\n{}",
                    reasons.join("\n")
                )))
            }
        }
    }

    async fn retrieve_from(
        &self,
        ctx: &RunContext,
        what: &str,
        mut checksum: Option<Checksum>,
        url: &str,
    ) -> Result<Retrieved> {
        let source = Source::parse(url).map_err(Error::new)?;
        if let Some(text) = source.checksum() {
            let option = ChecksumOption::parse(&text).map_err(Error::new)?;
            checksum = option.resolve(ctx, &[url]).await?;
        }
        let packing = source.packing();
        // Held until the file is unpacked: another build may download it again.
        let _lock;
        let path = match source {
            Source::File(path) => {
                check_file(ctx, &path, checksum.as_ref()).await?;
                std::path::absolute(&path)
                    .with_context(|| format!("finding out where {} is", path.display()))?
            }
            Source::Http(parsed) => {
                let mut target = self.target(checksum.as_ref(), url)?;
                if let Some(packing) = packing {
                    target = with_suffix(&target, &format!(".{}", packing.ending()));
                }
                // Beside the file, as Packer's.
                let lock_path = with_suffix(&target, ".lock");
                _lock = FileLock::take(&ctx.cancel, &lock_path, || {
                    ctx.ui
                        .say(format!("Waiting for another build that is downloading this {what}"));
                })
                .await?;
                let checksum = checksum.as_ref();
                download::Download { url: parsed, checksum, target: &target }.run(ctx).await?;
                target
            }
        };
        let path = match packing {
            None => path,
            Some(packing) => {
                let target = self.target(checksum.as_ref(), url)?;
                packing.unpack(ctx, &path, &target).await?;
                target
            }
        };
        Ok(Retrieved { path, url: url.to_owned(), checksum })
    }

    /// Where the download from `url` belongs.
    pub(super) fn target(&self, checksum: Option<&Checksum>, url: &str) -> Result<PathBuf> {
        let key = checksum.map_or_else(|| url.to_owned(), Checksum::to_string);
        let name = sha1(&key);
        let extension = match self.iso_target_extension.as_deref() {
            Some(extension) if !extension.is_empty() => extension.to_lowercase(),
            _ => "iso".to_owned(),
        };
        let name = format!("{name}.{extension}");
        let Some(path) = self.iso_target_path.as_deref().filter(|path| !path.is_empty()) else {
            return cache::path(&[&name]);
        };
        let path = Path::new(path);
        let path = if path.extension().is_none() { path.join(name) } else { path.to_owned() };
        let path = std::path::absolute(&path)
            .with_context(|| format!("finding out where {} is", path.display()))?;
        if let Some(directory) = path.parent() {
            std::fs::create_dir_all(directory)
                .with_context(|| format!("creating the directory {}", directory.display()))?;
        }
        Ok(path)
    }
}

/// Checks that a file of this machine is there and the right one.
async fn check_file(ctx: &RunContext, path: &Path, checksum: Option<&Checksum>) -> Result<()> {
    let found = tokio::fs::metadata(path).await.map_err(|error| {
        Error::new(format!("reading {}: {error}", path.display()))
            .hint("a URL begins with http:// or https://; other paths are files of this machine")
    })?;
    if found.is_dir() {
        return Err(Error::new(format!("{} is a directory, not a file", path.display())));
    }
    let Some(checksum) = checksum else { return Ok(()) };
    match checksum.differs(ctx, path).await? {
        None => Ok(()),
        Some(actual) => Err(Error::new(format!(
            "the {} checksum of {} is {actual}, not {}",
            checksum.algorithm(),
            path.display(),
            checksum.value()
        ))
        .hint("check `iso_checksum`; if it is right, the file is damaged")),
    }
}

/// The SHA-1 of a text, in hexadecimal.
pub(super) fn sha1(text: &str) -> String {
    let mut hasher = hasher("sha1").expect("SHA-1 is known");
    hasher.update(text.as_bytes());
    hex(&hasher.finalize())
}

impl Checksum {
    /// What the checksum of the file `path` is instead, if it is another.
    pub(super) async fn differs(&self, ctx: &RunContext, path: &Path) -> Result<Option<String>> {
        let (path, algorithm, job_ctx) = (path.to_owned(), self.algorithm(), ctx.clone());
        let actual = file_work::blocking(ctx, move |stop| {
            let files = [path];
            let mut reader = file_work::Reader::new(&job_ctx, "Verifying the checksum", &files);
            Ok(hash::sums_of(&mut reader, stop, &files[0], &[algorithm])?.remove(0))
        })
        .await?;
        Ok((actual != self.value()).then_some(actual))
    }
}
