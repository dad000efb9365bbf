//! VNC with a password, and machines on a bridge.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use super::bench::{Bench, Guests, POWER_OFF, code_of, dead_machine, qemu, signal};
use ingot_test_support::{missing, require};

/// What a VNC server answers to a login with a password: zero if it lets in.
fn vnc_login(port: u16, password: &str) -> u32 {
    let mut server = TcpStream::connect(("127.0.0.1", port)).unwrap();
    server.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let mut version = [0; 12];
    server.read_exact(&mut version).unwrap();
    assert!(version.starts_with(b"RFB 003."), "{version:?}");
    server.write_all(b"RFB 003.008\n").unwrap();
    let mut count = [0];
    server.read_exact(&mut count).unwrap();
    let mut kinds = vec![0; count[0].into()];
    server.read_exact(&mut kinds).unwrap();
    // The password is asked for, and nothing else would do.
    assert_eq!(kinds, [2]);
    server.write_all(&[2]).unwrap();
    let mut challenge = [0; 16];
    server.read_exact(&mut challenge).unwrap();
    server.write_all(&des(password, &challenge)).unwrap();
    let mut result = [0; 4];
    server.read_exact(&mut result).unwrap();
    u32::from_be_bytes(result)
}

/// A challenge encrypted as RFC 6143 has it (7.2.2): the password's bytes with their bits reversed
/// are DES' key, which is that of triple DES three times.
fn des(password: &str, challenge: &[u8]) -> Vec<u8> {
    let mut key = [0; 8];
    key[..password.len()].copy_from_slice(password.as_bytes());
    let key: String = key.iter().map(|byte| format!("{:02x}", byte.reverse_bits())).collect();
    let mut openssl = Command::new("openssl")
        .args(["enc", "-des-ede3", "-nopad", "-K", &key.repeat(3)])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    openssl.stdin.take().unwrap().write_all(challenge).unwrap();
    openssl.wait_with_output().unwrap().stdout
}

#[test]
fn a_vnc_password_is_asked_for() {
    require!(qemu());
    let bench = Bench::new("", "");
    for (option, known) in [("", None), ("vnc_password = \"pass4711\"", Some("pass4711"))] {
        bench.template(
            &format!(
                "{}  vnc_use_password = true\n  {option}\n  ssh_timeout = \"3m\"",
                dead_machine(&bench.empty_disk())
            ),
            "",
        );
        let child = bench.build_until("Waiting for SSH to become available...");
        let said = bench.output();
        let (_, port) = said.split_once("vnc://127.0.0.1:").unwrap();
        let port = port.split(|c: char| !c.is_ascii_digit()).next().unwrap().parse().unwrap();
        let password = match known {
            Some(known) => {
                assert!(said.contains("with the password in vnc_password"), "{said}");
                assert!(!said.contains(known), "{said}");
                known.to_owned()
            }
            None => {
                let (_, made_up) = said.split_once("with the password ").unwrap();
                made_up.split_whitespace().next().unwrap().to_owned()
            }
        };
        assert_ne!(vnc_login(port, "wrong"), 0);
        assert_eq!(vnc_login(port, &password), 0);
        assert!(!bench.log().contains(&password) || known.is_none(), "{}", bench.log());
        signal(&child, "INT");
        code_of(child);
        bench.assert_clean();
    }
}

/// A network of its own with a bridge `br7`, on which the host is what machines expect, and QEMU's
/// leave to use it; then the program.
const ON_A_BRIDGE: &str = r#"
set -e
cp -a /etc "$1"
mkdir -p "$1/qemu"
echo 'allow br7' >"$1/qemu/bridge.conf"
mount --bind "$1" /etc
ip link set lo up
ip link add br7 type bridge
ip address add 10.0.2.2/24 dev br7
ip link set br7 up
# A network where things go on: the kernel has to hear of the machine.
(while sleep 1; do busybox ping -c 1 -W 1 10.0.2.15 || :; done) >/dev/null 2>&1 &
ping=$!
shift
code=0
"$@" || code=$?
kill $ping
wait $ping || :
exit $code
"#;

#[test]
fn a_machine_on_a_bridge_is_found_by_its_card() {
    let guests = require!(Guests::get());
    let helper = Path::new("/usr/lib/qemu/qemu-bridge-helper");
    if !helper.exists() || Command::new("ip").arg("-V").output().is_err() {
        return missing("qemu-bridge-helper or ip is not installed");
    }
    let bench = Bench::new(
        &format!(
            "{}{POWER_OFF}  net_bridge = \"br7\"\n  temporary_key_pair_type = \"ed25519\"\n",
            guests.machine("quick.qcow2")
        ),
        "  provisioner \"shell\" {\n    inline = [\"echo here is ${build.Host}\"]\n  }",
    );
    let output = Command::new("unshare")
        .args(["-m", "-n", "sh", "-c", ON_A_BRIDGE, "sh"])
        .arg(bench.path("etc"))
        .arg(ingot_test_support::ingot_program())
        .args(["build", "."])
        .current_dir(bench.path(""))
        .env("INGOT_STATE_DIR", bench.path("state"))
        .env("TMPDIR", bench.path("tmp"))
        .output()
        .expect("unshare can be run");
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{said}");
    for part in [
        "net_bridge is set; skipping port forwarding setup.",
        "address to become available in the br7 network bridge",
        "here is 10.0.2.15",
    ] {
        assert!(said.contains(part), "{part:?} is not in {said}");
    }
    assert_eq!(bench.processes(), [""; 0]);
}
