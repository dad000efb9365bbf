//! Ids that sort by age.

use ulid::Ulid;

/// A new ULID.
pub fn new_id() -> String {
    Ulid::generate().to_string()
}

/// A new ULID that sorts after another one, even if that is of the same millisecond, or of a server whose
/// clock is ahead.
#[cfg(feature = "store")]
pub(crate) fn new_id_after(last: Option<&str>) -> String {
    let new = Ulid::generate();
    let last: Option<Ulid> = last.and_then(|last| last.parse().ok());
    match last {
        // Random as any other: two servers may look for one after the same.
        Some(last) if last >= new => Ulid::from_parts(last.timestamp_ms() + 1, new.random()),
        _ => new,
    }
    .to_string()
}

#[cfg(all(test, feature = "store"))]
mod tests {
    use super::*;

    #[test]
    fn an_id_sorts_after_the_last() {
        let mut last = None;
        for _ in 0..1000 {
            let next = new_id_after(last.as_deref());
            assert!(Some(&next) > last.as_ref(), "{next} is not after {last:?}");
            last = Some(next);
        }
        // Its server's clock is ahead.
        let ahead = "7ZZZZZZZZ0ZZZZZZZZZZZZZZZZ";
        let [one, other] = [new_id_after(Some(ahead)), new_id_after(Some(ahead))];
        assert!(one.as_str() > ahead && other.as_str() > ahead && one != other, "{one} {other}");
        assert_eq!(new_id_after(Some("no id")).len(), 26);
    }
}
