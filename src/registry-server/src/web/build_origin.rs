//! How a build came about, as the program that made it tells: the fields that people look for, of
//! Packer's and Ingot's records.

use serde_json::Value;

use ingot_registry::api::{Build, JsonText};

/// The variables of CI systems that hold a link to the pipeline.
const PIPELINES: &[&str] =
    &["GITHUB_WORKFLOW_URL", "CI_PIPELINE_URL", "CI_JOB_URL", "BUILD_URL", "JOB_URL"];
/// Those that hold the commit.
const COMMITS: &[&str] = &["GITHUB_SHA", "CI_COMMIT_SHA", "BITBUCKET_COMMIT", "GIT_COMMIT"];
/// Those that hold the repository.
const REPOSITORIES: &[&str] =
    &["GITHUB_REPOSITORY", "CI_PROJECT_URL", "BITBUCKET_REPO_FULL_NAME", "GIT_URL"];
/// Those that hold the branch.
const BRANCHES: &[&str] = &["GITHUB_REF", "CI_COMMIT_REF_NAME", "BITBUCKET_BRANCH", "GIT_BRANCH"];

/// How a build came about.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct BuildOrigin {
    /// Why it failed, if that was recorded.
    pub error: String,
    /// What the pipeline is called, and where it is.
    pub pipeline: Option<(String, Option<String>)>,
    /// Names and values, and whether a value is code.
    pub facts: Vec<(&'static str, String, bool)>,
}

fn text(value: &Value) -> String {
    value.as_str().map(str::to_owned).unwrap_or_default()
}

impl BuildOrigin {
    /// What is known of a build.
    pub(super) fn of(build: &Build) -> Self {
        let metadata = build.metadata.as_ref();
        let read = |part: Option<&JsonText>| part.map(JsonText::value).unwrap_or_default();
        let packer = read(metadata.and_then(|it| it.packer.as_ref()));
        let cicd = read(metadata.and_then(|it| it.cicd.as_ref()));
        let vcs = read(metadata.and_then(|it| it.vcs.as_ref()));
        let variable = |names: &[&str]| {
            let found = names.iter().map(|name| text(&cicd["details"][*name]));
            found.into_iter().find(|value| !value.is_empty()).unwrap_or_default()
        };
        let url = Some(variable(PIPELINES)).filter(|url| is_link(url));
        let ci = text(&cicd["type"]);
        let pipeline = (!ci.is_empty()).then_some((ci, url));

        let or = |first: String, second: String| if first.is_empty() { second } else { first };
        let details = &vcs["details"];
        let mut commit = or(variable(COMMITS), text(&details["commit"]));
        if details["has_uncommitted_changes"] == true {
            commit.push_str(" and uncommitted changes");
        }
        let packer_version = match text(&packer["version"]) {
            version if version.is_empty() => version,
            version => format!("Packer {version}"),
        };
        let tool = match text(&packer["tool"]["name"]) {
            name if name.is_empty() => packer_version,
            name => format!("{name} {}", text(&packer["tool"]["version"])),
        };
        let plugins = packer["plugins"].as_array().into_iter().flatten();
        let plugins: Vec<String> = plugins
            .map(|it| format!("{} {}", text(&it["name"]), text(&it["version"])).trim().to_owned())
            .filter(|it| !it.is_empty())
            .collect();
        let system =
            [text(&packer["os"]["type"]), text(&packer["os"]["details"]["arch"])].join(" ");
        let facts = [
            ("Commit", commit, true),
            ("Repository", variable(REPOSITORIES), false),
            ("Branch", or(variable(BRANCHES), text(&details["ref"])), false),
            ("Author", text(&details["author"]), false),
            ("Tool", tool, false),
            ("Plugins", plugins.join(", "), false),
            ("Template", text(&packer["options"]["path"]), false),
            ("Built on", system.trim().to_owned(), false),
        ];
        let error = text(&packer["error"]);
        BuildOrigin {
            error,
            pipeline,
            facts: facts.into_iter().filter(|(_, it, _)| !it.is_empty()).collect(),
        }
    }
}

/// Whether a text of strangers may be a link: nothing that a browser would run.
fn is_link(text: &str) -> bool {
    let plain = !text.chars().any(|char| char.is_whitespace() || char.is_control());
    plain && (text.starts_with("https://") || text.starts_with("http://"))
}

/// How long recorded JSON may become by being laid out, in bytes. What is deeply nested consists of
/// little but spaces then.
const LAID_OUT: usize = 256 << 10;

/// JSON in lines, or as it is where that would be too long.
pub(super) fn laid_out(json: &JsonText) -> String {
    struct Bounded(Vec<u8>);
    impl std::io::Write for Bounded {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            if self.0.len() + bytes.len() > LAID_OUT {
                return Err(std::io::ErrorKind::FileTooLarge.into());
            }
            self.0.write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let mut lines = Bounded(Vec::new());
    match serde_json::to_writer_pretty(&mut lines, &json.value()) {
        Ok(()) => String::from_utf8_lossy(&lines.0).into_owned(),
        Err(_) => json.as_str().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ingot_registry::api::BuildMetadata;
    use serde_json::json;

    #[test]
    fn the_fields_are_found_in_what_was_recorded() {
        let metadata = BuildMetadata {
            cicd: Some(json!({ "type": "gitlab", "details": {
                "CI_PIPELINE_URL": "https://git.example/p/7", "CI_COMMIT_SHA": "c0ffee",
                "CI_PROJECT_URL": "https://git.example/p" } }).into()),
            packer: Some(
                json!({ "version": "1.16.0", "error": "no space left", "tool": { "name": "ingot", "version": "2" },
                "plugins": [{ "name": "docker", "version": "1" }], "os": { "type": "linux" } }).into(),
            ),
            vcs: Some(json!({ "type": "git", "details": { "ref": "main" } }).into()),
        };
        let origin = BuildOrigin::of(&Build { metadata: Some(metadata), ..Build::default() });
        let link = Some("https://git.example/p/7".to_owned());
        assert_eq!(origin.error, "no space left");
        assert_eq!(origin.pipeline, Some(("gitlab".to_owned(), link)));
        let has = |name, value: &str| origin.facts.iter().any(|it| it.0 == name && it.1 == value);
        for (name, value) in
            [("Commit", "c0ffee"), ("Tool", "ingot 2"), ("Plugins", "docker 1"), ("Branch", "main")]
        {
            assert!(has(name, value), "{name}: {origin:?}");
        }
        assert_eq!(BuildOrigin::of(&Build::default()), BuildOrigin::default());
    }

    #[test]
    fn json_that_would_grow_too_much_stays_as_it_is() {
        assert_eq!(laid_out(&json!({ "a": [1] }).into()), "{\n  \"a\": [\n    1\n  ]\n}");
        let deep = "[".repeat(100) + &vec!["0"; 10_000].join(",") + &"]".repeat(100);
        let text: JsonText = serde_json::from_str(&deep).expect("JSON");
        assert_eq!(laid_out(&text), deep);
    }

    #[test]
    fn only_web_addresses_are_links() {
        assert!(is_link("https://a.example/b"));
        for text in
            ["javascript:alert(1)", "//a.example", "https://a.example/ b", "data:text/html,x"]
        {
            assert!(!is_link(text), "{text}");
        }
    }
}
