use kp_conformance::Check;
use libtest_mimic::{Failed, Trial};

use crate::backend::caught_by;
use crate::flaw::{Flaw, Torn};

/// How often a wrong store is run against the check that has to catch it.
const RUNS_OF_A_RACE: usize = 20;

/// A store that is wrong in one way.
#[derive(Debug)]
pub(crate) struct WrongStore {
    /// The rule it breaks.
    pub(crate) rule: &'static str,
    /// The check of that rule that has to catch it.
    pub(crate) check: &'static str,
    pub(crate) name: &'static str,
    /// What is wrong with it.
    pub(crate) says: &'static str,
    pub(crate) flaw: fn(&mut Flaw),
}

impl WrongStore {
    fn flaw(&self) -> Flaw {
        let mut flaw = Flaw::NONE;
        (self.flaw)(&mut flaw);
        flaw
    }

    /// Whether it is wrong only while others are at it.
    pub(crate) fn races(&self) -> bool {
        self.flaw().torn.is_some_and(Torn::races)
    }

    pub(crate) fn trial(&'static self) -> Trial {
        Trial::test(format!("{} {}", self.rule, self.name), || self.must_be_caught())
    }

    fn must_be_caught(&self) -> Result<(), Failed> {
        let of_the_rule = || kp_conformance::checks().filter(|check| check.rules().contains(&self.rule));
        let Some(check) = of_the_rule().find(|check| check.name() == self.check) else {
            return Err(format!("{} is no check of {}", self.check, self.rule).into());
        };
        let runs = if self.races() { RUNS_OF_A_RACE } else { 1 };
        let caught = (0..runs).filter_map(|_| caught_by(check, self.flaw())).count();
        if caught == runs {
            return Ok(());
        }
        let others: Vec<_> = of_the_rule()
            .filter(|other| caught_by(other, self.flaw()).is_some())
            .map(Check::name)
            .collect();
        let name = check.name();
        Err(
            format!("{name} caught it {caught} times of {runs}; of the checks of the rule, these do: {others:?}")
                .into(),
        )
    }
}

/// Defines the wrong stores of a module and lists them, in one go, so that none can exist unlisted.
macro_rules! wrong_stores {
    ($(
        $(#[doc = $says:literal])+
        #[breaks($rule:literal, $check:ident)]
        fn $name:ident($flaw:ident: &mut Flaw) $body:block
    )+) => {
        /// The wrong stores of this module.
        pub(super) const STORES: &[$crate::wrong_store::WrongStore] = &[$(
            $crate::wrong_store::WrongStore {
                rule: $rule,
                check: stringify!($check),
                name: stringify!($name),
                says: concat!($($says),+),
                flaw: $name,
            }
        ),+];

        $(
            $(#[doc = $says])+
            fn $name($flaw: &mut $crate::flaw::Flaw) $body
        )+
    };
}
pub(crate) use wrong_stores;
