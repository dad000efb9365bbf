//! Reading a document entry by entry.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::marker::PhantomData;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::{PackageList, TEXT};

/// How deep components of components are looked at.
const DEPTH: usize = 32;

/// The packages of a document.
pub(super) fn read(document: &[u8]) -> Result<PackageList, String> {
    let reading = RefCell::default();
    let mut json = serde_json::Deserializer::from_slice(document);
    let read = Map(Document(&reading)).deserialize(&mut json).and_then(|()| json.end());
    let Reading { list, is_known, refused } = reading.into_inner();
    match (read, refused) {
        (Err(_), Some(why)) => Err(why),
        (Err(error), None) => Err(format!("it is not an SBOM: {error}")),
        (Ok(()), _) if !is_known => Err("it is neither CycloneDX nor SPDX 2 in JSON".to_owned()),
        (Ok(()), _) => Ok(list),
    }
}

/// What was found so far.
#[derive(Default)]
struct Reading {
    list: PackageList,
    /// Whether the document is of a format that is known.
    is_known: bool,
    /// Why reading ended early, where the document's JSON is not what is wrong.
    refused: Option<String>,
}

impl Reading {
    fn add<E: serde::de::Error>(
        &mut self,
        kind: &str,
        name: Option<Text>,
        version: Option<Text>,
    ) -> Result<(), E> {
        let (name, version) = (name.unwrap_or_default(), version.unwrap_or_default());
        if name.kept.is_empty() {
            return Ok(());
        }
        let added = match name.cut || version.cut {
            true => {
                Err(format!("it lists a package whose name or version is longer than {TEXT} bytes"))
            }
            false => {
                let key = format!("{kind} {}", name.kept);
                self.list.add(key.trim_start().to_owned(), version.kept)
            }
        };
        added.map_err(|why| {
            let error = E::custom(&why);
            self.refused = Some(why);
            error
        })
    }
}

/// The beginning of a string: all of it, unless it is longer than what is compared may be.
#[derive(Debug, Default)]
struct Text {
    kept: String,
    cut: bool,
}

/// The kind that a purl says, which is what stands first in it: `deb` of `pkg:deb/debian/curl@7.88`.
#[derive(Debug, Default)]
struct Purl(String);

/// What is made of a string that may be long.
trait FromText {
    fn from_text(text: &str) -> Self;
}

impl FromText for Text {
    fn from_text(text: &str) -> Self {
        let mut end = TEXT.min(text.len());
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        Text { kept: text[..end].to_owned(), cut: end < text.len() }
    }
}

impl FromText for Purl {
    fn from_text(text: &str) -> Self {
        let kind = text.strip_prefix("pkg:").and_then(|it| it.split('/').next());
        Purl(Text::from_text(kind.unwrap_or_default()).kept)
    }
}

/// Reads a string, or null for none, and keeps no more of it than it has to.
struct TextVisitor<T>(PhantomData<T>);

impl<T: FromText> Visitor<'_> for TextVisitor<T> {
    type Value = Option<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Some(T::from_text(text)))
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }
}

impl<'de, T: FromText> DeserializeSeed<'de> for TextVisitor<T> {
    type Value = Option<T>;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Self::Value, D::Error> {
        json.deserialize_any(self)
    }
}

fn text<'de, T: FromText, A: MapAccess<'de>>(map: &mut A) -> Result<Option<T>, A::Error> {
    map.next_value_seed(TextVisitor(PhantomData))
}

/// An object of the document, which is read member by member.
trait Entry<'de>: Copy {
    fn read<A: MapAccess<'de>>(self, map: &mut A) -> Result<(), A::Error>;
}

/// Reads an object; null is an empty one.
#[derive(Clone, Copy)]
struct Map<E>(E);

/// Reads a list of objects one after the other; null is an empty one.
#[derive(Clone, Copy)]
struct List<E>(E);

impl<'de, E: Entry<'de>> DeserializeSeed<'de> for Map<E> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        json.deserialize_any(self)
    }
}

impl<'de, E: Entry<'de>> Visitor<'de> for Map<E> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        self.0.read(&mut map)
    }

    fn visit_unit<F>(self) -> Result<(), F> {
        Ok(())
    }
}

impl<'de, E: Entry<'de>> DeserializeSeed<'de> for List<E> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        json.deserialize_any(self)
    }
}

impl<'de, E: Entry<'de>> Visitor<'de> for List<E> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of objects")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        while list.next_element_seed(Map(self.0))?.is_some() {}
        Ok(())
    }

    fn visit_unit<F>(self) -> Result<(), F> {
        Ok(())
    }
}

/// The document.
#[derive(Clone, Copy)]
struct Document<'a>(&'a RefCell<Reading>);

#[derive(Deserialize)]
#[serde(field_identifier, rename_all = "camelCase")]
enum DocumentField {
    BomFormat,
    SpdxVersion,
    Components,
    Packages,
    #[serde(other)]
    Other,
}

impl<'de> Entry<'de> for Document<'_> {
    fn read<A: MapAccess<'de>>(self, map: &mut A) -> Result<(), A::Error> {
        while let Some(field) = map.next_key()? {
            match field {
                DocumentField::BomFormat | DocumentField::SpdxVersion => {
                    let format: Option<Text> = text(map)?;
                    self.0.borrow_mut().is_known |= format.is_some();
                }
                DocumentField::Components => map.next_value_seed(List(Component(self.0, 0)))?,
                DocumentField::Packages => map.next_value_seed(List(SpdxPackage(self.0)))?,
                DocumentField::Other => _ = map.next_value::<IgnoredAny>()?,
            }
        }
        Ok(())
    }
}

/// A component of CycloneDX, and how many it is in.
#[derive(Clone, Copy)]
struct Component<'a>(&'a RefCell<Reading>, usize);

#[derive(Deserialize)]
#[serde(field_identifier, rename_all = "lowercase")]
enum ComponentField {
    Type,
    Name,
    Version,
    Purl,
    Components,
    #[serde(other)]
    Other,
}

impl<'de> Entry<'de> for Component<'_> {
    fn read<A: MapAccess<'de>>(self, map: &mut A) -> Result<(), A::Error> {
        let Component(reading, depth) = self;
        let (mut kind, mut name, mut version): (Option<Text>, _, _) = (None, None, None);
        let mut purl: Option<Purl> = None;
        while let Some(field) = map.next_key()? {
            match field {
                ComponentField::Type => kind = text(map)?,
                ComponentField::Name => name = text(map)?,
                ComponentField::Version => version = text(map)?,
                ComponentField::Purl => purl = text(map)?,
                ComponentField::Components if depth < DEPTH => {
                    map.next_value_seed(List(Component(reading, depth + 1)))?;
                }
                ComponentField::Components | ComponentField::Other => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        let of_purl = purl.unwrap_or_default().0;
        match kind.unwrap_or_default().kept.as_str() {
            "file" => Ok(()),
            "operating-system" => reading.borrow_mut().add("operating system", name, version),
            _ => reading.borrow_mut().add(&of_purl, name, version),
        }
    }
}

/// A package of SPDX.
#[derive(Clone, Copy)]
struct SpdxPackage<'a>(&'a RefCell<Reading>);

#[derive(Deserialize)]
#[serde(field_identifier, rename_all = "camelCase")]
enum SpdxField {
    Name,
    VersionInfo,
    PrimaryPackagePurpose,
    ExternalRefs,
    #[serde(other)]
    Other,
}

impl<'de> Entry<'de> for SpdxPackage<'_> {
    fn read<A: MapAccess<'de>>(self, map: &mut A) -> Result<(), A::Error> {
        let (mut purpose, mut name, mut version): (Option<Text>, _, _) = (None, None, None);
        let purl = Cell::new(None);
        while let Some(field) = map.next_key()? {
            match field {
                SpdxField::Name => name = text(map)?,
                SpdxField::VersionInfo => version = text(map)?,
                SpdxField::PrimaryPackagePurpose => purpose = text(map)?,
                SpdxField::ExternalRefs => map.next_value_seed(List(ExternalRef(&purl)))?,
                SpdxField::Other => _ = map.next_value::<IgnoredAny>()?,
            }
        }
        let mut reading = self.0.borrow_mut();
        match (purpose.unwrap_or_default().kept.as_str(), purl.into_inner()) {
            ("OPERATING-SYSTEM" | "OPERATING_SYSTEM", _) => {
                reading.add("operating system", name, version)
            }
            // What the document is about is no package in it.
            ("CONTAINER" | "FILE" | "DEVICE", None) => Ok(()),
            (_, purl) => reading.add(&purl.unwrap_or_default().0, name, version),
        }
    }
}

/// A reference of a package of SPDX; the first that is a purl is kept.
#[derive(Clone, Copy)]
struct ExternalRef<'a>(&'a Cell<Option<Purl>>);

#[derive(Deserialize)]
#[serde(field_identifier, rename_all = "camelCase")]
enum RefField {
    ReferenceType,
    ReferenceLocator,
    #[serde(other)]
    Other,
}

impl<'de> Entry<'de> for ExternalRef<'_> {
    fn read<A: MapAccess<'de>>(self, map: &mut A) -> Result<(), A::Error> {
        let (mut kind, mut locator): (Option<Text>, Option<Purl>) = (None, None);
        while let Some(field) = map.next_key()? {
            match field {
                RefField::ReferenceType => kind = text(map)?,
                RefField::ReferenceLocator => locator = text(map)?,
                RefField::Other => _ = map.next_value::<IgnoredAny>()?,
            }
        }
        let first = self.0.take();
        let is_purl = kind.is_some_and(|kind| kind.kept == "purl");
        self.0.set(first.or_else(|| is_purl.then(|| locator.unwrap_or_default())));
        Ok(())
    }
}
