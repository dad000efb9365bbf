//! All functions, by name.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use super::signature::Function;
use super::{
    collection, csv, date, encoding, files, format, hash, json, list, map, network, numeric, regex,
    secrets, set, string, uuid, yaml,
};

pub(super) static TABLE: LazyLock<BTreeMap<&'static str, &'static Function>> =
    LazyLock::new(|| {
        [
            collection::FUNCTIONS,
            csv::FUNCTIONS,
            date::FUNCTIONS,
            encoding::FUNCTIONS,
            files::FUNCTIONS,
            format::FUNCTIONS,
            hash::FUNCTIONS,
            json::FUNCTIONS,
            list::FUNCTIONS,
            map::FUNCTIONS,
            network::FUNCTIONS,
            numeric::FUNCTIONS,
            regex::FUNCTIONS,
            secrets::FUNCTIONS,
            set::FUNCTIONS,
            string::FUNCTIONS,
            uuid::FUNCTIONS,
            yaml::FUNCTIONS,
        ]
        .into_iter()
        .flatten()
        .map(|function| (function.name, function))
        .collect()
    });

/// The names of all functions, in order.
pub fn names() -> impl Iterator<Item = &'static str> {
    TABLE.keys().copied()
}

/// The function called `name`.
pub fn get(name: &str) -> Option<&'static Function> {
    TABLE.get(name).copied()
}
