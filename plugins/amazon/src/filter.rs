//! Finding an AMI by what is known about it: `source_ami_filter` of builders and `amazon-ami`.

use std::collections::BTreeMap;

use aws_sdk_ec2::types::{Filter, Image};
use ingot_sdk::{ConfigError, ConfigErrors};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::access::Ec2;
use crate::failure::{During, Failure, Kind};

/// How many of too many AMIs a message names.
const NAMED: usize = 3;

/// What is known about an AMI.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
pub struct AmiFilter {
    /// What the AMI is like, by the names of EC2's DescribeImages, as in
    /// `name = "ubuntu/images/*"`. Several values are separated by commas; `*` and `?` stand for
    /// any letters and any letter.
    #[serde(default)]
    pub filters: BTreeMap<String, String>,
    /// Whose AMIs to look at: account ids, `self`, `amazon`, `aws-marketplace`. Needed, so that
    /// nobody else's AMI of that name is taken.
    #[serde(default)]
    pub owners: Vec<String>,
    /// Takes the newest where several match.
    #[serde(default)]
    pub most_recent: bool,
    /// Looks at deprecated AMIs too.
    #[serde(default)]
    pub include_deprecated: bool,
}

impl AmiFilter {
    /// Whether nothing is set.
    pub fn is_empty(&self) -> bool {
        self.owners.is_empty() && self.filters.is_empty()
    }

    /// Adds to `errors` what is wrong with the options. `option` names the block they stand in,
    /// if that is not the plugin's own.
    pub fn check(&self, option: Option<&str>, errors: &mut ConfigErrors) {
        let invalid = |name: &str, message: &str| match option {
            Some(option) => ConfigError::on(format!("{option}.{name}"), message),
            None => ConfigError::on(name, message),
        };
        if self.is_empty() {
            errors.push(
                invalid("filters", "`filters` must say which AMI is meant")
                    .hint("for example: filters = { name = \"ubuntu/images/*-24.04-amd64-*\" }"),
            );
        }
        if self.owners.is_empty() {
            errors.push(
                invalid(
                    "owners",
                    "`owners` must say whose AMIs are trusted: anybody can publish one of any name",
                )
                .hint("for example: owners = [\"amazon\"] or [\"self\"], or ids of accounts"),
            );
        }
    }

    /// The one AMI that matches, of those of an id where one is given.
    ///
    /// # Errors
    /// None matches, several match and `most_recent` is not set, or AWS failed.
    pub async fn find(&self, ec2: &Ec2, id: Option<&str>) -> Result<Image, Failure> {
        let mut request = ec2.describe_images();
        for (name, value) in &self.filters {
            request = request.filters(filter(name, value));
        }
        for owner in &self.owners {
            request = request.owners(owner);
        }
        // Without a filter an AMI is named by its id, so a deprecated one is found, too.
        let all = self.include_deprecated || self.is_empty();
        let response = request
            .set_image_ids(id.map(|id| vec![id.to_owned()]))
            .include_deprecated(all)
            .send()
            .await
            .during("looking for the AMI")?;
        let found = response.images.unwrap_or_default();
        let region = ec2.config().region().map_or_else(String::new, ToString::to_string);
        self.choose(found, id, &region)
    }

    fn choose(
        &self,
        mut found: Vec<Image>,
        id: Option<&str>,
        region: &str,
    ) -> Result<Image, Failure> {
        // Dates are in UTC and of one form (2024-05-01T10:00:00.000Z), so that text sorts as time.
        found.sort_by(|a, b| a.creation_date().cmp(&b.creation_date()));
        let several = found.len();
        if several > 1 && !self.most_recent {
            let newest = found.iter().rev().take(NAMED).map(shown).collect::<Vec<_>>().join(", ");
            let rest = if several > NAMED { ", …" } else { "" };
            return Err(Failure {
                hint: Some(
                    "say more in `filters`, or set most_recent = true to take the newest".into(),
                ),
                ..Failure::new(
                    Kind::Refused,
                    format!(
                        "{several} AMIs in {region} match {}: {newest}{rest}",
                        self.searched(id)
                    ),
                )
            });
        }
        found.pop().ok_or_else(|| Failure {
            hint: Some(
                "check the region and the owners; AMIs that are deprecated are found with \
                 include_deprecated = true"
                    .into(),
            ),
            ..Failure::new(
                Kind::NotFound,
                format!("no AMI in {region} matches {}", self.searched(id)),
            )
        })
    }

    /// What was looked for, in words.
    fn searched(&self, id: Option<&str>) -> String {
        let mut parts: Vec<String> = id.map(|id| format!("the id {id}")).into_iter().collect();
        if !self.owners.is_empty() {
            parts.push(format!("owners {}", self.owners.join(", ")));
        }
        parts.extend(self.filters.iter().map(|(name, value)| format!("{name} = {value:?}")));
        parts.join("; ")
    }
}

fn shown(image: &Image) -> String {
    let id = image.image_id().unwrap_or("?");
    match image.name() {
        Some(name) => format!("{id} ({name})"),
        None => id.to_owned(),
    }
}

/// One of EC2's filters, whose values a template separates by commas.
pub fn filter(name: &str, values: &str) -> Filter {
    Filter::builder().name(name).set_values(Some(split(values))).build()
}

/// The values of a filter: a line of comma-separated values, where quotes keep a comma.
fn split(line: &str) -> Vec<String> {
    let mut values = Vec::new();
    let mut rest = line;
    loop {
        rest = rest.trim_start();
        let mut value = String::new();
        if let Some(mut quoted) = rest.strip_prefix('"') {
            loop {
                let Some(end) = quoted.find('"') else {
                    value.push_str(quoted);
                    rest = "";
                    break;
                };
                value.push_str(&quoted[..end]);
                let after = &quoted[end + 1..];
                if let Some(more) = after.strip_prefix('"') {
                    value.push('"');
                    quoted = more;
                } else if after.is_empty() || after.starts_with(',') {
                    rest = after;
                    break;
                } else {
                    // A quote in the middle of a value is a letter like others.
                    value.push('"');
                    quoted = after;
                }
            }
        } else {
            let end = rest.find(',').unwrap_or(rest.len());
            value.push_str(&rest[..end]);
            rest = &rest[end..];
        }
        values.push(value);
        match rest.strip_prefix(',') {
            Some(more) => rest = more,
            None => return values,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_separated_by_commas() {
        for (line, values) in [
            ("ebs", &["ebs"][..]),
            ("a, b,c", &["a", "b", "c"]),
            (r#""a, b", c"#, &["a, b", "c"]),
            (r#""say ""hi""",b"#, &[r#"say "hi""#, "b"]),
            (r#"5" disk,b"#, &[r#"5" disk"#, "b"]),
            ("a,", &["a", ""]),
        ] {
            assert_eq!(split(line), values, "{line}");
        }
    }
}
