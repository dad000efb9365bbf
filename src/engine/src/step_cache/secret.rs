//! The secret of a step cache.

use ingot_sdk::StateKey;

/// How many digits at the start of a key say whose cache it is in.
pub const OWNER_DIGITS: usize = 8;

/// What keys are made with, so that they tell nothing of what they are made of to those who do not
/// have it.
#[derive(Clone)]
pub(super) struct Secret(pub(super) String);

impl Secret {
    /// A hash of `parts`, in hexadecimal.
    pub(super) fn hash<P: AsRef<[u8]>>(&self, parts: impl IntoIterator<Item = P>) -> String {
        let parts: Vec<P> = parts.into_iter().collect();
        let parts = parts.iter().map(AsRef::as_ref);
        let all = std::iter::once(self.0.as_bytes()).chain(parts);
        StateKey::of("step cache 1", all).to_string()
    }

    /// The digits that the keys of this cache begin with.
    pub(super) fn owner(&self) -> String {
        self.hash(["owner"])[..OWNER_DIGITS].to_owned()
    }
}
