//! Software bills of materials (SBOMs): what is in the images of a build.

use super::{enumeration, message};

enumeration! {
    /// The format of an SBOM, which is JSON.
    SbomFormat {
        /// Not told.
        #[default]
        Unset = "SBOM_FORMAT_UNSET",
        /// CycloneDX.
        CycloneDx = "CYCLONEDX",
        /// SPDX.
        Spdx = "SPDX",
    }
}

message! {
    /// An SBOM, without its document.
    #[derive(Eq)]
    Sbom {
        /// A ULID.
        id: String,
        /// Its name; unique in its build.
        name: String,
        /// Its format.
        format: SbomFormat,
    }
}

message! {
    /// Uploads an SBOM of a build. One of the same name is replaced until the build is done.
    UploadSbomBody {
        /// The document, compressed by zstd, in base64.
        compressed_sbom: String,
        /// Its format.
        format: SbomFormat,
        /// Its name: 3 to 36 letters, digits, `-` and `_`. Empty: the version's fingerprint.
        name: String,
    }
}

message! {
    /// What was uploaded.
    UploadSbomResponse {
        /// It.
        sbom: Option<Sbom>,
    }
}

message! {
    /// The SBOMs of a build.
    ListSbomsResponse {
        /// All of them, in the order in which they were uploaded.
        sboms: Vec<Sbom>,
    }
}

message! {
    /// Where an SBOM can be had.
    GetSbomResponse {
        /// A URL that is good for some minutes and needs no token.
        download_url: String,
    }
}
