//! Keys in PEM that sign and verify: RSA with PKCS #1 v1.5, ECDSA on P-256, and Ed25519; those of P-384
//! verify only. All but Ed25519 sign SHA-256, whatever their size, as Packer's do.

use der::{AnyRef, Decode as _, Encode as _, Reader as _, SliceReader, Tag, Tagged as _};
use ingot_sdk::{Error, Result, hash};
use ring::rand::SystemRandom;
use ring::rsa::KeyPair as RsaKeyPair;
use ring::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P384_SHA256_ASN1, ED25519,
    EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_SHA256,
    UnparsedPublicKey, VerificationAlgorithm,
};

/// A kind of key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// RSA of 2048 to 8192 bits.
    Rsa,
    /// ECDSA on P-256.
    P256,
    /// ECDSA on P-384.
    P384,
    /// Ed25519.
    Ed25519,
}

/// What stands for the kinds in keys: the inside of an AlgorithmIdentifier. RFC 3279, 5480, 8410.
const IDENTIFIERS: [(Kind, &[u8]); 4] = [
    (Kind::Rsa, b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01\x05\x00"),
    (Kind::P256, b"\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07"),
    (Kind::P384, b"\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x05\x2b\x81\x04\x00\x22"),
    (Kind::Ed25519, b"\x06\x03\x2b\x65\x70"),
];

/// A key that signs.
pub enum PrivateKey {
    /// RSA.
    Rsa(Box<RsaKeyPair>),
    /// ECDSA on P-256.
    P256(EcdsaKeyPair),
    /// Ed25519.
    Ed25519(Ed25519KeyPair),
}

/// A key that verifies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicKey {
    kind: Kind,
    /// The inside of the bit string: an RSAPublicKey, a point, or the bytes of an Ed25519 key.
    key: Vec<u8>,
}

fn unsupported(what: &str) -> Error {
    Error::new(format!("{what} is of a kind that is not supported"))
        .hint("use an RSA key of 2048 bits or more, an ECDSA key on P-256, or an Ed25519 key")
}

fn broken(error: impl std::fmt::Display) -> Error {
    Error::new(format!("the key cannot be read: {error}"))
        .hint("RSA keys have 2048 to 4096 bits; openssl pkey -check says what else may be wrong")
}

/// The first block of a PEM text, but for the parameters that OpenSSL may put before a key.
fn block(text: &[u8]) -> Result<pem::Pem> {
    let blocks = pem::parse_many(text).unwrap_or_default();
    let block = blocks.into_iter().find(|block| block.tag() != "EC PARAMETERS");
    let block = block.ok_or_else(|| Error::new("there is no PEM block in it"))?;
    match block.tag() {
        "ENCRYPTED PRIVATE KEY" => Err(Error::new("the key is encrypted")
            .hint("decrypt it, for example with openssl pkcs8 -in KEY -out PLAIN")),
        _ => Ok(block),
    }
}

/// The members of a SEQUENCE or of what has a tag of its own in one.
fn members(outer: AnyRef<'_>) -> der::Result<Vec<AnyRef<'_>>> {
    let mut reader = SliceReader::new(outer.value())?;
    let mut members = Vec::new();
    while !reader.is_finished() {
        members.push(AnyRef::decode(&mut reader)?);
    }
    Ok(members)
}

/// The members of the SEQUENCE that `der` is.
fn sequence(der: &[u8]) -> Option<Vec<AnyRef<'_>>> {
    let outer = AnyRef::from_der(der).ok()?;
    (outer.tag() == Tag::Sequence).then(|| members(outer).ok()).flatten()
}

/// The kind that an AlgorithmIdentifier stands for.
fn kind(identifier: AnyRef<'_>) -> Option<Kind> {
    let found = IDENTIFIERS.iter().find(|(_, inside)| *inside == identifier.value());
    found.map(|(kind, _)| *kind)
}

impl PrivateKey {
    /// Reads a key in PEM: PKCS #8, PKCS #1 or SEC 1.
    ///
    /// # Errors
    /// It is none, or of an unsupported kind. No error quotes it.
    pub fn from_pem(text: &[u8]) -> Result<PrivateKey> {
        let block = block(text)?;
        let der = block.contents();
        let parts = sequence(der).unwrap_or_default();
        let tags: Vec<Tag> = parts.iter().map(AnyRef::tag).collect();
        match (tags.as_slice(), parts.as_slice()) {
            // PKCS #8
            ([Tag::Integer, Tag::Sequence, Tag::OctetString, ..], [_, identifier, key, ..]) => {
                match kind(*identifier) {
                    Some(Kind::Rsa) => Self::rsa(RsaKeyPair::from_pkcs8(der)),
                    Some(Kind::Ed25519) => Ed25519KeyPair::from_pkcs8_maybe_unchecked(der)
                        .map(PrivateKey::Ed25519)
                        .map_err(broken),
                    Some(Kind::P256) => Self::p256(key.value()),
                    _ => Err(unsupported("the private key")),
                }
            }
            // SEC 1, which names its curve in the member with the tag 0.
            ([Tag::Integer, Tag::OctetString, ..], [_, _, curve, ..]) => {
                let p256 = IDENTIFIERS[1].1;
                match curve.value().len() > 2 && p256.ends_with(curve.value()) {
                    true => Self::p256(der),
                    false => Err(unsupported("the private key")),
                }
            }
            // PKCS #1
            ([Tag::Integer, Tag::Integer, ..], _) => Self::rsa(RsaKeyPair::from_der(der)),
            _ => Err(unsupported("the private key")),
        }
    }

    fn rsa(read: Result<RsaKeyPair, ring::error::KeyRejected>) -> Result<PrivateKey> {
        read.map(|key| PrivateKey::Rsa(Box::new(key))).map_err(broken)
    }

    /// Reads SEC 1's form of a key on P-256. Its public half is the member with the tag 1.
    fn p256(der: &[u8]) -> Result<PrivateKey> {
        let parts = sequence(der).unwrap_or_default();
        let scalar = parts.get(1).filter(|part| part.tag() == Tag::OctetString);
        // 0xa1: of the context, with the number 1.
        let public = parts.iter().find(|part| u8::from(part.tag()) == 0xa1);
        let public = public.and_then(|part| members(*part).ok()?.first().copied());
        let public = public.and_then(|bits| bits.value().get(1..));
        let (Some(scalar), Some(public)) = (scalar, public) else {
            return Err(Error::new("the private key lacks its public half")
                .hint("add it: openssl pkey -in KEY -out WHOLE"));
        };
        let algorithm = &ECDSA_P256_SHA256_ASN1_SIGNING;
        let random = SystemRandom::new();
        let pair = EcdsaKeyPair::from_private_key_and_public_key(
            algorithm,
            scalar.value(),
            public,
            &random,
        );
        pair.map(PrivateKey::P256).map_err(broken)
    }

    /// Signs a message.
    ///
    /// # Errors
    /// The system gives no random numbers.
    pub fn sign(&self, message: &[u8]) -> Result<Vec<u8>> {
        let random = SystemRandom::new();
        let failed = |_| Error::new("the key does not sign");
        match self {
            PrivateKey::Rsa(key) => {
                let mut signature = vec![0; key.public().modulus_len()];
                key.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature).map_err(failed)?;
                Ok(signature)
            }
            PrivateKey::P256(key) => {
                let signature = key.sign(&random, message).map_err(failed)?;
                Ok(signature.as_ref().to_vec())
            }
            PrivateKey::Ed25519(key) => Ok(key.sign(message).as_ref().to_vec()),
        }
    }

    /// The key that verifies what this one signs.
    pub fn public(&self) -> PublicKey {
        let (kind, key) = match self {
            PrivateKey::Rsa(key) => (Kind::Rsa, key.public_key().as_ref().to_vec()),
            PrivateKey::P256(key) => (Kind::P256, key.public_key().as_ref().to_vec()),
            PrivateKey::Ed25519(key) => (Kind::Ed25519, key.public_key().as_ref().to_vec()),
        };
        PublicKey { kind, key }
    }
}

impl PublicKey {
    /// Reads the key of a public key, a certificate or a private key in PEM.
    ///
    /// # Errors
    /// It is none, or of an unsupported kind.
    pub fn from_pem(text: &[u8]) -> Result<PublicKey> {
        let block = block(text)?;
        let der = block.contents();
        match block.tag() {
            "PUBLIC KEY" => Self::from_der(der),
            "CERTIFICATE" => {
                let info = key_of_certificate(der);
                Self::from_der(&info.ok_or_else(|| unsupported("the certificate"))?)
            }
            _ => Ok(PrivateKey::from_pem(text)?.public()),
        }
    }

    /// Reads a SubjectPublicKeyInfo in DER.
    ///
    /// # Errors
    /// It is none, or of an unsupported kind.
    pub fn from_der(der: &[u8]) -> Result<PublicKey> {
        let parts = sequence(der).unwrap_or_default();
        let found = match parts.as_slice() {
            [identifier, bits] if bits.tag() == Tag::BitString => {
                kind(*identifier).zip(bits.value().get(1..))
            }
            _ => None,
        };
        let (kind, key) = found.ok_or_else(|| unsupported("the public key"))?;
        Ok(PublicKey { kind, key: key.to_vec() })
    }

    /// Whether `signature` is one of `message`.
    pub fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        let algorithm: &dyn VerificationAlgorithm = match self.kind {
            Kind::Rsa => &RSA_PKCS1_2048_8192_SHA256,
            Kind::P256 => &ECDSA_P256_SHA256_ASN1,
            Kind::P384 => &ECDSA_P384_SHA256_ASN1,
            Kind::Ed25519 => &ED25519,
        };
        UnparsedPublicKey::new(algorithm, &self.key).verify(message, signature).is_ok()
    }

    /// What kind of key it is.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The key as a SubjectPublicKeyInfo in PEM.
    ///
    /// # Errors
    /// Never for a key that was read.
    pub fn to_pem(&self) -> Result<String> {
        let identifier = IDENTIFIERS.iter().find(|(kind, _)| *kind == self.kind);
        let identifier = identifier.map_or(&[][..], |(_, inside)| inside);
        let bits = [&[0], self.key.as_slice()].concat();
        let inside = [tagged(Tag::Sequence, identifier)?, tagged(Tag::BitString, &bits)?].concat();
        let block = pem::Pem::new("PUBLIC KEY", tagged(Tag::Sequence, &inside)?);
        let lines = pem::EncodeConfig::new().set_line_ending(pem::LineEnding::LF);
        Ok(pem::encode_config(&block, lines))
    }

    /// What signatures call the key: the SHA-256 of its PEM, as Packer's do.
    ///
    /// # Errors
    /// Never for a key that was read.
    pub fn id(&self) -> Result<String> {
        Ok(hash::sha256(self.to_pem()?))
    }
}

fn tagged(tag: Tag, inside: &[u8]) -> Result<Vec<u8>> {
    AnyRef::new(tag, inside).and_then(|any| any.to_der()).map_err(broken)
}

/// The SubjectPublicKeyInfo of a certificate: RFC 5280, section 4.1.
fn key_of_certificate(der: &[u8]) -> Option<Vec<u8>> {
    let fields = members(*sequence(der)?.first()?).ok()?;
    // The version, with the tag 0, may be left out; then come the serial number, the signature's
    // algorithm, the issuer, the validity and the subject.
    let version = fields.first().is_some_and(|field| u8::from(field.tag()) == 0xa0);
    fields.get(5 + usize::from(version))?.to_der().ok()
}
