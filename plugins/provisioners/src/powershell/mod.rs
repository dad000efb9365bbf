//! `provisioner "powershell"`

mod options;
mod provisioner;
mod scripts;

pub(crate) use provisioner::PowershellProvisioner;
