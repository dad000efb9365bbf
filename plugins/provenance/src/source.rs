//! The repository and the CI job that a build runs in.

use std::time::Duration;

use ingot_sdk::communicator::CapturedOutput;
use ingot_sdk::process::LocalCommand;
use ingot_sdk::{ExitStatus, RunContext};
use reqwest::Url;

use crate::statement::{Dependency, Digests, LOCAL_BUILDER};

/// How long git may take to answer.
const LIMIT: Duration = Duration::from_secs(20);

/// Looks up a variable of the environment; those that are blank count as not set.
pub struct Environment<'a>(pub &'a (dyn Fn(&str) -> Option<String> + Sync));

impl Environment<'_> {
    fn get(&self, name: &str) -> Option<String> {
        (self.0)(name).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty())
    }

    fn first(&self, names: &[&str]) -> Option<String> {
        names.iter().find_map(|name| self.get(name))
    }

    /// Who builds: the workflow or job of GitHub, GitLab or Jenkins, else this machine.
    pub fn builder_id(&self) -> String {
        let names = ["GITHUB_WORKFLOW_REF", "CI_JOB_URL", "CI_PIPELINE_URL", "BUILD_URL"];
        self.first(&names).unwrap_or_else(|| LOCAL_BUILDER.to_owned())
    }

    /// The number of the run of GitHub, GitLab or Jenkins.
    pub fn invocation_id(&self) -> Option<String> {
        self.first(&["GITHUB_RUN_ID", "CI_PIPELINE_ID", "CI_JOB_ID", "BUILD_ID"])
    }

    /// The repository that the CI has checked out.
    fn repository(&self) -> Option<Dependency> {
        let github = || {
            let (repository, commit) = (self.get("GITHUB_REPOSITORY")?, self.get("GITHUB_SHA")?);
            let server = self.get("GITHUB_SERVER_URL");
            let server = server.unwrap_or_else(|| "https://github.com".to_owned());
            let place =
                format!("{}/{}", server.trim_end_matches('/'), repository.trim_matches('/'));
            Some(dependency(&place, self.get("GITHUB_REF"), commit))
        };
        let gitlab = || {
            let (project, commit) = (self.get("CI_PROJECT_URL")?, self.get("CI_COMMIT_SHA")?);
            let name = self.get("CI_COMMIT_REF_NAME").map(|name| format!("refs/heads/{name}"));
            Some(dependency(project.trim_end_matches('/'), name, commit))
        };
        github().or_else(gitlab)
    }
}

fn dependency(place: &str, reference: Option<String>, commit: String) -> Dependency {
    let reference = reference.map_or(String::new(), |reference| format!("@{reference}"));
    Dependency {
        uri: format!("git+{place}{reference}"),
        digest: Digests::from([("gitCommit".to_owned(), commit)]),
    }
}

/// The repository that a build runs in, as its CI or git tells.
pub async fn repository(ctx: &RunContext, env: &Environment<'_>) -> Option<Dependency> {
    match env.repository() {
        Some(found) => Some(found),
        None => local(ctx).await,
    }
}

/// The repository of the current directory.
async fn local(ctx: &RunContext) -> Option<Dependency> {
    let commit = git(ctx, &["rev-parse", "HEAD"]).await?;
    let remote = git(ctx, &["config", "--get", "remote.origin.url"]).await;
    let place = match remote {
        Some(remote) => without_user(&remote),
        None => {
            let directory = git(ctx, &["rev-parse", "--show-toplevel"]).await?;
            Url::from_directory_path(directory).ok()?.as_str().trim_end_matches('/').to_owned()
        }
    };
    let branch = git(ctx, &["rev-parse", "--abbrev-ref", "HEAD"]).await;
    let branch = branch.filter(|branch| branch != "HEAD");
    Some(dependency(&place, branch.map(|branch| format!("refs/heads/{branch}")), commit))
}

/// What git prints; none where there is no git, no repository, or nothing.
async fn git(ctx: &RunContext, args: &[&str]) -> Option<String> {
    let argv = std::iter::once("git").chain(args.iter().copied()).map(str::to_owned).collect();
    let command = LocalCommand { argv, ..LocalCommand::default() };
    let output = CapturedOutput::default();
    let status = tokio::time::timeout(LIMIT, command.run(ctx, &output)).await.ok()?.ok()?;
    let text = output.stdout_text().trim().to_owned();
    (status == ExitStatus::Code(0) && !text.is_empty()).then_some(text)
}

/// A remote's address without user and password, which may be a token.
fn without_user(remote: &str) -> String {
    match Url::parse(remote) {
        Ok(mut url) if remote.contains("://") => {
            // Both fail only for addresses that have no user.
            let _ = url.set_username("");
            let _ = url.set_password(None);
            url.to_string()
        }
        _ => remote.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lookup(set: &'static [(&str, &str)]) -> impl Fn(&str) -> Option<String> + Sync {
        move |name| set.iter().find(|(n, _)| *n == name).map(|(_, value)| (*value).to_owned())
    }

    #[test]
    fn ci_jobs_name_their_repository() {
        let github = lookup(&[
            ("GITHUB_REPOSITORY", "o/r"),
            ("GITHUB_SHA", "abc"),
            ("GITHUB_REF", "refs/heads/main"),
            ("GITHUB_RUN_ID", "7"),
            ("GITHUB_WORKFLOW_REF", "o/r/.github/workflows/b.yml@refs/heads/main"),
        ]);
        let env = Environment(&github);
        let found = env.repository().unwrap();
        assert_eq!(found.uri, "git+https://github.com/o/r@refs/heads/main");
        assert_eq!(found.digest["gitCommit"], "abc");
        assert_eq!(env.invocation_id().as_deref(), Some("7"));
        assert!(env.builder_id().starts_with("o/r/"));
        let gitlab = lookup(&[
            ("CI_PROJECT_URL", "https://gitlab.example/a/b/"),
            ("CI_COMMIT_SHA", "def"),
            ("CI_COMMIT_REF_NAME", "dev"),
        ]);
        let found = Environment(&gitlab).repository().unwrap();
        assert_eq!(found.uri, "git+https://gitlab.example/a/b@refs/heads/dev");
        let nothing = lookup(&[("GITHUB_SHA", "abc"), ("BUILD_URL", " ")]);
        let env = Environment(&nothing);
        assert!(env.repository().is_none() && env.builder_id() == LOCAL_BUILDER);
    }

    #[test]
    fn tokens_in_addresses_are_left_out() {
        assert_eq!(without_user("https://me:tok@h.example/r.git"), "https://h.example/r.git");
        assert_eq!(without_user("https://tok@h.example/r.git"), "https://h.example/r.git");
        assert_eq!(without_user("git@h.example:o/r.git"), "git@h.example:o/r.git");
    }
}
