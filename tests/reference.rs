//! docs/reference says what the program does, with all its features.

#![cfg(feature = "amazon")]

use std::path::Path;

#[test]
fn the_reference_is_true() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/reference");
    for (name, text) in ingot::engine::reference::pages(&ingot::builtin::plugins()) {
        let path = folder.join(name);
        if std::env::var_os("UPDATE").is_some() {
            std::fs::create_dir_all(&folder).unwrap();
            std::fs::write(&path, &text).unwrap();
        }
        let there = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(
            there == text,
            "docs/reference/{name} is out of date: run UPDATE=1 cargo test --test reference"
        );
    }
}
