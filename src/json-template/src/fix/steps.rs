//! Fixers of provisioners and post-processors.

use serde_json::{Value, json};

use super::builders;
use super::object::{self, Object, string};
use super::types::Types;

type Result = std::result::Result<(), String>;

/// All provisioners that are objects.
fn provisioners(template: &mut Object) -> impl Iterator<Item = &mut Object> {
    let list = template.get_mut("provisioners").and_then(Value::as_array_mut);
    list.into_iter().flatten().filter_map(Value::as_object_mut)
}

/// Calls `work` for all post-processors that are objects, in pipelines too.
fn post_processors(template: &mut Object, mut work: impl FnMut(&mut Object)) -> Result {
    let list = match template.get_mut("post-processors") {
        None | Some(Value::Null) => return Ok(()),
        Some(Value::Array(list)) => list,
        Some(_) => return Err("`post-processors` is not a list".to_owned()),
    };
    for item in list {
        match item {
            Value::Object(step) => work(step),
            Value::Array(steps) => {
                steps.iter_mut().filter_map(Value::as_object_mut).for_each(&mut work)
            }
            _ => {}
        }
    }
    Ok(())
}

pub(super) fn vagrant_override(template: &mut Object) -> Result {
    post_processors(template, |step| {
        if string(step, "type") != "vagrant" {
            return;
        }
        let mut overrides = Object::new();
        for provider in ["aws", "digitalocean", "virtualbox", "vmware"] {
            if let Some(options) = step.shift_remove(provider) {
                overrides.insert(provider.to_owned(), options);
            }
        }
        if !overrides.is_empty() {
            step.insert("override".to_owned(), overrides.into());
        }
    })
}

pub(super) fn virtualbox_rename(template: &mut Object) -> Result {
    builders::rename_type(template, "virtualbox", "virtualbox-iso")?;
    for provisioner in provisioners(template) {
        if let Some(Value::Object(overrides)) = provisioner.get_mut("override") {
            object::rename(overrides, "virtualbox", "virtualbox-iso");
        }
    }
    Ok(())
}

pub(super) fn manifest_filename(template: &mut Object) -> Result {
    post_processors(template, |step| {
        let has_name = step.get("filename").is_some_and(Value::is_string);
        if string(step, "type") == "manifest" && has_name {
            object::rename(step, "filename", "output");
        }
    })
}

pub(super) fn docker_email(template: &mut Object) -> Result {
    builders::remove(template, Types::Builders, "login_email")?;
    post_processors(template, |step| drop(step.shift_remove("login_email")))
}

pub(super) fn docker_tags(template: &mut Object) -> Result {
    post_processors(template, |step| {
        if string(step, "type") != "docker-tag" {
            return;
        }
        let mut tags: Vec<String> = Vec::new();
        for option in ["tag", "tags"] {
            let found: Vec<&str> = match step.get(option) {
                Some(Value::Array(items)) => items.iter().filter_map(Value::as_str).collect(),
                Some(Value::String(text)) => text.split(',').map(str::trim).collect(),
                _ => Vec::new(),
            };
            for tag in found {
                if !tags.iter().any(|known| known == tag) {
                    tags.push(tag.to_owned());
                }
            }
        }
        match step.contains_key("tags") {
            true => drop(step.shift_remove("tag")),
            false => object::rename(step, "tag", "tags"),
        }
        step.insert("tags".to_owned(), json!(tags));
    })
}

/// `` `$ `` as `$`, and so on.
fn unescaped(text: &str) -> String {
    let mut result = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match (c, chars.peek()) {
            ('`', Some(&escaped @ ('$' | '"' | '`' | '\''))) => {
                result.push(escaped);
                chars.next();
            }
            _ => result.push(c),
        }
    }
    result
}

pub(super) fn powershell_escapes(template: &mut Object) -> Result {
    for provisioner in provisioners(template) {
        if string(provisioner, "type") != "powershell" {
            continue;
        }
        for option in ["elevated_user", "elevated_password"] {
            match provisioner.get_mut(option) {
                None => {}
                Some(Value::String(text)) => *text = unescaped(text),
                Some(_) => return Err(format!("{option} is not a string")),
            }
        }
        if let Some(Value::Array(variables)) = provisioner.get_mut("environment_vars")
            && variables.iter().all(Value::is_string)
        {
            for variable in variables {
                if let Value::String(text) = variable {
                    *text = unescaped(text);
                }
            }
        }
    }
    Ok(())
}

pub(super) fn galaxy_command(template: &mut Object) -> Result {
    for provisioner in provisioners(template) {
        if string(provisioner, "type") != "ansible-local" {
            continue;
        }
        if provisioner.contains_key("galaxy_command") {
            provisioner.shift_remove("galaxycommand");
        } else if provisioner.get("galaxycommand").is_some_and(Value::is_string) {
            object::rename(provisioner, "galaxycommand", "galaxy_command");
        }
    }
    Ok(())
}
