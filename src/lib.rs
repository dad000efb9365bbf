//! Ingot: a Packer-compatible image builder and image registry.
