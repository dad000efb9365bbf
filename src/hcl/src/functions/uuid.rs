//! Functions that make UUIDs.

use sha1::Digest;
use uuid::Uuid;

use super::{Accepts, Failure, Function, Returns, function, param, text};

const STRING: Accepts = Accepts::String;

pub(super) static FUNCTIONS: &[Function] = &[
    function("uuidv4", &[], Returns::String, |_, ctx| {
        let id = if ctx.reproducible { Uuid::nil() } else { Uuid::new_v4() };
        Ok(id.to_string().into())
    }),
    function(
        "uuidv5",
        &[param("namespace", STRING), param("name", STRING)],
        Returns::String,
        |args, _| {
            let namespace = match text(&args[0]) {
                "dns" => Uuid::NAMESPACE_DNS,
                "url" => Uuid::NAMESPACE_URL,
                "oid" => Uuid::NAMESPACE_OID,
                "x500" => Uuid::NAMESPACE_X500,
                other => Uuid::parse_str(other).map_err(|_| {
                    Failure::argument(0, "dns, url, oid, x500 or a UUID is required")
                })?,
            };
            let hash = sha1::Sha1::new().chain_update(namespace).chain_update(text(&args[1]));
            let mut bytes = [0; 16];
            bytes.copy_from_slice(&hash.finalize()[..16]);
            let uuid = uuid::Builder::from_sha1_bytes(bytes).into_uuid();
            Ok(uuid.to_string().into())
        },
    ),
];
