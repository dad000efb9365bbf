//! `ingot registry sboms`

use std::path::PathBuf;

use clap::Subcommand;
use ingot_sdk::{Context as _, Error, Result};
use serde_json::json;

use super::form::Form;
use super::output::{self, line, table};
use super::session::Session;
use ingot_registry::api::{Build, Sbom, SbomFormat, Version};

#[derive(Debug, Subcommand)]
pub(super) enum SbomCommand {
    /// List the SBOMs of a version
    List {
        /// The bucket
        bucket: String,
        /// The version: its name, fingerprint or id
        version: String,
        #[command(flatten)]
        form: Form,
    },
    /// Get an SBOM of a version: CycloneDX or SPDX, as JSON
    Get {
        /// The bucket
        bucket: String,
        /// The version: its name, fingerprint or id
        version: String,
        /// The build, as TYPE.NAME, where several have one
        component: Option<String>,
        /// The SBOM's name, where a build has several
        #[arg(long, default_value = "", value_name = "NAME")]
        name: String,
        /// The file to write; standard output unless it is given
        #[arg(long, value_name = "PATH")]
        out: Option<PathBuf>,
    },
}

pub(super) async fn run(command: &SbomCommand, session: &Session) -> Result<()> {
    match command {
        SbomCommand::List { bucket, version, form } => {
            let version = session.version(bucket, version).await?;
            let found = all(session, bucket, &version).await?;
            if form.json {
                let one = |(build, sbom): &(&Build, Sbom)| {
                    json!({ "component_type": build.component_type, "build_id": build.id, "id": sbom.id,
                        "name": sbom.name, "format": sbom.format })
                };
                return output::json(&found.iter().map(one).collect::<Vec<_>>());
            }
            if found.is_empty() {
                line(format!("The version {} has no SBOMs.", shown(&version)));
                return Ok(());
            }
            let row = |(build, sbom): (&Build, Sbom)| {
                [build.component_type.clone(), sbom.name, format_name(sbom.format).to_owned()]
            };
            table(["BUILD", "NAME", "FORMAT"], found.into_iter().map(row).collect());
            Ok(())
        }
        SbomCommand::Get { bucket, version, component, name, out } => {
            let version = session.version(bucket, version).await?;
            let mut found = all(session, bucket, &version).await?;
            found.retain(|(build, sbom)| {
                component.as_ref().is_none_or(|it| *it == build.component_type)
                    && (name.is_empty() || *name == sbom.name)
            });
            let (build, sbom) = match &found[..] {
                [one] => one,
                [] => {
                    let error =
                        Error::new(format!("the version {} has no such SBOM", shown(&version)));
                    return Err(error.hint("`ingot registry sboms list` shows those there are"));
                }
                many => {
                    let one = |(build, sbom): &(&Build, Sbom)| {
                        format!("{} -name {}", build.component_type, sbom.name)
                    };
                    let known: Vec<String> = many.iter().map(one).collect();
                    let error = Error::new(format!("there are {} such SBOMs", many.len()));
                    return Err(error.hint(format!("say which: {}", known.join(", "))));
                }
            };
            let (registry, fingerprint) = (session.registry(), &version.fingerprint);
            let document = registry.get_sbom(bucket, fingerprint, &build.id, &sbom.name).await;
            let document = document?;
            match out {
                Some(path) => std::fs::write(path, document)
                    .with_context(|| format!("writing {}", path.display())),
                None => {
                    crate::write_answer(&document);
                    Ok(())
                }
            }
        }
    }
}

/// The SBOMs of all builds of a version.
async fn all<'a>(
    session: &Session,
    bucket: &str,
    version: &'a Version,
) -> Result<Vec<(&'a Build, Sbom)>> {
    let mut found = Vec::new();
    for build in &version.builds {
        let list = session.registry().list_sboms(bucket, &version.fingerprint, &build.id).await;
        found.extend(list?.sboms.into_iter().map(|sbom| (build, sbom)));
    }
    Ok(found)
}

fn shown(version: &Version) -> &str {
    if version.name.is_empty() { &version.fingerprint } else { &version.name }
}

fn format_name(format: SbomFormat) -> &'static str {
    match format {
        SbomFormat::CycloneDx => "CycloneDX",
        SbomFormat::Spdx => "SPDX",
        SbomFormat::Unset => "unknown",
    }
}
