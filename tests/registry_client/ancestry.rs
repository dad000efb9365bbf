//! The tree of what was built from what.

use sqlx::{Connection, SqliteConnection};

use crate::world::{World, with_both};

/// Publishes `name`, built from the newest versions of others, each of which is a bucket and the
/// build in it.
pub(crate) fn publish(world: &World, name: &str, parents: &[(&str, &str)]) {
    publish_as(world, name, &format!("{name}-1"), parents);
}

/// As [`publish`], with a fingerprint.
pub(crate) fn publish_as(world: &World, name: &str, fingerprint: &str, parents: &[(&str, &str)]) {
    let mut template = format!("hcp_packer_registry {{\n  bucket_name = \"{name}\"\n}}\n");
    let mut sources = Vec::new();
    for (parent, build) in parents {
        template.push_str(&format!(
            r#"
data "hcp-packer-artifact" "{parent}" {{
  bucket_name    = "{parent}"
  channel_name   = "latest"
  platform       = "packer.file"
  region         = "."
  component_type = "file.{build}"
}}
source "file" "from-{parent}" {{
  source = data.hcp-packer-artifact.{parent}.external_identifier
  target = "{name}-from-{parent}.txt"
}}
"#
        ));
        sources.push(format!("\"source.file.from-{parent}\""));
    }
    if parents.is_empty() {
        template.push_str(&format!(
            "source \"file\" \"new\" {{\n  content = \"x\"\n  target = \"{name}.txt\"\n}}\n"
        ));
        sources.push("\"source.file.new\"".into());
    }
    template.push_str(&format!("build {{\n  sources = [{}]\n}}\n", sources.join(", ")));
    world.write("t.pkr.hcl", &template);
    world.build("t.pkr.hcl", fingerprint);
}

#[test]
fn what_stands_twice_is_shown_once() {
    with_both(|world| {
        publish(world, "top", &[]);
        publish(world, "left", &[("top", "new")]);
        publish(world, "right", &[("top", "new")]);
        publish(world, "under", &[("left", "from-top"), ("right", "from-top")]);
        publish(world, "tail", &[("under", "from-left")]);
        let shown = world.ok(&["registry", "ancestry"]);
        let expected = "top v1\n\
                        ├── left v1 from top v1 (channel latest)\n\
                        │   └── under v1 from left v1 (channel latest)\n\
                        │       └── tail v1 from under v1 (channel latest)\n\
                        └── right v1 from top v1 (channel latest)\n\
                        \x20   └── under v1 from right v1 (channel latest) (see above)\n";
        assert_eq!(shown, expected);
        assert_eq!(world.ok(&["registry", "ancestry", "top"]), expected);
        let tree = world.json(&["ancestry", "top"]);
        let [left, right] = [0, 1].map(|index| &tree["children"][index]["children"][0]);
        assert!(left["shown_above"].is_null(), "{tree:#}");
        assert_eq!(left["children"][0]["bucket_name"], "tail", "{tree:#}");
        assert_eq!(right["shown_above"], true, "{tree:#}");
        assert_eq!(right["children"], serde_json::json!([]), "{tree:#}");
    });
}

#[test]
fn a_revocation_says_what_it_reaches_and_stays_in_sight() {
    with_both(|world| {
        publish(world, "top", &[]);
        world.ok(&["registry", "channels", "create", "top", "production", "-assign=v1"]);
        publish(world, "left", &[("top", "new")]);
        world.ok(&["registry", "channels", "create", "left", "stable", "-assign=v1"]);
        publish(world, "under", &[("left", "from-top")]);
        let said = world.ok(&["registry", "revoke", "top", "v1", "-reason=CVE"]);
        assert_eq!(
            said,
            "v1 (top-1) is revoked.\n\
             left v1 is revoked with it.\n\
             under v1 is revoked with it.\n\
             The channel stable of left: v1 → none.\n\
             The channel production of top: v1 → none.\n"
        );
        let shown = world.ok(&["registry", "ancestry", "top"]);
        assert_eq!(shown, "top no valid version\ntop v1 REVOKED: CVE\n└── left v1 REVOKED\n");
        let json = world.ok(&["registry", "ancestry", "top", "-json"]);
        assert!(json.contains("\"built_from_it\""), "{json}");
        let said = world.ok(&["registry", "restore", "top", "v1"]);
        assert!(said.contains("`ingot registry channels assign top CHANNEL v1`"), "{said}");
        let said = world.ok(&["registry", "buckets", "delete", "under"]);
        assert_eq!(said, "Removed the bucket under with its version.\n");
    });
}

/// Six hundred versions of the bucket `many`, as old as its first.
const MANY: &str = "
    INSERT INTO versions (id, bucket_id, fingerprint, number, template_type, author, revoked,
        revocation_message, revocation_author, revocation_type, revoke_rollback, revoke_descendants,
        created_at, updated_at)
    WITH RECURSIVE n (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < 600)
    SELECT substr(v.id, 1, 20) || printf('%06d', x), v.bucket_id, 'copy-' || x, x + 1,
        v.template_type, v.author, 0, '', '', v.revocation_type, 0, 0, v.created_at, v.updated_at
    FROM n CROSS JOIN versions v WHERE v.fingerprint = 'many-1';
    INSERT INTO builds (id, version_id, component_type, status, run_uuid, platform, labels, metadata,
        source_external_identifier, parent_version_id, created_at, updated_at)
    SELECT 'b' || v.id, v.id, b.component_type, b.status, b.run_uuid, b.platform, b.labels,
        b.metadata, b.source_external_identifier, b.parent_version_id, b.created_at, b.updated_at
    FROM versions o JOIN builds b ON b.version_id = o.id
    CROSS JOIN versions v WHERE o.fingerprint = 'many-1' AND v.fingerprint LIKE 'copy-%'";

#[test]
fn a_revocation_shows_channels_of_more_versions_than_it_lists() {
    let world = World::local();
    publish(&world, "top", &[]);
    publish(&world, "many", &[("top", "new")]);
    publish(&world, "left", &[("top", "new")]);
    world.ok(&["registry", "channels", "create", "left", "stable", "-assign=v1"]);
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let url = world.path().join("registry.db").display().to_string();
        let mut database = SqliteConnection::connect(&url).await.expect("the database");
        sqlx::raw_sql(MANY).execute(&mut database).await.expect("they are added");
        database.close().await.expect("it is written");
    });
    let said = world.ok(&["registry", "revoke", "top", "v1"]);
    assert!(!said.contains("left v1 is revoked"), "it is among the first: {said}");
    for wanted in [
        "There is more that was built from it; channels of other buckets may have moved, too.\n",
        "The channel stable of left: v1 → none.\n",
    ] {
        assert!(said.contains(wanted), "{wanted:?} is not in {said}");
    }
}
