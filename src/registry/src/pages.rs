//! Lists that registries give page by page.

use crate::api::*;

/// A page of a list.
pub trait ListPage {
    /// What the list has.
    type Entry;

    /// The page's entries, and the token that the next page is asked for with; empty at the end.
    fn into_parts(self) -> (Vec<Self::Entry>, String);
}

macro_rules! list_pages {
    ($($response:ident.$entries:ident: $entry:ty,)*) => {$(
        impl ListPage for $response {
            type Entry = $entry;

            fn into_parts(self) -> (Vec<$entry>, String) {
                (self.$entries, self.pagination.unwrap_or_default().next_page_token)
            }
        }
    )*};
}

list_pages! {
    ListBucketsResponse.buckets: Bucket,
    ListVersionsResponse.versions: Version,
    ListBuildsResponse.builds: Build,
    ListChannelAssignmentHistoryResponse.history: ChannelAssignment,
    ListBucketAncestryResponse.relations: BucketAncestry,
    SearchExternalArtifactResponse.artifacts: ExternalArtifact,
}

/// All entries of a list: `ask` gets a page.
///
/// # Errors
/// Those of `ask`, and [`Code::Internal`] if the list does not end.
pub async fn all_pages<P, F>(ask: impl FnMut(Page) -> F) -> Result<Vec<P::Entry>>
where
    P: ListPage,
    F: Future<Output = Result<P>>,
{
    let mut all = Vec::new();
    let none: Option<()> = find_in_pages(ask, |entries| {
        all.extend(entries);
        None
    })
    .await?;
    debug_assert!(none.is_none());
    Ok(all)
}

/// The entries of a list's first pages, `most` of them at most: `ask` gets a page.
///
/// # Errors
/// Those of `ask`, and [`Code::Internal`] if the list does not go on.
pub async fn first_pages<P, F>(most: usize, ask: impl FnMut(Page) -> F) -> Result<Vec<P::Entry>>
where
    P: ListPage,
    F: Future<Output = Result<P>>,
{
    let (mut all, mut pages) = (Vec::new(), 0);
    find_in_pages(ask, |entries| {
        all.extend(entries);
        pages += 1;
        (pages >= most).then_some(())
    })
    .await?;
    Ok(all)
}

/// What `find` finds in the first page that has it; no page after that is asked for.
///
/// # Errors
/// Those of `ask`, and [`Code::Internal`] if the list does not end.
pub async fn find_in_pages<P, F, T>(
    mut ask: impl FnMut(Page) -> F,
    mut find: impl FnMut(Vec<P::Entry>) -> Option<T>,
) -> Result<Option<T>>
where
    P: ListPage,
    F: Future<Output = Result<P>>,
{
    let mut page = Page::default();
    loop {
        let (entries, next) = ask(page.clone()).await?.into_parts();
        if let Some(found) = find(entries) {
            return Ok(Some(found));
        }
        match next.as_str() {
            "" => return Ok(None),
            next if next == page.next => {
                return Err(Error::new(Code::Internal, "the registry's list does not end"));
            }
            _ => page.next = next,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn versions(page: Page) -> Result<ListVersionsResponse> {
        let (name, next) = match page.next.as_str() {
            "" => ("v3", "2"),
            "2" => ("v2", "1"),
            "1" => ("v1", ""),
            other => return Err(Error::invalid(other)),
        };
        Ok(ListVersionsResponse {
            versions: vec![Version { name: name.into(), ..Version::default() }],
            pagination: Some(PaginationResponse {
                next_page_token: next.into(),
                ..PaginationResponse::default()
            }),
        })
    }

    #[tokio::test]
    async fn all_pages_are_asked_for_until_the_last() {
        let all = all_pages(versions).await.expect("a list");
        let names: Vec<_> = all.into_iter().map(|version| version.name).collect();
        assert_eq!(names, ["v3", "v2", "v1"]);
        let mut asked = 0;
        let ask = |page| {
            asked += 1;
            versions(page)
        };
        let is_v2 = |found: Vec<Version>| found.into_iter().find(|it| it.name == "v2");
        assert!(find_in_pages(ask, is_v2).await.expect("a list").is_some());
        assert_eq!(asked, 2);
    }

    #[tokio::test]
    async fn a_list_that_does_not_end_is_an_error() {
        let ask = async |_: Page| -> Result<ListVersionsResponse> {
            let again = PaginationResponse { next_page_token: "1".into(), ..Default::default() };
            Ok(ListVersionsResponse { pagination: Some(again), ..Default::default() })
        };
        assert!(all_pages(ask).await.is_err_and(|error| error.code == Code::Internal));
    }
}
