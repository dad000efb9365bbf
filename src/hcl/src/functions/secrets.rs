//! Functions that fetch secrets from services. None of them is supported yet: each says so, and
//! what to do instead, when it is called.

use super::{Accepts, Failure, Function, Outcome, Returns, function, param};

const STRING: Accepts = Accepts::String;

pub(super) static FUNCTIONS: &[Function] = &[
    function(
        "aws_secretsmanager",
        &[param("name", STRING), param("key", STRING).or_null()],
        Returns::String,
        |_, _| unsupported("AWS Secrets Manager"),
    ),
    function("aws_secretsmanager_raw", &[param("name", STRING)], Returns::String, |_, _| {
        unsupported("AWS Secrets Manager")
    }),
    function("consul_key", &[param("key", STRING)], Returns::String, |_, _| unsupported("Consul")),
    function("vault", &[param("path", STRING), param("key", STRING)], Returns::String, |_, _| {
        unsupported("Vault")
    }),
];

fn unsupported(service: &str) -> Outcome {
    Err(Failure::new(format!(
        "reading from {service} is not supported yet; declare a variable with `sensitive = true` \
         and pass the value as PKR_VAR_name or with -var 'name=…'"
    )))
}
