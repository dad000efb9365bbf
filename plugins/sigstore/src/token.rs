//! OIDC tokens: who signs. They come from the environment, as a CI job has them.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ingot_sdk::{Error, Result, Secrets, http};
use reqwest::Url;
use serde::Deserialize;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use crate::client::Client;

/// The variables that hold a token, in the order that Packer looks at them.
const TOKENS: [&str; 3] = ["SIGSTORE_ID_TOKEN", "CI_JOB_JWT_V2", "CI_JOB_JWT"];

/// Where a job of GitHub Actions with `id-token: write` gets tokens, and what it has to show there.
const GITHUB_URL: &str = "ACTIONS_ID_TOKEN_REQUEST_URL";
const GITHUB_TOKEN: &str = "ACTIONS_ID_TOKEN_REQUEST_TOKEN";

/// The audience of tokens for Sigstore.
const AUDIENCE: &str = "sigstore";

/// The longest answer of GitHub that is read, in bytes.
const LARGEST_ANSWER: usize = 1 << 20;

/// Where a token comes from.
pub(crate) enum TokenSource {
    /// It is there.
    Given(String),
    /// GitHub makes one.
    GitHub { url: Url, bearer: String },
}

impl TokenSource {
    /// Finds a source in the environment.
    pub(crate) fn find(lookup: impl Fn(&str) -> Option<String>, secrets: &Secrets) -> Result<Self> {
        let get = |name: &str| {
            let value = lookup(name)?.trim().to_owned();
            (!value.is_empty()).then_some(value)
        };
        if let Some(token) = TOKENS.into_iter().find_map(get) {
            secrets.add(&token);
            return Ok(TokenSource::Given(token));
        }
        let Some((url, bearer)) = get(GITHUB_URL).zip(get(GITHUB_TOKEN)) else {
            return Err(Error::new("signing_mode = \"keyless\" needs an OIDC token").hint(
                "set SIGSTORE_ID_TOKEN to one with the audience `sigstore`: in GitLab with \
                 `id_tokens`, in GitHub Actions by the permission `id-token: write`, elsewhere as \
                 your identity provider hands them out. No browser is opened. Or sign with \
                 signing_mode = \"key\"",
            ));
        };
        secrets.add(&bearer);
        let broken = |error| Error::new(format!("{GITHUB_URL} is not a URL: {error}"));
        let mut url = Url::parse(&url).map_err(broken)?;
        if !url.query_pairs().any(|(name, value)| name == "audience" && !value.is_empty()) {
            url.query_pairs_mut().append_pair("audience", AUDIENCE);
        }
        Ok(TokenSource::GitHub { url, bearer })
    }

    /// A token. Those of GitHub are new each time, and live for minutes.
    pub(crate) async fn token(
        &self,
        client: &Client,
        secrets: &Secrets,
        cancel: &CancellationToken,
    ) -> Result<IdToken> {
        let token = match self {
            TokenSource::Given(token) => token.clone(),
            TokenSource::GitHub { url, bearer } => {
                #[derive(Deserialize)]
                struct TokenResponse {
                    value: String,
                }
                let asking =
                    || format!("asking GitHub for an OIDC token at {}", http::shown(url.as_str()));
                let request = |http: &reqwest::Client| http.get(url.clone()).bearer_auth(bearer);
                let response = client.send(cancel, LARGEST_ANSWER, request).await;
                let response = response
                    .and_then(|response| response.success())
                    .map_err(|e| e.context(asking()))?;
                // Its text is the secret.
                let broken = |_| Error::new("the response holds no token").context(asking());
                serde_json::from_slice::<TokenResponse>(&response)
                    .map_err(broken)?
                    .value
                    .trim()
                    .to_owned()
            }
        };
        secrets.add(&token);
        IdToken::parse(token)
    }
}

/// A token, and what its signer is called. Nobody has checked it: that is up to Fulcio.
pub(crate) struct IdToken {
    pub(crate) raw: String,
    /// What has to be signed to show that one has the key that one wants a certificate for.
    pub(crate) subject: String,
}

impl IdToken {
    /// Reads a token. No error quotes it.
    fn parse(raw: String) -> Result<IdToken> {
        let no_token = |why: &str| {
            Error::new(format!("invalid OIDC token: {why}"))
                .hint("SIGSTORE_ID_TOKEN must hold a JWT: three parts, separated by dots")
        };
        let parts: Vec<&str> = raw.split('.').collect();
        let [_, claims, _] = parts.as_slice() else {
            return Err(no_token("it does not have three parts"));
        };
        let claims = URL_SAFE_NO_PAD.decode(claims.trim_end_matches('='));
        let claims = claims.map_err(|_| no_token("its second part is not base64"))?;
        let claims: Value =
            serde_json::from_slice(&claims).map_err(|_| no_token("its claims are not JSON"))?;
        if let Some(end) = claims["exp"].as_i64()
            && let Ok(end) = jiff::Timestamp::from_second(end)
            && end <= jiff::Timestamp::now()
        {
            return Err(Error::new(format!("the OIDC token expired at {end}"))
                .hint("get a new one; those of most providers live for some minutes"));
        }
        let text = |name: &str| claims[name].as_str().filter(|text| !text.is_empty());
        let subject = match (text("email"), text("sub")) {
            (Some(email), _) => {
                let verified = &claims["email_verified"];
                if verified.as_bool() != Some(true) && verified.as_str() != Some("true") {
                    return Err(Error::new(format!(
                        "the OIDC token is for {email}, an address that its issuer did not verify"
                    )));
                }
                email.to_owned()
            }
            (None, Some(subject)) => subject.to_owned(),
            (None, None) => return Err(no_token("it names no subject")),
        };
        Ok(IdToken { raw, subject })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(claims: &str) -> String {
        format!("e30.{}.c2ln", URL_SAFE_NO_PAD.encode(claims))
    }

    #[test]
    fn the_subject_is_what_fulcio_wants_signed() {
        for (claims, wanted) in [
            (r#"{"sub": "repo:a/b:ref:refs/heads/main"}"#, Ok("repo:a/b:ref:refs/heads/main")),
            (
                r#"{"sub": "1", "email": "a@example.org", "email_verified": true}"#,
                Ok("a@example.org"),
            ),
            (
                r#"{"sub": "1", "email": "a@example.org", "email_verified": "true"}"#,
                Ok("a@example.org"),
            ),
            (r#"{"sub": "1", "email": ""}"#, Ok("1")),
            (r#"{"sub": "1", "email": "a@example.org"}"#, Err("did not verify")),
            (r#"{"sub": "1", "exp": 1}"#, Err("expired at 1970-01-01T00:00:01Z")),
            (r#"{"sub": ""}"#, Err("names no subject")),
            ("[]", Err("names no subject")),
            ("text", Err("not JSON")),
        ] {
            let found = IdToken::parse(token(claims));
            match (found, wanted) {
                (Ok(found), Ok(wanted)) => assert_eq!(found.subject, wanted),
                (Err(error), Err(why)) => assert!(error.to_string().contains(why), "{error}"),
                (found, _) => panic!("{claims}: {:?}", found.map(|found| found.subject)),
            }
        }
        for text in ["", "abc", "a.b", "a.!.c", "a.b.c.d"] {
            let error = IdToken::parse(text.to_owned()).map(|_| ()).unwrap_err();
            assert!(text.is_empty() || !error.to_string().contains(text), "{error}");
        }
    }

    #[test]
    fn variables_count_in_order() {
        let find = |variables: &[(&str, &str)]| {
            let lookup = |name: &str| {
                let found = variables.iter().find(|(one, _)| *one == name);
                found.map(|(_, value)| (*value).to_owned())
            };
            TokenSource::find(lookup, &Secrets::default())
        };
        let given = |variables: &[(&str, &str)]| match find(variables).unwrap() {
            TokenSource::Given(token) => token,
            TokenSource::GitHub { url, .. } => url.to_string(),
        };
        let github = [(GITHUB_URL, "https://h/t?api-version=2.0"), (GITHUB_TOKEN, "job")];
        let all = [&github[..], &[("CI_JOB_JWT", "c"), ("CI_JOB_JWT_V2", "b"), (TOKENS[0], " a ")]];
        let all = all.concat();
        assert_eq!(given(&all), "a");
        assert_eq!(given(&all[..4]), "b");
        assert_eq!(given(&all[..3]), "c");
        assert_eq!(given(&github), "https://h/t?api-version=2.0&audience=sigstore");
        let own = [(GITHUB_URL, "https://h/t?audience=mine"), (GITHUB_TOKEN, "job")];
        assert_eq!(given(&own), "https://h/t?audience=mine");
        for none in [&[][..], &[(TOKENS[0], " ")], &github[..1], &github[1..]] {
            let error = find(none).map(|_| ()).unwrap_err();
            assert!(error.advice().unwrap().contains("SIGSTORE_ID_TOKEN"));
        }
    }
}
