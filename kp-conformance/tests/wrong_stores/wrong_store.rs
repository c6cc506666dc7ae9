use kp_conformance::Check;
use libtest_mimic::{Failed, Trial};

use crate::backend::caught_by;
use crate::flaw::{Flaw, Torn};

/// How often a store that is wrong in a race, or in an outage, is run against the check that has to catch it. All of it is
/// arranged, so that each run is like the others: a few look for one that is not, and `--ignored` looks longer.
const RUNS: usize = 3;
const RUNS_OF_A_LONG_LOOK: usize = 20;

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
    pub(crate) fn flaw(&self) -> Flaw {
        let mut flaw = Flaw::NONE;
        (self.flaw)(&mut flaw);
        flaw
    }

    /// Whether it is wrong only while others are at it.
    pub(crate) fn races(&self) -> bool {
        self.flaw().torn.is_some_and(Torn::races)
    }

    /// Whether it takes a race or an outage to see what is wrong.
    pub(crate) fn is_arranged(&self) -> bool {
        self.races() || self.flaw().mishap.is_some()
    }

    pub(crate) fn trial(&'static self) -> Trial {
        let runs = if self.is_arranged() { RUNS } else { 1 };
        Trial::test(format!("{} {}", self.rule, self.name), move || {
            self.must_be_caught(runs)
        })
    }

    /// The long look at one that is arranged.
    pub(crate) fn long_trial(&'static self) -> Trial {
        let runs = RUNS_OF_A_LONG_LOOK;
        let name = format!("{} {} {runs} times", self.rule, self.name);
        Trial::test(name, move || self.must_be_caught(runs)).with_ignored_flag(true)
    }

    fn must_be_caught(&self, runs: usize) -> Result<(), Failed> {
        let of_the_rule = || kp_conformance::checks().filter(|check| check.rules().contains(&self.rule));
        let Some(check) = of_the_rule().find(|check| check.name() == self.check) else {
            return Err(format!("{} is no check of {}", self.check, self.rule).into());
        };
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
