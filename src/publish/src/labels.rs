//! Labels that a registry takes: a template's have to be so, a plugin's are made so.

use ingot_sdk::{Error, Result};

use ingot_registry::api::Labels;
use ingot_registry::api::limits::{LABEL_KEY, LABEL_VALUE, LABELS};

/// Whether a text holds what a label must not.
fn is_plain(text: &str) -> bool {
    !text.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\r' | '\t'))
}

/// Checks the labels that a template has in `place`.
///
/// # Errors
/// A registry would refuse them.
pub(super) fn check(place: &str, labels: &Labels) -> Result<()> {
    let wrong = |what: String| Err(Error::new(what));
    if labels.len() > LABELS {
        let count = labels.len();
        return wrong(format!("{place} has {count} labels, and the registry takes {LABELS}"));
    }
    for (key, value) in labels {
        let (key_length, length) = (key.len(), value.len());
        if key.is_empty() {
            return wrong(format!("{place} has a label without a name"));
        }
        if key_length > LABEL_KEY {
            return wrong(format!(
                "{place} has a name of {key_length} bytes, and the registry takes {LABEL_KEY}"
            ));
        }
        if length > LABEL_VALUE {
            return wrong(format!(
                "`{key}` in {place} is {length} bytes long, and the registry takes {LABEL_VALUE}"
            ));
        }
        if !is_plain(key) || !is_plain(value) {
            return wrong(format!("{key:?} in {place} holds control characters"));
        }
    }
    Ok(())
}

/// Adds what plugins say of an image to `labels`, as far as a registry takes it: an artifact that
/// is there is not lost for a label. What was left out is the result, as warnings.
pub(super) fn add_fitting(labels: &mut Labels, found: Labels) -> Vec<String> {
    let mut warnings = Vec::new();
    for (key, value) in found {
        if key.is_empty() || key.len() > LABEL_KEY || !is_plain(&key) {
            warnings.push(format!("a label is left out: its name is invalid: {key:.40?}"));
        } else if labels.len() >= LABELS && !labels.contains_key(&key) {
            warnings
                .push(format!("the label `{key}` is left out: the registry takes {LABELS} labels"));
        } else {
            let short = shortened(&value);
            if short.len() < value.len() {
                warnings.push(format!(
                    "the label `{key}` is cut to {} of its {} bytes: the registry takes \
                     {LABEL_VALUE}",
                    short.len(),
                    value.len()
                ));
            }
            let short = short.replace(|c: char| c.is_control() && !"\n\r\t".contains(c), " ");
            labels.insert(key, short);
        }
    }
    warnings
}

/// What fits of a value: of a list with commas, as of tags, only whole items.
fn shortened(value: &str) -> &str {
    if value.len() <= LABEL_VALUE {
        return value;
    }
    // A comma just behind what fits ends an item that does.
    let whole = value.as_bytes()[..=LABEL_VALUE].iter().rposition(|&byte| byte == b',');
    let boundary = || (0..=LABEL_VALUE).rev().find(|&at| value.is_char_boundary(at));
    &value[..whole.or_else(boundary).unwrap_or_default()]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(key: &str, value: &str) -> Labels {
        [(key.to_owned(), value.to_owned())].into()
    }

    #[test]
    fn invalid_labels_of_a_template_are_errors() {
        let said = |labels: &Labels| check("build_labels", labels).map_err(|e| e.to_string());
        assert_eq!(said(&labels("a", &"x".repeat(1024))), Ok(()));
        let long = said(&labels("notes", &"x".repeat(1025))).unwrap_err();
        assert_eq!(long, "`notes` in build_labels is 1025 bytes long, and the registry takes 1024");
        assert!(said(&labels(&"k".repeat(129), "")).is_err());
        assert!(said(&labels("a", "\u{1b}[2J")).is_err());
        let many: Labels = (0..101).map(|n| (n.to_string(), String::new())).collect();
        assert!(said(&many).unwrap_err().contains("101 labels"));
    }

    #[test]
    fn labels_of_plugins_are_cut() {
        let add = |mut labels: Labels, found: Labels| {
            let warnings = add_fitting(&mut labels, found);
            (labels, warnings)
        };
        let tags = vec!["0123456789"; 200].join(",");
        let (cut, warnings) = add(Labels::new(), labels("tags", &tags));
        // 93 items of ten bytes and the commas between them.
        assert_eq!(cut["tags"].len(), 1022);
        assert!(cut["tags"].ends_with(",0123456789"));
        assert!(warnings[0].contains("`tags` is cut to 1022 of its 2199 bytes"), "{warnings:?}");
        let (cut, _) = add(Labels::new(), labels("note", &"é".repeat(600)));
        assert_eq!(cut["note"].len(), 1024);
        let (cut, warnings) = add(Labels::new(), labels("note", "a\u{7}b"));
        assert!(cut["note"] == "a b" && warnings.is_empty());
        let full: Labels = (0..100).map(|n| (n.to_string(), String::new())).collect();
        let (same, warnings) = add(full.clone(), labels("more", ""));
        assert!(same == full && warnings[0].contains("`more` is left out"), "{warnings:?}");
        let (changed, warnings) = add(full, labels("7", "seven"));
        assert!(changed["7"] == "seven" && warnings.is_empty());
    }
}
