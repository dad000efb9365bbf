//! The plugins that are part of this program.

use std::sync::Arc;

use ingot_cli::BuiltIn;
use ingot_provenance::KeyService;
use ingot_sdk::PluginSet;
use ingot_sdk::ecr::EcrLogin;

use crate::docker_images::EngineImages;

/// What the command line gets from this program.
pub const BUILT_IN: BuiltIn = BuiltIn { plugins, key_service, docker_images: &EngineImages };

/// The plugins that are part of this binary.
pub fn plugins() -> PluginSet {
    let mut set = PluginSet::default();
    ingot_data_sources::register(&mut set);
    ingot_docker::register(&mut set, ecr_login());
    ingot_file::register(&mut set);
    ingot_null::register(&mut set);
    ingot_post_processors::register(&mut set);
    ingot_provenance::register(&mut set, key_service());
    ingot_provisioners::register(&mut set);
    ingot_qemu::register(&mut set);
    // The cache lists what is kept elsewhere last.
    #[cfg(feature = "amazon")]
    ingot_amazon::register(&mut set);
    ingot_sbom::register(&mut set);
    ingot_publish::data_sources::register(&mut set);
    #[cfg(feature = "plugin-host")]
    set.reclaimer(ingot_plugin_host::ReclaimProcesses);
    set
}

/// What gets passwords of Amazon's container registry.
fn ecr_login() -> Option<Arc<dyn EcrLogin>> {
    #[cfg(feature = "amazon")]
    {
        Some(Arc::new(ingot_amazon::AmazonEcr::default()))
    }
    #[cfg(not(feature = "amazon"))]
    {
        None
    }
}

/// What signs with the keys that a cloud keeps.
fn key_service() -> Option<Arc<dyn KeyService>> {
    #[cfg(feature = "amazon")]
    {
        Some(Arc::new(crate::aws_keys::AwsKeys))
    }
    #[cfg(not(feature = "amazon"))]
    {
        None
    }
}
