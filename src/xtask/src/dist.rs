//! What is published of a release: archive, packages, checksums, SBOM, provenance and container
//! images. All of it is made of the program that `cargo xtask release` compiled, by that program where it
//! can: its manual pages, completions, SBOM and provenance.
//!
//! `CARGO_BUILD_TARGET` is the target triple, as Cargo reads it; the machine's own if it is not set.

use std::env;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// What the files of a release are named by.
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Files that stand beside the program in its archive.
const DOCUMENTS: [&str; 3] = ["README.md", "CHANGELOG.md", "LICENSE"];

type Result<T> = std::result::Result<T, String>;

/// Where Cargo and this module put what they make.
struct Paths {
    /// The target triple.
    triple: String,
    /// The directory `target`.
    target: PathBuf,
}

impl Paths {
    fn find() -> Result<Paths> {
        let triple = match env::var("CARGO_BUILD_TARGET") {
            Ok(triple) if !triple.is_empty() => triple,
            _ => host()?,
        };
        let target = env::var_os("CARGO_TARGET_DIR").map_or_else(|| "target".into(), PathBuf::from);
        Ok(Paths { triple, target })
    }

    /// Whether the program is linked statically.
    fn is_static(&self) -> bool {
        self.triple.ends_with("-musl")
    }

    /// The compiled program, or the one that `INGOT_PROGRAM` names: what is packed for one machine
    /// is attested on another.
    fn program(&self) -> Result<PathBuf> {
        if let Some(program) = env::var_os("INGOT_PROGRAM") {
            return Ok(program.into());
        }
        let directory = match env::var_os("CARGO_BUILD_TARGET") {
            Some(_) => self.target.join(&self.triple),
            None => self.target.clone(),
        };
        let program = directory.join("release").join("ingot");
        match program.exists() {
            true => Ok(program),
            false => Err(format!("{} is missing: run cargo xtask release", program.display())),
        }
    }

    /// The directory of what goes into all packages.
    fn dist(&self) -> PathBuf {
        self.target.join("dist")
    }

    /// The directory of what is published for this target.
    fn release(&self) -> PathBuf {
        self.dist().join(&self.triple)
    }

    /// A file that is published: `ingot-0.1.0-x86_64-unknown-linux-gnu.tar.gz`.
    fn published(&self, ending: &str) -> PathBuf {
        self.release().join(format!("ingot-{VERSION}-{}{ending}", self.triple))
    }
}

/// The triple of this machine.
fn host() -> Result<String> {
    let text = output_of("rustc", ["-vV"])?;
    let line = text.lines().find_map(|line| line.strip_prefix("host: "));
    line.map(str::to_owned).ok_or_else(|| "rustc -vV names no host".to_owned())
}

/// Writes the manual pages and completions to `target/dist`.
pub(crate) fn pages() -> Result<()> {
    let paths = Paths::find()?;
    let (program, dist) = (paths.program()?, paths.dist());
    // Pages of commands that are gone must not stay.
    let man = dist.join("man");
    remove(&man)?;
    run(&program, [OsStr::new("man-pages"), man.as_os_str()])?;
    let completions = dist.join("completions");
    create(&completions)?;
    for (shell, file) in [("bash", "ingot.bash"), ("zsh", "_ingot"), ("fish", "ingot.fish")] {
        write(&completions.join(file), &output_of(&program, ["completions", shell])?)?;
    }
    Ok(())
}

/// Packs the program, its pages and completions: an archive, and, but for a static program, which
/// would have the same names, a .deb and a .rpm.
pub(crate) fn packages() -> Result<()> {
    pages()?;
    let paths = Paths::find()?;
    // What an older version left must not be published.
    remove(&paths.release())?;
    create(&paths.release())?;
    archive(&paths)?;
    if paths.is_static() {
        return Ok(());
    }
    // Both take the version and what belongs in from Cargo.toml.
    let mut options = vec!["--output".into(), paths.release().into_os_string()];
    if let Some(triple) = env::var_os("CARGO_BUILD_TARGET") {
        options.extend(["--target".into(), triple]);
    }
    let deb = ["deb", "--no-build", "--no-strip"].map(OsString::from);
    run("cargo", deb.iter().chain(&options))?;
    run("cargo", [OsString::from("generate-rpm")].iter().chain(&options))
}

/// The archive: a directory with the program, its documents, `man` and `completions`. The same
/// program gives the same bytes.
fn archive(paths: &Paths) -> Result<()> {
    let archive = paths.published(".tar.gz");
    let name = format!("ingot-{VERSION}-{}", paths.triple);
    let directory = paths.target.join("archive").join(&name);
    remove(&directory)?;
    create(&directory)?;
    copy(&paths.program()?, &directory.join("ingot"))?;
    for document in DOCUMENTS {
        copy(Path::new(document), &directory.join(document))?;
    }
    for pages in ["man", "completions"] {
        create(&directory.join(pages))?;
        for file in files(&paths.dist().join(pages))? {
            let Some(name) = file.file_name() else { continue };
            copy(&file, &directory.join(pages).join(name))?;
        }
    }
    // The time of the commit, as reproducible builds have it.
    let time = output_of("git", ["log", "-1", "--format=%ct"])?;
    let mtime = format!("--mtime=@{}", time.trim());
    let root = paths.target.join("archive");
    let plain = archive.with_extension("");
    let arguments = ["--sort=name", "--owner=0", "--group=0", "--numeric-owner", &mtime, "-C"];
    let arguments = arguments.iter().map(OsStr::new).chain([
        root.as_os_str(),
        OsStr::new("-cf"),
        plain.as_os_str(),
        OsStr::new(&name),
    ]);
    run("tar", arguments)?;
    run("gzip", ["-9nf".as_ref(), plain.as_os_str()])
}

/// Writes the SBOM of what the program is compiled of: the crates in Cargo.lock, alone in a
/// directory, so that nothing else of the source is taken for a part of it.
pub(crate) fn sbom() -> Result<()> {
    let paths = Paths::find()?;
    create(&paths.release())?;
    let directory = paths.target.join("sbom");
    create(&directory)?;
    copy(Path::new("Cargo.lock"), &directory.join("Cargo.lock"))?;
    let arguments = ["sbom-generate".as_ref(), directory.as_os_str()];
    write(&paths.published(".cdx.json"), &output_of(&paths.program()?, arguments)?)
}

/// Attests what is published: SLSA provenance in an in-toto statement, signed with the PEM
/// key in the file that `INGOT_RELEASE_KEY` names, unsigned where it is not set.
pub(crate) fn provenance() -> Result<()> {
    let paths = Paths::find()?;
    let subjects = subjects(&paths)?;
    let list: Vec<String> =
        subjects.iter().map(|path| format!("{:?}", path.to_string_lossy())).collect();
    let attested = format!("files=[{}]", list.join(", "));
    let key = format!("key={}", env::var("INGOT_RELEASE_KEY").unwrap_or_default());
    let template = ".ci/release/provenance.pkr.hcl";
    let work = paths.target.join("attestation");
    create(&work)?;
    let output = format!("output={}", work.display());
    run(&paths.program()?, ["build", "-var", &attested, "-var", &key, "-var", &output, template])?;
    // It is named after its first subject; it is of all of them.
    for statement in files(&work)? {
        copy(&statement, &paths.published(".provenance.json"))?;
        fs::remove_file(&statement).map_err(|error| file_error(&statement, &error))?;
    }
    Ok(())
}

/// Writes `SHA256SUMS`, which `sha256sum -c` checks.
pub(crate) fn checksums() -> Result<()> {
    let paths = Paths::find()?;
    let names: Vec<_> = files(&paths.release())?
        .iter()
        .filter_map(|path| path.file_name().map(|name| name.to_string_lossy().into_owned()))
        .filter(|name| name != "SHA256SUMS")
        .collect();
    let mut command = Command::new("sha256sum");
    command.args(&names).current_dir(paths.release());
    let text = output(&mut command)?;
    write(&paths.release().join("SHA256SUMS"), &text)
}

/// Builds the container images with the Docker Engine: `ingot:VERSION` on a debian base, and, where
/// the program is linked statically, `ingot:VERSION-static` on nothing at all.
pub(crate) fn images() -> Result<()> {
    let paths = Paths::find()?;
    let context = paths.target.join("images");
    create(&context)?;
    copy(&paths.program()?, &context.join("ingot"))?;
    copy(Path::new("/etc/ssl/certs/ca-certificates.crt"), &context.join("ca-certificates.crt"))?;
    let (file, tag) = match paths.is_static() {
        true => ("scratch.Dockerfile", format!("ingot:{VERSION}-static")),
        false => ("debian.Dockerfile", format!("ingot:{VERSION}")),
    };
    let file = Path::new(".ci/release").join(file);
    let base = env::var("INGOT_BASE_IMAGE").unwrap_or_else(|_| "debian:12-slim".to_owned());
    let base = format!("BASE={base}");
    let arguments = ["build", "--build-arg", &base, "--build-arg"];
    let version = format!("VERSION={VERSION}");
    let arguments = arguments.iter().map(OsStr::new).chain([
        OsStr::new(&version),
        OsStr::new("-t"),
        OsStr::new(&tag),
        OsStr::new("-f"),
        file.as_os_str(),
        context.as_os_str(),
    ]);
    run("docker", arguments)
}

/// What the provenance names: all that is published but itself and the checksums.
fn subjects(paths: &Paths) -> Result<Vec<PathBuf>> {
    let own = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        name != "SHA256SUMS" && !name.ends_with(".provenance.json")
    };
    Ok(files(&paths.release())?.into_iter().filter(own).collect())
}

/// The files of a directory, by their names.
fn files(directory: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).map_err(|error| file_error(directory, &error))? {
        let path = entry.map_err(|error| file_error(directory, &error))?.path();
        if path.is_file() {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

fn file_error(path: &Path, error: &std::io::Error) -> String {
    format!("{}: {error}", path.display())
}

/// Removes a directory with what is in it, if it is there.
fn remove(directory: &Path) -> Result<()> {
    match directory.exists() {
        true => fs::remove_dir_all(directory).map_err(|error| file_error(directory, &error)),
        false => Ok(()),
    }
}

fn create(directory: &Path) -> Result<()> {
    fs::create_dir_all(directory).map_err(|error| file_error(directory, &error))
}

fn write(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).map_err(|error| file_error(path, &error))
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::copy(from, to)
        .map(|_| ())
        .map_err(|error| format!("{} to {}: {error}", from.display(), to.display()))
}

/// Runs a command; fails where it does.
fn run<A: AsRef<OsStr>>(
    program: impl AsRef<OsStr>,
    arguments: impl IntoIterator<Item = A>,
) -> Result<()> {
    let mut command = Command::new(&program);
    command.args(arguments);
    eprintln!("> {command:?}");
    let name = program.as_ref().to_string_lossy().into_owned();
    match command.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("{name} failed: {status}")),
        Err(error) => Err(format!("{name} cannot be run: {error}")),
    }
}

/// What a command prints; fails where it does.
fn output_of<A: AsRef<OsStr>>(
    program: impl AsRef<OsStr>,
    arguments: impl IntoIterator<Item = A>,
) -> Result<String> {
    output(Command::new(program).args(arguments))
}

fn output(command: &mut Command) -> Result<String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command.stderr(Stdio::inherit()).output();
    let output = output.map_err(|error| format!("{name} cannot be run: {error}"))?;
    match output.status.success() {
        true => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
        false => Err(format!("{name} failed: {}", output.status)),
    }
}
