//! The `winrm` communicator, for all builders whose machine is a Windows that is reached by
//! WinRM.
//!
//! Knows nothing of SSH or of any builder.
//!
//! A builder flattens [`WinrmConfig`] into its options, checks it with [`WinrmConfig::prepare`],
//! and calls [`WinrmSettings::connect`] once its machine is under way.
//!
//! WinRM is WS-Management: SOAP messages posted over HTTP or HTTPS. `message` writes them,
//! `answer` reads what comes back, `service` carries both, `reply` names what goes wrong on the way,
//! `ntlm` and `ntlm_session` log in and encrypt where that is asked for, `shell` makes remote shells
//! and commands of them, `transfer` copies files with nothing but commands.

mod answer;
mod communicator;
mod config;
mod connect;
mod failure;
mod machine;
mod message;
mod ntlm;
mod ntlm_session;
mod reply;
mod service;
mod shell;
mod transfer;

pub use config::{WinrmConfig, WinrmSettings};
pub use connect::Target;
