//! A project's registry itself.

use super::{Location, Operation, Timestamp, enumeration, message};

enumeration! {
    /// What a registry can do, which HCP sells by.
    RegistryConfigTier {
        /// Not known.
        #[default]
        Unset = "UNSET",
        /// The standard.
        Standard = "STANDARD",
        /// Everything: what an Ingot server says.
        Plus = "PLUS",
    }
}

message! {
    /// A registry's settings.
    RegistryConfig {
        /// Whether it can be used.
        activated: bool,
        /// What it can do.
        feature_tier: RegistryConfigTier,
    }
}

message! {
    /// A registry.
    RegistryInfo {
        /// A ULID.
        id: String,
        /// Where it is.
        location: Option<Location>,
        /// Its settings.
        config: Option<RegistryConfig>,
        /// When it was made.
        created_at: Timestamp,
        /// When it last changed.
        updated_at: Timestamp,
    }
}

message! {
    /// Asks for a registry.
    CreateRegistryBody {
        /// What it is to do.
        feature_tier: RegistryConfigTier,
    }
}

message! {
    /// Changes a registry's settings.
    UpdateRegistryBody {
        /// Whether it can be used.
        activated: bool,
        /// What it is to do.
        feature_tier: RegistryConfigTier,
        /// What to change: `config.activated`, `config.featureTier`.
        update_mask: String,
    }
}

message! {
    /// A registry.
    RegistryResponse {
        /// The operation, done; only where something was changed.
        operation: Option<Operation>,
        /// The registry.
        registry: Option<RegistryInfo>,
    }
}
