//! Platforms, such as `linux/arm64/v8`.

use serde_json::{Value, json};

/// The operating systems that a platform may be named by alone.
const SYSTEMS: &[&str] = &["linux", "windows", "darwin", "freebsd"];

/// The platform that is `given`, else the one that the docker client would take: that of the environment.
/// Podman's client takes none from there.
pub(crate) fn requested(given: Option<&str>, podman: bool) -> Option<String> {
    let default = || std::env::var("DOCKER_DEFAULT_PLATFORM").ok().filter(|_| !podman);
    let given = given.filter(|platform| !platform.is_empty()).map(str::to_owned);
    given.or_else(default).filter(|platform| !platform.is_empty())
}

/// A platform as the Engine API takes it where it wants an object: that of an image of several, from a
/// text of one, two or three parts, as the docker client reads it.
pub(crate) fn object(text: &str) -> Option<Value> {
    let text = text.trim().to_ascii_lowercase();
    let parts: Vec<&str> = text.split('/').collect();
    let host = std::env::consts::ARCH;
    let (os, architecture, variant) = match parts.as_slice() {
        [os] if SYSTEMS.contains(os) => (*os, host, None),
        [architecture] => ("linux", *architecture, None),
        [os, architecture] => (*os, *architecture, None),
        [os, architecture, variant] => (*os, *architecture, Some(*variant)),
        _ => return None,
    };
    if os.is_empty() || architecture.is_empty() {
        return None;
    }
    let (architecture, of_name) = architecture_of(architecture);
    let mut object = json!({ "os": os, "architecture": architecture });
    if let Some(variant) = variant.filter(|variant| !variant.is_empty()).or(of_name) {
        object["variant"] = json!(variant);
    }
    Some(object)
}

/// The name that images have for an architecture, and its variant if the name says one.
fn architecture_of(name: &str) -> (&str, Option<&str>) {
    match name {
        "x86_64" | "x86-64" => ("amd64", None),
        "aarch64" => ("arm64", None),
        "i386" | "x86" => ("386", None),
        "armhf" => ("arm", Some("v7")),
        "armel" => ("arm", Some("v6")),
        other => (other, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn platforms_are_read_as_the_docker_client_reads_them() {
        let is = |text: &str, os: &str, architecture: &str, variant: Option<&str>| {
            let found = object(text).unwrap();
            assert_eq!((&found["os"], &found["architecture"]), (&json!(os), &json!(architecture)));
            assert_eq!(found.get("variant"), variant.map(|text| json!(text)).as_ref(), "{text}");
        };
        is("linux/amd64", "linux", "amd64", None);
        is("linux/arm/v7", "linux", "arm", Some("v7"));
        is("Linux/aarch64", "linux", "arm64", None);
        is("arm64", "linux", "arm64", None);
        is("armhf", "linux", "arm", Some("v7"));
        is("windows/x86_64", "windows", "amd64", None);
        assert_eq!(object("linux").unwrap()["os"], "linux");
        for wrong in ["", "/", "linux/", "a/b/c/d"] {
            assert_eq!(object(wrong), None, "{wrong}");
        }
    }
}
