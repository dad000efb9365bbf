//! Software bills of materials of what builds make.

/// The format of a bill of materials, in JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SbomFormat {
    /// OWASP CycloneDX.
    CycloneDx,
    /// SPDX of the Linux Foundation.
    Spdx,
}

impl SbomFormat {
    /// What people call it.
    pub fn name(self) -> &'static str {
        match self {
            SbomFormat::CycloneDx => "CycloneDX",
            SbomFormat::Spdx => "SPDX",
        }
    }
}

/// A bill of materials that was checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sbom {
    /// What the registry shall call it; it finds a name itself where this is none.
    pub name: Option<String>,
    /// Its format.
    pub format: SbomFormat,
    /// The document.
    pub document: bytes::Bytes,
}

impl Sbom {
    /// How large a document may be, in bytes: what registries take.
    pub const LARGEST: u64 = 32 << 20;
}
