//! `post-processor "provenance"`

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ingot_sdk::{
    Artifact, Component, Config, ConfigError, ConfigErrors, ConfigWarning, Context, Decoded,
    DocumentKind, Error, GeneratedData, OptionValue, OutputFile, PostProcess, PrepareContext,
    Prepared, Processed, Result, RunContext, SbomFormat, async_trait,
};
use ingot_sigstore::{Identity, Keyless, PUBLIC_FULCIO, PUBLIC_REKOR, Trust};
use serde_json::{Map, Value, json};

use crate::envelope::IN_TOTO;
use crate::keyless::bundle_path;
use crate::options::{Options, check_signing};
use crate::shown::{REDACTED, without_secrets};
use crate::signer::{KeyService, Signer, verifier_from_file};
use crate::source::{Environment, repository};
use crate::statement::{
    BUILD_TYPE, BuildDefinition, Builder, Byproduct, CYCLONE_DX, Dependency, Digests, Metadata,
    Provenance, RunDetails, SLSA_PROVENANCE, SPDX, Statement, versions,
};
use crate::subject::{identity, stem, subjects};

/// `post-processor "provenance"`
pub struct ProvenancePostProcessor {
    /// Signs with the keys of AWS KMS.
    pub kms: Option<Arc<dyn KeyService>>,
}

/// Writes attestations beside an artifact.
pub struct Attest {
    options: Options,
    /// The names in `user_variables` whose values are secrets.
    secret_variables: BTreeSet<String>,
    format: SbomFormat,
    kms: Option<Arc<dyn KeyService>>,
}

impl Component for ProvenancePostProcessor {
    const NAME: &'static str = "provenance";
    type Options = Options;
    type Ready = Attest;

    fn prepare(
        &self,
        Decoded { options, config }: Decoded<'_, Options>,
        _: &PrepareContext,
    ) -> Result<Prepared<Attest>, ConfigErrors> {
        let mut errors = ConfigErrors::default();
        check_signing(&options, &mut errors);
        let mut format = SbomFormat::CycloneDx;
        if !options.sbom_format.is_empty() {
            match ingot_sbom::scanner_args::format(&options.sbom_format) {
                Ok(found) => format = found,
                Err(why) => errors.push(ConfigError::on("sbom_format", why)),
            }
        }
        if !options.sbom_scope.is_empty()
            && let Err(why) = ingot_sbom::scanner_args::scope(&options.sbom_scope)
        {
            errors.push(ConfigError::on("sbom_scope", why));
        }
        let patterns = options.sbom_exclude.iter().map(String::as_str);
        if let Err(why) = ingot_sbom::scanner_args::exclude(patterns) {
            errors.push(ConfigError::on("sbom_exclude", why));
        }
        let kms = self.kms.clone();
        let undated = options.mode() == "keyless" && !options.upload_tlog;
        let secret_variables = secret_variables(config);
        let mut prepared = Prepared::new(Attest { options, secret_variables, format, kms });
        if undated {
            let message = "without `upload_tlog` the attestation can be verified only as long as its \
                           certificate is valid, which is minutes";
            prepared.warnings.push(ConfigWarning::on("upload_tlog", message));
        }
        prepared.or_errors(errors)
    }
}

/// The names in `user_variables` whose values are made of sensitive ones, however short.
fn secret_variables(config: &Config) -> BTreeSet<String> {
    let Some(OptionValue::Map(variables)) = config.get("user_variables") else {
        return BTreeSet::new();
    };
    let secret = variables.iter().filter(|(_, value)| matches!(value, OptionValue::Secret(_)));
    secret.map(|(name, _)| name.clone()).collect()
}

#[async_trait]
impl PostProcess for Attest {
    async fn process(
        &self,
        ctx: &RunContext,
        artifact: Arc<dyn Artifact>,
        _: &GeneratedData,
    ) -> Result<Processed> {
        if self.options.provenance != Some(false) {
            self.attest(ctx, &*artifact).await?;
        }
        Ok(Processed { artifact: Some(artifact), keep_input: true, force_keep_input: true })
    }
}

impl Attest {
    async fn attest(&self, ctx: &RunContext, artifact: &dyn Artifact) -> Result<()> {
        // What may be missing is looked for before the work.
        let signer = self.signer(ctx).await?;
        let identity = identity(ctx, artifact);
        let subjects = subjects(ctx, artifact, &identity).await?;
        let directory = self.directory(artifact);
        let stem = stem(&ctx.prepare.build_name, artifact);
        let path = |ending: &str| directory.join(format!("{stem}.{ending}"));
        let provenance = self.provenance(ctx, artifact, &identity).await?;
        let statement = Statement::new(subjects.clone(), SLSA_PROVENANCE, provenance);
        let attestation = path("provenance.json");
        write_attestation(ctx, signer.as_ref(), &statement, &attestation).await?;
        ctx.ui.document(DocumentKind::Provenance, &attestation);
        if !self.options.sbom {
            return Ok(());
        }
        let (ending, predicate_type) = match self.format {
            SbomFormat::CycloneDx => ("sbom.cdx.json", CYCLONE_DX),
            SbomFormat::Spdx => ("sbom.spdx.json", SPDX),
        };
        let document = self.sbom(ctx, artifact).await?;
        let raw = path(ending);
        OutputFile::write(ctx, &raw, 0o664, document.clone()).await?;
        // It may be large.
        let parse = move || serde_json::from_slice::<Value>(&document);
        let parsed = tokio::task::spawn_blocking(parse).await.context("working on the SBOM")?;
        let predicate = parsed.context("writing the SBOM")?;
        let statement = Statement::new(subjects, predicate_type, predicate);
        write_attestation(ctx, signer.as_ref(), &statement, &path("sbom.att.json")).await?;
        ctx.ui.say(format!("Wrote SBOM to {}", raw.display()));
        ctx.ui.document(DocumentKind::Sbom, &raw);
        Ok(())
    }

    /// What signs, and can be verified with the key that the options name.
    async fn signer(&self, ctx: &RunContext) -> Result<Option<Signer>> {
        let options = &self.options;
        let signer = match options.mode() {
            "key" => Signer::from_file(options.signer())?,
            "kms" => Signer::from_kms(options.signer(), self.kms.as_ref()).await?,
            "keyless" => self.keyless(ctx)?,
            _ => return Ok(None),
        };
        if let Some(public) = signer.public().filter(|_| !options.verifier.is_empty()) {
            let verifier = verifier_from_file(&options.verifier)?;
            if verifier.id()? != public.id()? {
                return Err(Error::new("the verifier is not the public key of the signer")
                    .hint("remove `verifier`, or name the file of the signer's public key"));
            }
        }
        Ok(Some(signer))
    }

    /// Sigstore, for whoever the environment's token says.
    fn keyless(&self, ctx: &RunContext) -> Result<Signer> {
        let options = &self.options;
        fn given<'a>(text: &'a str, public: &'a str) -> &'a str {
            if text.trim().is_empty() { public } else { text }
        }
        let fulcio = ingot_sigstore::secret_address(given(&options.fulcio_url, PUBLIC_FULCIO))?;
        let rekor = match options.upload_tlog {
            true => Some(ingot_sigstore::address(given(&options.rekor_url, PUBLIC_REKOR))?),
            false => None,
        };
        let lookup = |name: &str| std::env::var(name).ok();
        let keyless = Keyless::new(fulcio, rekor, lookup, &ctx.prepare.secrets)?;
        let identity = Identity {
            subject: options.keyless_identity.trim().to_owned(),
            issuer: options.keyless_oidc_issuer.trim().to_owned(),
        };
        let root = Some(options.trusted_root_path.trim()).filter(|path| !path.is_empty());
        let trust = Trust::load(root, identity)?;
        Ok(Signer::Keyless { keyless: Box::new(keyless), trust: Box::new(trust) })
    }

    fn directory(&self, artifact: &dyn Artifact) -> PathBuf {
        if !self.options.output_dir.is_empty() {
            return PathBuf::from(&self.options.output_dir);
        }
        let first = artifact.files().into_iter().next();
        let parent = first.and_then(|file| file.parent().map(Path::to_owned));
        parent.filter(|parent| !parent.as_os_str().is_empty()).unwrap_or_else(|| ".".into())
    }

    /// SLSA's provenance of the build.
    async fn provenance(
        &self,
        ctx: &RunContext,
        artifact: &dyn Artifact,
        identity: &Value,
    ) -> Result<Value> {
        let lookup = |name: &str| std::env::var(name).ok();
        let env = Environment(&lookup);
        let mut internal = Map::new();
        for (name, value) in [
            ("packerVersion", versions().get("packer").copied().unwrap_or_default()),
            ("packerBuildName", ctx.prepare.build_name.as_str()),
            ("packerBuilderType", ctx.prepare.build_type.as_str()),
        ] {
            internal.insert(name.to_owned(), value.into());
        }
        let byproducts = match artifact.files().is_empty() {
            // Others have no digest that identifies them.
            true => vec![Byproduct {
                name: "cloud-artifact-identity",
                content: STANDARD.encode(identity.to_string()),
            }],
            false => Vec::new(),
        };
        let invocation = env.invocation_id();
        let provenance = Provenance {
            build_definition: BuildDefinition {
                build_type: match self.options.build_type.as_str() {
                    "" => BUILD_TYPE.to_owned(),
                    other => without_secrets(ctx, other),
                },
                external_parameters: self.external_parameters(ctx),
                internal_parameters: internal,
                resolved_dependencies: self.dependencies(ctx, &env).await,
            },
            run_details: RunDetails {
                builder: Builder {
                    id: without_secrets(ctx, &env.builder_id()),
                    version: versions(),
                },
                metadata: Metadata {
                    invocation_id: invocation.unwrap_or_else(|| uuid::Uuid::new_v4().to_string()),
                },
                byproducts,
            },
        };
        serde_json::to_value(provenance).context("writing the provenance")
    }

    async fn dependencies(&self, ctx: &RunContext, env: &Environment<'_>) -> Vec<Dependency> {
        let found = repository(ctx, env).await;
        let uri = without_secrets(ctx, &self.options.source_uri);
        match (found, uri.is_empty()) {
            (Some(found), true) => {
                vec![Dependency { uri: without_secrets(ctx, &found.uri), ..found }]
            }
            (Some(found), false) => vec![Dependency { uri, ..found }],
            (None, false) => vec![Dependency { uri, digest: Digests::new() }],
            (None, true) => Vec::new(),
        }
    }

    fn external_parameters(&self, ctx: &RunContext) -> Map<String, Value> {
        let Options { template, only_builds, user_variables, .. } = &self.options;
        let mut parameters = Map::new();
        if !template.is_empty() {
            parameters.insert("template".to_owned(), without_secrets(ctx, template).into());
        }
        if !only_builds.is_empty() {
            let builds = only_builds.iter().map(|build| without_secrets(ctx, build));
            parameters.insert("onlyBuilds".to_owned(), builds.collect::<Vec<_>>().into());
        }
        let shown = |value: Option<&String>| match value {
            Some(value) => without_secrets(ctx, value),
            None => REDACTED.to_owned(),
        };
        let set = ctx.prepare.environment_variables.iter();
        let set = set.map(|(name, value)| (name.clone(), shown(value.as_ref())));
        let mut variables: BTreeMap<String, String> = set.collect();
        for (name, value) in user_variables {
            // A short secret is not found in a text.
            let secret = self.secret_variables.contains(name)
                || ctx.prepare.sensitive_variables.contains(name);
            variables.insert(name.clone(), shown(Some(value).filter(|_| !secret)));
        }
        if !variables.is_empty() {
            parameters.insert("userVariables".to_owned(), json!(variables));
        }
        parameters
    }

    /// The SBOM of what the options name, or of the artifact.
    async fn sbom(&self, ctx: &RunContext, artifact: &dyn Artifact) -> Result<Vec<u8>> {
        let path = self.scan_path(artifact)?;
        let patterns = self.options.sbom_exclude.iter().map(String::as_str);
        let exclude = ingot_sbom::scanner_args::exclude(patterns).map_err(Error::new)?;
        let inventory = ingot_sbom::scan::scan(ctx, &path, &exclude).await;
        let inventory = inventory.map_err(|error| error.context("generate SBOM"))?;
        for note in &inventory.notes {
            ctx.ui.message(format!("Note: {note}"));
        }
        let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy();
        ingot_sbom::write(inventory, self.format, &name, ingot_sbom::LARGEST_DOCUMENT).await
    }

    fn scan_path(&self, artifact: &dyn Artifact) -> Result<PathBuf> {
        if !self.options.sbom_scan_path.is_empty() {
            return Ok(PathBuf::from(&self.options.sbom_scan_path));
        }
        let needs = |why: &str| {
            Error::new(format!("sbom = true needs `sbom_scan_path`, as {why}"))
                .hint("set it to the directory or file that the SBOM is to be of")
        };
        let files = artifact.files();
        let Some(first) = files.first() else { return Err(needs("the artifact has no files")) };
        if files.len() == 1 {
            return Ok(first.clone());
        }
        // However the paths are written.
        let directory = |file: &Path| {
            let file = std::path::absolute(file).ok()?;
            file.parent().map(Path::to_owned)
        };
        let shared = directory(first);
        if files.iter().any(|file| directory(file) != shared) {
            return Err(needs("the artifact's files are in several directories"));
        }
        // A bare name has an empty one.
        let named = first.parent().filter(|parent| !parent.as_os_str().is_empty());
        Ok(named.unwrap_or(Path::new(".")).to_owned())
    }
}

/// Writes a statement: in an envelope where it is signed, else as it is.
async fn write_attestation(
    ctx: &RunContext,
    signer: Option<&Signer>,
    statement: &Statement,
    path: &Path,
) -> Result<()> {
    let writing = "writing the attestation";
    let (text, bundle) = match signer {
        None => (serde_json::to_vec_pretty(statement).context(writing)?, None),
        Some(signer) => {
            let payload = serde_json::to_vec(statement).context(writing)?;
            let sealed = signer.seal(IN_TOTO, &payload, &ctx.cancel).await;
            let sealed = sealed.map_err(|error| error.context("sign attestation"))?;
            (serde_json::to_vec_pretty(&sealed.envelope).context(writing)?, sealed.bundle)
        }
    };
    OutputFile::write(ctx, path, 0o664, text).await?;
    if let Some(bundle) = bundle {
        let path = bundle_path(path);
        OutputFile::write(ctx, &path, 0o664, bundle.into_bytes()).await?;
        ctx.ui.say(format!("Wrote Sigstore bundle to {}", path.display()));
    }
    ctx.ui.say(format!("Wrote attestation to {}", path.display()));
    Ok(())
}
