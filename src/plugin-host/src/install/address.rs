//! Where a plugin is from.

use ingot_sdk::{Error, Result};

/// A plugin by its source, such as `github.com/hashicorp/ansible`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PluginAddress {
    pub(super) source: String,
}

impl PluginAddress {
    /// Reads a source.
    ///
    /// # Errors
    /// It is not like HOST/OWNER/NAME, or could mean another place than one below the plugin
    /// directory.
    pub fn parse(source: &str) -> Result<PluginAddress> {
        let parts: Vec<&str> = source.split('/').collect();
        let plain = |part: &&str| {
            let fits = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.');
            !part.is_empty() && !matches!(*part, "." | "..") && part.chars().all(fits)
        };
        if !(3..=16).contains(&parts.len()) || !parts.iter().all(plain) {
            return Err(Error::new(format!("`{source}` is not the source of a plugin"))
                .hint("a source is HOST/OWNER/NAME, such as github.com/hashicorp/docker"));
        }
        // The names of programs have the plugin's name up to the first `_`.
        if parts.last().is_some_and(|name| name.contains('_')) {
            return Err(Error::new(format!(
                "`{source}` is not the source of a plugin: the name of a plugin, the last part, \
                 cannot have a `_`"
            )));
        }
        Ok(PluginAddress { source: source.to_owned() })
    }

    /// The source.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// The host.
    pub(super) fn host(&self) -> &str {
        self.source.split('/').next().unwrap_or_default()
    }

    /// The plugin's name.
    pub fn name(&self) -> &str {
        self.source.rsplit('/').next().unwrap_or_default()
    }

    /// The owner and the repository, where the source has no other parts.
    pub(super) fn repository(&self) -> Option<(&str, String)> {
        let parts: Vec<&str> = self.source.split('/').collect();
        match parts[..] {
            [_, owner, name] => Some((owner, format!("packer-plugin-{name}"))),
            _ => None,
        }
    }
}
