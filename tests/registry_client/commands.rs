//! `ingot registry`: buckets, versions, channels, artifacts.

use crate::publish::{FILES, build_of};
use crate::world::with_both;

#[test]
fn buckets_are_made_changed_and_removed() {
    with_both(|world| {
        assert_eq!(world.json(&["buckets", "list"]), serde_json::json!([]));
        let create = [
            "registry",
            "buckets",
            "create",
            "one",
            "-description=first",
            "-label=a=1",
            "-label=b=2",
        ];
        world.ok(&create);
        let said = world.fails(&create);
        assert!(said.contains("one"), "{said}");
        world.ok(&["registry", "bucket", "create", "two"]);
        let list = world.ok(&["registry", "buckets", "list"]);
        let names: Vec<&str> =
            list.lines().filter_map(|line| line.split_whitespace().next()).collect();
        assert_eq!(names, ["NAME", "one", "two"], "{list}");
        world.ok(&["registry", "buckets", "update", "one", "-label=c=3", "-remove-label=a"]);
        let bucket = world.json(&["buckets", "show", "one"]);
        assert_eq!(bucket["description"], "first");
        assert_eq!(bucket["labels"], serde_json::json!({ "b": "2", "c": "3" }));
        let said = world.fails(&["registry", "buckets", "update", "one"]);
        assert!(said.contains("nothing to change"), "{said}");
        world.ok(&["registry", "buckets", "delete", "one"]);
        let said = world.fails(&["registry", "buckets", "show", "one"]);
        assert!(said.contains("one"), "{said}");
        assert_eq!(world.json(&["buckets", "list"]).as_array().map(Vec::len), Some(1));
    });
}

#[test]
fn channels_move_and_move_back() {
    with_both(|world| {
        world.write("files.pkr.hcl", FILES);
        world.write("from.txt", "b");
        for fingerprint in ["one", "two", "three"] {
            world.build("files.pkr.hcl", fingerprint);
        }
        world.ok(&["registry", "channels", "create", "files", "live"]);
        for version in ["v1", "two", "v3"] {
            world.ok(&["registry", "channels", "assign", "files", "live", version]);
        }
        let names = |args: &[&str]| -> Vec<String> {
            let history = world.json(args);
            let history = history.as_array().expect("a history").iter();
            history.map(|one| one["version"]["name"].as_str().unwrap_or("none").into()).collect()
        };
        let history = ["channels", "history", "files", "live"];
        assert_eq!(names(&history)[..3], ["v3", "v2", "v1"]);

        // Not back to what is revoked.
        world.ok(&["registry", "revoke", "files", "v2"]);
        let said = world.ok(&["registry", "channels", "rollback", "files", "live"]);
        assert_eq!(said, "live points at v1 (one) now.\n");
        assert_eq!(names(&history)[0], "v1");
        let said = world.fails(&["registry", "channels", "assign", "files", "live", "v2"]);
        assert!(said.contains("revoked"), "{said}");
        let said = world.fails(&["registry", "channels", "assign", "files", "live", "v9"]);
        assert!(said.contains("no version v9"), "{said}");
        assert!(said.contains("v3, v2, v1"), "{said}");

        world.ok(&["registry", "channels", "update", "files", "live", "-restricted"]);
        let channels = world.json(&["channels", "list", "files"]);
        let channels = channels.as_array().expect("channels");
        let live = channels.iter().find(|one| one["name"] == "live").expect("the channel");
        assert_eq!(live["restricted"], true);
        assert!(channels.iter().any(|one| one["name"] == "latest" && one["managed"] == true));
        let said = world.fails(&["registry", "versions", "delete", "files", "v1"]);
        assert!(said.contains("live"), "{said}");
        world.ok(&["registry", "channels", "delete", "files", "live"]);
        world.ok(&["registry", "versions", "delete", "files", "v1"]);
        assert_eq!(world.json(&["versions", "list", "files"]).as_array().map(Vec::len), Some(2));
    });
}

#[test]
fn artifacts_of_others_are_recorded() {
    with_both(|world| {
        world.ok(&["registry", "buckets", "create", "bought"]);
        world.ok(&["registry", "versions", "create", "bought", "by-hand"]);
        world.ok(&[
            "registry",
            "artifacts",
            "create",
            "bought",
            "by-hand",
            "amazon-ebs.x",
            "-platform=aws",
            "-region=eu-central-1",
            "-id=ami-1",
            "-label=os=debian",
        ]);
        let version = world.json(&["versions", "show", "bought", "by-hand"]);
        assert_eq!(build_of(&version, "amazon-ebs.x")["labels"]["os"], "debian");
        let artifacts = world.json(&["artifacts", "list", "bought"]);
        assert_eq!(artifacts[0]["external_identifier"], "ami-1");
        assert_eq!(artifacts[0]["region"], "eu-central-1");
        let list = world.ok(&["registry", "artifacts", "list", "bought", "by-hand"]);
        assert!(list.contains("amazon-ebs.x  aws       eu-central-1  ami-1"), "{list}");
        let update = ["registry", "artifacts", "update", "bought", "v1", "amazon-ebs.x"];
        world.ok(&[&update[..], &["-label=os=ubuntu", "-label=tested=yes"]].concat());
        let build = world.json(&["artifacts", "show", "bought", "v1", "amazon-ebs.x"]);
        let labels = serde_json::json!({ "os": "ubuntu", "tested": "yes" });
        assert_eq!(build["labels"], labels);
        assert_eq!(build["artifacts"][0]["external_identifier"], "ami-1");
        let all = ["-remove-label=os", "-remove-label=tested"];
        let said = world.fails(&[&update[..], &all].concat());
        assert!(said.contains("the last label"), "{said}");
        let found = world.ok(&["registry", "artifacts", "find", "ami-1"]);
        assert!(found.contains("bought"), "{found}");
        let said = world.fails(&["registry", "artifacts", "show", "bought", "by-hand", "x.y"]);
        assert!(said.contains("it has: amazon-ebs.x"), "{said}");
    });
}
