//! Parts of lists: the tokens that clients go on with.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::api::{Error, Page, PaginationResponse, Result};
use crate::store::{Keyset, Tx};

/// How many entries there are in a part if nobody says, and at most.
const SIZE: u32 = 500;
const MOST: u32 = 1000;

fn token(key: &str) -> String {
    URL_SAFE_NO_PAD.encode(key)
}

fn key(token: &str) -> Result<String> {
    let wrong = || Error::invalid("the pagination token is not one of this registry's");
    let bytes = URL_SAFE_NO_PAD.decode(token).map_err(|_| wrong())?;
    let key = String::from_utf8(bytes).map_err(|_| wrong())?;
    match key.len() <= 128 && !key.contains('\0') {
        true => Ok(key),
        false => Err(wrong()),
    }
}

/// What a page asks the store for.
pub(super) fn keys(page: &Page) -> Result<Keyset> {
    let size = if page.size == 0 { SIZE } else { page.size.min(MOST) };
    let (token, backward) = match (page.next.as_str(), page.previous.as_str()) {
        ("", "") => return Ok(Keyset { limit: size.into(), key: None, backward: false }),
        (next, "") => (next, false),
        ("", previous) => (previous, true),
        _ => return Err(Error::invalid("go on or back, not both")),
    };
    Ok(Keyset { limit: size.into(), key: Some(key(token)?), backward })
}

/// About how many bytes there are in a page; its first entry may be larger.
pub(super) const BYTES: i64 = 4 << 20;

/// Makes a page shorter whose entries are large: `size_of` is how many bytes an entry is by itself,
/// and the id of the version that it is shown with.
pub(super) async fn fit<T>(
    tx: &mut Tx,
    rows: &[T],
    keys: &mut Keyset,
    size_of: impl Fn(&T) -> (i64, Option<&String>),
) -> Result<()> {
    let ids: BTreeSet<&String> = rows.iter().filter_map(|row| size_of(row).1).collect();
    let sizes = tx.version_sizes(&ids.into_iter().cloned().collect::<Vec<_>>(), false).await?;
    let mut bytes = 0;
    let fits = rows.iter().take_while(|row| {
        let (own, version) = size_of(row);
        bytes += own + version.and_then(|id| sizes.get(id)).copied().unwrap_or_default();
        bytes <= BYTES
    });
    let fits = i64::try_from(fits.count().max(1)).unwrap_or(i64::MAX);
    keys.limit = keys.limit.min(fits);
    Ok(())
}

/// Cuts what the store gave to size and in order, and makes the tokens to go on with.
pub(super) fn cut<T>(
    mut rows: Vec<T>,
    keys: &Keyset,
    key_of: impl Fn(&T) -> String,
) -> (Vec<T>, PaginationResponse) {
    let limit = usize::try_from(keys.limit).unwrap_or(usize::MAX);
    let more = rows.len() > limit;
    rows.truncate(limit);
    if keys.backward {
        rows.reverse();
    }
    let (before, after) = match keys.backward {
        true => (more, true),
        false => (keys.key.is_some(), more),
    };
    let token_of = |row: Option<&T>, there: bool| match row {
        Some(row) if there => token(&key_of(row)),
        _ => String::new(),
    };
    let pagination = PaginationResponse {
        next_page_token: token_of(rows.last(), after),
        previous_page_token: token_of(rows.first(), before),
    };
    (rows, pagination)
}

/// As [`keys`] and [`cut`], for a list that is in memory anyway: its keys are positions.
pub(super) fn cut_list<T>(list: Vec<T>, page: &Page) -> Result<(Vec<T>, PaginationResponse)> {
    let keys = keys(page)?;
    let position = match &keys.key {
        Some(key) => Some(
            key.parse::<usize>().map_err(|_| Error::invalid("the pagination token is invalid"))?,
        ),
        None => None,
    };
    let limit = usize::try_from(keys.limit).unwrap_or(usize::MAX);
    let mut rows: Vec<(usize, T)> = list.into_iter().enumerate().collect();
    match (position, keys.backward) {
        (Some(position), false) => rows.retain(|(at, _)| *at > position),
        (Some(position), true) => {
            rows.retain(|(at, _)| *at < position);
            rows.reverse();
        }
        (None, _) => {}
    }
    rows.truncate(limit.saturating_add(1));
    let (rows, pagination) = cut(rows, &keys, |(at, _)| at.to_string());
    Ok((rows.into_iter().map(|(_, row)| row).collect(), pagination))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_walked_there_and_back() {
        let list: Vec<u32> = (0..7).collect();
        let mut page = Page { size: 3, ..Page::default() };
        let mut seen = Vec::new();
        let last = loop {
            let (part, pagination) = cut_list(list.clone(), &page).expect("a part");
            seen.extend(part);
            if pagination.next_page_token.is_empty() {
                break pagination;
            }
            page.next = pagination.next_page_token;
        };
        assert_eq!(seen, list);
        let page = Page { size: 3, previous: last.previous_page_token, ..Page::default() };
        assert_eq!(cut_list(list.clone(), &page).expect("a part").0, [3, 4, 5]);
        let wrong = Page { next: "'; --".into(), ..Page::default() };
        assert!(cut_list(list, &wrong).is_err());
    }
}
