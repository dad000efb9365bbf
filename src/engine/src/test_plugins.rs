//! The plugins that tests of the engine build with: those of the program.

use std::sync::Arc;

use ingot_sdk::PluginSet;

pub(crate) fn plugins() -> PluginSet {
    let mut set = PluginSet::default();
    ingot_amazon::register(&mut set);
    ingot_data_sources::register(&mut set);
    ingot_docker::register(&mut set, Some(Arc::new(ingot_amazon::AmazonEcr::default())));
    ingot_file::register(&mut set);
    ingot_null::register(&mut set);
    ingot_post_processors::register(&mut set);
    ingot_provenance::register(&mut set, None);
    ingot_provisioners::register(&mut set);
    ingot_qemu::register(&mut set);
    ingot_sbom::register(&mut set);
    set
}
