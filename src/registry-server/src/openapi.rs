//! The API's routes and, of the same calls, its OpenAPI document.

use axum::extract::State;
use axum::handler::Handler;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use axum::routing::{MethodFilter, on};
use axum::{Extension, Router};
use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, SchemaGenerator};
use serde_json::{Map, Value, json};

use super::Shared;
use super::outgoing::Uncounted;
use ingot_registry::api::{Empty, Status};

/// Routes and their document.
pub(super) struct Api {
    pub router: Router<Shared>,
    paths: Map<String, Value>,
    schemas: SchemaGenerator,
}

/// What [`Api`] ends as.
pub(super) struct Documented {
    pub router: Router<Shared>,
    pub document: Value,
}

/// The document's name of a method, and axum's.
pub(super) type Method = (&'static str, MethodFilter);

pub(super) const GET: Method = ("get", MethodFilter::GET);
pub(super) const PUT: Method = ("put", MethodFilter::PUT);
pub(super) const POST: Method = ("post", MethodFilter::POST);
pub(super) const PATCH: Method = ("patch", MethodFilter::PATCH);
pub(super) const DELETE: Method = ("delete", MethodFilter::DELETE);

/// What may stand in queries of lists.
pub(super) const PAGES: &[&str] = &[
    "pagination.page_size",
    "pagination.next_page_token",
    "pagination.previous_page_token",
    "sorting.order_by",
];

impl Api {
    pub(crate) fn new() -> Self {
        let schemas = SchemaSettings::openapi3().into_generator();
        Api { router: Router::new(), paths: Map::new(), schemas }
    }

    /// Adds an operation: what it takes as its body, what it answers, its name, what its query may
    /// hold.
    pub(crate) fn add<B, A, H, T>(
        mut self,
        method: Method,
        path: &str,
        id: &str,
        query: &[&str],
        handler: H,
    ) -> Self
    where
        B: JsonSchema + 'static,
        A: JsonSchema,
        H: Handler<T, Shared>,
        T: 'static,
    {
        let names = path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
        let in_path = names.map(|name| {
            json!({ "name": name, "in": "path", "required": true, "schema": { "type": "string" } })
        });
        let in_query = query
            .iter()
            .map(|name| json!({ "name": name, "in": "query", "schema": { "type": "string" } }));
        let parameters: Vec<Value> = in_path.chain(in_query).collect();
        let error = self.schemas.subschema_for::<Status>();
        let answer = self.schemas.subschema_for::<A>();
        let mut operation = json!({
            "operationId": id,
            "parameters": parameters,
            "responses": {
                "200": {
                    "description": "It went well.",
                    "content": { "application/json": { "schema": answer } },
                },
                "default": {
                    "description": "It did not.",
                    "content": { "application/json": { "schema": error } },
                },
            },
        });
        if std::any::TypeId::of::<B>() != std::any::TypeId::of::<Empty>() {
            let body = self.schemas.subschema_for::<B>();
            operation["requestBody"] = json!({
                "required": true,
                "content": { "application/json": { "schema": body } },
            });
        }
        let entry = self.paths.entry(path).or_insert_with(|| json!({}));
        entry[method.0] = operation;
        self.router = self.router.route(path, on(method.1, handler));
        self
    }

    pub(crate) fn finish(mut self) -> Documented {
        let schemas = self.schemas.take_definitions(true);
        let document = json!({
            "openapi": "3.0.3",
            "info": {
                "title": "Ingot's image registry",
                "description": "HCP Packer's API, as an Ingot server has it. Get a token from \
                    /oauth2/token with the client credentials of a service principal.",
                "version": env!("CARGO_PKG_VERSION"),
            },
            "paths": self.paths,
            "components": {
                "schemas": schemas,
                "securitySchemes": {
                    "principal": {
                        "type": "oauth2",
                        "flows": {
                            "clientCredentials": { "tokenUrl": "/oauth2/token", "scopes": {} },
                        },
                    },
                },
            },
            "security": [{ "principal": [] }],
        });
        Documented { router: self.router, document }
    }
}

/// `/openapi.json`.
pub(super) async fn show(State(app): State<Shared>) -> impl IntoResponse {
    // All responses share these bytes.
    ([(CONTENT_TYPE, "application/json")], Extension(Uncounted), app.openapi.clone())
}
