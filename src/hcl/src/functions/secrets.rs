//! Functions that read from stores of secrets and settings outside of the template: Consul, Vault and
//! AWS Secrets Manager. What they read is unknown where no store may be asked, as in `validate`.

use super::{
    Accepts, Failure, Function, FunctionContext, Outcome, Returns, StoredValue, function, param,
    text,
};
use crate::types::Type;
use crate::value::Value;

const STRING: Accepts = Accepts::String;

pub(super) static FUNCTIONS: &[Function] = &[
    function(
        "aws_secretsmanager",
        &[param("name", STRING), param("key", STRING).or_null()],
        Returns::String,
        |args, ctx| {
            let key = args[1].as_str().filter(|key| !key.is_empty()).map(str::to_owned);
            secret(StoredValue::AwsSecret { name: name(args)?, key }, ctx)
        },
    ),
    function("aws_secretsmanager_raw", &[param("name", STRING)], Returns::String, |args, ctx| {
        secret(StoredValue::AwsSecretRaw(name(args)?), ctx)
    }),
    // Settings as a rule, not secrets; Packer shows them too.
    function("consul_key", &[param("key", STRING)], Returns::String, |args, ctx| {
        read(&StoredValue::ConsulKey(name(args)?), ctx)
    }),
    function(
        "vault",
        &[param("path", STRING), param("key", STRING)],
        Returns::String,
        |args, ctx| {
            let key = text(&args[1]).to_owned();
            secret(StoredValue::Vault { path: name(args)?, key }, ctx)
        },
    ),
];

/// The first argument, which says what is read.
fn name(args: &[Value]) -> Result<String, Failure> {
    let name = text(&args[0]);
    match name.is_empty() {
        true => Err(Failure::argument(0, "it must not be empty")),
        false => Ok(name.to_owned()),
    }
}

fn secret(wanted: StoredValue, ctx: &FunctionContext) -> Outcome {
    let value = read(&wanted, ctx)?.mark(true);
    Ok(match ctx.conceals {
        // Which secret it is counts, not what it is.
        true => value.concealed(&format!("<{wanted:?}>")),
        false => value,
    })
}

fn read(wanted: &StoredValue, ctx: &FunctionContext) -> Outcome {
    let found = ctx.stores.read(wanted).map_err(Failure::new)?;
    Ok(found.map_or_else(|| Value::unknown(Type::String), Value::from))
}
