use super::*;
use crate::Kind;
use crate::Type;
use crate::Value;
use crate::functions::table::TABLE;

fn context() -> FunctionContext {
    FunctionContext {
        env_allowed: true,
        ..FunctionContext::new(".", time::OffsetDateTime::UNIX_EPOCH)
    }
}

/// Arguments that the parameters accept, as far as they say what they accept.
fn arguments(function: &Function) -> Vec<Value> {
    let strings = || Value::strings(["a", "b"]);
    let mut params = function.params.to_vec();
    params.extend(function.rest);
    if function.name == "setproduct" {
        params.extend(function.rest);
    }
    let of = |param: &Param| match (function.name, param.name) {
        ("formatdate" | "timeadd" | "rfc3339_parse", "time" | "timestamp") => {
            "2020-01-02T03:04:05Z".into()
        }
        ("formatdate", _) => "YYYY".into(),
        ("timeadd", _) => "1h".into(),
        ("format" | "formatlist", "format") => "%v".into(),
        ("parseint", _) => {
            [Value::from("1"), Value::from(10i64)][usize::from(param.name == "base")].clone()
        }
        ("uuidv5", "namespace") => "dns".into(),
        ("textencodebase64" | "textdecodebase64", "encoding") => "UTF-8".into(),
        ("base64decode" | "textdecodebase64", _) => "YQ==".into(),
        ("jsondecode" | "yamldecode", _) => "1".into(),
        (name, "prefix") if name.starts_with("cidr") => "10.0.0.0/8".into(),
        ("log", _) => Value::from(10i64),
        ("bcrypt", "cost") => Value::from(4i64),
        ("sum", _) => Value::list(Type::Number, vec![Value::from(1i64)]),
        (
            "keys" | "values" | "merge" | "lookup" | "templatefile",
            "inputMap" | "mapping" | "maps" | "vars",
        ) => Value::map(Type::String, [("a".to_owned(), Value::from("x"))].into()),
        (_, "size" | "length") => Value::from(1i64),
        ("contains" | "index", "value") => "a".into(),
        _ => match param.accepts {
            Accepts::Any | Accepts::Strings | Accepts::List => strings(),
            Accepts::String => "a".into(),
            Accepts::Number => Value::from(1i64),
            Accepts::Bools => Value::list(Type::Bool, vec![Value::from(true)]),
            Accepts::Set => Value::set(Type::String, vec!["a".into()]),
        },
    };
    params.iter().map(of).collect()
}

/// These need files or services.
const OUTSIDE: &[&str] = &[
    "aws_secretsmanager",
    "aws_secretsmanager_raw",
    "consul_key",
    "file",
    "filebase64",
    "rsadecrypt",
    "templatefile",
    "vault",
];

#[test]
fn every_function_stands_aside_for_unknown_values() {
    for function in TABLE.values() {
        let args = arguments(function);
        for index in 0..args.len() {
            let mut args = args.clone();
            args[index] = Value::unknown(Type::Dynamic);
            // What comes after a value that decides does not matter.
            if matches!(function.name, "coalesce" | "coalescelist") && index > 0 {
                continue;
            }
            let result = call(function, &args, &context());
            let result = result.unwrap_or_else(|error| panic!("{}: {error:?}", function.name));
            assert!(!result.is_wholly_known(), "{} argument {index}: {result:?}", function.name);
        }
    }
}

#[test]
fn the_first_full_list_is_found_before_one_that_is_not_known() {
    let (null, unknown) = (Value::null(Type::list(Type::String)), Value::unknown(Type::Dynamic));
    let (full, empty) = (Value::strings(["a"]), Value::list(Type::String, Vec::new()));
    let coalesced = |args: &[Value]| call(get("coalescelist").unwrap(), args, &context());
    assert_eq!(coalesced(&[null.clone(), full.clone(), unknown.clone()]), Ok(full));
    assert_eq!(coalesced(&[null.clone(), empty.clone(), unknown.clone()]), Ok(unknown));
    assert!(coalesced(&[null, empty]).is_err());
}

#[test]
fn every_function_keeps_secrets_secret() {
    for function in TABLE.values().filter(|function| !OUTSIDE.contains(&function.name)) {
        let args = arguments(function);
        for index in 0..args.len() {
            let mut args = args.clone();
            args[index].sensitive = true;
            let result = call(function, &args, &context());
            let result = result.unwrap_or_else(|error| panic!("{}: {error:?}", function.name));
            assert!(result.holds_secret(), "{} argument {index}", function.name);
        }
    }
}

/// With the type that a known result has.
#[test]
fn unknown_results_have_the_type_of_known_ones() {
    for function in TABLE.values().filter(|function| !OUTSIDE.contains(&function.name)) {
        let args = arguments(function);
        let Ok(known) = call(function, &args, &context()) else {
            panic!("{} does not take {args:?}", function.name);
        };
        let unknown: Vec<Value> = args.iter().map(|arg| Value::unknown(arg.ty())).collect();
        let result = call(function, &unknown, &context()).unwrap();
        let (ty, known) = (result.ty(), known.ty());
        assert!(ty == known || !ty.is_concrete(), "{}: {ty} is not {known}", function.name);
    }
}

#[test]
fn parts_stay_what_they_are() {
    let secret = Value::from("s").mark(true);
    let list = Value::tuple(vec![secret, Value::unknown(Type::String), "c".into()]);
    let element = |index: i64| {
        let args = [list.clone(), Value::from(index)];
        call(get("element").unwrap(), &args, &context()).unwrap()
    };
    assert!(element(0).sensitive);
    assert!(element(1).is_unknown() && !element(1).sensitive);
    assert_eq!(element(2), "c".into());
    let joined = call(get("concat").unwrap(), &[list.clone(), list], &context()).unwrap();
    assert!(!joined.sensitive && joined.holds_secret());
}

#[test]
fn gzip_and_bcrypt_can_be_read_back() {
    use base64::Engine;
    use std::io::Read;
    let packed = call(get("base64gzip").unwrap(), &["hello".into()], &context()).unwrap();
    let packed = base64::prelude::BASE64_STANDARD.decode(text(&packed)).unwrap();
    let mut plain = String::new();
    flate2::read::GzDecoder::new(&packed[..]).read_to_string(&mut plain).unwrap();
    assert_eq!(plain, "hello");
    let args = ["hello".into(), Value::from(4i64)];
    let hash = call(get("bcrypt").unwrap(), &args, &context()).unwrap();
    assert!(::bcrypt::verify("hello", text(&hash)).unwrap());
    for (cost, why) in [(31i64, "takes minutes to days"), (32, "from 4 to 31")] {
        let args = ["hello".into(), Value::from(cost)];
        let error = call(get("bcrypt").unwrap(), &args, &context()).unwrap_err();
        assert!(error.message.contains(why), "{error:?}");
    }
}

#[test]
fn what_no_store_may_be_asked_for_is_unknown() {
    for (name, secret) in [("aws_secretsmanager_raw", true), ("consul_key", false)] {
        let function = get(name).unwrap();
        let value = call(function, &["x".into()], &context()).unwrap();
        assert!(value.is_unknown() && value.sensitive == secret, "{name}: {value:?}");
        assert!(call(function, &["".into()], &context()).is_err(), "{name}");
    }
}

#[test]
fn stores_are_asked_for_what_the_arguments_say() {
    let read = |wanted: &StoredValue| match wanted {
        StoredValue::Vault { path, key } => Ok(format!("{path}#{key}")),
        StoredValue::AwsSecret { name, key: None } => Ok(name.clone()),
        other => Err(format!("no {other:?}")),
    };
    let context = FunctionContext { stores: Stores::new(read), ..context() };
    let value = call(get("vault").unwrap(), &["a/data/b".into(), "c".into()], &context).unwrap();
    assert!(value.as_str() == Some("a/data/b#c") && value.sensitive);
    let aws = get("aws_secretsmanager").unwrap();
    for key in [Value::null(Type::String), "".into()] {
        assert_eq!(call(aws, &["s".into(), key], &context).unwrap().as_str(), Some("s"));
    }
    let error = call(get("consul_key").unwrap(), &["k".into()], &context).unwrap_err();
    assert!(error.message.contains("ConsulKey"), "{}", error.message);
}

#[test]
fn calls_are_noted_whose_results_differ_each_time() {
    use super::volatile::VOLATILE;
    for name in VOLATILE {
        let context = FunctionContext { volatile: VolatileCalls::watched(), ..context() };
        // Also where the arguments are missing or not known yet.
        let _ = call(get(name).unwrap(), &[], &context);
        assert_eq!(context.volatile.names(), [*name]);
    }
    let context = FunctionContext { volatile: VolatileCalls::watched(), ..context() };
    call(get("upper").unwrap(), &["x".into()], &context).unwrap();
    assert_eq!(context.volatile.names(), [""; 0]);
}

#[test]
fn sets_hold_each_item_once() {
    let args = [Value::tuple(vec!["b".into(), "a".into(), "b".into()])];
    let set = call(get("setunion").unwrap(), &args, &context()).unwrap();
    assert!(matches!(&set.kind, Kind::Set(_, items) if items.len() == 2));
}

#[test]
fn a_file_that_never_ends_is_an_error() {
    for (name, most) in [("file", 32), ("filebase64", 256)] {
        let function = get(name).unwrap();
        let failure = (function.call)(&["/dev/zero".into()], &context()).unwrap_err();
        assert_eq!(
            failure.message,
            format!(
                "cannot read /dev/zero: it has more than {most} MiB, which is the most that is read"
            )
        );
    }
}
