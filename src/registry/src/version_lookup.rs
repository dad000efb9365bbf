//! Versions by what users call them.

use ingot_base::{Error, Result};

use crate::api::{ListVersionsResponse, Page, Version};
use crate::client::Registry;
use crate::find_in_pages;

/// How many versions a message names.
const NAMED: usize = 20;

/// The version that a user means: by its fingerprint, its name (`v3`) or its id.
///
/// # Errors
/// The bucket has none that is called `text`, or several, or the registry fails.
pub async fn find_version(registry: &dyn Registry, bucket: &str, text: &str) -> Result<Version> {
    match registry.get_version(bucket, text).await {
        Err(error) if error.is_absent() => {}
        result => return result.map_err(Error::from),
    }
    let ask = |page| async move { registry.list_versions(bucket, &page).await };
    let fingerprint = fingerprint_of(ask, bucket, text).await?;
    registry.get_version(bucket, &fingerprint).await.map_err(Error::from)
}

/// The fingerprint of the version that has a name or an id, of a list that `ask` gets a page of.
async fn fingerprint_of<F>(ask: impl FnMut(Page) -> F, bucket: &str, text: &str) -> Result<String>
where
    F: Future<Output = crate::api::Result<ListVersionsResponse>>,
{
    let mut versions = Vec::new();
    let found = find_in_pages(ask, |page: Vec<Version>| {
        // Only one can be called so; those that are not complete are all called `v0`.
        let one = page.iter().find(|it| it.id == text || it.is_complete() && it.name == text);
        let fingerprint = one.map(|version| version.fingerprint.clone());
        versions.extend(page);
        fingerprint
    });
    match found.await? {
        Some(fingerprint) => Ok(fingerprint),
        None => Ok(called(&versions, bucket, text)?.fingerprint.clone()),
    }
}

/// The version of a bucket that has a name or an id. All that are not complete have the same name.
fn called<'a>(versions: &'a [Version], bucket: &str, text: &str) -> Result<&'a Version> {
    let found: Vec<&Version> =
        versions.iter().filter(|version| version.name == text || version.id == text).collect();
    let none = || Error::new(format!("the bucket {bucket} has no version {text}"));
    match found.as_slice() {
        [one] => Ok(*one),
        [] if versions.is_empty() => Err(none().hint("it has no versions")),
        [] => Err(none().hint(format!(
            "a version is its name, fingerprint or id; there are {}",
            list(versions.iter())
        ))),
        several => Err(Error::new(format!(
            "several versions of the bucket {bucket} are called {text}, as they are not complete"
        ))
        .hint(format!("name one by its fingerprint: {}", list(several.iter().copied())))),
    }
}

/// The first versions, by what only one of them is called.
fn list<'a>(versions: impl ExactSizeIterator<Item = &'a Version>) -> String {
    let more = if versions.len() > NAMED { ", …" } else { "" };
    let name = |version: &'a Version| match version.is_complete() {
        true => version.name.as_str(),
        false => version.fingerprint.as_str(),
    };
    let names: Vec<&str> = versions.take(NAMED).map(name).collect();
    format!("{}{more}", names.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::PaginationResponse;

    /// Two versions a page: v9 and one that is not complete, v8 and v7, and so on.
    async fn versions(page: Page) -> crate::api::Result<ListVersionsResponse> {
        let version = |name: &str| Version {
            name: name.into(),
            id: format!("id-{name}"),
            fingerprint: format!("print-{name}"),
            ..Version::default()
        };
        let (names, next) = match page.next.as_str() {
            "" => (["v9", "v0"], "2"),
            "2" => (["v8", "v7"], "3"),
            _ => (["v6", "v5"], ""),
        };
        Ok(ListVersionsResponse {
            versions: names.map(version).to_vec(),
            pagination: Some(PaginationResponse {
                next_page_token: next.into(),
                ..PaginationResponse::default()
            }),
        })
    }

    #[tokio::test]
    async fn a_bucket_is_read_until_its_version_is_found() {
        for (text, found, pages) in [
            ("v9", Some("print-v9"), 1),
            ("v7", Some("print-v7"), 2),
            ("id-v8", Some("print-v8"), 2),
            ("id-v0", Some("print-v0"), 1),
            // There may be more of the same name on each page.
            ("v0", Some("print-v0"), 3),
            ("v4", None, 3),
        ] {
            let mut asked = 0;
            let ask = |page| {
                asked += 1;
                versions(page)
            };
            let result = fingerprint_of(ask, "b", text).await;
            assert_eq!(result.ok().as_deref(), found, "{text}");
            assert_eq!(asked, pages, "{text}");
        }
    }
}
