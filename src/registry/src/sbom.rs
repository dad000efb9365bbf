//! Documents of SBOMs: how they are compressed on the wire and in the database, and whether one is of
//! its format.

use std::fmt;
use std::io::{BufReader, Read};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ruzstd::decoding::StreamingDecoder;
use ruzstd::encoding::{CompressionLevel, compress_to_vec};
use serde::de::{IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

use crate::api::limits::{COMPRESSED_SBOM, SBOM};
use crate::api::{Code, Error, Result, SbomFormat};

/// How all of zstd's frames begin.
const MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

/// The largest window that is decompressed, in bytes. Level 19 takes 8 MiB; what is one segment takes
/// as much as the document has.
const LARGEST_WINDOW: u64 = 32 << 20;

/// A compressed document in base64, as the API and the database have it.
///
/// # Errors
/// It is too large.
pub async fn pack(document: Vec<u8>) -> Result<String> {
    if document.len() as u64 > SBOM {
        return Err(too_large());
    }
    in_background(move || {
        let compressed = compress_to_vec(document.as_slice(), CompressionLevel::Fastest);
        match compressed.len() > COMPRESSED_SBOM {
            true => Err(too_large_compressed()),
            false => Ok(STANDARD.encode(compressed)),
        }
    })
    .await
}

/// The document of what [`pack`] made. `turn` is what allows it to take memory: it is held until all is
/// done, also where nobody waits for that any more.
///
/// # Errors
/// It is not that, or too large.
pub async fn unpack(packed: String, turn: impl Send + 'static) -> Result<Vec<u8>> {
    in_background(move || {
        let _turn = turn;
        decompress(&decode(&packed)?)
    })
    .await
}

/// What was downloaded, decompressed if it is compressed.
///
/// # Errors
/// It cannot be decompressed, or is too large.
pub(crate) async fn unpack_download(downloaded: Vec<u8>) -> Result<Vec<u8>> {
    match downloaded.starts_with(&MAGIC) {
        true => in_background(move || decompress(&downloaded)).await,
        false => Ok(downloaded),
    }
}

/// Checks a packed document: that it can be read, within bounds, and is of its format. How large it
/// is compressed and how large as it is, in bytes; and it, with the `turn` that allows it to take
/// memory, see [`unpack`]. The document is never in memory as a whole.
///
/// # Errors
/// What is wrong with it.
pub(crate) async fn check<T: Send + 'static>(
    packed: String,
    format: SbomFormat,
    turn: T,
) -> Result<Checked<T>> {
    in_background(move || {
        let compressed = decode(&packed)?;
        let mut left = decoder(&compressed)?.take(SBOM + 1);
        let head: Result<Head, _> = serde_json::from_reader(BufReader::new(&mut left));
        let size = SBOM + 1 - left.limit();
        if size > SBOM {
            return Err(too_large());
        }
        let head = head.map_err(|error| match error.is_io() {
            true => not_zstd(),
            false => Error::invalid(format!("the SBOM is not JSON: {error}")),
        })?;
        head.check(format)?;
        let compressed_size = compressed.len() as i64;
        Ok(Checked { packed, compressed_size, size: size as i64, turn })
    })
    .await
}

/// A packed document that is what it should be.
#[derive(Debug)]
pub(crate) struct Checked<T> {
    pub packed: String,
    /// How large it is compressed, in bytes.
    pub compressed_size: i64,
    /// How large it is, in bytes.
    pub size: i64,
    /// What allows it to be in memory.
    pub turn: T,
}

/// What tells a format from others.
#[derive(Deserialize)]
struct Head {
    #[serde(default, rename = "bomFormat")]
    cyclone_dx: Option<String>,
    #[serde(default, rename = "spdxVersion")]
    spdx: Option<String>,
    /// SPDX 3, which is JSON-LD.
    #[serde(default, rename = "@context")]
    context: Context,
}

/// Whether a context of JSON-LD is SPDX's: a text, or a list of them. It is looked through and not
/// kept, as it may be as large as the document.
#[derive(Default)]
struct Context(bool);

impl<'de> Deserialize<'de> for Context {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        deserializer.deserialize_any(ContextVisitor)
    }
}

struct ContextVisitor;

impl<'de> Visitor<'de> for ContextVisitor {
    type Value = Context;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a context of JSON-LD")
    }

    fn visit_str<E>(self, text: &str) -> std::result::Result<Context, E> {
        Ok(Context(text.contains("spdx.org")))
    }

    fn visit_bool<E>(self, _: bool) -> std::result::Result<Context, E> {
        Ok(Context(false))
    }

    fn visit_i64<E>(self, _: i64) -> std::result::Result<Context, E> {
        Ok(Context(false))
    }

    fn visit_u64<E>(self, _: u64) -> std::result::Result<Context, E> {
        Ok(Context(false))
    }

    fn visit_f64<E>(self, _: f64) -> std::result::Result<Context, E> {
        Ok(Context(false))
    }

    fn visit_unit<E>(self) -> std::result::Result<Context, E> {
        Ok(Context(false))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> std::result::Result<Context, A::Error> {
        let mut found = false;
        while let Some(Context(item)) = items.next_element()? {
            found |= item;
        }
        Ok(Context(found))
    }

    fn visit_map<A: MapAccess<'de>>(
        self,
        mut entries: A,
    ) -> std::result::Result<Context, A::Error> {
        while entries.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Context(false))
    }
}

impl Head {
    fn check(&self, format: SbomFormat) -> Result<()> {
        let found = match self {
            Head { cyclone_dx: Some(name), .. } if name == "CycloneDX" => SbomFormat::CycloneDx,
            Head { spdx: Some(version), .. } if version.starts_with("SPDX-") => SbomFormat::Spdx,
            _ if self.context.0 => SbomFormat::Spdx,
            _ => SbomFormat::Unset,
        };
        match (format, found) {
            (SbomFormat::Unset, _) => {
                Err(Error::invalid("an SBOM's format must be CYCLONEDX or SPDX"))
            }
            (_, SbomFormat::Unset) => Err(Error::invalid(
                "the SBOM is neither CycloneDX (a `bomFormat`) nor SPDX (a `spdxVersion`) in JSON",
            )),
            (reported, found) if reported != found => {
                Err(Error::invalid(format!("the SBOM is declared as {reported}, but is {found}")))
            }
            _ => Ok(()),
        }
    }
}

fn decode(packed: &str) -> Result<Vec<u8>> {
    // Four letters are three bytes.
    if packed.len() / 4 > COMPRESSED_SBOM / 3 + 1 {
        return Err(too_large_compressed());
    }
    let decoded = STANDARD.decode(packed);
    let decoded = decoded.map_err(|_| Error::invalid("compressed_sbom is not base64"))?;
    match decoded.is_empty() {
        true => Err(Error::invalid("compressed_sbom must hold an SBOM")),
        false => Ok(decoded),
    }
}

fn decoder(compressed: &[u8]) -> Result<impl Read + use<'_>> {
    // It gives nothing before a whole window is in memory, and has no bound of its own.
    if window(compressed).ok_or_else(not_zstd)? > LARGEST_WINDOW {
        let most = LARGEST_WINDOW >> 20;
        return Err(Error::invalid(format!(
            "the SBOM is compressed with a window of more than {most} MiB; compress it with an \
             ordinary level, and without --long"
        )));
    }
    StreamingDecoder::new(compressed).map_err(|_| not_zstd())
}

/// How much of what it has decompressed a decoder has to keep for a frame, in bytes: RFC 8878, section
/// 3.1.1.1.
fn window(frame: &[u8]) -> Option<u64> {
    let (descriptor, rest) = frame.strip_prefix(&MAGIC)?.split_first()?;
    if descriptor & 0x20 == 0 {
        let window = rest.first()?;
        let base = 1u64 << (10 + (window >> 3));
        return Some(base + base / 8 * u64::from(window & 7));
    }
    // It is one segment: all of it.
    let dictionary = [0, 1, 2, 4][usize::from(descriptor & 3)];
    let (length, add) = [(1, 0), (2, 256), (4, 0), (8, 0)][usize::from(descriptor >> 6)];
    let mut size = [0; 8];
    size[..length].copy_from_slice(rest.get(dictionary..dictionary + length)?);
    u64::from_le_bytes(size).checked_add(add)
}

fn decompress(compressed: &[u8]) -> Result<Vec<u8>> {
    let mut document = Vec::new();
    let read = decoder(compressed)?.take(SBOM + 1).read_to_end(&mut document);
    read.map_err(|_| not_zstd())?;
    if document.len() as u64 > SBOM {
        return Err(too_large());
    }
    Ok(document)
}

fn not_zstd() -> Error {
    Error::invalid("the SBOM is not compressed by zstd, or damaged")
}

fn too_large() -> Error {
    Error::invalid(format!("an SBOM must not be larger than {} MiB", SBOM >> 20))
}

fn too_large_compressed() -> Error {
    let most = COMPRESSED_SBOM >> 20;
    Error::invalid(format!("an SBOM must not be larger than {most} MiB when it is compressed"))
}

/// Does what takes a while without keeping others from running.
async fn in_background<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|_| Error::new(Code::Internal, "an SBOM could not be read"))?
}

#[cfg(test)]
mod tests {
    use super::*;

    const CYCLONE_DX: &[u8] = br#"{"components":[{"name":"a"}],"bomFormat":"CycloneDX"}"#;

    #[tokio::test]
    async fn what_is_packed_can_be_unpacked_and_is_of_its_format() {
        let packed = pack(CYCLONE_DX.to_vec()).await.expect("it packs");
        let checked = check(packed.clone(), SbomFormat::CycloneDx, ()).await.expect("it is one");
        assert_eq!(checked.size as usize, CYCLONE_DX.len());
        assert_eq!(unpack(packed.clone(), ()).await.as_deref(), Ok(CYCLONE_DX));
        // What zstd's own program makes of it.
        let theirs = "KLUv/QRoqQEAeyJjb21wb25lbnRzIjpbeyJuYW1lIjoiYSJ9XSwiYm9tRm9ybWF0IjoiQ3ljbG9u\
                      ZURYIn1gzvTE";
        assert_eq!(unpack(theirs.into(), ()).await.as_deref(), Ok(CYCLONE_DX));
        let other = check(packed, SbomFormat::Spdx, ()).await.expect_err("it is not");
        assert_eq!(other.message, "the SBOM is declared as SPDX, but is CYCLONEDX");
    }

    #[tokio::test]
    async fn what_is_not_an_sbom_is_refused() {
        let pack = |text: &str| {
            STANDARD.encode(compress_to_vec(text.as_bytes(), CompressionLevel::Fastest))
        };
        for (packed, why) in [
            (String::new(), "must hold an SBOM"),
            ("?".into(), "not base64"),
            (STANDARD.encode("{}"), "not compressed by zstd"),
            (pack("<bom/>"), "not JSON"),
            (pack("{}"), "neither CycloneDX"),
            (pack(r#"{"bomFormat":"CycloneDX"} x"#), "not JSON"),
            (pack(r#"{"bomFormat":["CycloneDX"]}"#), "not JSON"),
        ] {
            let error = check(packed, SbomFormat::CycloneDx, ()).await.expect_err(why);
            assert!(error.code == Code::InvalidArgument && error.message.contains(why), "{error}");
        }
    }

    #[tokio::test]
    async fn a_small_text_does_not_become_a_large_document() {
        let large = format!(r#"{{"bomFormat":"CycloneDX"{}}}"#, " ".repeat(SBOM as usize));
        let bomb = STANDARD.encode(compress_to_vec(large.as_bytes(), CompressionLevel::Fastest));
        assert!(bomb.len() < 10_000);
        let refused = check(bomb.clone(), SbomFormat::CycloneDx, ()).await.expect_err("too large");
        assert!(refused.message.contains("larger than 32 MiB"), "{refused}");
        assert!(unpack(bomb, ()).await.is_err());
        assert!(super::pack(large.into_bytes()).await.is_err());
    }

    /// A frame of this header, and so many blocks that each are 128 KiB of blanks.
    fn frame(header: &[u8], blocks: usize) -> Vec<u8> {
        // Of the kind that repeats one byte; the last says that it is.
        let block = |last: usize| {
            let head = ((128 << 10) << 3 | 1 << 1 | last).to_le_bytes();
            [head[0], head[1], head[2], b' ']
        };
        let blocks = (1..=blocks).flat_map(|index| block(usize::from(index == blocks)));
        MAGIC.iter().chain(header).copied().chain(blocks).collect()
    }

    #[tokio::test]
    async fn memory_is_bounded_whatever_window_a_frame_asks_for() {
        // Windows of 2 TiB, 64 MiB and, as one segment, of 1 TiB.
        for header in [&[0x00, 0xf8][..], &[0x00, 0x80], &[0xe0, 0, 0, 0, 0, 0, 1, 0, 0]] {
            let bomb = STANDARD.encode(frame(header, 4));
            let error = unpack(bomb.clone(), ()).await.expect_err("its window is too large");
            assert!(error.message.contains("window of more than 32 MiB"), "{error}");
            assert!(check(bomb, SbomFormat::CycloneDx, ()).await.is_err());
        }
        // The declared size does not have to be true.
        let long = STANDARD.encode(frame(&[0x00, 0x78], 40_000));
        let error = unpack(long, ()).await.expect_err("it is too large");
        assert!(error.message.contains("larger than 32 MiB"), "{error}");
        let fits = STANDARD.encode(frame(&[0x00, 0x78], 4));
        assert_eq!(unpack(fits, ()).await.map(|document| document.len()), Ok(512 << 10));
        assert_eq!(window(&MAGIC), None);
    }

    #[tokio::test]
    async fn a_turn_is_held_until_the_work_is_done() {
        let large = format!(r#"{{"bomFormat":"CycloneDX"{}}}"#, " ".repeat(8 << 20));
        let packed = pack(large.into_bytes()).await.expect("it packs");
        let turn = std::sync::Arc::new(());
        let checking = check(packed, SbomFormat::CycloneDx, turn.clone());
        // Whoever asked goes away when the work has just begun.
        let mut checking = Box::pin(checking);
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        assert!(checking.as_mut().poll(&mut context).is_pending());
        drop(checking);
        assert_eq!(std::sync::Arc::strong_count(&turn), 2, "the work still takes memory");
        while std::sync::Arc::strong_count(&turn) > 1 {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    }
}
