//! Options as bytes.

use ingot_sdk::OptionValue;

/// Whether secrets count where options are encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SecretValues {
    /// They count. Whoever sees a digest of the bytes can try out what the secret may be, so it must
    /// stay with those who may know the secret.
    Included,
    /// Only that there is a secret counts.
    Omitted,
}

/// Appends `value` to `bytes`, in a form in which no two values are the same bytes. `map` is called
/// for each string, and gives what is to stand for it; secrets that are omitted are not mapped.
pub fn encode(
    value: &OptionValue,
    secrets: SecretValues,
    map: &dyn Fn(&str) -> String,
    bytes: &mut Vec<u8>,
) {
    // Each string and list comes with its length, so that where one ends is part of it.
    match value {
        OptionValue::Unknown => bytes.push(b'?'),
        OptionValue::Null => bytes.push(b'0'),
        OptionValue::Bool(truth) => bytes.extend([b'b', u8::from(*truth)]),
        OptionValue::Number(number) => text(b'n', &number.to_string(), bytes),
        OptionValue::String(string) => text(b's', &map(string), bytes),
        OptionValue::Secret(secret) => match secrets {
            SecretValues::Included => text(b's', &map(secret), bytes),
            SecretValues::Omitted => bytes.push(b'*'),
        },
        OptionValue::List(items) => {
            length(b'l', items.len(), bytes);
            items.iter().for_each(|item| encode(item, secrets, map, bytes));
        }
        OptionValue::Map(entries) => {
            length(b'm', entries.len(), bytes);
            for (name, value) in entries {
                text(b's', &map(name), bytes);
                encode(value, secrets, map, bytes);
            }
        }
    }
}

fn length(tag: u8, count: usize, bytes: &mut Vec<u8>) {
    bytes.push(tag);
    bytes.extend((count as u64).to_be_bytes());
}

fn text(tag: u8, text: &str, bytes: &mut Vec<u8>) {
    length(tag, text.len(), bytes);
    bytes.extend(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(value: OptionValue, secrets: SecretValues) -> Vec<u8> {
        let mut bytes = Vec::new();
        encode(&value, secrets, &str::to_owned, &mut bytes);
        bytes
    }

    fn strings(items: &[&str]) -> OptionValue {
        OptionValue::List(items.iter().map(|&text| OptionValue::String(text.into())).collect())
    }

    #[test]
    fn different_options_are_different_bytes() {
        let all = [
            strings(&["a", "b"]),
            strings(&["ab"]),
            strings(&["ab", ""]),
            OptionValue::String("ab".into()),
            OptionValue::Unknown,
            OptionValue::Null,
            OptionValue::Map([("ab".to_owned(), OptionValue::Null)].into()),
        ];
        for (index, one) in all.iter().enumerate() {
            for other in &all[index + 1..] {
                let of = |value: &OptionValue| bytes(value.clone(), SecretValues::Included);
                assert_ne!(of(one), of(other), "{one:?} {other:?}");
            }
        }
    }

    #[test]
    fn a_secret_counts_only_where_it_may() {
        let of = |text: &str, secrets| bytes(OptionValue::Secret(text.into()), secrets);
        assert_eq!(of("one", SecretValues::Omitted), of("other", SecretValues::Omitted));
        assert_ne!(of("one", SecretValues::Included), of("other", SecretValues::Included));
    }
}
