//! What a plugin program says of itself when it is run with the argument `describe`.

use serde::{Deserialize, Serialize};

/// The name of the component that is called as its plugin.
const DEFAULT_NAME: &str = "-packer-default-plugin-name-";

/// What a plugin program says of itself.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Description {
    /// Its version, such as `1.1.3` or `1.2.0-dev`.
    #[serde(default)]
    pub version: String,
    /// The version of packer-plugin-sdk that it is built with.
    #[serde(default)]
    pub sdk_version: String,
    /// The version of the protocol, such as `x5.0`.
    #[serde(default)]
    pub api_version: String,
    /// Builders, by the names within the plugin.
    #[serde(default, deserialize_with = "or_none")]
    pub builders: Vec<String>,
    /// Post-processors.
    #[serde(default, deserialize_with = "or_none")]
    pub post_processors: Vec<String>,
    /// Provisioners.
    #[serde(default, deserialize_with = "or_none")]
    pub provisioners: Vec<String>,
    /// Data sources.
    #[serde(default, deserialize_with = "or_none")]
    pub datasources: Vec<String>,
    /// `v2` where options can be had as protobuf.
    #[serde(default)]
    pub protocol_version: String,
}

/// A list, which may also be null.
fn or_none<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

impl Description {
    /// Whether options can be had as protobuf rather than as gob.
    pub fn protobuf(&self) -> bool {
        self.protocol_version == "v2"
    }

    /// Components of a kind, by the names within the plugin.
    pub fn components(&self, kind: ComponentKind) -> &[String] {
        match kind {
            ComponentKind::Builder => &self.builders,
            ComponentKind::PostProcessor => &self.post_processors,
            ComponentKind::Provisioner => &self.provisioners,
            ComponentKind::DataSource => &self.datasources,
        }
    }
}

/// A kind of component.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum ComponentKind {
    /// `source`
    Builder,
    /// `post-processor`
    PostProcessor,
    /// `provisioner`
    Provisioner,
    /// `data`
    DataSource,
}

impl ComponentKind {
    /// All of them.
    pub const ALL: [ComponentKind; 4] = [
        ComponentKind::Builder,
        ComponentKind::PostProcessor,
        ComponentKind::Provisioner,
        ComponentKind::DataSource,
    ];

    /// The argument that starts a component of this kind.
    pub fn argument(self) -> &'static str {
        match self {
            ComponentKind::Builder => "builder",
            ComponentKind::PostProcessor => "post-processor",
            ComponentKind::Provisioner => "provisioner",
            ComponentKind::DataSource => "datasource",
        }
    }

    /// The name of its server in the protocol.
    pub fn endpoint(self) -> &'static str {
        match self {
            ComponentKind::Builder => "Builder",
            ComponentKind::PostProcessor => "PostProcessor",
            ComponentKind::Provisioner => "Provisioner",
            ComponentKind::DataSource => "Datasource",
        }
    }
}

/// What templates call a component: the plugin's name, a dash and the component's, unless the
/// component has the plugin's name alone.
pub fn template_name(plugin: &str, component: &str) -> String {
    match component {
        DEFAULT_NAME => plugin.to_owned(),
        component => format!("{plugin}-{component}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn descriptions_may_lack_what_older_plugins_do_not_say() {
        let old = r#"{"version":"0.0.1","sdk_version":"0.2.0","api_version":"x5.0",
            "builders":["ebs"],"post_processors":null,"provisioners":[]}"#;
        let old: Description = serde_json::from_str(old).unwrap();
        assert!(!old.protobuf());
        assert_eq!(old.components(ComponentKind::Builder), ["ebs"]);
        assert!(old.components(ComponentKind::DataSource).is_empty());
        assert_eq!(template_name("amazon", "ebs"), "amazon-ebs");
        assert_eq!(template_name("docker", DEFAULT_NAME), "docker");
    }
}
