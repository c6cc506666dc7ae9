//! The transition table of [`Lifecycle`], every pair of it a check of its own.

use kp_core::client::{KeyPackageMetadata, Lifecycle, MetadataRejection};

use super::ledger::Context;
use super::rows::{joining, lifecycles, row_in, superseded};
use crate::must_be::must_be;
use crate::packages::at;

/// Which steps there are (`META-2`), once more: from the state at the left to each of [`lifecycles`], in their order.
const STEPS: [(&str, &str); 8] = [
    ("created", "YYYYYYYY"),
    ("available", "YYYYYYYn"),
    ("reserved", "nYYYYYYn"),
    ("joining", "nYYYYYYn"),
    ("superseded", "nnnYYYYn"),
    ("spent", "nnnnnYnn"),
    ("expired", "nnnnnnYn"),
    ("failed", "nnnnnnnY"),
];

/// One pair of the table.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pair {
    from: Lifecycle,
    to: Lifecycle,
    legal: bool,
}

/// Every pair, row by row.
pub(super) fn pairs() -> impl Iterator<Item = Pair> {
    STEPS.into_iter().zip(lifecycles()).flat_map(|((name, steps), from)| {
        must_be!(name, from.name(), "the table is in the order of the lifecycles");
        // A superseded package is superseded anew, and a join is marked anew: each with another end.
        let targets = lifecycles().map(|to| match to {
            Lifecycle::Superseded { .. } => superseded(1),
            Lifecycle::Joining { .. } => joining(1),
            to => to,
        });
        let pair = move |(to, step)| Pair {
            from,
            to,
            legal: step == 'Y',
        };
        targets.into_iter().zip(steps.chars()).map(pair)
    })
}

impl Pair {
    /// As the test output names it.
    pub(super) fn name(&self) -> String {
        let verb = if self.legal { "becomes" } else { "never_becomes" };
        format!("META-2 {}_{verb}_{}", self.from.name(), self.to.name())
    }

    /// Brings one package into the state, has it take the step beside another that stays, and looks at both.
    pub(super) async fn run(&self, context: &Context) {
        let (before, bystander) = (row_in(1, self.from), row_in(2, self.from));
        let ledger = context.ledger().await.with(&[before.clone(), bystander.clone()]).await;
        let answer = ledger.step(1, self.to, at(9)).await;
        if self.legal {
            must_be!(answer, Ok(()));
            must_be!(ledger.row(1).await, self.after(before));
        } else {
            let Self { from, to, .. } = *self;
            must_be!(answer, Err(MetadataRejection::IllegalStep { from, to }));
            must_be!(ledger.row(1).await, before, "nothing changed");
        }
        must_be!(ledger.row(2).await, bystander, "another package is not concerned");
    }

    /// The row after the step, at second 9: it had been uploaded before, so that stays.
    fn after(&self, before: KeyPackageMetadata) -> KeyPackageMetadata {
        let entered = |state: Lifecycle| (self.to == state && self.from != state).then_some(at(9));
        KeyPackageMetadata {
            lifecycle: self.to,
            reserved_at: entered(Lifecycle::Reserved).or(before.reserved_at),
            spent_at: entered(Lifecycle::Spent).or(before.spent_at),
            ..before
        }
    }
}
