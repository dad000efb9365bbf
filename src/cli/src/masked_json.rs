//! JSON without secrets, which stays JSON: the texts in it are masked, not the text that it is.

use ingot_ui::Redactor;
use serde::Serialize;
use serde_json::Value as Json;

/// Fields whose objects have names from outside, which may be secrets too, and whose numbers are not
/// ours.
const FOREIGN: &[&str] = &["bucket_labels", "build_labels", "value"];
/// Fields whose texts are words of ours.
const WORDS: &[&str] = &["state"];

/// A model of ours as indented JSON without secrets.
///
/// # Errors
/// It cannot be written as JSON.
pub(super) fn masked_json(
    model: &impl Serialize,
    redactor: &Redactor,
) -> serde_json::Result<String> {
    let mut json = serde_json::to_value(model)?;
    mask(&mut json, false, redactor);
    serde_json::to_string_pretty(&json)
}

fn mask(json: &mut Json, foreign: bool, redactor: &Redactor) {
    match json {
        Json::String(text) => *text = redactor.apply(text),
        Json::Number(number) if foreign => {
            let text = number.to_string();
            let masked = redactor.apply(&text);
            if masked != text {
                *json = Json::String(masked);
            }
        }
        Json::Array(items) => items.iter_mut().for_each(|item| mask(item, foreign, redactor)),
        Json::Object(entries) => {
            for (name, mut value) in std::mem::take(entries) {
                if foreign || !WORDS.contains(&name.as_str()) {
                    let foreign = foreign || FOREIGN.contains(&name.as_str());
                    mask(&mut value, foreign, redactor);
                }
                let name = if foreign { redactor.apply(&name) } else { name };
                entries.insert(name, value);
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_masked_stays_json() {
        let redactor = Redactor::default();
        redactor.add_all(["null", "false", "name", "new", "12345"]);
        let model = serde_json::json!({
            "name": "my name", "state": "new", "line": 12345, "error": null,
            "bucket_labels": { "name": "false" }, "value": [12345, true, "new"],
        });
        let text = masked_json(&model, &redactor).unwrap();
        let wanted = serde_json::json!({
            "name": "my <sensitive>", "state": "new", "line": 12345, "error": null,
            "bucket_labels": { "<sensitive>": "<sensitive>" },
            "value": ["<sensitive>", true, "<sensitive>"],
        });
        assert_eq!(serde_json::from_str::<Json>(&text).unwrap(), wanted, "{text}");
    }
}
