//! Checksums, password hashes and decryption.

use rsa::pkcs1::DecodeRsaPrivateKey;
use sha2::Digest;

use super::{
    Accepts, Failure, Function, Outcome, Returns, encoding, function, of_text, param, text, whole,
};
use crate::Value;

const STRING: Accepts = Accepts::String;

pub(super) static FUNCTIONS: &[Function] = &[
    of_text("md5", |args, _| Ok(hex(&md5::Md5::digest(text(&args[0]))).into())),
    of_text("sha1", |args, _| Ok(hex(&sha1::Sha1::digest(text(&args[0]))).into())),
    of_text("sha256", |args, _| Ok(hex(&sha2::Sha256::digest(text(&args[0]))).into())),
    of_text("sha512", |args, _| Ok(hex(&sha2::Sha512::digest(text(&args[0]))).into())),
    of_text("bcrypt", |args, ctx| bcrypt(args, ctx.reproducible))
        .rest(param("cost", Accepts::Number)),
    function(
        "rsadecrypt",
        &[param("ciphertext", STRING), param("privatekey", STRING)],
        Returns::String,
        |args, _| decrypt(args),
    ),
];

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The work that a hash costs unless asked for more or less: two to this power of rounds.
const USUAL_COST: u32 = 10;
/// The least and the largest that there is.
const COSTS: std::ops::RangeInclusive<i64> = 4..=31;
/// From here on one hash takes minutes to days, and nothing could stop it.
const TOO_LARGE: i64 = 21;
/// bcrypt looks at no more bytes than these.
const LONGEST_PASSWORD: usize = 72;

fn bcrypt(args: &[Value], reproducible: bool) -> Outcome {
    if args.len() > 2 {
        return Err(Failure::argument(2, "at most one cost is allowed"));
    }
    let cost = match args.get(1) {
        None => USUAL_COST,
        Some(_) => match whole(args, 1)? {
            // Less than the least means the usual, as in Go.
            low if low < *COSTS.start() => USUAL_COST,
            cost if (TOO_LARGE..=*COSTS.end()).contains(&cost) => {
                let why = format!("a hash of cost {cost} takes minutes to days; take 20 or less");
                return Err(Failure::argument(1, why));
            }
            cost if COSTS.contains(&cost) => cost as u32,
            _ => return Err(Failure::argument(1, "the cost must be a number from 4 to 31")),
        },
    };
    if text(&args[0]).len() > LONGEST_PASSWORD {
        return Err(Failure::argument(0, format!("{LONGEST_PASSWORD} bytes are the most")));
    }
    if reproducible {
        // The salt is random, so what was hashed stands for the hash.
        return Ok(hex(&sha2::Sha256::digest(text(&args[0]))).into());
    }
    let hash = bcrypt::hash_with_result(text(&args[0]), cost)
        .map_err(|error| Failure::new(error.to_string()))?;
    Ok(hash.format_for_version(bcrypt::Version::TwoA).into())
}

fn decrypt(args: &[Value]) -> Outcome {
    let sealed = encoding::bytes(args, 0)?;
    let key = rsa::RsaPrivateKey::from_pkcs1_pem(text(&args[1]).trim()).map_err(|_| {
        Failure::argument(
            1,
            "an RSA key in PEM form (BEGIN RSA PRIVATE KEY) without a password is required",
        )
    })?;
    // The error must not say what exactly is wrong: that would help to guess the key.
    let plain = key
        .decrypt(rsa::Pkcs1v15Encrypt, &sealed)
        .map_err(|_| Failure::argument(0, "this key cannot decrypt it"))?;
    match String::from_utf8(plain) {
        Ok(plain) => Ok(Value::from(plain).mark(true)),
        Err(_) => Err(Failure::argument(0, "what it decrypts to is not text")),
    }
}
