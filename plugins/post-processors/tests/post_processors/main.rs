//! The post-processors, each run on artifacts as a build runs it.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "tests and benchmarks may")]

mod artifice;
mod build;
mod checksum;
mod compress;
mod manifest;
mod shell_local;

/// As in Packer: templates pass variables on whose default is an empty text.
#[test]
fn an_empty_text_is_none() {
    use serde_json::json;
    let mut set = ingot_sdk::PluginSet::default();
    ingot_post_processors::register(&mut set);
    for (name, plugin) in &set.post_processors {
        let (mut ctx, mut options) = (ingot_sdk::PrepareContext::default(), json!({}));
        match name.as_str() {
            "artifice" => options = json!({ "files": ["x"] }),
            "shell-local" => options = json!({ "inline": ["exit 7"] }),
            "vagrant" => ctx.build_type = "qemu".to_owned(),
            _ => {}
        }
        let minds = ingot_sdk::testing::options_that_cannot_be_empty(&**plugin, &options, &ctx);
        assert_eq!(minds, [""; 0], "{name}");
    }
}

#[tokio::test]
async fn an_empty_command_is_the_default_one() {
    let build = build::Build::new("web");
    let options = serde_json::json!({
        "inline": ["echo $A"], "env": { "A": "x" }, "script": "", "command": "", "env_var_format": "",
        "inline_shebang": "", "tempfile_extension": "",
    });
    build.run("shell-local", options, &build::artifact(&[])).await.unwrap();
    assert_eq!(build.said.lines()[1..], ["x"]);
}
