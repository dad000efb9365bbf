//! How to log in to the instance.

use ingot_sdk::{ConfigErrors, ConfigWarning, GoDuration};

use super::{one_of, wrong_with};
use crate::ebs::choices::KeyChoice;
use crate::ebs::options::{Options, given};

/// Checks what the communicator needs.
pub(crate) fn login(
    raw: &Options,
    key: &KeyChoice,
    errors: &mut ConfigErrors,
    warnings: &mut Vec<ConfigWarning>,
) {
    // What decides which key there is, and whether it is needed.
    const RELATED: &[&str] = &[
        "communicator",
        "winrm_password",
        "ssh_private_key_file",
        "ssh_agent_auth",
        "ssh_keypair_name",
        "ssh_password",
        "temporary_key_pair_name",
    ];
    let ssh = &raw.communicator.ssh;
    let winrm = raw.communicator.kind() == "winrm";
    let needs_password = winrm && given(&raw.communicator.winrm.winrm_password).is_none();
    let kind = given(&ssh.temporary_key_pair_type);
    // The ssh communicator itself reports an unknown kind of key.
    if winrm || kind == Some("ecdsa") {
        one_of(errors, "temporary_key_pair_type", kind, &["rsa", "ed25519"]);
    }
    if needs_password && kind == Some("ed25519") && matches!(key, KeyChoice::Temporary(_)) {
        wrong_with(
            errors,
            ("temporary_key_pair_type", RELATED),
            "EC2 encrypts the password of Windows with RSA keys only",
            "remove the option, or set winrm_password",
        );
    }
    if needs_password && !matches!(key, KeyChoice::Temporary(_) | KeyChoice::File(_)) {
        wrong_with(
            errors,
            ("communicator", RELATED),
            "EC2 encrypts the password of Windows with the instance's key, which is not here",
            "set winrm_password, or ssh_private_key_file to the key of ssh_keypair_name",
        );
    } else if given(&ssh.ssh_keypair_name).is_some()
        && !matches!(key, KeyChoice::File(_) | KeyChoice::Agent)
    {
        wrong_with(
            errors,
            ("ssh_keypair_name", RELATED),
            "the private key of this key pair is missing",
            "set ssh_private_key_file, or ssh_agent_auth = true",
        );
    }
    if ssh.temporary_key_pair_bits.is_some_and(|bits| bits != 0) {
        warnings.push(ConfigWarning::on(
            "temporary_key_pair_bits",
            "`temporary_key_pair_bits` has no effect: EC2 creates the key pair, and its RSA keys \
             have 2048 bits",
        ));
    }
    let timeout = raw.instance.windows_password_timeout;
    if timeout.is_some_and(|timeout: GoDuration| !timeout.0.is_zero()) && !winrm {
        warnings.push(ConfigWarning::on(
            "windows_password_timeout",
            "`windows_password_timeout` has no effect without communicator = \"winrm\"",
        ));
    }
}
