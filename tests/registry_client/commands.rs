//! `ingot registry`: buckets, versions, channels, artifacts.

use crate::publish::{FILES, build_of};
use crate::world::{World, with_both};

#[test]
fn buckets_are_created_changed_and_removed() {
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
fn names_that_others_do_not_take_are_warned_of() {
    with_both(|world| {
        let create = |what: &[&str]| world.ok(&[&["registry"], what].concat());
        let said = create(&["buckets", "create", "my_bucket"]);
        assert!(said.contains("Warning: no template can be published to my_bucket"), "{said}");
        let said = create(&["channels", "create", "my_bucket", "qa"]);
        assert!(said.contains("takes no channel called qa: its names are 3 to 36"), "{said}");
        for what in
            [&["buckets", "create", "my-bucket"][..], &["channels", "create", "my-bucket", "dev"]]
        {
            let said = create(what);
            assert!(!said.contains("Warning"), "{said}");
        }
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
        assert_eq!(said, "live points at v1 (one) now; before, it pointed at v3 (three).\n");
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
fn a_rollback_goes_further_back_each_time() {
    with_both(|world| {
        world.write("files.pkr.hcl", FILES);
        world.write("from.txt", "b");
        for fingerprint in ["one", "two", "three"] {
            world.build("files.pkr.hcl", fingerprint);
        }
        world.ok(&["registry", "channels", "create", "files", "live"]);
        let assign =
            |version: &str| world.ok(&["registry", "channels", "assign", "files", "live", version]);
        let rollback = ["registry", "channels", "rollback", "files", "live"];
        let said = world.fails(&rollback);
        assert!(said.contains("live pointed at no version that is still valid"), "{said}");
        // Its advice works, so it is another one where nothing can be assigned.
        let said = world.fails(&["registry", "channels", "rollback", "files", "latest"]);
        assert!(said.contains("the channel latest is managed by the registry"), "{said}");
        assert!(said.contains("`ingot registry revoke files VERSION`"), "{said}");
        assert!(!said.contains("assign"), "{said}");
        let moved = |to: &str, from: &str| {
            format!("live points at {to} now; before, it pointed at {from}.\n")
        };
        assert_eq!(assign("v1"), "live points at v1 (one) now.\n");
        assert_eq!(assign("v2"), moved("v2 (two)", "v1 (one)"));
        assign("v3");
        assert_eq!(world.ok(&rollback), moved("v2 (two)", "v3 (three)"));
        assert_eq!(world.ok(&rollback), moved("v1 (one)", "v2 (two)"));
        let said = world.fails(&rollback);
        assert!(said.contains("live has no valid version to go back to before v1"), "{said}");
        // What is found to be good after all is assigned again, and can be left again: for what was
        // there before, as v2 had been left, too.
        assign("v3");
        assert_eq!(world.ok(&rollback), moved("v1 (one)", "v3 (three)"));
        // One that was assigned by mistake.
        ["v2", "v3", "v1"].into_iter().for_each(|version| drop(assign(version)));
        assert_eq!(world.ok(&rollback), moved("v3 (three)", "v1 (one)"));
    });
}

/// A rollback went past a revoked version, which is restored then: the next one must not undo it.
#[test]
fn a_rollback_past_a_version_that_is_restored_later_stays_one() {
    with_both(|world| {
        world.write("files.pkr.hcl", FILES);
        world.write("from.txt", "b");
        world.build("files.pkr.hcl", "one");
        world.ok(&["registry", "channels", "create", "files", "live", "-assign=one"]);
        for fingerprint in ["two", "three"] {
            world.build("files.pkr.hcl", fingerprint);
            world.ok(&["registry", "channels", "assign", "files", "live", fingerprint]);
        }
        world.ok(&["registry", "revoke", "files", "v2"]);
        let rollback = ["registry", "channels", "rollback", "files", "live"];
        let said = world.ok(&rollback);
        assert!(said.starts_with("live points at v1 (one) now"), "{said}");
        world.ok(&["registry", "restore", "files", "v2"]);
        let said = world.fails(&rollback);
        assert!(said.contains("live has no valid version to go back to before v1"), "{said}");
        // What is assigned now is a change again.
        world.ok(&["registry", "channels", "assign", "files", "live", "v2"]);
        let said = world.ok(&rollback);
        assert!(said.starts_with("live points at v1 (one) now"), "{said}");
    });
}

#[test]
fn a_revocation_at_a_time_in_the_past_is_a_slip() {
    with_both(|world| {
        world.ok(&["registry", "buckets", "create", "web"]);
        world.ok(&["registry", "versions", "create", "web", "one"]);
        for at in ["-at=2020-01-01", "-at=2020-01-01T00:00:00Z"] {
            let said = world.fails(&["registry", "revoke", "web", "one", at]);
            assert!(said.contains("-at: 2020-01-01"), "{said}");
            assert!(said.contains("is in the past"), "{said}");
            assert!(said.contains("leave -at out to revoke the version now"), "{said}");
        }
        for duration in ["-in=-1d", "-in=-0s"] {
            let said = world.fails(&["registry", "revoke", "web", "one", duration]);
            assert!(said.contains("leave -in out to revoke the version now"), "{said}");
        }
        let version = world.json(&["versions", "show", "web", "one"]);
        assert_ne!(version["status"], "VERSION_REVOKED", "{version}");
    });
}

#[test]
fn a_version_of_others_has_the_builds_that_it_is_to_have() {
    with_both(|world| {
        world.ok(&["registry", "buckets", "create", "bought"]);
        let create = ["registry", "versions", "create", "bought", "by-hand"];
        world.ok(&[&create[..], &["-build=amazon-ebs.x", "-build=docker.y"]].concat());
        let record = |component: &str, more: &[&str]| {
            let args = ["registry", "artifacts", "create", "bought", "by-hand", component];
            world.ok(&[&args[..], more].concat())
        };
        let said = record(
            "amazon-ebs.x",
            &["-platform=aws", "-image=eu-central-1=ami-1", "-image=us-east-1=ami-2"],
        );
        assert_eq!(said, "Recorded amazon-ebs.x of by-hand, which lacks docker.y yet.\n");
        let version = world.json(&["versions", "show", "bought", "by-hand"]);
        assert_eq!(version["status"], "VERSION_INCOMPLETE", "{version:#}");
        let said = record("docker.y", &["-platform=docker", "-region=docker", "-id=sha256:1"]);
        assert_eq!(said, "Recorded docker.y of by-hand, which is v1 now.\n");
        let list = world.json(&["artifacts", "list", "bought"]);
        let mut all: Vec<(&str, &str)> = list
            .as_array()
            .expect("artifacts")
            .iter()
            .map(|one| {
                let text = |name: &str| one[name].as_str().unwrap_or_default();
                (text("region"), text("external_identifier"))
            })
            .collect();
        all.sort_unstable();
        let expected = [("docker", "sha256:1"), ("eu-central-1", "ami-1"), ("us-east-1", "ami-2")];
        assert_eq!(all, expected);
        let again = ["registry", "artifacts", "create", "bought", "by-hand", "docker.y"];
        let said = world.fails(&[&again[..], &["-platform=docker", "-id=sha256:2"]].concat());
        assert!(said.contains("already"), "{said}");
        let run = world.ingot(&[&again[..], &["-platform=docker", "-image=ami-1"]].concat());
        assert!(run.code != Some(0) && run.stderr.contains("write REGION=ID"), "{}", run.stderr);
    });
}

/// All versions that are not complete have one name.
#[test]
fn a_version_that_is_not_complete_is_named_by_its_fingerprint() {
    with_both(|world| {
        world.ok(&["registry", "buckets", "create", "b"]);
        let count = || world.json(&["versions", "list", "b"]).as_array().map(Vec::len);
        world.ok(&["registry", "versions", "create", "b", "first"]);
        world.ok(&["registry", "versions", "create", "b", "second"]);
        for command in ["delete", "show"] {
            let said = world.fails(&["registry", "versions", command, "b", "v0"]);
            assert!(said.contains("several versions of the bucket b are called v0"), "{said}");
            assert!(said.contains("second, first"), "{said}");
        }
        assert_eq!(count(), Some(2));
        let said = world.fails(&["registry", "versions", "show", "b", "v1"]);
        assert!(said.contains("there are second, first"), "{said}");
        world.ok(&["registry", "versions", "delete", "b", "first"]);
        // One alone is meant by it.
        let version = world.json(&["versions", "show", "b", "v0"]);
        assert_eq!(version["fingerprint"], "second");
        world.ok(&["registry", "versions", "delete", "b", "v0"]);
        assert_eq!(count(), Some(0));
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
        // A version that was never completed is not the newest.
        world.ok(&["registry", "versions", "create", "bought", "begun"]);
        assert_eq!(world.json(&["artifacts", "list", "bought"]), artifacts);
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

/// As with `>> all.json`.
#[test]
fn an_export_is_appended_where_the_shell_says_so() {
    let world = World::local();
    crate::plan::web(&world);
    world.build("web.pkr.hcl", "one");
    world.write("all.json", "before\n");
    let file = std::fs::File::options().append(true).open(world.path().join("all.json"));
    let mut command = world.command(&["registry", "export", "/dev/stdout"]);
    let output = command.stdout(file.expect("the file")).output().expect("the program can be run");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let all = std::fs::read_to_string(world.path().join("all.json")).expect("the export");
    assert!(all.contains("\"web\""), "{all}");
}
