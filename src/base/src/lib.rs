//! What every part of Ingot needs, whatever it does: an [`Error`] with a kind, advice and a cause, the
//! [HTTP client](http), which servers it [trusts](tls) and the [proxies](proxy) of the environment, [downloads](download) that go on
//! where they broke off, small files that are read up to a bound ([`files`]), or [once](read_once), or
//! written whole ([`whole_file`]), [locks](file_lock) between processes, [retries](retry), checksums ([`hash`]).
//!
//! Knows nothing of plugins, templates, builds or registries.

pub mod byte_size;
pub mod download;
pub mod environment;
pub mod error;
pub mod file_lock;
pub mod files;
pub mod hash;
pub mod home;
pub mod http;
pub mod network;
pub mod proxy;
pub mod read_once;
pub mod retry;
pub mod tls;
mod trusted;
pub mod whole_file;

pub use byte_size::byte_size;
pub use error::{Context, Error, ErrorKind, Result};
