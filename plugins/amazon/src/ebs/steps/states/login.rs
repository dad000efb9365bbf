//! The key that a build lets itself in with, in tags of its states.

use aws_sdk_ec2::types::Tag;

use crate::ebs::tags::tag;

/// The tags that hold the public key that the build let itself in with, in pieces: the beginning of
/// their names.
const LOGIN_TAG: &str = "ingot-state-login-";
/// How much of a key a tag holds, of whose value EC2 takes 256 characters.
const PIECE: usize = 200;

/// The tags that hold a public key, written as in `authorized_keys`.
pub(super) fn login_tags(public: &str) -> Vec<Tag> {
    let key: Vec<char> = public.split(' ').nth(1).unwrap_or_default().chars().collect();
    let pieces = key.chunks(PIECE).enumerate();
    let piece = |(number, piece): (usize, &[char])| {
        tag(&format!("{LOGIN_TAG}{number}"), &piece.iter().collect::<String>())
    };
    pieces.map(piece).collect()
}

/// The public key that tags hold, written as in `authorized_keys` but without its kind.
pub(super) fn login_of(tags: &[Tag]) -> Option<String> {
    let piece = |number: usize| {
        let name = format!("{LOGIN_TAG}{number}");
        tags.iter().find(|tag| tag.key() == Some(&name)).and_then(|tag| tag.value())
    };
    let key: String = (0..).map_while(piece).collect();
    (!key.is_empty()).then(|| format!("key {key}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_key_is_in_several_tags() {
        let key: String = (0..500).map(|n| char::from(b'a' + (n % 26) as u8)).collect();
        let tags = login_tags(&format!("ssh-rsa {key} packer_1"));
        assert_eq!(tags.len(), 3);
        assert!(tags.iter().all(|tag| tag.value().is_some_and(|value| value.len() <= 256)));
        assert_eq!(login_of(&tags), Some(format!("key {key}")));
        assert_eq!(login_of(&[]), None);
    }
}
