//! What SIGHUP is for. Certificates: made by many servers at once, replaced while one runs. The log:
//! renamed while one runs.

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use ingot_test_support::registry_server::Server;
use ingot_test_support::{Run, eventually_async, ingot_with, null_template, signal};

#[tokio::test(flavor = "multi_thread")]
async fn servers_that_start_at_once_in_one_directory_all_start() {
    let dir = tempfile::tempdir().expect("a directory");
    let data = Arc::new(dir.path().join("data"));
    let starts: Vec<_> = (0..4)
        .map(|number| {
            let data = Arc::clone(&data);
            let name = format!("-tls-name=n{number}.example.com");
            std::thread::spawn(move || Server::start(&data, &[&name]))
        })
        .collect();
    let servers: Vec<Server> =
        starts.into_iter().map(|start| start.join().expect("it starts")).collect();
    assert_eq!(servers.len(), 4);
    // The last of them to make one left a certificate and the key that belongs to it.
    let last = Server::start(&data, &[]);
    let answer = last.client().get(format!("{}/healthz", last.url())).send().await;
    assert_eq!(answer.expect("it is trusted").status(), 200);
}

/// What the server prints works on other machines, or says what is missing for that.
#[tokio::test(flavor = "multi_thread")]
async fn other_machines_use_a_name_of_the_certificate() {
    let dir = tempfile::tempdir().expect("a directory");
    let named = dir.path().join("named");
    let server = Server::start(&named, &["-listen=0.0.0.0:0", "-tls-name=images.example.com"]);
    let address = &server.env["HCP_API_ADDRESS"];
    assert!(address.starts_with("images.example.com:"), "{}", server.greeting);
    assert_eq!(server.env["HCP_AUTH_URL"], format!("https://{address}"));
    let copy = format!("Other machines need a copy of {}/registry.crt", named.display());
    assert!(server.greeting.contains(&copy), "{}", server.greeting);
    assert!(!server.greeting.contains("cannot use it"), "{}", server.greeting);

    let server = Server::start(&dir.path().join("unnamed"), &["-listen=0.0.0.0:0"]);
    assert!(server.greeting.contains("from -tls-name NAME"), "{}", server.greeting);
    assert!(server.env["HCP_API_ADDRESS"].starts_with("127.0.0.1:"), "{}", server.greeting);
    // It is trusted, but for no name of this address.
    let address = format!("127.0.0.2:{}", server.port());
    let url = format!("https://{address}");
    let printed = server.env.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let mut env: Vec<(&str, &str)> = printed.collect();
    env.extend([("HCP_API_ADDRESS", address.as_str()), ("HCP_AUTH_URL", url.as_str())]);
    let run = ingot_with(dir.path(), &["registry", "buckets", "list"], &env);
    assert_eq!(run.code, Some(1), "{}", run.stdout);
    assert!(run.stderr.contains("start the registry with `-tls-name NAME`"), "{}", run.stderr);
    assert!(!run.stderr.contains("set SSL_CERT_FILE"), "{}", run.stderr);
}

/// A key and a certificate for 127.0.0.1 as `openssl req -x509` makes them by default, an authority's; none
/// where openssl is not installed.
fn self_signed(directory: &Path) -> Option<[String; 2]> {
    created(directory, &[])
}

/// The same, of which `more` says more to openssl.
fn created(directory: &Path, more: &[&str]) -> Option<[String; 2]> {
    std::fs::create_dir(directory).expect("a directory");
    let path = |name: &str| directory.join(name).to_str().expect("a plain name").to_owned();
    let created = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"])
        .args(["-nodes", "-days", "2", "-subj", "/CN=registry"])
        .args(["-addext", "subjectAltName=IP:127.0.0.1"])
        .args(more)
        .args(["-keyout", &path("key.pem"), "-out", &path("cert.pem")])
        .stderr(Stdio::null())
        .status();
    if !created.is_ok_and(|status| status.success()) {
        ingot_test_support::missing("openssl makes no certificate");
        return None;
    }
    Some([path("key.pem"), path("cert.pem")])
}

/// What reads a secret of Vault and a URL.
fn reads(url: &str) -> String {
    format!(
        "data \"http\" \"h\" {{\n  url = \"{url}/healthz\"\n}}\nlocals {{\n  body = \
         data.http.h.body\n  secret = vault(\"secret/x\", \"b\")\n}}\n{}",
        null_template("")
    )
}

#[test]
fn a_self_signed_certificate_of_an_authority_is_trusted_where_it_is_named() {
    let dir = tempfile::tempdir().expect("a directory");
    let (own, other) = (dir.path().join("own"), dir.path().join("other"));
    let Some([key, certificate]) = self_signed(&own) else { return };
    let Some([_, others]) = self_signed(&other) else { return };
    let (certificate, others) = (certificate.as_str(), others.as_str());
    let args = ["-tls-cert", certificate, "-tls-key", &key];
    let server = Server::start(&dir.path().join("data"), &args);
    let run = |args: &[&str], changed: &[(&str, &str)]| -> Run {
        let printed = server.env.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let env: Vec<_> = printed.chain(changed.iter().copied()).collect();
        ingot_with(dir.path(), args, &env)
    };
    let list = |changed: &[(&str, &str)]| run(&["registry", "buckets", "list"], changed);

    let file = list(&[("SSL_CERT_FILE", certificate)]);
    assert_eq!(file.code, Some(0), "{}{}", file.stdout, file.stderr);
    let directory = list(&[("SSL_CERT_DIR", own.to_str().expect("a plain name"))]);
    assert_eq!(directory.code, Some(0), "{}{}", directory.stdout, directory.stderr);

    // With the same subject, but another one; and for another name.
    let advice = "set SSL_CERT_FILE to the file of the registry's certificate";
    let refused = list(&[("SSL_CERT_FILE", others)]);
    assert_eq!(refused.code, Some(1), "{}", refused.stdout);
    assert!(refused.stderr.contains(advice), "{}", refused.stderr);
    let url = format!("https://localhost:{}", server.port());
    let address = format!("localhost:{}", server.port());
    let named = [("HCP_AUTH_URL", url.as_str()), ("HCP_API_ADDRESS", address.as_str())];
    let refused = list(&[&named[..], &[("SSL_CERT_FILE", certificate)]].concat());
    assert_eq!(refused.code, Some(1), "{}", refused.stdout);
    let advice = "use a name that the certificate is for";
    assert!(refused.stderr.contains(advice), "{}", refused.stderr);

    // Elsewhere, too. The registry is no Vault, and says something else than that one.
    std::fs::write(dir.path().join("t.pkr.hcl"), reads(&server.url())).expect("a template");
    let vault = server.url();
    let read = |http: &str, store: &str| {
        let of_vault =
            [("VAULT_ADDR", vault.as_str()), ("VAULT_TOKEN", "t"), ("VAULT_CACERT", store)];
        let env = [&of_vault[..], &[("VAULT_MAX_RETRIES", "0"), ("SSL_CERT_FILE", http)]].concat();
        let run = run(&["validate", "-evaluate-datasources", "t.pkr.hcl"], &env);
        format!("{}{}", run.stdout, run.stderr)
    };
    let said = read(certificate, certificate);
    assert!(said.contains("Vault") && !said.contains("asking Vault at"), "{said}");
    assert!(!said.contains("could not be fetched") && !said.contains("certificate"), "{said}");
    for (http, store, failed) in [
        (others, certificate, "data.http.h could not be fetched"),
        (certificate, others, "asking Vault at"),
    ] {
        let said = read(http, store);
        assert!(said.contains(failed) && said.contains("invalid peer certificate"), "{said}");
    }
}

#[test]
fn a_certificate_that_an_authority_signed_is_trusted_where_it_is_named() {
    let dir = tempfile::tempdir().expect("a directory");
    let Some([key, authority]) = self_signed(&dir.path().join("authority")) else { return };
    let signed = |name: &str| {
        let of_server = ["-addext", "basicConstraints=critical,CA:FALSE"];
        let more = [&["-CA", authority.as_str(), "-CAkey", key.as_str()][..], &of_server].concat();
        created(&dir.path().join(name), &more)
    };
    let Some([key, certificate]) = signed("own") else { return };
    let Some([_, sibling]) = signed("sibling") else { return };
    let args = ["-tls-cert", certificate.as_str(), "-tls-key", key.as_str()];
    let server = Server::start(&dir.path().join("data"), &args);
    for (named, code) in [(&certificate, 0), (&authority, 0), (&sibling, 1)] {
        let printed = server.env.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let env: Vec<_> = printed.chain([("SSL_CERT_FILE", named.as_str())]).collect();
        let run = ingot_with(dir.path(), &["registry", "buckets", "list"], &env);
        assert_eq!(run.code, Some(code), "{named}: {}{}", run.stdout, run.stderr);
        assert_eq!(run.stderr.contains("invalid peer certificate"), code == 1, "{}", run.stderr);
    }
}

/// The system's certificates are needed, and their lack is reported, where a server shows one.
#[test]
fn without_certificates_to_trust_http_goes_on() {
    let dir = tempfile::tempdir().expect("a directory");
    let plain = Server::start(&dir.path().join("plain"), &["-plain-http"]);
    let server = Server::start(&dir.path().join("data"), &[]);
    let read = |url: &str, named: &str| {
        let template = format!("data \"http\" \"h\" {{\n  url = \"{url}/healthz\"\n}}\n");
        let template = template + &null_template("");
        std::fs::write(dir.path().join("t.pkr.hcl"), template).expect("a template");
        let env = [("SSL_CERT_FILE", named), ("SSL_CERT_DIR", "")];
        ingot_with(dir.path(), &["validate", "-evaluate-datasources", "t.pkr.hcl"], &env)
    };
    for named in ["nowhere.pem", ""] {
        let run = read(&plain.url(), named);
        assert_eq!(run.code, Some(0), "{named:?}: {}{}", run.stdout, run.stderr);
    }
    let run = read(&server.url(), "nowhere.pem");
    let said = format!("{}{}", run.stdout, run.stderr);
    assert_eq!(run.code, Some(1), "{said}");
    assert!(said.contains("there is no certificate to trust: "), "{said}");
    assert!(said.contains("nowhere.pem") && said.contains("ca-certificates"), "{said}");
    // An empty variable is one that is not set: the system's are trusted, which do not know this server.
    if Path::new("/etc/ssl/certs/ca-certificates.crt").exists() {
        let run = read(&server.url(), "");
        let said = format!("{}{}", run.stdout, run.stderr);
        assert!(run.code == Some(1) && said.contains("invalid peer certificate"), "{said}");
    }
}

/// Whoever asks AWS for a bundle's certificates does not get the system's as well.
#[cfg(feature = "amazon")]
#[test]
fn a_bundle_for_aws_counts_alone() {
    let dir = tempfile::tempdir().expect("a directory");
    let [server, other] = ["data", "other"].map(|name| Server::start(&dir.path().join(name), &[]));
    let template = "locals {\n  it = aws_secretsmanager_raw(\"one\")\n}\n".to_owned();
    let steps = "provisioner \"shell-local\" {\n  inline = [\"echo ${local.it}\"]\n}";
    std::fs::write(dir.path().join("t.pkr.hcl"), template + &null_template(steps))
        .expect("written");
    let url = server.url();
    let env = [
        ("SSL_CERT_FILE", server.env["SSL_CERT_FILE"].as_str()),
        ("AWS_CA_BUNDLE", other.env["SSL_CERT_FILE"].as_str()),
        ("AWS_ENDPOINT_URL", url.as_str()),
        ("AWS_ACCESS_KEY_ID", "testing"),
        ("AWS_SECRET_ACCESS_KEY", "testing"),
        ("AWS_REGION", "us-east-1"),
    ];
    let run = ingot_with(dir.path(), &["build", "t.pkr.hcl"], &env);
    let said = format!("{}{}", run.stdout, run.stderr);
    assert_eq!(run.code, Some(1), "{said}");
    assert!(said.contains("invalid peer certificate"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_is_read_again_at_sighup() {
    let dir = tempfile::tempdir().expect("a directory");
    let (one, two) = (dir.path().join("one"), dir.path().join("two"));
    drop((Server::start(&one, &[]), Server::start(&two, &[])));
    let used = dir.path().join("used");
    std::fs::create_dir(&used).expect("a directory");
    let install = |from: &std::path::Path| {
        for name in ["registry.crt", "registry.key"] {
            std::fs::copy(from.join(name), used.join(name)).expect("a copy");
        }
    };
    install(&one);
    let file = |name: &str| used.join(name).to_str().expect("a plain name").to_owned();
    let args = ["-tls-cert", &file("registry.crt"), "-tls-key", &file("registry.key")];
    let mut server = Server::start(&dir.path().join("data"), &args);
    let trusted_by = async |server: &mut Server, directory: &std::path::Path| {
        let certificate = directory.join("registry.crt").to_str().expect("a plain name").to_owned();
        server.env.insert("SSL_CERT_FILE".into(), certificate);
        server.client().get(format!("{}/healthz", server.url())).send().await.is_ok()
    };
    assert!(trusted_by(&mut server, &one).await && !trusted_by(&mut server, &two).await);

    // What cannot be used changes nothing.
    std::fs::write(used.join("registry.key"), "not a key").expect("it is written");
    signal("HUP", server.pid());
    tokio::time::sleep(std::time::Duration::from_millis(1500)).await;
    assert!(trusted_by(&mut server, &one).await);

    install(&two);
    signal("HUP", server.pid());
    eventually_async("the new certificate is used", async || trusted_by(&mut server, &two).await)
        .await;
    assert!(!trusted_by(&mut server, &one).await);

    // A server without a certificate does not die of it.
    let mut plain = Server::start(&dir.path().join("plain"), &["-plain-http"]);
    signal("HUP", plain.pid());
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    assert!(!plain.has_ended());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_logs_file_is_opened_again_at_sighup() {
    let dir = tempfile::tempdir().expect("a directory");
    let (log, renamed) = (dir.path().join("server.log"), dir.path().join("server.log.1"));
    let env = [("PACKER_LOG_PATH", log.to_str().expect("a plain name"))];
    let server = Server::start_with(&dir.path().join("data"), &["-plain-http"], &env);
    let read = |path: &std::path::Path| std::fs::read_to_string(path).unwrap_or_default();
    let failed = "somebody failed to sign in";
    assert_eq!(server.token("first", "wrong").await.0, 401);
    assert!(read(&log).contains(failed), "{}", read(&log));
    std::fs::rename(&log, &renamed).expect("it is renamed");
    signal("HUP", server.pid());
    let mut tries = 0;
    eventually_async("the log goes on in a new file", async || {
        tries += 1;
        assert_eq!(server.token(&format!("later{tries}"), "wrong").await.0, 401);
        if read(&log).contains(failed) { Ok(()) } else { Err(read(&renamed)) }
    })
    .await;
    // All of it is in the new one from then on.
    let old = read(&renamed);
    assert_eq!(server.token("last", "wrong").await.0, 401);
    assert_eq!(read(&renamed), old);
}
