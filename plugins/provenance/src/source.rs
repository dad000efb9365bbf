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
        let found = self.first(&names).unwrap_or_else(|| LOCAL_BUILDER.to_owned());
        // A workflow's name has an `@` before its branch, and no user.
        if found.contains("://") { without_credentials(&found) } else { found }
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
        uri: format!("git+{}{reference}", without_credentials(place)),
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
        Some(remote) => remote,
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

/// An address without user and password, which may be tokens. Only the user `git` of addresses of SSH
/// stays: everybody's is called so.
pub fn without_user(address: &str) -> String {
    let git = |user: &str| user == "git";
    match Url::parse(address) {
        Ok(mut url) if address.contains("://") && url.host().is_some() => {
            let ssh = url.scheme().ends_with("ssh") && git(url.username());
            let user = !url.username().is_empty() && !ssh;
            if !user && url.password().is_none() {
                return address.to_owned();
            }
            let stripped =
                (!user || url.set_username("").is_ok()) && url.set_password(None).is_ok();
            if stripped { url.to_string() } else { UNREADABLE.to_owned() }
        }
        // A file has no user.
        Ok(url) if url.scheme() == "file" => address.to_owned(),
        // What cannot be read may have it anywhere.
        _ if address.contains("://") && address.contains('@') => UNREADABLE.to_owned(),
        _ if address.contains("://") => address.to_owned(),
        // A path has no user.
        _ if address.starts_with(['/', '.', '~']) => address.to_owned(),
        // SSH's own form, `user@host:path`.
        _ => match address.rsplit_once('@') {
            Some((user, _)) if git(user) => address.to_owned(),
            Some((_, rest)) => rest.to_owned(),
            None => address.to_owned(),
        },
    }
}

/// An address that nobody wrote down to be shown: also without query and fragment, where other servers
/// take tokens.
fn without_credentials(address: &str) -> String {
    let address = without_user(address);
    let end = address.find(['?', '#']).unwrap_or(address.len());
    address[..end].to_owned()
}

/// Replaces an address that may hold a token at a place that is not known.
const UNREADABLE: &str = "[address redacted]";

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
        for (address, wanted) in [
            ("https://me:tok@h.example/r.git", "https://h.example/r.git"),
            ("https://tok@h.example/r.git", "https://h.example/r.git"),
            ("https://h.example/r.git?private_token=tok#tok", "https://h.example/r.git"),
            ("git+https://me:tok@h.example:8443/r", "git+https://h.example:8443/r"),
            ("ssh://git@h.example/r.git", "ssh://git@h.example/r.git"),
            ("ssh://git:tok@h.example/r.git", "ssh://git@h.example/r.git"),
            ("ssh://tok@h.example/r.git", "ssh://h.example/r.git"),
            ("git@h.example:o/r.git", "git@h.example:o/r.git"),
            ("me:tok@h.example:o/r.git", "h.example:o/r.git"),
            ("tok@h.example:o/r.git", "h.example:o/r.git"),
            ("https://me:tok@/r.git", UNREADABLE),
            ("https://me:tok@h.example:port/r.git", UNREADABLE),
            ("https://me:to/k@h.example:443x/r.git", UNREADABLE),
            ("/srv/git/r.git", "/srv/git/r.git"),
            ("../r.git", "../r.git"),
            ("file:///srv/a@b", "file:///srv/a@b"),
        ] {
            assert_eq!(without_credentials(address), wanted, "{address}");
        }
        // What a template says is left as it is.
        let kind = "https://me:tok@h.example/types?v=1#build";
        assert_eq!(without_user(kind), "https://h.example/types?v=1#build");
        assert_eq!(without_user("https://h.example"), "https://h.example");
        for path in ["/builds/team@x/repo", "./a@b", "~/a@b"] {
            assert_eq!(without_user(path), path);
        }
    }

    #[test]
    fn addresses_of_ci_jobs_lose_their_tokens_too() {
        let gitlab = lookup(&[
            ("CI_PROJECT_URL", "https://me:tok@gitlab.example/a/b"),
            ("CI_COMMIT_SHA", "def"),
            ("BUILD_URL", "https://me:tok@jenkins.example/job/1/"),
        ]);
        let env = Environment(&gitlab);
        assert_eq!(env.repository().unwrap().uri, "git+https://gitlab.example/a/b");
        assert_eq!(env.builder_id(), "https://jenkins.example/job/1/");
    }
}
