//! Which requests go through the proxies of the environment: as with Packer, none to this machine.

use ingot_test_support::http::{HttpServer, response};
use ingot_test_support::{NULL, Run, ingot_with, null_template, template};

/// A server that answers whatever it is asked with its name.
fn server(name: &'static str) -> HttpServer {
    HttpServer::answering(move |_| response(&["Content-Type: text/plain"], name.as_bytes()))
}

/// Runs `ingot` with no other proxies than those of `env`.
fn run(dir: &std::path::Path, args: &[&str], env: &[(&str, &str)]) -> Run {
    let names = ["HTTP_PROXY", "http_proxy", "NO_PROXY", "no_proxy", "REQUEST_METHOD"];
    let none = names.map(|name| (name, ""));
    ingot_with(dir, args, &[&none[..], env].concat())
}

#[test]
fn requests_go_through_proxies_as_in_go() {
    let (proxy, server) = (server("proxy"), server("server"));
    let (through, short, port) = (proxy.url(), proxy.address(), server.port());
    let (through, short) = (through.as_str(), short.as_str());
    let [loopback, localhost, near] =
        ["127.0.0.1", "localhost", "0.0.0.0"].map(|host| format!("{host}:{port}"));
    let (loopback, localhost, near) = (loopback.as_str(), localhost.as_str(), near.as_str());
    for (host, variables, answered) in [
        (loopback, [("HTTP_PROXY", through), ("NO_PROXY", "")], "server"),
        (localhost, [("http_proxy", through), ("NO_PROXY", "")], "server"),
        ("images.example", [("HTTP_PROXY", through), ("NO_PROXY", "")], "proxy"),
        ("images.example", [("http_proxy", short), ("NO_PROXY", "other")], "proxy"),
        // Leads to this machine, too, but is none of its addresses.
        (near, [("HTTP_PROXY", through), ("no_proxy", "0.0.0.0:1")], "proxy"),
        (near, [("HTTP_PROXY", through), ("no_proxy", near)], "server"),
        (near, [("HTTP_PROXY", through), ("REQUEST_METHOD", "GET")], "server"),
    ] {
        let dir = template(&format!(
            "data \"http\" \"d\" {{\n  url = \"http://{host}/\"\n}}\nlocals {{\n  answered = \
             data.http.d.body\n}}\n{NULL}"
        ));
        let shown = run(dir.path(), &["inspect", "."], &variables);
        let line = format!("local.answered: \"{answered}\"");
        assert!(shown.stdout.contains(&line), "{host} {variables:?}: {shown:?}");
        let asked_proxy = proxy.requests();
        match answered {
            "proxy" => {
                let line = format!("GET http://{host}/ HTTP/1.1\r\n");
                let [head] = &asked_proxy[..] else { panic!("{asked_proxy:?}") };
                assert!(head.starts_with(&line), "{head}");
            }
            _ => assert!(asked_proxy.is_empty(), "{host} {variables:?}: {asked_proxy:?}"),
        }
    }
}

/// The token of a Vault on this machine, such as an agent, goes nowhere else.
#[test]
fn a_vault_on_this_machine_is_asked_through_its_own_proxy_alone() {
    let (proxy, server) = (server("proxy"), server("server"));
    let (through, address) = (proxy.url(), server.url());
    let through = through.as_str();
    let text = "locals {\n  v = vault(\"secret/app\", \"k\")\n}\n".to_owned();
    let steps = "  provisioner \"shell-local\" {\n    inline = [\"echo ${local.v}\"]\n  }";
    let dir = template(&(text + &null_template(steps)));
    let common = [
        ("VAULT_ADDR", address.as_str()),
        ("VAULT_TOKEN", "t0ken"),
        ("VAULT_AGENT_ADDR", ""),
        ("VAULT_PROXY_ADDR", ""),
        ("VAULT_HTTP_PROXY", ""),
        ("HTTP_PROXY", through),
    ];
    let failed = run(dir.path(), &["build", "."], &common);
    assert!(failed.stdout.contains("invalid response from Vault"), "{failed:?}");
    assert_eq!((proxy.requests().len(), server.requests().len()), (0, 1));

    let own = [&common[..], &[("VAULT_PROXY_ADDR", through), ("HTTP_PROXY", "")]].concat();
    let failed = run(dir.path(), &["build", "."], &own);
    assert!(failed.stdout.contains("invalid response from Vault"), "{failed:?}");
    assert_eq!((proxy.requests().len(), server.requests().len()), (1, 0));
}
