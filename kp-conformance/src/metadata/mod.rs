//! The second suite: every rule of [`PoolMetadataStore`], a client's record of its own packages.

mod changing;
mod creating;
mod leasing;
mod ledger;
mod races;
mod reading;
mod rows;
mod size;
mod stepping;
mod table;

use std::process::ExitCode;
use std::sync::Arc;

use futures::future::BoxFuture;
use kp_core::client::PoolMetadataStore;
use libtest_mimic::{Completion, Failed, Trial};

use self::ledger::Context;
use crate::place::several_threads;
use crate::suite::{Findings, conclude, in_a_space, trial};
use crate::{Check, Factory};

/// A backend of metadata.
type Backend = Arc<dyn Factory<dyn PoolMetadataStore>>;

/// Runs the suite of [`PoolMetadataStore`] on the backend of this factory, with the arguments of the command line, like
/// [`main`](crate::main): the whole of the `main` of a test without libtest's harness.
///
/// Beside the checks, every pair of the transition table of [`Lifecycle`](kp_core::client::Lifecycle) is a line of the output,
/// and so is how many bytes a row takes (`META-4`), for a backend that can tell.
pub fn metadata_main(factory: impl Factory<dyn PoolMetadataStore>) -> ExitCode {
    let factory: Backend = Arc::new(factory);
    let findings = Findings::default();
    let mut trials: Vec<_> = metadata_checks()
        .map(|check| trial(check, &factory, &findings))
        .collect();
    trials.extend(table::pairs().map(|pair| pair_trial(pair, &factory)));
    trials.push(size_trial(&factory));
    conclude(trials, &findings)
}

/// All checks of the suite, by rule.
pub fn metadata_checks() -> impl Iterator<Item = &'static Check<Context>> {
    [
        creating::CHECKS,
        stepping::CHECKS,
        changing::CHECKS,
        reading::CHECKS,
        leasing::CHECKS,
        races::CHECKS,
    ]
    .into_iter()
    .flatten()
}

fn pair_trial(pair: table::Pair, factory: &Backend) -> Trial {
    let factory = Arc::clone(factory);
    Trial::test(pair.name(), move || {
        let body = move |context| -> BoxFuture<'static, ()> { Box::pin(async move { pair.run(&context).await }) };
        in_a_space(several_threads(), &factory, false, body).map_err(Failed::from)
    })
}

fn size_trial(factory: &Backend) -> Trial {
    let factory = Arc::clone(factory);
    Trial::ignorable_test("META-4 a_row_takes_about_150_bytes_at_most", move || {
        let body = |context| -> BoxFuture<'static, _> { Box::pin(async move { size::bytes_a_row(&context).await }) };
        let Some(bytes) = in_a_space(several_threads(), &factory, false, body)? else {
            return Ok(Completion::ignored_with(format!(
                "{} cannot tell how many bytes it takes",
                factory.name()
            )));
        };
        println!("META-4: {} takes {bytes} bytes a row, indexes included", factory.name());
        if bytes > size::MOST {
            return Err(format!("a row takes {bytes} bytes, and {} are the most", size::MOST).into());
        }
        Ok(Completion::Completed)
    })
}
