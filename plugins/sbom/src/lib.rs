//! Software bills of materials (SBOMs): what packages are in an image.
//!
//! Knows file systems and packages; knows nothing of builders, of registries or of signatures.
//!
//! | module | what it is |
//! | --- | --- |
//! | [`provisioner`] | `provisioner "hcp-sbom"` |
//! | [`collector`] | the script that prints a machine's package databases, and what it printed |
//! | [`packages`] | the packages in those databases, one file per package manager |
//! | [`cyclonedx`], [`spdx`] | the documents that list them |
//! | [`document`] | which format a document is in, and whether it is one at all |
//! | [`scan`] | the packages below a directory of this machine |
//!
//! Nothing is installed on the machine whose packages are read: its own `sh`, `find` and `awk` or
//! `sed` do.

pub mod collector;
mod cyclonedx;
pub mod document;
mod json;
pub mod packages;
pub mod provisioner;
pub mod scan;
pub mod scanner_args;
mod spdx;

use globset::GlobSet;
use ingot_sdk::{Context, Error, PluginSet, Result, SbomFormat};

pub use document::format_of;
pub use packages::Inventory;

/// The largest document that registries take, in bytes.
pub const LARGEST_DOCUMENT: usize = 32 << 20;

/// What the documents say made them.
const TOOL: (&str, &str) = ("ingot", env!("CARGO_PKG_VERSION"));

/// Adds this crate's plugins.
pub fn register(set: &mut PluginSet) {
    set.add_provisioner(provisioner::HcpSbomProvisioner);
}

/// Reads what the collector printed, or gives it back where it is the output of something else.
///
/// # Errors
/// Never but for a bug.
pub async fn read(output: Vec<u8>, exclude: GlobSet) -> Result<Result<Inventory, Vec<u8>>> {
    let read = move || Inventory::of(&output, &exclude).ok_or(output);
    tokio::task::spawn_blocking(read).await.context("reading the packages")
}

/// Writes an inventory as a document of no more than `most` bytes. `name` says what it is an inventory
/// of where its operating system does not.
///
/// # Errors
/// It would be larger.
pub async fn write(
    inventory: Inventory,
    format: SbomFormat,
    name: &str,
    most: usize,
) -> Result<Vec<u8>> {
    let name = name.to_owned();
    let write = move || {
        let now = time::OffsetDateTime::now_utc();
        let mut document = Bounded { bytes: Vec::new(), most };
        let written = match format {
            SbomFormat::CycloneDx => {
                let contents = cyclonedx::document(&inventory, &name, now);
                serde_json::to_writer_pretty(&mut document, &contents)
            }
            SbomFormat::Spdx => {
                let contents = spdx::document(&inventory, &name, now);
                serde_json::to_writer_pretty(&mut document, &contents)
            }
        };
        // Strings, lists and objects with text keys are always JSON: nothing else can fail.
        written.map(|()| document.bytes).map_err(|_| {
            Error::new(format!("the SBOM has more than {} MiB", most >> 20))
                .hint("leave paths out of it, or look in a smaller directory")
        })
    };
    tokio::task::spawn_blocking(write).await.context("writing the SBOM")?
}

/// Keeps what is written, up to a limit.
struct Bounded {
    bytes: Vec<u8>,
    most: usize,
}

impl Bounded {
    fn keep(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        if self.bytes.len() + bytes.len() > self.most {
            let most = self.most;
            return Err(std::io::Error::other(format!("it has more than {most} bytes")));
        }
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }
}

impl std::io::Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.keep(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// A time as both formats write it: in UTC, to the second.
fn timestamp(time: time::OffsetDateTime) -> String {
    let time = time.to_offset(time::UtcOffset::UTC);
    let (year, month, day) = time.to_calendar_date();
    let (hour, minute, second) = time.to_hms();
    format!("{year:04}-{:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z", u8::from(month))
}
