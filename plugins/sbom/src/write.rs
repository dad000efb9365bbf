//! Writing documents.

use ingot_sdk::{Context, Error, Result, SbomFormat};

use crate::packages::Inventory;
use crate::{cyclonedx, spdx};

/// The largest document that registries take, in bytes.
pub const LARGEST_DOCUMENT: usize = 32 << 20;

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
pub(crate) struct Bounded {
    pub(crate) bytes: Vec<u8>,
    pub(crate) most: usize,
}

impl Bounded {
    pub(crate) fn keep(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
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
