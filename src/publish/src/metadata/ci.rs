//! The CI that a build runs in, told by its variables.

use reqwest::Url;
use serde_json::{Map, Value, json};

use ingot_registry::settings::Environment;

/// A CI: its name, the variable that identifies it, and those that are published.
struct Ci {
    name: &'static str,
    sign: &'static str,
    variables: &'static [&'static str],
}

/// Packer's list, in the order it looks.
const KNOWN: &[Ci] = &[
    Ci {
        name: "jenkins",
        sign: "JENKINS_URL",
        variables: &[
            "JENKINS_URL",
            "BUILD_URL",
            "NODE_NAME",
            "JOB_NAME",
            "JOB_URL",
            "BUILD_NUMBER",
            "BUILD_ID",
            "BUILD_TAG",
            "WORKSPACE",
            "BUILD_CAUSE",
            "GIT_COMMIT",
            "GIT_BRANCH",
            "GIT_URL",
            "GIT_AUTHOR_NAME",
            "GIT_COMMITTER_EMAIL",
            "GIT_PREVIOUS_SUCCESSFUL_COMMIT",
        ],
    },
    Ci {
        name: "github",
        sign: "GITHUB_ACTIONS",
        variables: &[
            "GITHUB_REPOSITORY",
            "GITHUB_REPOSITORY_ID",
            "GITHUB_SHA",
            "GITHUB_REF",
            "GITHUB_ACTOR",
            "GITHUB_ACTOR_ID",
            "GITHUB_TRIGGERING_ACTOR",
            "GITHUB_EVENT_NAME",
            "GITHUB_JOB",
        ],
    },
    Ci {
        name: "gitlab",
        sign: "GITLAB_CI",
        variables: &[
            "CI_PROJECT_NAME",
            "CI_PROJECT_ID",
            "CI_PROJECT_URL",
            "CI_COMMIT_SHA",
            "CI_COMMIT_REF_NAME",
            "GITLAB_USER_NAME",
            "GITLAB_USER_ID",
            "CI_PIPELINE_SOURCE",
            "CI_PIPELINE_URL",
            "CI_JOB_URL",
            "CI_SERVER_NAME",
            "CI_REGISTRY_IMAGE",
        ],
    },
    Ci {
        name: "bitbucket",
        sign: "BITBUCKET_BUILD_NUMBER",
        variables: &[
            "BITBUCKET_REPO_FULL_NAME",
            "BITBUCKET_REPO_UUID",
            "BITBUCKET_WORKSPACE",
            "BITBUCKET_COMMIT",
            "BITBUCKET_BRANCH",
            "BITBUCKET_TAG",
            "BITBUCKET_BUILD_NUMBER",
            "BITBUCKET_PIPELINE_UUID",
            "BITBUCKET_STEP_UUID",
            "BITBUCKET_DEPLOYMENT_ENVIRONMENT",
            "BITBUCKET_PR_ID",
            "BITBUCKET_PR_DESTINATION_BRANCH",
            "BITBUCKET_PROJECT_KEY",
            "BITBUCKET_PROJECT_UUID",
        ],
    },
];

/// The CI that an environment is of.
pub(super) fn about(environment: Environment) -> Option<Value> {
    let ci = KNOWN.iter().find(|ci| environment(ci.sign).is_some())?;
    let message = ci.variables.iter();
    let message =
        message.filter_map(|name| Some(((*name).to_owned(), harmless(environment(name)?).into())));
    let mut details: Map<String, Value> = message.collect();
    if ci.name == "github" {
        // No variable holds this one; Packer puts it together.
        let part = |name| environment(name).unwrap_or_default();
        let (server, repository) = (part("GITHUB_SERVER_URL"), part("GITHUB_REPOSITORY"));
        let url = format!("{server}/{repository}/actions/runs/{}", part("GITHUB_RUN_ID"));
        details.insert("GITHUB_WORKFLOW_URL".into(), url.into());
    }
    Some(json!({ "type": ci.name, "details": details }))
}

/// A value without the user and password that a URL in it may hold.
fn harmless(value: String) -> String {
    match Url::parse(&value) {
        Ok(mut url) if !url.username().is_empty() || url.password().is_some() => {
            // Both fail only for URLs that cannot have them.
            let _ = url.set_username("");
            let _ = url.set_password(None);
            url.into()
        }
        _ => value,
    }
}

#[cfg(test)]
mod tests {
    use super::{about, harmless};

    #[test]
    fn passwords_in_urls_are_not_reported() {
        let url = harmless("https://me:token@git.example/r.git".into());
        assert_eq!(url, "https://git.example/r.git");
        assert_eq!(harmless("main".into()), "main");
    }

    #[test]
    fn a_run_of_github_is_published() {
        let message = about(&|name| match name {
            "GITHUB_ACTIONS" => Some("true".into()),
            "GITHUB_SERVER_URL" => Some("https://github.com".into()),
            "GITHUB_REPOSITORY" => Some("o/r".into()),
            "GITHUB_RUN_ID" => Some("7".into()),
            "SECRET" => Some("s".into()),
            _ => None,
        });
        let message = message.expect("a CI");
        assert_eq!(message["type"], "github");
        let url = "https://github.com/o/r/actions/runs/7";
        assert_eq!(message["details"]["GITHUB_WORKFLOW_URL"], url);
        assert_eq!(message["details"].as_object().expect("details").len(), 2);
        assert!(about(&|_| None).is_none());
    }
}
