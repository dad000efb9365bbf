//! Encryption and integrity of messages after a login.

use rc4::{Rc4, StreamCipher};

use super::{Block, mac, md5, rc4};

/// How long a signature is, in bytes: version, checksum, number.
pub(crate) const SIGNATURE: usize = 16;
const VERSION: [u8; 4] = 1_u32.to_le_bytes();

/// One direction.
struct Direction {
    cipher: Rc4,
    signing: Block,
    number: u32,
}

impl Direction {
    fn new(key: &Block, way: &str) -> Direction {
        let derived = |what: &str| {
            md5(&[key, format!("session key to {way} {what} key magic constant\0").as_bytes()])
        };
        Direction { cipher: rc4(&derived("sealing")), signing: derived("signing"), number: 0 }
    }

    /// The signature of `plain`, whose encryption the cipher has just done.
    fn sign(&mut self, plain: &[u8]) -> [u8; SIGNATURE] {
        let number = self.number.to_le_bytes();
        self.number = self.number.wrapping_add(1);
        let mut signature = [0; SIGNATURE];
        signature[..4].copy_from_slice(&VERSION);
        signature[4..12].copy_from_slice(&mac(&self.signing, &[&number, plain])[..8]);
        self.cipher.apply_keystream(&mut signature[4..12]);
        signature[12..].copy_from_slice(&number);
        signature
    }
}

/// Seals what goes to a server and opens what it sends, both in order.
pub(crate) struct Sealing {
    there: Direction,
    back: Direction,
}

impl Sealing {
    /// The one that belongs to a session's key.
    pub(super) fn new(key: &Block) -> Sealing {
        Sealing {
            there: Direction::new(key, "client-to-server"),
            back: Direction::new(key, "server-to-client"),
        }
    }

    /// Encrypts `message`, and signs it.
    pub(crate) fn seal(&mut self, message: &[u8]) -> ([u8; SIGNATURE], Vec<u8>) {
        let mut sealed = message.to_vec();
        self.there.cipher.apply_keystream(&mut sealed);
        (self.there.sign(message), sealed)
    }

    /// Decrypts a message of the server's; none if it is not what the server sealed.
    pub(crate) fn open(&mut self, signature: &[u8], mut message: Vec<u8>) -> Option<Vec<u8>> {
        self.back.cipher.apply_keystream(&mut message);
        // The key is this session's alone, so that how long comparing takes tells nothing.
        (self.back.sign(&message) == signature).then_some(message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A client and a server that share a key.
    fn peers() -> (Sealing, Sealing) {
        let (client, server) = (Sealing::new(&[7; 16]), Sealing::new(&[7; 16]));
        (client, Sealing { there: server.back, back: server.there })
    }

    #[test]
    fn messages_open_in_order_only() {
        let (mut client, mut server) = peers();
        for message in ["one", "two", ""] {
            let (signature, sealed) = client.seal(message.as_bytes());
            assert_ne!(sealed.is_empty(), !message.is_empty());
            assert_eq!(server.open(&signature, sealed).unwrap(), message.as_bytes());
        }
        let (signature, sealed) = client.seal(b"three");
        let mut bent = sealed.clone();
        bent[0] ^= 1;
        assert_eq!(server.open(&signature, bent), None);
        assert_eq!(server.open(&signature, sealed), None);
    }

    /// The published example of MS-NLMP, 4.2.4.4: with this session key, "Plaintext" seals so.
    #[test]
    fn a_sealed_message_is_that_of_the_specification() {
        let mut sealing = Sealing::new(&[0x55; 16]);
        let message: Vec<u8> = "Plaintext".encode_utf16().flat_map(u16::to_le_bytes).collect();
        let (signature, sealed) = sealing.seal(&message);
        let expected = [
            0x54, 0xe5, 0x01, 0x65, 0xbf, 0x19, 0x36, 0xdc, 0x99, 0x60, 0x20, 0xc1, 0x81, 0x1b,
            0x0f, 0x06, 0xfb, 0x5f,
        ];
        assert_eq!(sealed, expected);
        let expected = [
            0x01, 0x00, 0x00, 0x00, 0x7f, 0xb3, 0x8e, 0xc5, 0xc5, 0x5d, 0x49, 0x76, 0x00, 0x00,
            0x00, 0x00,
        ];
        assert_eq!(signature, expected);
    }
}
