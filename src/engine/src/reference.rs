//! The reference of all plugins' options as Markdown, made from the schemas that templates are
//! checked against, so that it cannot say anything else than the program does.

use std::collections::BTreeMap;
use std::fmt::Write;

use ingot_sdk::{OptionSpec, OptionType, PluginSet, Schema};

/// The pages by file name: one for each kind of plugin, and one for the checks of tests.
pub fn pages(plugins: &PluginSet) -> BTreeMap<&'static str, String> {
    let builders = plugins.builders.iter().map(|(name, one)| (name, vec![one.schema()]));
    let provisioners = plugins.provisioners.iter().map(|(name, one)| (name, vec![one.schema()]));
    let post = plugins.post_processors.iter().map(|(name, one)| (name, vec![one.schema()]));
    let data = plugins.data_sources.iter();
    let data = data.map(|(name, one)| (name, vec![one.schema(), one.output()]));
    let kinds: Vec<String> = ingot_checks::KINDS.iter().map(|kind| (*kind).to_owned()).collect();
    let checks = kinds.iter().map(|kind| (kind, ingot_checks::schema(kind).into_iter().collect()));
    BTreeMap::from([
        ("checks.md", page("Checks", "KIND \"NAME\"` in a `test \"NAME\"", checks)),
        ("builders.md", page("Builders", "source \"TYPE\" \"NAME\"", builders)),
        ("provisioners.md", page("Provisioners", "provisioner \"TYPE\"", provisioners)),
        ("post-processors.md", page("Post-processors", "post-processor \"TYPE\"", post)),
        ("data-sources.md", page("Data sources", "data \"TYPE\" \"NAME\"", data)),
    ])
}

fn page<'a>(
    title: &str,
    block: &str,
    plugins: impl Iterator<Item = (&'a String, Vec<Schema>)>,
) -> String {
    let mut text = format!(
        "# {title}\n\n\
         The options of `{block}`. This page is made from the program: \
         `cargo xtask reference` writes it anew.\n"
    );
    for (name, schemas) in plugins {
        let _ = write!(text, "\n## `{name}`\n");
        for (index, mut schema) in schemas.into_iter().enumerate() {
            if index > 0 {
                text.push_str("\nIts value:\n");
                // A value has all its attributes; nobody has to give them.
                schema.options.iter_mut().for_each(|option| option.required = false);
            }
            table(&schema, index > 0, &mut text);
        }
    }
    text
}

/// The table of a block's options or of what it gives, then those of the blocks in it.
fn table(schema: &Schema, output: bool, text: &mut String) {
    if schema.options.is_empty() {
        text.push_str("\nIt has no options.\n");
        return;
    }
    text.push_str("\n| name | type | |\n| --- | --- | --- |\n");
    for option in &schema.options {
        let _ = writeln!(
            text,
            "| `{}` | {} | {} |",
            option.name,
            type_name(&option.ty),
            meaning(option, output)
        );
    }
    for option in &schema.options {
        if let OptionType::Block(inner) | OptionType::Blocks(inner) = &option.ty {
            let _ = write!(text, "\nIn a `{}` block:\n", option.name);
            table(inner, output, text);
        }
    }
}

fn type_name(ty: &OptionType) -> String {
    match ty {
        OptionType::String => "string".into(),
        OptionType::Number => "number".into(),
        OptionType::Bool => "bool".into(),
        OptionType::List(item) => format!("list({})", type_name(item)),
        OptionType::Map(item) => format!("map({})", type_name(item)),
        OptionType::Block(_) => "block".into(),
        OptionType::Blocks(_) => "blocks".into(),
        OptionType::Any => "any".into(),
    }
}

fn meaning(option: &OptionSpec, output: bool) -> String {
    // A bar would end the cell.
    let mut text = option.description.replace('\n', " ").replace('|', "\\|");
    if option.required {
        text = format!("**Required.** {text}");
    }
    let empty = match &option.default {
        serde_json::Value::Array(items) => items.is_empty(),
        serde_json::Value::Object(items) => items.is_empty(),
        serde_json::Value::String(text) => text.is_empty(),
        other => other.is_null(),
    };
    if !empty {
        let _ = write!(text, " Default: `{}`.", option.default);
    }
    if option.sensitive {
        text.push_str(match output {
            true => " Never shown.",
            false => " Give it as a sensitive variable, so that it is not shown.",
        });
    }
    text.trim().to_owned()
}
