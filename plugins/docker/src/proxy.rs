//! The proxies in the docker client's configuration. The client sets them in what it runs and builds;
//! the Engine knows nothing of them.

use std::collections::BTreeMap;

use ingot_sdk::Result;

use crate::credentials::{ClientConfig, Proxies};

/// The variables that lead what runs on the Engine at `host` to its proxies. Podman's client has no
/// such configuration.
///
/// # Errors
/// The configuration cannot be read.
pub(crate) fn variables(host: &str, podman: bool) -> Result<Vec<(String, String)>> {
    match podman {
        true => Ok(Vec::new()),
        false => Ok(of(&ClientConfig::load()?.proxies, host)),
    }
}

/// Those of the Engine's own entry, else of the one for all. Programs read them in capitals or in
/// small letters.
fn of(proxies: &BTreeMap<String, Proxies>, host: &str) -> Vec<(String, String)> {
    let Some(found) = proxies.get(host).or_else(|| proxies.get("default")) else {
        return Vec::new();
    };
    let all = [
        ("HTTP_PROXY", &found.http_proxy),
        ("HTTPS_PROXY", &found.https_proxy),
        ("NO_PROXY", &found.no_proxy),
        ("FTP_PROXY", &found.ftp_proxy),
        ("ALL_PROXY", &found.all_proxy),
    ];
    let set = all.into_iter().filter_map(|(name, value)| Some((name, value.as_deref()?)));
    let set = set.filter(|(_, value)| !value.is_empty());
    let both = set.flat_map(|(name, value)| {
        [name.to_owned(), name.to_ascii_lowercase()].map(|name| (name, value.to_owned()))
    });
    both.collect()
}

/// Adds to the environment of a container those of `variables` that it does not have.
pub(crate) fn add_to(environment: &mut Option<Vec<String>>, variables: Vec<(String, String)>) {
    for (name, value) in variables {
        let environment = environment.get_or_insert_default();
        if !environment.iter().any(|entry| entry.split('=').next() == Some(name.as_str())) {
            environment.push(format!("{name}={value}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_engine_has_its_own_proxies_or_those_of_all() {
        let text = r#"{"proxies":{"default":{"httpProxy":"http://p:1","noProxy":"localhost"},
            "tcp://far:2376":{"allProxy":"socks5://q:2","noProxy":null}}}"#;
        let config: ClientConfig = serde_json::from_str(text).unwrap();
        let names = |host: &str| -> Vec<String> {
            of(&config.proxies, host).into_iter().map(|(name, _)| name).collect()
        };
        let near = "unix:///var/run/docker.sock";
        assert_eq!(names(near), ["HTTP_PROXY", "http_proxy", "NO_PROXY", "no_proxy"]);
        assert_eq!(names("tcp://far:2376"), ["ALL_PROXY", "all_proxy"]);
        // What is given counts, each spelling for itself.
        let mut environment = Some(vec!["HTTP_PROXY=".to_owned(), "no_proxy_at_all=1".to_owned()]);
        add_to(&mut environment, of(&config.proxies, near));
        let expected = [
            "HTTP_PROXY=",
            "no_proxy_at_all=1",
            "http_proxy=http://p:1",
            "NO_PROXY=localhost",
            "no_proxy=localhost",
        ];
        assert_eq!(environment.unwrap(), expected);
        assert!(of(&BTreeMap::new(), near).is_empty());
    }
}
