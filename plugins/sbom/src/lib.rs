//! Software bills of materials (SBOMs): what packages are in an image.
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
pub mod packages;
pub mod provisioner;
pub mod scan;
pub mod scanner_args;
mod spdx;

use ingot_sdk::{PluginSet, SbomFormat};

pub use document::format_of;
pub use packages::Inventory;

/// What the documents say made them.
const TOOL: (&str, &str) = ("ingot", env!("CARGO_PKG_VERSION"));

/// Adds this crate's plugins.
pub fn register(set: &mut PluginSet) {
    set.add_provisioner(provisioner::HcpSbomProvisioner);
}

/// Writes an inventory as a document. `name` says what it is an inventory of where its operating
/// system does not.
pub fn write(inventory: &Inventory, format: SbomFormat, name: &str) -> Vec<u8> {
    let now = time::OffsetDateTime::now_utc();
    let document = match format {
        SbomFormat::CycloneDx => {
            serde_json::to_vec_pretty(&cyclonedx::document(inventory, name, now))
        }
        SbomFormat::Spdx => serde_json::to_vec_pretty(&spdx::document(inventory, name, now)),
    };
    // Strings, lists and objects with text keys are always JSON.
    document.unwrap_or_default()
}

/// A time as both formats write it: in UTC, to the second.
fn timestamp(time: time::OffsetDateTime) -> String {
    let time = time.to_offset(time::UtcOffset::UTC);
    let (year, month, day) = time.to_calendar_date();
    let (hour, minute, second) = time.to_hms();
    format!("{year:04}-{:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z", u8::from(month))
}
