//! Private key files and certificates.

use std::borrow::Cow;
use std::error::Error as _;
use std::time::{SystemTime, UNIX_EPOCH};

use ingot_sdk::file_work::read_small_text;
use ingot_sdk::home::expanded;
use openssl::pkey::{PKey, Private};
use ssh_key::{Certificate, PublicKey};

/// The largest file of a key or certificate, in bytes.
const LARGEST: u64 = 1 << 20;

/// Where a private key and its certificate are.
#[derive(Debug, Clone)]
pub struct KeyFile {
    /// The private key.
    pub path: String,
    /// The certificate, if any.
    pub certificate: Option<String>,
}

/// A private key that can be logged in with.
#[derive(Clone)]
pub struct PrivateKey {
    /// What to call it in messages.
    pub name: String,
    /// The text of its file.
    pub text: String,
    /// Its public key as in `authorized_keys`.
    pub public: String,
    /// The text of its certificate, if it has one.
    pub certificate: Option<String>,
}

/// What is wrong with a key file.
#[derive(Debug)]
pub struct KeyProblem {
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
    /// Whether it is about the certificate.
    pub in_certificate: bool,
}

impl KeyProblem {
    fn new(message: String) -> Self {
        KeyProblem { message, hint: None, in_certificate: false }
    }

    fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl From<KeyProblem> for ingot_sdk::Error {
    fn from(problem: KeyProblem) -> Self {
        let error = ingot_sdk::Error::new(problem.message);
        problem.hint.into_iter().fold(error, ingot_sdk::Error::hint)
    }
}

fn read_text(path: &str) -> Result<String, KeyProblem> {
    read_small_text(&expanded(path), "key", LARGEST).map_err(|error| {
        // Packer's words where it is the system that refuses.
        KeyProblem::new(match error.source() {
            Some(cause) => format!("cannot read {path}: {cause}"),
            None => error.to_string(),
        })
    })
}

impl KeyFile {
    /// Reads the files and checks them.
    ///
    /// # Errors
    /// A file cannot be read, is no key, is protected by a passphrase, or the certificate is not
    /// valid now or not for this key.
    pub fn read(&self) -> Result<PrivateKey, KeyProblem> {
        let text = read_text(&self.path)?;
        let public = public_key(&text, &self.path)?;
        let certificate = match &self.certificate {
            Some(path) => Some(
                certificate(path, &public)
                    .map_err(|problem| KeyProblem { in_certificate: true, ..problem })?,
            ),
            None => None,
        };
        let public = public.to_openssh().map_err(|error| KeyProblem::new(error.to_string()))?;
        Ok(PrivateKey { name: self.path.clone(), text, public, certificate })
    }
}

/// A key in OpenSSH's form with lines of 70 letters, as OpenSSH writes them: not everybody does,
/// and ssh-key reads no others. Any other text is as it was.
pub(crate) fn rewrapped(text: &str) -> Cow<'_, str> {
    let (begin, end) = ("-----BEGIN OPENSSH PRIVATE KEY-----", "-----END OPENSSH PRIVATE KEY-----");
    let Some((_, rest)) = text.split_once(begin) else { return text.into() };
    let Some((body, _)) = rest.split_once(end) else { return text.into() };
    let letters: Vec<char> = body.chars().filter(|letter| !letter.is_whitespace()).collect();
    let lines: Vec<String> = letters.chunks(70).map(|line| line.iter().collect()).collect();
    format!("{begin}\n{}\n{end}\n", lines.join("\n")).into()
}

/// The public key of a private key in OpenSSH's or a PEM form.
pub(crate) fn public_key(text: &str, path: &str) -> Result<PublicKey, KeyProblem> {
    let encrypted = || {
        KeyProblem::new(format!("the key {path} is protected by a passphrase"))
            .hint("load it into an agent and set ssh_agent_auth = true, or use a key without one")
    };
    if text.contains("-----BEGIN OPENSSH PRIVATE KEY-----") {
        return match ssh_key::PrivateKey::from_openssh(rewrapped(text).as_bytes()) {
            Ok(key) if key.is_encrypted() => Err(encrypted()),
            Ok(key) => Ok(key.public_key().clone()),
            Err(error) => ecdsa_public_key(text)
                .ok_or_else(|| KeyProblem::new(format!("cannot read the key {path}: {error}"))),
        };
    }
    if text.contains("-----BEGIN ENCRYPTED PRIVATE KEY-----")
        || text.contains("Proc-Type: 4,ENCRYPTED")
    {
        return Err(encrypted());
    }
    if !text.contains("-----BEGIN ") {
        let problem = KeyProblem::new(format!("there is no private key in {path}"));
        return Err(match text.starts_with("ssh-") || text.starts_with("ecdsa-") {
            true => problem.hint("this is a public key; the private one has no .pub in its name"),
            false => problem.hint("create keys with ssh-keygen"),
        });
    }
    let key = PKey::private_key_from_pem(text.as_bytes()).map_err(|error| {
        let reason = error.errors().first().and_then(|error| error.reason());
        let reason = reason.unwrap_or("it is not in a known form");
        KeyProblem::new(format!("cannot read the key {path}: {reason}"))
    })?;
    public_of(&key).ok_or_else(|| {
        KeyProblem::new(format!("the key {path} is of a kind that SSH does not know"))
            .hint("use an rsa, ecdsa or ed25519 key")
    })
}

/// The public key at the start of an ECDSA key file without a passphrase in OpenSSH's form. OpenSSH
/// writes the private number without its leading zeros, which ssh-key refuses to read: one key of
/// four on the curve P-521, one of 256 on the others.
fn ecdsa_public_key(text: &str) -> Option<PublicKey> {
    let lines = text.lines().map(str::trim);
    let lines = lines.skip_while(|line| !line.starts_with("-----BEGIN ")).skip(1);
    let encoded: String = lines.take_while(|line| !line.starts_with("-----END ")).collect();
    let bytes = openssl::base64::decode_block(&encoded).ok()?;
    let rest = bytes.strip_prefix(b"openssh-key-v1\0")?;
    let (cipher, rest) = field(rest)?;
    let (_derivation, rest) = field(rest)?;
    let (_derivation_options, rest) = field(rest)?;
    let (public, _private) = field(rest.strip_prefix(&1u32.to_be_bytes())?)?;
    let public = PublicKey::from_bytes(public).ok()?;
    (cipher == b"none" && public.algorithm().is_ecdsa()).then_some(public)
}

/// The first field of `bytes`, which stands behind its length, and what follows it.
fn field(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    rest.split_at_checked(usize::try_from(u32::from_be_bytes(*length)).ok()?)
}

/// The public half of `key` in SSH's form; none for kinds of keys that SSH does not know.
pub(crate) fn public_of(key: &PKey<Private>) -> Option<PublicKey> {
    use openssl::bn::BigNumContext;
    use openssl::ec::PointConversionForm;
    use ssh_key::public::{EcdsaPublicKey, Ed25519PublicKey, KeyData, RsaPublicKey};

    if let Ok(rsa) = key.rsa() {
        let number = |n: &openssl::bn::BigNumRef| ssh_key::Mpint::from_positive_bytes(&n.to_vec());
        let rsa = RsaPublicKey { e: number(rsa.e()).ok()?, n: number(rsa.n()).ok()? };
        return Some(KeyData::Rsa(rsa).into());
    }
    if let Ok(ec) = key.ec_key() {
        let mut numbers = BigNumContext::new().ok()?;
        let form = PointConversionForm::UNCOMPRESSED;
        let point = ec.public_key().to_bytes(ec.group(), form, &mut numbers).ok()?;
        return Some(KeyData::Ecdsa(EcdsaPublicKey::from_sec1_bytes(&point).ok()?).into());
    }
    let bytes: [u8; 32] = key.raw_public_key().ok()?.try_into().ok()?;
    (key.id() == openssl::pkey::Id::ED25519)
        .then(|| KeyData::Ed25519(Ed25519PublicKey(bytes)).into())
}

fn certificate(path: &str, key: &PublicKey) -> Result<String, KeyProblem> {
    let text = read_text(path)?;
    let certificate = Certificate::from_openssh(text.trim()).map_err(|error| {
        KeyProblem::new(format!("cannot read the certificate {path}: {error}"))
            .hint("create certificates with ssh-keygen -s; their files end in -cert.pub")
    })?;
    if certificate.public_key() != key.key_data() {
        return Err(KeyProblem::new(format!("the certificate {path} is for another key")));
    }
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_secs());
    if now < certificate.valid_after() {
        return Err(KeyProblem::new(format!("the certificate {path} is not valid yet")));
    }
    if now >= certificate.valid_before() {
        return Err(KeyProblem::new(format!("the certificate {path} has expired"))
            .hint("sign the key again with ssh-keygen -s"));
    }
    Ok(text)
}
