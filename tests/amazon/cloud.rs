//! moto's server: an AWS on this machine, which keeps what is created in it.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, Weak};

use super::http::{self, Message};
use ingot_test_support::moto::Moto;

/// The AMI that there is in every region.
pub(crate) const BASE_NAME: &str = "ingot-base-1";
/// Its id.
pub(crate) const BASE_ID: &str = "ami-0123456789abcdef0";

/// A running server. Each test has an account of its own in it.
#[derive(Clone)]
pub(crate) struct Cloud(Arc<Server>);

struct Server {
    moto: Moto,
    _images: tempfile::NamedTempFile,
}

/// The server that tests share; it stops when none of them uses it any more. Without moto, tests
/// fail under CI and are skipped, aloud, elsewhere.
pub(crate) fn cloud() -> Option<Cloud> {
    static SHARED: Mutex<Weak<Server>> = Mutex::new(Weak::new());
    shared(&SHARED, Moto::start_with)
}

/// The same with imports of disks, which moto lacks.
pub(crate) fn import_cloud() -> Option<Cloud> {
    static SHARED: Mutex<Weak<Server>> = Mutex::new(Weak::new());
    let program = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/amazon/import-server.py");
    shared(&SHARED, |env| {
        let secret = [("IMPORT_SECRET", SECRET_KEY)];
        Moto::start_program(program, &[env, &secret[..]].concat())
    })
}

/// The secret key of the tests.
pub(crate) const SECRET_KEY: &str = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";

fn shared(
    shared: &Mutex<Weak<Server>>,
    start: impl FnOnce(&[(&str, &str)]) -> Option<Moto>,
) -> Option<Cloud> {
    let mut shared = shared.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    if let Some(server) = shared.upgrade() {
        return Some(Cloud(server));
    }
    let images = serde_json::json!([{
        "ami_id": BASE_ID, "state": "available", "public": true,
        "owner_id": "801119661308", "image_location": "amazon/base", "sriov": "simple",
        "root_device_type": "ebs", "root_device_name": "/dev/sda1", "description": "a base",
        "image_type": "machine", "platform": null, "architecture": "x86_64",
        "name": BASE_NAME, "virtualization_type": "hvm", "hypervisor": "xen",
    }]);
    let file = tempfile::NamedTempFile::new().expect("a file for the list of AMIs");
    std::fs::write(&file, images.to_string()).expect("the list of AMIs is written");
    let path = file.path().to_str().expect("temporary files have plain names");
    let moto = start(&[("MOTO_AMIS_PATH", path)])?;
    let server = Arc::new(Server { moto, _images: file });
    *shared = Arc::downgrade(&server);
    Some(Cloud(server))
}

impl Cloud {
    /// A new account.
    pub(crate) fn account(&self) -> Account {
        static NEXT: AtomicU64 = AtomicU64::new(100_000_000_000);
        Account { port: self.0.moto.port, id: NEXT.fetch_add(1, Ordering::Relaxed).to_string() }
    }
}

/// An account, asked directly: not through Ingot, and not through a proxy.
#[derive(Debug, Clone)]
pub(crate) struct Account {
    pub port: u16,
    pub id: String,
}

impl Account {
    /// The answer to a call of EC2, which must succeed.
    pub(crate) fn call(&self, region: &str, action: &str, parameters: &[(&str, &str)]) -> String {
        let answer = http::ask(self.port, &call(region, action, parameters, Some(&self.id)));
        let answer = answer.expect("moto answers");
        assert_eq!(answer.status(), 200, "{action}: {}", answer.text());
        answer.text()
    }

    /// Makes a launch configuration of Auto Scaling.
    pub(crate) fn create_launch_configuration(&self, region: &str, name: &str, image: &str) {
        let body = format!(
            "Action=CreateLaunchConfiguration&Version=2011-01-01&LaunchConfigurationName={name}\
             &ImageId={image}&InstanceType=t2.micro"
        );
        let request = message(region, "autoscaling", body, Some(&self.id));
        let answer = http::ask(self.port, &request).expect("moto answers");
        assert_eq!(answer.status(), 200, "{}", answer.text());
    }

    /// Makes a role, which nobody need take on.
    pub(crate) fn create_role(&self, name: &str) {
        let body = format!(
            "Action=CreateRole&Version=2010-05-08&RoleName={name}&AssumeRolePolicyDocument=%7B%7D"
        );
        let request = message("us-east-1", "iam", body, Some(&self.id));
        let answer = http::ask(self.port, &request).expect("moto answers");
        assert_eq!(answer.status(), 200, "{}", answer.text());
    }

    /// What S3 answers, which must be a success: `PUT`, `/bucket/key?query`, a body.
    pub(crate) fn s3(&self, method: &str, path: &str, body: &[u8]) -> Message {
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: s3.us-east-1.amazonaws.com\r\nContent-Length: {}\r\n\
             Authorization: AWS4-HMAC-SHA256 Credential=AKIA/20260101/us-east-1/s3/aws4_request, \
             SignedHeaders=host, Signature=0\r\nx-amz-content-sha256: UNSIGNED-PAYLOAD\r\n",
            body.len()
        );
        let message = Message { head, body: body.to_vec() };
        let request = message.with("x-moto-account-id", &self.id);
        let answer = http::ask(self.port, &request).expect("moto answers");
        assert!((200..300).contains(&answer.status()), "{method} {path}: {}", answer.text());
        answer
    }

    /// What a bucket has, one line each: objects, and uploads that are not complete.
    pub(crate) fn bucket(&self, bucket: &str) -> BTreeSet<String> {
        let list = |query: &str, element: &str| {
            let answer = self.s3("GET", &format!("/{bucket}?{query}"), b"").text();
            let document = roxmltree::Document::parse(&answer).expect("an answer in XML");
            let all = document.descendants().filter(|node| node.has_tag_name_local(element));
            all.map(|node| format!("{element} {}", value(&answer[node.range()], "Key"))).collect()
        };
        let mut held: BTreeSet<String> = list("list-type=2", "Contents");
        held.extend(list("uploads", "Upload"));
        held
    }

    /// The account's roles and instance profiles, one line each.
    pub(crate) fn roles(&self) -> BTreeSet<String> {
        let mut held = BTreeSet::new();
        for (action, set, name) in [
            ("ListRoles", "Roles", "RoleName"),
            ("ListInstanceProfiles", "InstanceProfiles", "InstanceProfileName"),
        ] {
            let body = format!("Action={action}&Version=2010-05-08");
            let request = message("us-east-1", "iam", body, Some(&self.id));
            let answer = http::ask(self.port, &request).expect("moto answers").text();
            let members = members(&answer, set).into_iter();
            held.extend(members.map(|one| format!("{name} {}", value(&one, name))));
        }
        held
    }

    /// All that the account has in a region, one line each, but for what it had from the
    /// beginning: networks, the group `default`, the base AMI.
    pub(crate) fn holds(&self, region: &str) -> BTreeSet<String> {
        let mut held = BTreeSet::new();
        let mut add = |kind: &str, text: &str| {
            held.insert(format!("{region} {kind} {text}"));
        };
        let ask = |action: &str, parameters: &[(&str, &str)]| self.call(region, action, parameters);
        for instance in items(&ask("DescribeInstances", &[]), "instancesSet") {
            let state = &instance[instance.find("<instanceState>").expect("it has a state")..];
            let state = value(state, "name");
            if state != "terminated" {
                add("instance", &format!("{} {state}", value(&instance, "instanceId")));
            }
        }
        for key in items(&ask("DescribeKeyPairs", &[]), "keySet") {
            add("key-pair", &value(&key, "keyName"));
        }
        for group in items(&ask("DescribeSecurityGroups", &[]), "securityGroupInfo") {
            let name = value(&group, "groupName");
            if name != "default" {
                add("security-group", &name);
            }
        }
        for volume in items(&ask("DescribeVolumes", &[]), "volumeSet") {
            add("volume", &value(&volume, "volumeId"));
        }
        let mut used = String::new();
        for image in items(&ask("DescribeImages", &[]), "imagesSet") {
            used.push_str(&image);
            if value(&image, "name") != BASE_NAME {
                let (id, name) = (value(&image, "imageId"), value(&image, "name"));
                add("image", &format!("{id} {name} {}", value(&image, "imageState")));
            }
        }
        for snapshot in items(&ask("DescribeSnapshots", &[]), "snapshotSet") {
            let id = value(&snapshot, "snapshotId");
            let what = if used.contains(&id) { "snapshot-of-image" } else { "snapshot" };
            // The base AMI's own.
            let base = value(&snapshot, "description").contains(BASE_ID);
            if !base {
                add(what, &id);
            }
        }
        for template in items(&ask("DescribeLaunchTemplates", &[]), "launchTemplates") {
            add("launch-template", &value(&template, "launchTemplateName"));
        }
        held
    }
}

/// A call of EC2 as a message. The account goes in a header that moto has for that.
pub(crate) fn call(
    region: &str,
    action: &str,
    parameters: &[(&str, &str)],
    account: Option<&str>,
) -> Message {
    let mut body = format!("Action={action}&Version=2016-11-15");
    parameters.iter().for_each(|(name, value)| body.push_str(&format!("&{name}={value}")));
    message(region, "ec2", body, account)
}

fn message(region: &str, service: &str, body: String, account: Option<&str>) -> Message {
    let head = format!(
        "POST / HTTP/1.1\r\nHost: {service}.{region}.amazonaws.com\r\n\
         Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\
         Authorization: AWS4-HMAC-SHA256 Credential=AKIA/20260101/{region}/{service}/aws4_request, \
         SignedHeaders=host, Signature=0\r\n",
        body.len()
    );
    let message = Message { head, body: body.into_bytes() };
    match account {
        Some(account) => message.with("x-moto-account-id", account),
        None => message,
    }
}

/// The elements `item` right below the elements called `set`, as texts.
pub(crate) fn items(xml: &str, set: &str) -> Vec<String> {
    elements(xml, set, "item")
}

/// The same as IAM writes it.
fn members(xml: &str, set: &str) -> Vec<String> {
    let roles = elements(xml, set, "member").into_iter();
    // A profile has roles in it.
    roles.filter(|one| set != "Roles" || !one.contains("InstanceProfileName")).collect()
}

fn elements(xml: &str, set: &str, item: &str) -> Vec<String> {
    let document = roxmltree::Document::parse(xml).expect("an answer in XML");
    let sets = document.descendants().filter(|node| node.tag_name().name() == set);
    let items = sets.flat_map(|node| node.children().filter(|node| node.has_tag_name_local(item)));
    items.map(|node| xml[node.range()].to_owned()).collect()
}

/// The text of the first element called `name`.
pub(crate) fn value(xml: &str, name: &str) -> String {
    let start = xml.find(&format!("<{name}>")).map(|at| at + name.len() + 2);
    let end = start.and_then(|start| Some(start + xml[start..].find('<')?));
    start.zip(end).map(|(start, end)| xml[start..end].to_owned()).unwrap_or_default()
}

/// Looks at names without their namespace.
trait LocalName {
    fn has_tag_name_local(&self, name: &str) -> bool;
}

impl LocalName for roxmltree::Node<'_, '_> {
    fn has_tag_name_local(&self, name: &str) -> bool {
        self.is_element() && self.tag_name().name() == name
    }
}
