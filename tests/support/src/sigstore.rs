//! Sigstore's real services, empty at first: Fulcio with a certificate transparency log, and Rekor,
//! both on Trillian, and an issuer of OIDC tokens whose key is the test's.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::eventually;
use crate::postgres::Postgres;
use crate::sshd::{Running, free_port, wait_for};

/// The programs that are needed. `tests/sigstore-services.sh` builds them, with Trillian's schema.
const PROGRAMS: [&str; 6] = [
    "fulcio",
    "rekor-server",
    "ct_server",
    "trillian_log_server",
    "trillian_log_signer",
    "createtree",
];

/// Who people's tokens are of, unless a test says otherwise.
pub const PERSON: &str = "builder@example.org";

/// Who the tokens of a workflow of GitHub Actions are of.
pub const WORKFLOW: &str =
    "https://github.com/ingot-test/images/.github/workflows/build.yml@refs/heads/main";

/// The services. They end with this.
pub struct Sigstore {
    // Before the database, without which they say that they fail.
    _processes: Vec<Running>,
    _postgres: Postgres,
    dir: TempDir,
    /// Where Fulcio listens.
    pub fulcio: String,
    /// Where Rekor listens.
    pub rekor: String,
    issuer: String,
    /// What the issuer answers to a workflow that asks for a token.
    workflow_token: Arc<Mutex<String>>,
}

/// The directory of the programs, if all are on the PATH.
fn programs() -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let has_all = |dir: &PathBuf| PROGRAMS.iter().all(|program| dir.join(program).exists());
    std::env::split_paths(&path).find(has_all)
}

impl Sigstore {
    /// Starts the services. None where they are not there, under CI too: no package has them, and to
    /// compile them takes longer than all the rest of CI.
    pub fn start() -> Option<Sigstore> {
        let Some(programs) = programs() else {
            eprintln!("skipped: Sigstore's services are not on the PATH: {}", PROGRAMS.join(", "));
            return None;
        };
        let schema = std::fs::read_to_string(programs.join("storage.sql")).expect("the schema");
        let postgres = Postgres::start()?;
        postgres.query(&schema);
        let dir = tempfile::tempdir().unwrap();
        let mut processes = Vec::new();
        let mut start = |program: &str, args: &[String]| {
            let log = std::fs::File::create(dir.path().join(format!("{program}.log"))).unwrap();
            let mut command = Command::new(programs.join(program));
            command.args(args).current_dir(dir.path()).stdin(Stdio::null());
            command.stdout(log.try_clone().unwrap()).stderr(log);
            processes.push(Running(command.spawn().expect(program)));
        };

        let trillian = free_port();
        let storage = |port: u16| {
            vec![
                "--storage_system=postgresql".to_owned(),
                format!("--postgresql_uri={}?sslmode=disable", postgres.url()),
                "--quota_system=noop".to_owned(),
                format!("--rpc_endpoint=127.0.0.1:{port}"),
                "--http_endpoint=".to_owned(),
            ]
        };
        start("trillian_log_server", &storage(trillian));
        wait_for(trillian);
        start(
            "trillian_log_signer",
            &[storage(free_port()), vec!["--force_master".into()]].concat(),
        );

        let rekor_port = free_port();
        start(
            "rekor-server",
            &[
                "serve".to_owned(),
                format!("--trillian_log_server.port={trillian}"),
                format!("--port={rekor_port}"),
                "--rekor_server.signer=memory".to_owned(),
                "--enable_retrieve_api=false".to_owned(),
            ],
        );

        let workflow_token = Arc::new(Mutex::new(String::new()));
        let issuer = issuer(dir.path(), Arc::clone(&workflow_token));
        let (fulcio_port, ct_port) = (free_port(), free_port());
        let of_workflows = format!("{issuer}/actions");
        let issuers = json!({ "OIDCIssuers": {
            &issuer: { "IssuerURL": &issuer, "ClientID": "sigstore", "Type": "email" },
            &of_workflows: {
                "IssuerURL": &of_workflows, "ClientID": "sigstore", "Type": "github-workflow",
            },
        }});
        std::fs::write(dir.path().join("fulcio.json"), issuers.to_string()).unwrap();
        start(
            "fulcio",
            &[
                "serve".to_owned(),
                "--ca=ephemeralca".to_owned(),
                "--config-path=fulcio.json".to_owned(),
                "--host=127.0.0.1".to_owned(),
                format!("--port={fulcio_port}"),
                "--grpc-host=127.0.0.1".to_owned(),
                format!("--grpc-port={}", free_port()),
                format!("--metrics-port={}", free_port()),
                format!("--legacy-unix-domain-socket={}", dir.path().join("socket").display()),
                format!("--ct-log-url=http://127.0.0.1:{ct_port}/test"),
            ],
        );
        let fulcio = format!("http://127.0.0.1:{fulcio_port}");
        let rekor = format!("http://127.0.0.1:{rekor_port}");
        let authority = wait_until_got(&format!("{fulcio}/api/v1/rootCert"));
        std::fs::write(dir.path().join("fulcio.pem"), &authority).unwrap();
        start_log_of_certificates(dir.path(), &programs, trillian, ct_port, &mut start);
        wait_for(ct_port);
        let log = wait_until_got(&format!("{rekor}/api/v1/log/publicKey"));
        let certificates = openssl(dir.path(), &["pkey", "-in", "ct.pem", "-pubout"]);
        let root = json!({
            "mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
            "tlogs": [log_of(&rekor, &log)],
            "certificateAuthorities": [{
                "subject": { "organization": "sigstore.dev", "commonName": "sigstore" },
                "uri": &fulcio,
                "certChain": { "certificates": [{ "rawBytes": body_of(&authority) }] },
                "validFor": { "start": "2020-01-01T00:00:00Z" },
            }],
            "ctlogs": [log_of(
                &format!("http://127.0.0.1:{ct_port}/test"),
                &String::from_utf8(certificates).unwrap(),
            )],
            "timestampAuthorities": [],
        });
        std::fs::write(dir.path().join("trusted_root.json"), root.to_string()).unwrap();
        Some(Sigstore {
            _processes: processes,
            _postgres: postgres,
            dir,
            fulcio,
            rekor,
            issuer,
            workflow_token,
        })
    }

    /// The file of the trusted root.
    pub fn trusted_root(&self) -> PathBuf {
        self.dir.path().join("trusted_root.json")
    }

    /// The issuer of people's tokens.
    pub fn issuer(&self) -> String {
        self.issuer.clone()
    }

    /// The issuer of the tokens of workflows.
    pub fn workflow_issuer(&self) -> String {
        format!("{}/actions", self.issuer)
    }

    /// A token of [`PERSON`] of ten minutes, but for what `claims` say.
    pub fn token(&self, claims: Value) -> String {
        let common = json!({ "sub": "person-1", "email": PERSON, "email_verified": true });
        self.sign(&self.issuer, common, claims)
    }

    /// The address where a workflow asks for a token; what it gets is of [`WORKFLOW`].
    pub fn workflow_request(&self) -> String {
        let claims = json!({
            "sub": "repo:ingot-test/images:ref:refs/heads/main",
            "job_workflow_ref": "ingot-test/images/.github/workflows/build.yml@refs/heads/main",
            "job_workflow_sha": "a".repeat(40),
            "sha": "a".repeat(40),
            "event_name": "push",
            "repository": "ingot-test/images",
            "repository_id": "1",
            "repository_owner": "ingot-test",
            "repository_owner_id": "2",
            "repository_visibility": "public",
            "workflow": "build",
            "workflow_ref": "ingot-test/images/.github/workflows/build.yml@refs/heads/main",
            "workflow_sha": "a".repeat(40),
            "ref": "refs/heads/main",
            "runner_environment": "github-hosted",
            "run_id": "3",
            "run_attempt": "1",
        });
        let token = self.sign(&self.workflow_issuer(), claims, json!({}));
        *self.workflow_token.lock().unwrap() = token;
        format!("{}/request?api-version=2.0", self.issuer)
    }

    fn sign(&self, issuer: &str, mut claims: Value, more: Value) -> String {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        let now = now.as_secs();
        let all = claims.as_object_mut().unwrap();
        let common = json!({ "iss": issuer, "aud": "sigstore", "iat": now, "exp": now + 600 });
        for part in [common, more] {
            all.extend(part.as_object().unwrap().clone());
        }
        let header = json!({ "alg": "RS256", "typ": "JWT", "kid": "test" });
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", part(&header), part(&claims));
        let name = format!("{}.txt", URL_SAFE_NO_PAD.encode(now.to_string()));
        std::fs::write(self.dir.path().join(&name), &signed).unwrap();
        let sign = ["dgst", "-sha256", "-sign", "issuer.pem", &name];
        let signature = openssl(self.dir.path(), &sign);
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    }
}

/// Starts a log that Fulcio writes its certificates to.
fn start_log_of_certificates(
    dir: &Path,
    programs: &Path,
    trillian: u16,
    port: u16,
    start: &mut dyn FnMut(&str, &[String]),
) {
    let make = ["ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", "ct.pem"];
    openssl(dir, &make);
    let key = openssl(dir, &["pkey", "-in", "ct.pem", "-outform", "DER"]);
    let key: String = key.iter().map(|byte| format!("\\{byte:03o}")).collect();
    let server = format!("--admin_server=127.0.0.1:{trillian}");
    let tree = Command::new(programs.join("createtree")).arg(server).output().unwrap();
    assert!(tree.status.success(), "{}", String::from_utf8_lossy(&tree.stderr));
    let tree = String::from_utf8_lossy(&tree.stdout).trim().to_owned();
    let config = format!(
        "config {{\n  log_id: {tree}\n  prefix: \"test\"\n  roots_pem_file: \"fulcio.pem\"\n  \
         ext_key_usages: \"CodeSigning\"\n  private_key {{ [type.googleapis.com/keyspb.PrivateKey] \
         {{ der: \"{key}\" }} }}\n}}\n"
    );
    std::fs::write(dir.join("ct.cfg"), config).unwrap();
    start(
        "ct_server",
        &[
            format!("--log_rpc_server=127.0.0.1:{trillian}"),
            "--log_config=ct.cfg".to_owned(),
            format!("--http_endpoint=127.0.0.1:{port}"),
        ],
    );
}

/// An issuer of tokens: it says what its key is, and hands a workflow's token out. Gives its address.
fn issuer(dir: &Path, workflow_token: Arc<Mutex<String>>) -> String {
    openssl(dir, &["genrsa", "-out", "issuer.pem", "2048"]);
    let modulus = openssl(dir, &["rsa", "-in", "issuer.pem", "-noout", "-modulus"]);
    let modulus = String::from_utf8(modulus).unwrap();
    let digits = modulus.trim().trim_start_matches("Modulus=");
    let modulus: Vec<u8> = (0..digits.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap())
        .collect();
    let key = json!({
        "kty": "RSA", "use": "sig", "alg": "RS256", "kid": "test",
        "n": URL_SAFE_NO_PAD.encode(modulus), "e": "AQAB",
    });
    let keys = json!({ "keys": [key] }).to_string();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let root = address.clone();
    // It ends with the process: a test's.
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let _ = answer(stream, &root, &keys, &workflow_token);
        }
    });
    address
}

fn answer(
    mut stream: TcpStream,
    root: &str,
    keys: &str,
    workflow_token: &Mutex<String>,
) -> std::io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    let mut lines = BufReader::new(stream.try_clone()?).lines();
    let request = lines.next().transpose()?.unwrap_or_default();
    let mut authorized = false;
    for line in lines {
        let line = line?;
        authorized |= line.eq_ignore_ascii_case("authorization: bearer of-the-job");
        if line.is_empty() {
            break;
        }
    }
    let path = request.split(' ').nth(1).unwrap_or_default();
    let body = match path {
        "/keys" => keys.to_owned(),
        "/request?api-version=2.0&audience=sigstore" if authorized => {
            json!({ "count": 1, "value": *workflow_token.lock().unwrap() }).to_string()
        }
        _ if path.ends_with("/.well-known/openid-configuration") => {
            let issuer = path.trim_end_matches("/.well-known/openid-configuration");
            json!({
                "issuer": format!("{root}{issuer}"),
                "jwks_uri": format!("{root}/keys"),
                "authorization_endpoint": format!("{root}/none"),
                "token_endpoint": format!("{root}/none"),
                "response_types_supported": ["id_token"],
                "subject_types_supported": ["public"],
                "id_token_signing_alg_values_supported": ["RS256"],
            })
            .to_string()
        }
        _ => String::new(),
    };
    let status = if body.is_empty() { "404 Not Found" } else { "200 OK" };
    write!(
        stream,
        "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: \
         close\r\n\r\n{body}",
        body.len()
    )
}

/// A log, as a trusted root names it.
fn log_of(url: &str, key: &str) -> Value {
    let der = body_of(key);
    let bytes = STANDARD.decode(&der).unwrap();
    let id = crate::output_of(
        "sh",
        &["-c", &format!("printf %s '{der}' | base64 -d | openssl dgst -sha256 -binary | base64")],
    );
    assert!(!bytes.is_empty());
    json!({
        "baseUrl": url,
        "hashAlgorithm": "SHA2_256",
        "publicKey": {
            "rawBytes": der,
            "keyDetails": "PKIX_ECDSA_P256_SHA_256",
            "validFor": { "start": "2020-01-01T00:00:00Z" },
        },
        "logId": { "keyId": id.trim() },
    })
}

/// What is between the lines of the first block of a PEM text.
fn body_of(pem: &str) -> String {
    let inside = pem.lines().skip_while(|line| !line.starts_with("-----BEGIN")).skip(1);
    inside.take_while(|line| !line.starts_with("-----END")).collect()
}

fn openssl(dir: &Path, args: &[&str]) -> Vec<u8> {
    let output = Command::new("openssl").args(args).current_dir(dir).output().expect("openssl");
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

/// What a service answers as soon as it does.
fn wait_until_got(url: &str) -> String {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    eventually(format_args!("{url} responds"), || {
        let got = runtime.block_on(async {
            let client = ingot_base::http::client().unwrap();
            let answer = client.get(url).timeout(Duration::from_secs(5)).send().await.ok()?;
            answer.status().is_success().then_some(answer)?.text().await.ok()
        });
        match got {
            Some(text) if text.contains("-----BEGIN") => Ok(text),
            got => Err(format!("{got:?}")),
        }
    })
}
