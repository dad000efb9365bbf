//! What the engine has to know of a plugin besides its options.

use crate::Config;

/// What a plugin says of itself once, whatever its options are. The defaults suit most.
#[derive(Debug, Clone, Copy)]
pub struct Facts {
    /// Of a provisioner: what its effect on the machine depends on.
    pub effect: Effect,
    /// Of a builder: whether its provisioners run on a machine that it makes. Without one, nothing has to
    /// be kept of a build to begin anywhere in it.
    pub has_machine: bool,
    /// Of a builder: whether its machines are reached by a way of its own, so that options of SSH, which
    /// it may take, have no effect.
    pub own_communicator: bool,
    /// Of a builder: how it keeps states of its machines for the step cache, if it does.
    pub states: Option<CachedStates>,
    /// Of a post-processor: the builder whose artifacts are the only ones it takes, if there is one. An
    /// installed plugin of the same name is used for those of others.
    pub only_for: Option<&'static str>,
    /// Of a data source: whether it reads the registry of images. Plans fetch it, also where they fetch
    /// no others.
    pub reads_registry: bool,
}

impl Default for Facts {
    fn default() -> Self {
        Facts {
            effect: Effect::Unknown,
            has_machine: true,
            own_communicator: false,
            states: None,
            only_for: None,
            reads_registry: false,
        }
    }
}

impl Facts {
    /// Those of a provisioner with this effect.
    pub fn of_effect(effect: Effect) -> Facts {
        Facts { effect, ..Facts::default() }
    }
}

/// What the effect of a provisioner on the machine depends on, besides its options and the machine. Steps
/// of which it is known can be cached.
#[derive(Debug, Clone, Copy)]
pub enum Effect {
    /// Nobody says.
    Unknown,
    /// On nothing else.
    Options,
    /// On the contents of the files that its options [name](crate::Reads), and on the source's name and
    /// type, which scripts can see.
    Scripts {
        /// The option that may be a directory of the machine, in which the files keep their names: these
        /// matter then. None if they never do.
        named_in: Option<&'static str>,
    },
    /// On the files and directories that its options [name](crate::Reads), and on how they are called.
    Copies {
        /// Why what the options, which are rendered, stand for has to be done by each build, if it has:
        /// for people, after "the step is not cached: ".
        uncached: fn(&Config) -> Option<&'static str>,
    },
    /// On something that is never the same, or it is not one on the machine alone: why, for people, after
    /// "the step is not cached: ".
    Never(&'static str),
}

/// How a builder keeps states of its machines.
#[derive(Debug, Clone, Copy, Default)]
pub struct CachedStates {
    /// Why they are kept only where somebody asks for them, if so: they cost money.
    pub cost: Option<&'static str>,
    /// Why there is none after the last provisioner, where there is none.
    pub last_unkept: Option<&'static str>,
}
