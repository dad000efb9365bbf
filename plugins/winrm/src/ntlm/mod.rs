//! NTLM version 2, the client's side: Microsoft's MS-NLMP. No version 1 and no LM responses.

mod hashes;
mod messages;
mod sealing;

pub(crate) use messages::{Account, Challenge, authenticate, negotiate};
pub(crate) use sealing::Sealing;

use hashes::{Block, mac, md4, md5, rc4};
