//! How to use a bucket's images: what to write into a template of Packer's or Ingot's, into
//! Terraform's configuration, or at a prompt, for a channel, a platform and a region.

use std::collections::BTreeSet;

use maud::{Markup, html};

use super::web_session::{Fields, PageContext};
use ingot_registry::api::Channel;

/// What is chosen.
#[derive(Debug, Default)]
pub(super) struct Choice {
    channel: String,
    platform: String,
    region: String,
}

/// The platforms and regions of a channel's version.
fn places(channel: &Channel) -> BTreeSet<(String, String)> {
    let builds = channel.version.iter().flat_map(|version| &version.builds);
    let artifacts = builds.flat_map(|build| {
        build.artifacts.iter().map(|it| (build.platform.clone(), it.region.clone()))
    });
    artifacts.collect()
}

impl Choice {
    /// What a query chooses, else what is there first: a channel of people's rather than the
    /// registry's own.
    pub(super) fn of(fields: &Fields, channels: &[Channel]) -> Self {
        let named = channels.iter().find(|it| it.name == fields.text("channel"));
        let assigned = |it: &&Channel| it.version.is_some();
        let first = channels.iter().filter(assigned).min_by_key(|it| it.managed);
        let Some(channel) = named.or(first) else { return Choice::default() };
        let places = places(channel);
        let wanted = fields.text("place");
        let place = places.iter().find(|it| key(it) == wanted).or_else(|| places.first());
        let (platform, region) = place.cloned().unwrap_or_default();
        Choice { channel: channel.name.clone(), platform, region }
    }
}

/// A platform and region as an option's value.
fn key((platform, region): &(String, String)) -> String {
    format!("{platform}/{region}")
}

/// The section of a page.
pub(super) fn show(
    context: &PageContext,
    bucket: &str,
    channels: &[Channel],
    choice: &Choice,
) -> Markup {
    let Some(channel) = channels.iter().find(|it| it.name == choice.channel) else {
        return html! {};
    };
    let places = places(channel);
    let chosen = (choice.platform.clone(), choice.region.clone());
    html! {
        section.card aria-labelledby="usage" {
            h2 #usage { "How to use it" }
            form.line method="get" action=(format!("{}#usage", context.bucket_path(bucket, ""))) {
                div.field {
                    label for="usage-channel" { "Channel" }
                    select #usage-channel name="channel" {
                        @for it in channels.iter().filter(|it| it.version.is_some()) {
                            option selected[it.name == choice.channel] { (it.name) }
                        }
                    }
                }
                div.field {
                    label for="usage-place" { "Platform and region" }
                    select #usage-place name="place" {
                        @for it in &places {
                            option value=(key(it)) selected[*it == chosen] {
                                (it.0) @if !it.1.is_empty() { " · " (it.1) }
                            }
                        }
                    }
                }
                button type="submit" { "Show" }
            }
            p.hint { "Click on a text to select all of it." }
            (snippet("Packer and Ingot", &packer(bucket, choice)))
            (snippet("Terraform", &terraform(bucket, choice)))
            (snippet("Command line", &command_line(bucket, channel)))
        }
    }
}

fn snippet(name: &str, text: &str) -> Markup {
    html! {
        h3 { (name) }
        pre.select tabindex="0" role="region" aria-label=(format!("Text for {name}")) { (text) }
    }
}

/// A name that HCL takes for a block.
fn identifier(bucket: &str) -> String {
    let plain = |char: char| match char.is_ascii_alphanumeric() || char == '_' {
        true => char,
        false => '_',
    };
    let name: String = bucket.chars().map(plain).collect();
    match name.starts_with(|char: char| char.is_ascii_alphabetic()) {
        true => name,
        false => format!("image_{name}"),
    }
}

/// A string of HCL.
fn string(text: &str) -> String {
    let mut quoted = String::from("\"");
    for char in text.chars() {
        match char {
            '"' | '\\' => quoted.extend(['\\', char]),
            '\n' => quoted.push_str("\\n"),
            char if char.is_control() => {}
            char => quoted.push(char),
        }
    }
    quoted.push('"');
    // What would be a template.
    quoted.replace("${", "$${").replace("%{", "%%{")
}

fn packer(bucket: &str, choice: &Choice) -> String {
    let (id, name, channel) = (identifier(bucket), string(bucket), string(&choice.channel));
    let (platform, region) = (string(&choice.platform), string(&choice.region));
    format!(
        "data \"hcp-packer-version\" \"{id}\" {{\n  bucket_name  = {name}\n  channel_name = {channel}\n}}\n\n\
         data \"hcp-packer-artifact\" \"{id}\" {{\n  bucket_name         = {name}\n  \
         version_fingerprint = data.hcp-packer-version.{id}.fingerprint\n  \
         platform            = {platform}\n  region              = {region}\n}}\n\n\
         # The image: data.hcp-packer-artifact.{id}.external_identifier\n"
    )
}

fn terraform(bucket: &str, choice: &Choice) -> String {
    let (id, name, channel) = (identifier(bucket), string(bucket), string(&choice.channel));
    let (platform, region) = (string(&choice.platform), string(&choice.region));
    format!(
        "data \"hcp_packer_version\" \"{id}\" {{\n  bucket_name  = {name}\n  channel_name = {channel}\n}}\n\n\
         data \"hcp_packer_artifact\" \"{id}\" {{\n  bucket_name         = {name}\n  \
         version_fingerprint = data.hcp_packer_version.{id}.fingerprint\n  \
         platform            = {platform}\n  region              = {region}\n}}\n\n\
         # The image: data.hcp_packer_artifact.{id}.external_identifier\n"
    )
}

fn command_line(bucket: &str, channel: &Channel) -> String {
    let version = channel.version.as_ref().map_or("", |version| &version.name);
    format!(
        "ingot registry channels show {bucket} {}\ningot registry artifacts list {bucket} {version}\n",
        channel.name
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strangers_texts_stay_strings() {
        assert_eq!(string("a\"b\\c${d}%{e}\n"), "\"a\\\"b\\\\c$${d}%%{e}\\n\"");
        assert_eq!(identifier("web-1.x"), "web_1_x");
        assert_eq!(identifier("1st"), "image_1st");
    }
}
