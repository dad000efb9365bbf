//! The image registry's server: HCP Packer's API over HTTP, and what makes a server of it: service
//! principals and their tokens, limits, metrics, an audit log, webhooks, web pages, and the run task
//! by which Terraform asks before it applies a plan.
//!
//! It knows the [`Registry`](ingot_registry::client::Registry) trait and the store's principals; the
//! rules of the registry are in [`ingot_registry::service`], those about Terraform's plans in
//! [`ingot_plan_check`]. It knows nothing of templates, builds or the command line.
//!
//! [`serve()`] runs a server until it is stopped.
//!
//! | module | what it is |
//! | --- | --- |
//! | [`mod@serve`], [`options`], [`app`] | the server, its options, what all requests share |
//! | [`routes`], [`operations`], [`enforced_blocks`], [`sboms`] | HCP Packer's API of 2023-01-01 |
//! | [`v2021`] | the API of 2021-04-30, for older clients |
//! | [`resources`] | what clients ask HCP besides its registry: who they are, organizations, projects |
//! | [`api_response`], [`openapi`] | the form of requests and responses, and the OpenAPI document |
//! | [`auth`], [`secret`] | the token endpoint, who sends a request, tokens and signatures |
//! | [`limits`], [`unauthenticated`] | how often clients may ask, and bodies of those who have not signed in |
//! | [`connections`], [`outgoing`] | limits of connections, and of responses that clients have not taken |
//! | [`tls`], [`proxy`], [`hosts`] | certificates, proxies in front of it, hosts that it may ask |
//! | [`web`] | the web pages |
//! | [`run_task`] | Terraform's run task |
//! | [`deliver`], [`workers`] | webhooks, and all that the server does without being asked |
//! | [`health`], [`progress`], [`metrics`], [`refused_requests`] | health, metrics, refused requests in the audit log |

mod api_response;
mod app;
mod auth;
mod connections;
mod deliver;
mod enforced_blocks;
mod health;
mod hosts;
mod limits;
mod metrics;
mod openapi;
mod operations;
mod options;
mod outgoing;
mod progress;
mod proxy;
mod refused_requests;
mod resources;
mod routes;
mod run_task;
mod sboms;
pub mod secret;
mod serve;
mod tls;
mod unauthenticated;
mod v2021;
pub mod web;
mod workers;

pub use ingot_base::network::Network;
pub use options::{Options, Tls};
pub use proxy::TrustedProxies;
pub use run_task::{HOSTS as RUN_TASK_HOSTS, RunTaskOptions};
pub use serve::serve;
pub use tls::self_signed;

use app::{App, Shared};
