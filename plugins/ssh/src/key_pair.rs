//! Key pairs that are made for one build.

use ingot_sdk::{ConfigError, Error, Result, Ui};
use openssl::ec::{EcGroup, EcKey};
use openssl::error::ErrorStack;
use openssl::nid::Nid;
use openssl::pkey::{PKey, Private};
use openssl::rsa::{Padding, Rsa};
use ssh_key::private::{Ed25519Keypair, Ed25519PrivateKey, KeypairData};

use crate::key::{KeyFile, PrivateKey, public_key, public_of};

/// The kind and size of a key pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyPairType {
    /// RSA of so many bits.
    Rsa(u32),
    /// ECDSA over NIST's curve of so many bits: 256, 384 or 521.
    Ecdsa(u32),
    /// Ed25519.
    Ed25519,
}

impl KeyPairType {
    /// Reads `temporary_key_pair_type` and `temporary_key_pair_bits`.
    ///
    /// # Errors
    /// There is no such kind or size.
    pub fn new(name: &str, bits: Option<u32>) -> Result<Self, ConfigError> {
        let size = |message: &str| Err(ConfigError::on("temporary_key_pair_bits", message));
        match (name, bits) {
            ("ed25519", _) => Ok(KeyPairType::Ed25519),
            ("ecdsa", None) => Ok(KeyPairType::Ecdsa(521)),
            ("ecdsa", Some(bits @ (256 | 384 | 521))) => Ok(KeyPairType::Ecdsa(bits)),
            ("ecdsa", Some(_)) => size("ecdsa keys have 256, 384 or 521 bits"),
            ("rsa", None) => Ok(KeyPairType::Rsa(4096)),
            ("rsa", Some(bits @ 1024..=16384)) => Ok(KeyPairType::Rsa(bits)),
            ("rsa", Some(_)) => size("rsa keys have 1024 to 16384 bits"),
            ("dsa", _) => Err(ConfigError::on(
                "temporary_key_pair_type",
                "`dsa` is not supported: SSH servers no longer take such keys",
            )
            .hint("use ed25519, ecdsa or rsa")),
            (other, _) => Err(ConfigError::on(
                "temporary_key_pair_type",
                format!("`{other}` is not a kind of key"),
            )
            .hint("kinds are ed25519, ecdsa and rsa")),
        }
    }

    /// The kind's name as Packer writes it: `RSA`, `ECDSA`, `ED25519`.
    pub fn name(self) -> &'static str {
        match self {
            KeyPairType::Rsa(_) => "RSA",
            KeyPairType::Ecdsa(_) => "ECDSA",
            KeyPairType::Ed25519 => "ED25519",
        }
    }
}

/// A private key and its public key.
#[derive(Clone)]
pub struct KeyPair {
    /// The private key, as a file would hold it: OpenSSH's form for Ed25519, else PKCS#8.
    pub private: String,
    /// The public key as in `authorized_keys`, with the pair's name as comment and without a
    /// newline.
    pub public: String,
}

impl KeyPair {
    /// Makes a key pair called `name`. Takes up to seconds for large RSA keys.
    ///
    /// # Errors
    /// OpenSSL failed.
    pub async fn generate(kind: KeyPairType, name: &str) -> Result<KeyPair> {
        let name = name.to_owned();
        let work = tokio::task::spawn_blocking(move || generate(kind, &name));
        work.await.map_err(|error| error.to_string()).and_then(|created| created).map_err(|error| {
            Error::new(format!("cannot create a {} key pair: {error}", kind.name()))
        })
    }

    /// The key pair of a private key in OpenSSH's or a PEM form. `name` says what it is.
    ///
    /// # Errors
    /// It is no private key, or protected by a passphrase.
    pub fn from_private(private: String, name: &str) -> Result<KeyPair> {
        let public = public_key(&private, name).map_err(Error::from)?;
        let public = public.to_openssh().map_err(|error| Error::new(error.to_string()))?;
        Ok(KeyPair { private, public })
    }

    /// The key pair of a file with a private key.
    ///
    /// # Errors
    /// It cannot be read, or as for [`KeyPair::from_private`].
    pub fn read(path: &str) -> Result<KeyPair> {
        let key = KeyFile { path: path.to_owned(), certificate: None }.read()?;
        Ok(KeyPair { private: key.text, public: key.public })
    }

    /// Masks the private key from now on.
    pub fn mask(&self, ui: &Ui) {
        mask(ui, &self.private);
    }

    /// Decrypts what was encrypted for an RSA key pair, by PKCS#1 v1.5.
    ///
    /// # Errors
    /// The private key is not RSA in a PEM form, or not the one it was encrypted for.
    pub fn decrypt(&self, data: &[u8]) -> Result<Vec<u8>> {
        let key = Rsa::private_key_from_pem(self.private.as_bytes());
        let key = key.map_err(|_| Error::new("the key is not an RSA key in a PEM form"))?;
        let mut plain = vec![0; key.size() as usize];
        let length = key
            .private_decrypt(data, &mut plain, Padding::PKCS1)
            .map_err(|_| Error::new("it was encrypted for another key"))?;
        plain.truncate(length);
        Ok(plain)
    }

    pub(crate) fn key(&self) -> PrivateKey {
        PrivateKey {
            name: "the build's own key".into(),
            text: self.private.clone(),
            public: self.public.clone(),
            certificate: None,
        }
    }
}

/// Masks a private key, which is mostly seen line by line.
pub(crate) fn mask(ui: &Ui, private: &str) {
    let lines = private.lines().filter(|line| line.len() > 16 && !line.starts_with('-'));
    lines.for_each(|line| ui.mask(line));
}

fn generate(kind: KeyPairType, name: &str) -> Result<KeyPair, String> {
    let key = openssl_key(kind).map_err(|error| error.to_string())?;
    let mut public = public_of(&key).ok_or("OpenSSL made an unknown kind of key")?;
    public.set_comment(name);
    let private = match kind {
        // ssh(1) reads Ed25519 keys in this form only.
        KeyPairType::Ed25519 => {
            let seed = key.raw_private_key().map_err(|error| error.to_string())?;
            let seed: [u8; 32] = seed.try_into().map_err(|_| "a key of the wrong length")?;
            let public = public.key_data().ed25519().copied().ok_or("not an Ed25519 key")?;
            let pair = Ed25519Keypair { public, private: Ed25519PrivateKey::from_bytes(&seed) };
            ssh_key::PrivateKey::new(KeypairData::Ed25519(pair), name)
                .and_then(|key| key.to_openssh(ssh_key::LineEnding::LF))
                .map_err(|error| error.to_string())?
                .to_string()
        }
        _ => {
            let pem = key.private_key_to_pem_pkcs8().map_err(|error| error.to_string())?;
            String::from_utf8(pem).map_err(|error| error.to_string())?
        }
    };
    let public = public.to_openssh().map_err(|error| error.to_string())?;
    Ok(KeyPair { private, public })
}

fn openssl_key(kind: KeyPairType) -> Result<PKey<Private>, ErrorStack> {
    match kind {
        KeyPairType::Rsa(bits) => PKey::from_rsa(Rsa::generate(bits)?),
        KeyPairType::Ed25519 => PKey::generate_ed25519(),
        KeyPairType::Ecdsa(bits) => {
            let curve = match bits {
                256 => Nid::X9_62_PRIME256V1,
                384 => Nid::SECP384R1,
                _ => Nid::SECP521R1,
            };
            PKey::from_ec_key(EcKey::generate(EcGroup::from_curve_name(curve)?.as_ref())?)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn decrypts_what_is_for_it_only() {
        let rsa = KeyPairType::Rsa(2048);
        let (own, other) = (KeyPair::generate(rsa, "own").await, KeyPair::generate(rsa, "o").await);
        let (own, other) = (own.unwrap(), other.unwrap());
        let public = Rsa::private_key_from_pem(own.private.as_bytes()).unwrap();
        let mut data = vec![0; 256];
        public.public_encrypt(b"Passw0rd!", &mut data, Padding::PKCS1).unwrap();
        assert_eq!(own.decrypt(&data).unwrap(), b"Passw0rd!");
        // Since OpenSSL 3.2 that gives bytes that mean nothing instead of an error.
        assert_ne!(other.decrypt(&data).unwrap_or_default(), b"Passw0rd!");
        let read = KeyPair::from_private(own.private.clone(), "a key").unwrap();
        assert_eq!(own.public, format!("{} own", read.public.trim_end()));
    }

    #[tokio::test]
    async fn openssh_keys_are_read_whatever_their_lines() {
        let own = KeyPair::generate(KeyPairType::Ed25519, "own").await.unwrap();
        let body: Vec<&str> = own.private.lines().filter(|line| !line.starts_with('-')).collect();
        let long = format!(
            "-----BEGIN OPENSSH PRIVATE KEY-----\n{}\n-----END OPENSSH PRIVATE KEY-----\n",
            body.concat()
        );
        assert_eq!(KeyPair::from_private(long, "a key").unwrap().public, own.public);
    }
}
