//! What all kinds of plugins have in common: options of a type, and a form that can run, which only
//! preparing them yields.
//!
//! | | a plugin implements | the engine knows |
//! | --- | --- | --- |
//! | before it has options | [`Component`] | [`Prepare`] |
//! | once it has them | [`crate::Build`], [`crate::Provision`], [`crate::PostProcess`], [`crate::Fetch`] | the same, boxed |
//!
//! [`Prepare`] is [`Component`] without its types, so that plugins of all kinds of options fit into
//! one [`crate::PluginSet`]. Every component is one; what is a program of its own implements
//! [`Prepare`] directly.

use schemars::JsonSchema;
use serde::de::DeserializeOwned;

use crate::{Config, ConfigErrors, ConfigWarning, Facts, PrepareContext, Result, Schema};

/// A builder, provisioner, post-processor or data source, as a plugin author writes it. Which of
/// the four it is depends on what its [`Component::Ready`] does.
///
/// ```
/// use std::sync::Arc;
///
/// use ingot_sdk::testing::{RecordedOutput, context, prepare};
/// use ingot_sdk::{
///     Communicator, Component, ConfigError, ConfigErrors, Decoded, GeneratedData,
///     PrepareContext, Prepared, Provision, Result, RunContext, async_trait,
/// };
/// use schemars::JsonSchema;
/// use serde::Deserialize;
///
/// /// The options of `provisioner "greeting"`; comments become the reference.
/// #[derive(Deserialize, JsonSchema)]
/// struct Options {
///     /// Who is greeted.
///     name: String,
/// }
///
/// /// What a template names.
/// struct Greeting;
///
/// /// What runs.
/// struct Greeter {
///     text: String,
/// }
///
/// impl Component for Greeting {
///     const NAME: &'static str = "greeting";
///     type Options = Options;
///     type Ready = Greeter;
///
///     fn prepare(
///         &self,
///         Decoded { options, .. }: Decoded<'_, Options>,
///         _: &PrepareContext,
///     ) -> Result<Prepared<Greeter>, ConfigErrors> {
///         if options.name.is_empty() {
///             return Err(ConfigError::on("name", "`name` must not be empty").into());
///         }
///         Ok(Prepared::new(Greeter { text: format!("Hello, {}!", options.name) }))
///     }
/// }
///
/// #[async_trait]
/// impl Provision for Greeter {
///     async fn provision(
///         &self,
///         ctx: &RunContext,
///         _: Arc<dyn Communicator>,
///         _: &GeneratedData,
///     ) -> Result<()> {
///         ctx.ui.say(&self.text);
///         Ok(())
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<()> {
/// let said = Arc::new(RecordedOutput::default());
/// let ctx = context(PrepareContext::default(), &said);
/// let greeter = prepare(&Greeting, serde_json::json!({ "name": "world" }), &ctx.prepare)?.ready;
/// greeter.provision(&ctx, Arc::new(ingot_sdk::communicator::NoCommunicator), &GeneratedData::new()).await?;
/// assert_eq!(said.lines(), ["Hello, world!"]);
///
/// let wrong = prepare(&Greeting, serde_json::json!({ "nane": "world" }), &ctx.prepare);
/// assert!(wrong.is_err());
/// # Ok(())
/// # }
/// ```
pub trait Component: Send + Sync + 'static {
    /// What templates call it, as in `provisioner "NAME"`.
    const NAME: &'static str;

    /// Its options. The schema that templates are checked against is derived from this type.
    type Options: DeserializeOwned + JsonSchema;

    /// What runs: a [`crate::Build`], [`crate::Provision`], [`crate::PostProcess`] or
    /// [`crate::Fetch`]. There is one for every block that is prepared.
    type Ready: Send + Sync + 'static;

    /// The options, where the type does not say it all.
    fn schema(&self) -> Schema {
        Schema::of::<Self::Options>()
    }

    /// What the engine has to know of it besides.
    fn facts(&self) -> Facts {
        Facts::default()
    }

    /// Checks the options and makes of them what can run. Has no side effects and needs no
    /// network: `validate` does this too, where options can be unknown (see [`Prepare::check`]).
    ///
    /// # Errors
    /// Everything that is wrong with the options, not the first thing only.
    fn prepare(
        &self,
        given: Decoded<'_, Self::Options>,
        ctx: &PrepareContext,
    ) -> Result<Prepared<Self::Ready>, ConfigErrors>;
}

/// The options of a block, decoded.
pub struct Decoded<'a, O> {
    /// The options. Those that are not set, empty texts or not known have their defaults.
    pub options: O,
    /// The same as the template gives them: which are set to more than an empty text, and which are
    /// known.
    pub config: &'a Config,
}

/// The result of preparing: what can run, and facts about it. Without a parameter, nothing that can
/// run: what a check found.
#[derive(Debug, Clone)]
pub struct Prepared<R = ()> {
    /// What can run.
    pub ready: R,
    /// Things the user should know that do not stop the build.
    pub warnings: Vec<ConfigWarning>,
    /// Names of values a builder will only know while it runs; a template may use them as
    /// `build.NAME`. The names common to all builders (`ID`, `Host`, …) need not be listed.
    pub generated: Vec<String>,
    /// What a builder makes that there can be only one of, and what becomes of a second one, in words
    /// such as `the AMI web-1 in us-east-1: the one that comes later fails`: a second build in the same
    /// run that makes the same is warned of.
    pub claims: Vec<String>,
    /// Why a build leaves no artifact, where the options say so: it has nothing to post-process
    /// and to publish.
    pub no_artifact: Option<String>,
}

/// Nothing to say, and nothing that can run: where a plugin's own checks begin.
impl Default for Prepared {
    fn default() -> Self {
        Prepared {
            ready: (),
            warnings: Vec::new(),
            generated: Vec::new(),
            claims: Vec::new(),
            no_artifact: None,
        }
    }
}

impl<R> Prepared<R> {
    /// What can run, with nothing more to say about it.
    pub fn new(ready: R) -> Self {
        Prepared::default().with(ready)
    }

    /// The same about `ready`.
    pub fn with<S>(self, ready: S) -> Prepared<S> {
        self.map(|_| ready)
    }

    /// Itself if nothing is wrong.
    ///
    /// # Errors
    /// What is wrong, with what this warns of.
    pub fn or_errors(self, errors: ConfigErrors) -> Result<Self, ConfigErrors> {
        match errors.is_empty() {
            true => Ok(self),
            false => Err(errors.with_warnings(self.warnings)),
        }
    }

    /// The same about what `convert` makes of what can run.
    pub fn map<S>(self, convert: impl FnOnce(R) -> S) -> Prepared<S> {
        let Prepared { ready, warnings, generated, claims, no_artifact } = self;
        Prepared { ready: convert(ready), warnings, generated, claims, no_artifact }
    }
}

/// A plugin as the engine knows it, before it has options. `R` is what it becomes:
/// [`dyn Build`](crate::Build), [`dyn Provision`](crate::Provision),
/// [`dyn PostProcess`](crate::PostProcess) or [`dyn FetchValue`](crate::FetchValue).
///
/// A block is prepared up to three times: checked by `validate` and before a run, where what only
/// the run gives is unknown; and prepared with all values right before it runs (builders at the
/// start of the run, each step when its turn comes). The two have different names, as only the
/// second yields what can run.
pub trait Prepare<R: ?Sized>: Send + Sync {
    /// The options of the block. The engine's own, such as `only` and `override`, are not among
    /// them.
    fn schema(&self) -> Schema;

    /// What the engine has to know of the plugin besides.
    fn facts(&self) -> Facts {
        Facts::default()
    }

    /// Checks the options that are known. Errors that depend on unknown options are recognized by
    /// [`crate::ConfigError::is_undecided`]. Offline, without side effects.
    ///
    /// # Errors
    /// Everything that is wrong with the options.
    fn check(&self, config: &Config, ctx: &PrepareContext) -> Result<Prepared, ConfigErrors>;

    /// Makes what can run of options that are all known. Offline, without side effects.
    ///
    /// # Errors
    /// Everything that is wrong with the options.
    fn prepare(
        &self,
        config: &Config,
        ctx: &PrepareContext,
    ) -> Result<Prepared<Box<R>>, ConfigErrors>;
}

/// A kind of what can run, such as [`dyn Build`](crate::Build), which can be made of an `R`.
pub trait Erase<R>: Send + Sync {
    /// `ready` without its type.
    fn erase(ready: R) -> Box<Self>;
}

/// Every component is a plugin of the kind that its [`Component::Ready`] is of.
impl<C: Component, R: ?Sized + Erase<C::Ready>> Prepare<R> for C {
    fn schema(&self) -> Schema {
        Component::schema(self)
    }

    fn facts(&self) -> Facts {
        Component::facts(self)
    }

    fn check(&self, config: &Config, ctx: &PrepareContext) -> Result<Prepared, ConfigErrors> {
        Ok(prepare_typed(self, config, ctx)?.with(()))
    }

    fn prepare(
        &self,
        config: &Config,
        ctx: &PrepareContext,
    ) -> Result<Prepared<Box<R>>, ConfigErrors> {
        Ok(prepare_typed(self, config, ctx)?.map(R::erase))
    }
}

/// Decodes the options, of which empty texts are none, and prepares `component` with them.
///
/// # Errors
/// A value has no form that its option can have, or what the component finds wrong.
pub(crate) fn prepare_typed<C: Component>(
    component: &C,
    config: &Config,
    ctx: &PrepareContext,
) -> Result<Prepared<C::Ready>, ConfigErrors> {
    let config = config.without_empty(&Component::schema(component));
    Component::prepare(component, Decoded { options: config.decode()?, config: &config }, ctx)
}
