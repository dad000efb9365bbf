//! The single values of a resource, and the ways to them.

use serde_json::Value;

use super::configuration::Step;

/// A value that holds no others.
pub(super) struct Leaf<'a> {
    pub path: Vec<Step>,
    pub value: &'a Value,
    pub sensitive: bool,
}

/// All values in a value, with whether `marks`, which is of the same form, has them as sensitive.
pub(super) fn leaves<'a>(
    value: &'a Value,
    marks: &Value,
    sensitive: bool,
    path: &mut Vec<Step>,
    into: &mut Vec<Leaf<'a>>,
) {
    let sensitive = sensitive || marks == &Value::Bool(true);
    match value {
        Value::Object(object) => {
            for (name, value) in object {
                path.push(Step::Name(name.clone()));
                leaves(value, &marks[name.as_str()], sensitive, path, into);
                path.pop();
            }
        }
        Value::Array(array) => {
            for (index, value) in array.iter().enumerate() {
                path.push(Step::Index(index));
                leaves(value, &marks[index], sensitive, path, into);
                path.pop();
            }
        }
        Value::Null => {}
        value => into.push(Leaf { path: path.clone(), value, sensitive }),
    }
}

/// What is at a path.
pub(super) fn at<'a>(value: &'a Value, path: &[Step]) -> Option<&'a Value> {
    path.iter().try_fold(value, |value, step| match step {
        Step::Name(name) => value.get(name),
        Step::Index(index) => value.get(index),
    })
}

/// `boot_disk.initialize_params.image`
pub(super) fn names(path: &[Step]) -> String {
    let names: Vec<&str> = path
        .iter()
        .filter_map(|step| match step {
            Step::Name(name) => Some(name.as_str()),
            Step::Index(_) => None,
        })
        .collect();
    names.join(".")
}

/// `boot_disk[0].initialize_params[0].image`
pub(super) fn shown(path: &[Step]) -> String {
    let mut shown = String::new();
    for step in path {
        match step {
            Step::Name(name) if shown.is_empty() => shown.push_str(name),
            Step::Name(name) => shown.push_str(&format!(".{name}")),
            Step::Index(index) => shown.push_str(&format!("[{index}]")),
        }
    }
    shown
}
