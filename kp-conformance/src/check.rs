use std::collections::BTreeSet;
use std::fmt;

use futures::future::BoxFuture;

use crate::reliance::Reliance;
use crate::{Context, Facets};

/// One check: a sentence that holds for every store that obeys the rules it names.
pub struct Check<C: 'static = Context> {
    pub(crate) rules: &'static [&'static str],
    pub(crate) name: &'static str,
    pub(crate) says: &'static str,
    pub(crate) needs: Facets,
    pub(crate) relies_on: Reliance,
    pub(crate) run: for<'a> fn(&'a C) -> BoxFuture<'a, ()>,
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

    /// The rules that it takes for granted, its own among them: when one of those is broken, it may fail for its sake.
    #[must_use]
    pub fn relies_on(&self) -> BTreeSet<&'static str> {
        self.relies_on.of(self.rules)
    }

    /// The facets that a backend must have for the check to apply.
    #[must_use]
    pub const fn needs(&self) -> Facets {
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
        $(#[relies_on($reliance:ident)])?
        $(#[needs($facet:ident $(($($outage:ident),+))?)])?
        async fn $name:ident($context:ident: &$Context:ty) $body:block
    )+) => {
        /// The checks of this module.
        pub(super) const CHECKS: &[$crate::Check<Context>] = &[$(
            $crate::Check {
                rules: &[$($rule),+],
                name: stringify!($name),
                says: concat!($($says),+),
                needs: checks!(@needs $($facet $(($($outage),+))?)?),
                relies_on: checks!(@relies_on $($reliance)?),
                run: |context| Box::pin($name(context)),
            }
        ),+];

        $(
            $(#[doc = $says])+
            async fn $name($context: &$Context) $body
        )+
    };
    (@relies_on everything) => { $crate::reliance::Reliance::Everything };
    (@relies_on) => { $crate::reliance::Reliance::OfItsRules };
    (@needs outages($($outage:ident),+)) => { $crate::Facets::NONE.outages(&[$($crate::Outage::$outage),+]) };
    (@needs $($facet:ident)?) => { $crate::Facets::NONE$(.$facet())? };
}
pub(crate) use checks;
