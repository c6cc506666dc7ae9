use std::fmt;

use futures::future::BoxFuture;

use crate::{Context, Facets};

/// One check: a sentence that holds for every store that obeys the rules it names.
pub struct Check<C: 'static = Context> {
    pub(crate) rules: &'static [&'static str],
    pub(crate) name: &'static str,
    pub(crate) says: &'static str,
    pub(crate) needs: Option<Facet>,
    pub(crate) run: for<'a> fn(&'a C) -> BoxFuture<'a, ()>,
}

/// One of the [`Facets`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Facet {
    /// Several handles on one space.
    Handles,
    /// What was answered outlives the handles.
    Reopens,
    /// Several processes on one space.
    Processes,
    /// Stores with limits as they are asked for.
    Limits,
}

impl Facet {
    /// Whether the backend has it.
    #[must_use]
    pub const fn is_in(self, facets: Facets) -> bool {
        match self {
            Self::Handles => facets.handles,
            Self::Reopens => facets.reopens,
            Self::Processes => facets.processes,
            Self::Limits => facets.limits,
        }
    }

    /// Its name, as the fields of [`Facets`] have it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Handles => "handles",
            Self::Reopens => "reopens",
            Self::Processes => "processes",
            Self::Limits => "limits",
        }
    }
}

impl<C> Check<C> {
    /// The ids of the rules that it is about, the main one first.
    #[must_use]
    pub const fn rules(&self) -> &'static [&'static str] {
        self.rules
    }

    /// Its sentence, in snake case.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// What the rules demand of a store here.
    #[must_use]
    pub const fn says(&self) -> &'static str {
        self.says
    }

    /// What a backend must have for it to apply.
    #[must_use]
    pub const fn needs(&self) -> Option<Facet> {
        self.needs
    }
}

/// As the test output names it.
impl<C> fmt::Display for Check<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.rules.join(","), self.name)
    }
}

impl<C> fmt::Debug for Check<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Check({self})")
    }
}

/// Defines the checks of a module and lists them, in one go, so that none can exist unlisted. All of them work with the
/// `Context` that the module imports.
macro_rules! checks {
    ($(
        $(#[doc = $says:literal])+
        #[rules($($rule:literal),+)]
        $(#[needs($facet:ident)])?
        async fn $name:ident($context:ident: &$Context:ty) $body:block
    )+) => {
        /// The checks of this module.
        pub(super) const CHECKS: &[$crate::Check<Context>] = &[$(
            $crate::Check {
                rules: &[$($rule),+],
                name: stringify!($name),
                says: concat!($($says),+),
                needs: checks!(@needs $($facet)?),
                run: |context| Box::pin($name(context)),
            }
        ),+];

        $(
            $(#[doc = $says])+
            async fn $name($context: &$Context) $body
        )+
    };
    (@needs) => { None };
    (@needs $facet:ident) => { Some($crate::Facet::$facet) };
}
pub(crate) use checks;
