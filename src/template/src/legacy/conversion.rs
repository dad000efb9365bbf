//! How freely options of legacy JSON templates are read: as Packer's decoder of them does,
//! which is mapstructure's with weakly typed input.

use std::collections::BTreeMap;

use ingot_hcl::value::{Kind, Value};
use ingot_sdk::OptionType;

use crate::option_types::type_of;

/// `value` as near to what an option takes as it can be read; what is not near at all stays.
pub fn freely(value: &Value, ty: &OptionType) -> Value {
    let result = match (&value.kind, ty) {
        (Kind::Null(_), _) => return value.clone(),
        (Kind::Unknown(_), _) => Value::unknown(type_of(ty)),
        (Kind::Bool(truth), OptionType::String) => Value::from(if *truth { "1" } else { "0" }),
        (Kind::Bool(truth), OptionType::Number) => Value::from(i64::from(*truth)),
        (Kind::Number(number), OptionType::Bool) => Value::from(number.to_f64() != 0.0),
        (Kind::String(text), OptionType::Number) if text.is_empty() => Value::from(0i64),
        (Kind::String(text), OptionType::Bool) => match &**text {
            "1" | "t" | "T" | "true" | "TRUE" | "True" => Value::from(true),
            "" | "0" | "f" | "F" | "false" | "FALSE" | "False" => Value::from(false),
            _ => return value.clone(),
        },
        (
            Kind::List(_, items) | Kind::Set(_, items) | Kind::Tuple(items),
            OptionType::List(item),
        ) => Value::tuple(items.iter().map(|value| freely(value, item)).collect()),
        (Kind::String(text), OptionType::List(item)) => {
            let parts = text.split(',').filter(|_| !text.is_empty());
            Value::tuple(parts.map(|part| freely(&Value::from(part), item)).collect())
        }
        (Kind::Map(_, entries) | Kind::Object(entries), OptionType::List(_))
            if entries.is_empty() =>
        {
            Value::tuple(Vec::new())
        }
        (_, OptionType::List(item)) => Value::tuple(vec![freely(value, item)]),
        (Kind::Map(_, entries) | Kind::Object(entries), OptionType::Map(item)) => {
            let entries = entries.iter();
            Value::object(entries.map(|(name, v)| (name.clone(), freely(v, item))).collect())
        }
        (Kind::List(_, items) | Kind::Tuple(items), OptionType::Map(item)) => {
            let mut all = BTreeMap::new();
            for entries in items.iter() {
                let Some(entries) = entries.as_entries() else { return value.clone() };
                all.extend(entries.iter().map(|(name, v)| (name.clone(), freely(v, item))));
            }
            Value::object(all)
        }
        _ => return value.clone(),
    };
    result.mark(value.sensitive)
}
