//! The three messages of a login: negotiate, challenge, authenticate.

use rc4::StreamCipher;

use super::{Block, Sealing, mac, md4, rc4};

/// What every message starts with.
const SIGNATURE: &[u8; 8] = b"NTLMSSP\0";

const UNICODE: u32 = 0x1;
const REQUEST_TARGET: u32 = 0x4;
const SIGN: u32 = 0x10;
const SEAL: u32 = 0x20;
const NTLM: u32 = 0x200;
const ALWAYS_SIGN: u32 = 0x8000;
const EXTENDED_SESSION_SECURITY: u32 = 0x8_0000;
const TARGET_INFO: u32 = 0x80_0000;
const VERSION: u32 = 0x200_0000;
const KEY_128: u32 = 0x2000_0000;
const KEY_EXCHANGE: u32 = 0x4000_0000;

/// What is asked for, and what a server must grant. 56-bit and 40-bit keys are not offered.
const WANTED: u32 = UNICODE
    | REQUEST_TARGET
    | SIGN
    | SEAL
    | NTLM
    | ALWAYS_SIGN
    | EXTENDED_SESSION_SECURITY
    | TARGET_INFO
    | VERSION
    | KEY_128
    | KEY_EXCHANGE;
const NEEDED: u32 =
    UNICODE | SIGN | SEAL | NTLM | EXTENDED_SESSION_SECURITY | KEY_128 | KEY_EXCHANGE;

/// Windows 10 and NTLM's revision 15. Servers only write it to their logs.
const CLIENT_VERSION: [u8; 8] = [10, 0, 0, 0, 0, 0, 0, 15];

/// Kinds of pairs in the target information.
const END: u16 = 0;
const FLAGS: u16 = 6;
const TIMESTAMP: u16 = 7;
const TARGET_NAME: u16 = 9;
const CHANNEL_BINDINGS: u16 = 10;
/// In [`FLAGS`]: the message has an integrity code.
const HAS_MIC: u32 = 2;

/// Where the integrity code stands in the last message, which is where its payload begins too.
const MIC: std::ops::Range<usize> = 72..88;

/// Who logs in.
#[derive(Clone)]
pub(crate) struct Account {
    /// The domain or machine; none where the user did not say.
    pub(crate) domain: Option<String>,
    /// The name in it.
    pub(crate) name: String,
    /// The password.
    pub(crate) password: String,
}

impl Account {
    /// The account that `user` names: `DOMAIN\name`, `name@domain` or `name`.
    pub(crate) fn new(user: &str, password: String) -> Account {
        let (domain, name) = match user.split_once('\\') {
            Some((domain, name)) => (Some(domain.to_owned()), name),
            // A user principal name stays whole, and says by itself where it belongs.
            None if user.contains('@') => (Some(String::new()), user),
            None => (None, user),
        };
        Account { domain, name: name.to_owned(), password }
    }
}

/// The first message.
pub(crate) fn negotiate() -> Vec<u8> {
    let mut message = Vec::with_capacity(40);
    message.extend_from_slice(SIGNATURE);
    message.extend_from_slice(&1_u32.to_le_bytes());
    message.extend_from_slice(&WANTED.to_le_bytes());
    // Neither a domain nor a name of this machine.
    message.extend_from_slice(&[0; 16]);
    message.extend_from_slice(&CLIENT_VERSION);
    message
}

/// What a challenge holds: its type, flags, nonce, target and target information.
type Fields = (u32, u32, [u8; 8], Vec<u8>, Vec<u8>);

/// The second message, which the server sends.
#[derive(Debug)]
pub(crate) struct Challenge {
    bytes: Vec<u8>,
    flags: u32,
    nonce: [u8; 8],
    target: String,
    info: Vec<(u16, Vec<u8>)>,
}

impl Challenge {
    /// Reads a challenge.
    ///
    /// # Errors
    /// It is none, or one that NTLM version 2 with sealing cannot answer, in words.
    pub(crate) fn read(bytes: Vec<u8>) -> Result<Challenge, String> {
        let read = || -> Option<Fields> {
            let word =
                |at: usize| Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?));
            let field = |at: usize| {
                let length = u16::from_le_bytes(bytes.get(at..at + 2)?.try_into().ok()?);
                let start = usize::try_from(word(at + 4)?).ok()?;
                match length {
                    0 => Some(Vec::new()),
                    length => Some(bytes.get(start..start.checked_add(length.into())?)?.to_vec()),
                }
            };
            (bytes.get(..8)? == SIGNATURE).then_some(())?;
            let nonce = bytes.get(24..32)?.try_into().ok()?;
            Some((word(8)?, word(20)?, nonce, field(12)?, field(40)?))
        };
        let (kind, flags, nonce, target, info) = read().ok_or("the NTLM challenge is invalid")?;
        if kind != 2 {
            return Err(format!(
                "an NTLM challenge was expected, not an NTLM message of type {kind}"
            ));
        }
        if flags & NEEDED != NEEDED {
            return Err(format!(
                "it does not offer NTLM version 2 with 128-bit encryption (flags {flags:#010x})"
            ));
        }
        let info = pairs(&info).ok_or("the target information of the NTLM challenge is invalid")?;
        let units = target.chunks_exact(2).map(|unit| u16::from_le_bytes([unit[0], unit[1]]));
        let target = char::decode_utf16(units).map(|c| c.unwrap_or('\u{fffd}')).collect();
        Ok(Challenge { bytes, flags, nonce, target, info })
    }
}

/// The pairs of target information, without the last, which only ends them.
fn pairs(mut bytes: &[u8]) -> Option<Vec<(u16, Vec<u8>)>> {
    let mut pairs = Vec::new();
    loop {
        let (kind, rest) = bytes.split_first_chunk::<2>()?;
        let (length, rest) = rest.split_first_chunk::<2>()?;
        let (value, rest) = rest.split_at_checked(u16::from_le_bytes(*length).into())?;
        match u16::from_le_bytes(*kind) {
            END => return Some(pairs),
            kind => pairs.push((kind, value.to_vec())),
        }
        bytes = rest;
    }
}

/// What only chance and the clock give.
pub(crate) struct Fresh {
    /// The client's challenge.
    pub(crate) nonce: [u8; 8],
    /// The key that seals what follows.
    pub(crate) key: Block,
    /// The time, as Windows counts: tenths of microseconds since 1601.
    pub(crate) time: u64,
}

impl Fresh {
    /// New ones; `None` if the system has no random numbers.
    fn new() -> Option<Fresh> {
        use ring::rand::{SecureRandom, SystemRandom};
        let random = SystemRandom::new();
        let (mut nonce, mut key) = ([0; 8], [0; 16]);
        random.fill(&mut nonce).ok()?;
        random.fill(&mut key).ok()?;
        let since_1970 =
            std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        let time = since_1970.as_secs() + 11_644_473_600;
        Some(Fresh {
            nonce,
            key,
            time: time * 10_000_000 + u64::from(since_1970.subsec_nanos()) / 100,
        })
    }
}

/// The last message, and what seals all that follows it. `host` is the server's name.
///
/// # Errors
/// The system has no random numbers.
pub(crate) fn authenticate(
    negotiate: &[u8],
    challenge: &Challenge,
    account: &Account,
    host: &str,
) -> Result<(Vec<u8>, Sealing), String> {
    let fresh = Fresh::new().ok_or("the system gives no random numbers")?;
    Ok(answer(negotiate, challenge, account, host, &fresh))
}

fn answer(
    negotiate: &[u8],
    challenge: &Challenge,
    account: &Account,
    host: &str,
    fresh: &Fresh,
) -> (Vec<u8>, Sealing) {
    // As Packer does: who names no domain belongs to the one that the server names.
    let domain = account.domain.as_deref().unwrap_or(&challenge.target);
    let hash = md4(&utf16(&account.password));
    let response_key = mac(&hash, &[&utf16(&account.name.to_uppercase()), &utf16(domain)]);

    let stamp = challenge.info.iter().find(|(kind, _)| *kind == TIMESTAMP);
    let time = match stamp.and_then(|(_, value)| <[u8; 8]>::try_from(value.as_slice()).ok()) {
        Some(time) => time,
        None => fresh.time.to_le_bytes(),
    };
    let mut blob = vec![1, 1, 0, 0, 0, 0, 0, 0];
    blob.extend_from_slice(&time);
    blob.extend_from_slice(&fresh.nonce);
    blob.extend_from_slice(&[0; 4]);
    blob.extend_from_slice(&answered_info(&challenge.info, host));
    blob.extend_from_slice(&[0; 4]);
    let proof = mac(&response_key, &[&challenge.nonce, &blob]);
    let nt_response = [&proof[..], &blob].concat();
    // A server that gives its time takes no response of LM's kind.
    let lm_response = match stamp {
        Some(_) => vec![0; 24],
        None => {
            let proof = mac(&response_key, &[&challenge.nonce, &fresh.nonce]);
            [&proof[..], &fresh.nonce].concat()
        }
    };

    let mut sent_key = fresh.key;
    rc4(&mac(&response_key, &[&proof])).apply_keystream(&mut sent_key);

    let flags = challenge.flags & WANTED | VERSION;
    let fields: [&[u8]; 6] = [
        &lm_response,
        &nt_response,
        &utf16(domain),
        &utf16(&account.name),
        // This machine's name, which is nobody's business.
        &[],
        &sent_key,
    ];
    let mut message = Vec::with_capacity(MIC.end + fields.iter().map(|f| f.len()).sum::<usize>());
    message.extend_from_slice(SIGNATURE);
    message.extend_from_slice(&3_u32.to_le_bytes());
    let mut position = MIC.end;
    for field in fields {
        // Names and passwords are far shorter than what sixteen bits count.
        let length = u16::try_from(field.len()).unwrap_or(u16::MAX).to_le_bytes();
        message.extend_from_slice(&length);
        message.extend_from_slice(&length);
        message.extend_from_slice(&u32::try_from(position).unwrap_or(u32::MAX).to_le_bytes());
        position += field.len();
    }
    message.extend_from_slice(&flags.to_le_bytes());
    message.extend_from_slice(&CLIENT_VERSION);
    message.extend_from_slice(&[0; 16]);
    fields.iter().for_each(|field| message.extend_from_slice(field));
    let code = mac(&fresh.key, &[negotiate, &challenge.bytes, &message]);
    message[MIC].copy_from_slice(&code);
    (message, Sealing::new(&fresh.key))
}

/// The server's target information as it goes back: with an integrity code announced, and for
/// which service this login is.
fn answered_info(info: &[(u16, Vec<u8>)], host: &str) -> Vec<u8> {
    let flags = info.iter().find(|(kind, _)| *kind == FLAGS);
    let flags = flags.and_then(|(_, value)| <[u8; 4]>::try_from(value.as_slice()).ok());
    let flags = u32::from_le_bytes(flags.unwrap_or_default()) | HAS_MIC;
    let kept = info
        .iter()
        .filter(|(kind, _)| !matches!(*kind, FLAGS | TARGET_NAME | CHANNEL_BINDINGS))
        .map(|(kind, value)| (*kind, value.clone()));
    let own = [
        (FLAGS, flags.to_le_bytes().to_vec()),
        (TARGET_NAME, utf16(&format!("HTTP/{host}"))),
        // Bound to no TLS channel.
        (CHANNEL_BINDINGS, vec![0; 16]),
        (END, Vec::new()),
    ];
    let mut bytes = Vec::new();
    for (kind, value) in kept.chain(own) {
        bytes.extend_from_slice(&kind.to_le_bytes());
        bytes.extend_from_slice(&u16::try_from(value.len()).unwrap_or(u16::MAX).to_le_bytes());
        bytes.extend_from_slice(&value);
    }
    bytes
}

fn utf16(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_le_bytes).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn challenge(flags: u32, info: &[u8]) -> Vec<u8> {
        let target = utf16("WIN");
        let mut bytes = [&SIGNATURE[..], &2_u32.to_le_bytes()].concat();
        let field = |length: usize, at: usize| {
            let length = u16::try_from(length).unwrap().to_le_bytes();
            [&length[..], &length, &u32::try_from(at).unwrap().to_le_bytes()].concat()
        };
        bytes.extend(field(target.len(), 56));
        bytes.extend(flags.to_le_bytes());
        bytes.extend([1, 2, 3, 4, 5, 6, 7, 8]);
        bytes.extend([0; 8]);
        bytes.extend(field(info.len(), 56 + target.len()));
        bytes.extend([0; 8]);
        bytes.extend(target);
        bytes.extend(info);
        bytes
    }

    /// The published example of MS-NLMP, 4.2.4: user, domain and password give these keys.
    #[test]
    fn keys_are_those_of_the_specification() {
        let hash = md4(&utf16("Password"));
        assert_eq!(hash[..4], [0xa4, 0xf4, 0x9c, 0x40]);
        let key = mac(&hash, &[&utf16("USER"), &utf16("Domain")]);
        let expected = [
            0x0c, 0x86, 0x8a, 0x40, 0x3b, 0xfd, 0x7a, 0x93, 0xa3, 0x00, 0x1e, 0xf2, 0x2e, 0xf0,
            0x2e, 0x3f,
        ];
        assert_eq!(key, expected);
    }

    #[test]
    fn users_name_their_domain_in_two_ways() {
        for (user, domain, name) in [
            ("Administrator", None, "Administrator"),
            ("CORP\\me", Some("CORP"), "me"),
            (".\\me", Some("."), "me"),
            ("me@corp.example", Some(""), "me@corp.example"),
        ] {
            let account = Account::new(user, String::new());
            assert_eq!((account.domain.as_deref(), account.name.as_str()), (domain, name));
        }
    }

    #[test]
    fn challenges_that_cannot_be_answered_are_reported() {
        let end = [0; 4];
        let read = |bytes: Vec<u8>| Challenge::read(bytes).map(drop);
        assert_eq!(read(challenge(WANTED, &end)), Ok(()));
        assert!(read(challenge(WANTED & !SEAL, &end)).unwrap_err().contains("128-bit"));
        assert!(read(challenge(WANTED, &[1, 0])).unwrap_err().contains("target information"));
        assert!(
            read([&SIGNATURE[..], &3_u32.to_le_bytes(), &[0; 48]].concat())
                .unwrap_err()
                .contains("type 3")
        );
        let whole = challenge(WANTED, &end);
        for length in 0..whole.len() {
            assert!(read(whole[..length].to_vec()).is_err(), "{length} bytes");
        }
    }

    #[test]
    fn an_answer_names_the_service_and_has_an_integrity_code() {
        let time = [&TIMESTAMP.to_le_bytes()[..], &[8, 0], &[9; 8], &[0; 4]].concat();
        let challenge = Challenge::read(challenge(WANTED, &time)).unwrap();
        let account = Account::new("me", "pw".into());
        let fresh = Fresh { nonce: [3; 8], key: [4; 16], time: 5 };
        let (message, _) = answer(&negotiate(), &challenge, &account, "host", &fresh);
        let holds = |text: &str| {
            let wanted = utf16(text);
            message.windows(wanted.len()).any(|part| part == wanted)
        };
        assert!(holds("HTTP/host") && holds("WIN") && holds("me") && !holds("pw"));
        let mut bare = message.clone();
        bare[MIC].fill(0);
        let code = mac(&fresh.key, &[&negotiate(), &challenge.bytes, &bare]);
        assert_eq!(message[MIC], code);
    }
}
