//! Somebody who looks at pages by plain HTTP: keeps cookies, reads forms, sends them.

use std::collections::BTreeMap;

use reqwest::Method;
use reqwest::header::HeaderMap;

use ingot_test_support::registry_server::Server;

/// Somebody with cookies.
pub(crate) struct Visitor {
    client: reqwest::Client,
    url: String,
    pub cookies: BTreeMap<String, String>,
}

/// What a page answered.
pub(crate) struct Response {
    pub status: u16,
    pub headers: HeaderMap,
    pub text: String,
}

impl Response {
    /// Where it leads to.
    pub(crate) fn location(&self) -> &str {
        self.headers.get("location").map_or("", |value| value.to_str().expect("text"))
    }

    /// The token of the page's forms.
    pub(crate) fn form_token(&self) -> String {
        let (_, rest) = self
            .text
            .split_once("name=\"form_token\" value=\"")
            .unwrap_or_else(|| panic!("no form in {}", self.text));
        rest.split_once('"').expect("a value").0.to_owned()
    }
}

impl Visitor {
    pub(crate) fn new(server: &Server) -> Visitor {
        let client = ingot_sdk::http::client_with_tls(server.tls(), |builder| {
            builder.redirect(reqwest::redirect::Policy::none())
        });
        let client = client.expect("a client");
        Visitor { client, url: server.url(), cookies: BTreeMap::new() }
    }

    pub(crate) async fn get(&mut self, path: &str) -> Response {
        self.send(Method::GET, path, None).await
    }

    /// Sends a form.
    pub(crate) async fn post(&mut self, path: &str, fields: &[(&str, &str)]) -> Response {
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        self.send(Method::POST, path, Some(body)).await
    }

    /// Sends a form with its token.
    pub(crate) async fn submit(
        &mut self,
        page: &Response,
        path: &str,
        fields: &[(&str, &str)],
    ) -> Response {
        let token = page.form_token();
        self.post(path, &[fields, &[("form_token", &token)]].concat()).await
    }

    async fn send(&mut self, method: Method, path: &str, body: Option<String>) -> Response {
        let cookies: Vec<String> =
            self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let mut request = self.client.request(method, format!("{}{path}", self.url));
        request = request.header("accept", "text/html,application/xhtml+xml,*/*;q=0.8");
        if !cookies.is_empty() {
            request = request.header("cookie", cookies.join("; "));
        }
        if let Some(body) = body {
            let form = "application/x-www-form-urlencoded";
            request = request.header("content-type", form).body(body);
        }
        let response = request.send().await.expect("the server answers");
        for cookie in response.headers().get_all("set-cookie") {
            let cookie = cookie.to_str().expect("text");
            let (name, value) =
                cookie.split(';').next().expect("a pair").split_once('=').expect("=");
            match cookie.contains("Max-Age=0") {
                true => self.cookies.remove(name),
                false => self.cookies.insert(name.to_owned(), value.to_owned()),
            };
        }
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Response { status, headers, text: response.text().await.expect("an answer") }
    }

    /// Signs in with an id and a secret.
    pub(crate) async fn sign_in(&mut self, id: &str, secret: &str) -> Response {
        let page = self.get("/sign-in").await;
        let fields = [("client_id", id), ("client_secret", secret)];
        self.submit(&page, "/sign-in", &fields).await
    }

    /// Somebody who has signed in.
    pub(crate) async fn signed_in(server: &Server, id: &str, secret: &str) -> Visitor {
        let mut visitor = Visitor::new(server);
        let answer = visitor.sign_in(id, secret).await;
        assert_eq!(answer.status, 303, "{}", answer.text);
        visitor
    }

    /// The administrator of the server's first run.
    pub(crate) async fn admin(server: &Server) -> Visitor {
        Visitor::signed_in(server, &server.env["HCP_CLIENT_ID"], &server.env["HCP_CLIENT_SECRET"])
            .await
    }
}
