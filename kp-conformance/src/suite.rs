use std::env;
use std::num::NonZeroUsize;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use futures::future::BoxFuture;
use libtest_mimic::{Arguments, Completion, Failed, Trial};
use tokio::runtime;

use crate::finding::{Finding, Verdict};
use crate::guide::Guide;
use crate::level::Settings;
use crate::place::{Place, several_threads};
use crate::rooms::Rooms;
use crate::{Check, Context, Factory, decisions, worker};

/// The command line or the environment is wrong.
pub(crate) const USAGE: u8 = 2;

/// Runs the suite on the backend of this factory, with the arguments of the command line, which are those of
/// `cargo test` and of nextest.
///
/// The whole of the `main` of a test without libtest's harness. It also plays the part of the other processes: the suite
/// starts its own executable again, so nothing may stand in the way of this call.
pub fn main(factory: impl Factory) -> ExitCode {
    let factory: Arc<dyn Factory> = Arc::new(factory);
    if let Some(order) = worker::Order::from_env() {
        return worker::obey(order, factory);
    }
    let findings = Findings::default();
    let checks = spread(checks()).map(|check| trial(check, &factory, &findings));
    let rooms = Arc::new(Rooms::new(&factory));
    let cells = decisions::cells().map(|cell| cell_trial(cell, &factory, &rooms, &findings));
    let concluded = conclude(checks.chain(cells).collect(), &findings);
    if let Err(failure) = rooms.close() {
        println!("{failure}");
        return ExitCode::FAILURE;
    }
    concluded
}

/// Sets the checks of outages at equal distances among the others: they wait most of their time for an engine, and beside each
/// other they would leave the processor to nobody.
fn spread(checks: impl Iterator<Item = &'static Check>) -> impl Iterator<Item = &'static Check> {
    let (waiting, working): (Vec<_>, Vec<_>) = checks.partition(|check| !check.needs.outages.is_empty());
    let distance = working.len() / (waiting.len() + 1);
    let mut waiting = waiting.into_iter();
    let mut spread = Vec::new();
    for (n, check) in working.into_iter().enumerate() {
        if n % distance.max(1) == 0 {
            spread.extend(waiting.next());
        }
        spread.push(check);
    }
    spread.into_iter().chain(waiting)
}

/// How many checks run at once.
pub(crate) fn available_cores() -> usize {
    thread::available_parallelism().map_or(1, NonZeroUsize::get)
}

/// How many checks run at once: more than there are cores, since most wait for their store.
fn at_once() -> usize {
    2 * available_cores()
}

/// Runs the trials, and says where to begin when some have failed.
pub(crate) fn conclude(trials: Vec<Trial>, findings: &Findings) -> ExitCode {
    if let Err(wrong) = Settings::from_env() {
        eprintln!("{wrong}");
        return ExitCode::from(USAGE);
    }
    let mut arguments = Arguments::from_args();
    arguments.test_threads.get_or_insert_with(at_once);
    let conclusion = libtest_mimic::run(&arguments, trials);
    let executable = env::args().next().unwrap_or_default();
    let alone = |finding: &Finding| format!("{executable} --exact '{finding}'");
    let findings = findings.0.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(guide) = Guide::of(&*findings, &alone) {
        println!("{guide}");
    }
    conclusion.exit_code()
}

/// What became of the trials that have run.
#[derive(Clone, Default)]
pub(crate) struct Findings(Arc<Mutex<Vec<Finding>>>);

impl Findings {
    /// Keeps what became of one, and tells it.
    pub(crate) fn told(&self, finding: Finding) -> Result<(), Failed> {
        let told = match &finding.verdict {
            Verdict::Failed(why) => Err(Failed::from(why)),
            _ => Ok(()),
        };
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(finding);
        told
    }
}

/// All checks, by rule.
pub fn checks() -> impl Iterator<Item = &'static Check> {
    crate::checks::ALL.iter().copied().flatten()
}

impl<S: ?Sized + Send + Sync + 'static> Check<Context<S>> {
    /// Runs it in a space of its own, and destroys that, however it ends.
    ///
    /// # Errors
    ///
    /// What does not hold.
    pub fn run(&'static self, factory: &Arc<dyn Factory<S>>) -> Result<(), String> {
        self.run_on(several_threads(), factory)
    }

    /// Runs it like [`run`](Self::run), with all its tasks on one thread. The tasks take turns: one that yields goes on after
    /// every other that can. The clock stands still while any of them can, and jumps when all of them wait for it. Of a
    /// store in memory, no clock and no other process changes what happens, so that a race that is arranged takes place on
    /// every machine.
    ///
    /// # Errors
    ///
    /// What does not hold.
    pub fn run_in_turns(&'static self, factory: &Arc<dyn Factory<S>>) -> Result<(), String> {
        let mut runtime = runtime::Builder::new_current_thread();
        runtime.start_paused(true);
        self.run_on(runtime, factory)
    }

    fn run_on(&'static self, runtime: runtime::Builder, factory: &Arc<dyn Factory<S>>) -> Result<(), String> {
        let is_apart = !self.needs.outages.is_empty();
        in_a_space(runtime, factory, is_apart, move |context| {
            Box::pin(async move { (self.run)(&context).await })
        })
        .map_err(|failure| format!("{failure}\n\n{}:{}", self.rules.join(", "), self.says))
    }
}

/// Why the check does not apply to the backend.
pub(crate) fn missing<S: ?Sized + 'static>(check: &Check<Context<S>>, factory: &dyn Factory<S>) -> Option<String> {
    let facet = factory.facets().missing(check.needs)?;
    Some(format!("{} has no facet `{facet}`", factory.name()))
}

/// A facet that the backend lacks shows in the kind of the trial, which the output puts before its name.
pub(crate) fn trial<S: ?Sized + Send + Sync + 'static>(
    check: &'static Check<Context<S>>,
    factory: &Arc<dyn Factory<S>>,
    findings: &Findings,
) -> Trial {
    if let Some(reason) = missing(check, &**factory) {
        let ignored = reason.clone();
        return Trial::ignorable_test(check.to_string(), move || Ok(Completion::ignored_with(ignored)))
            .with_kind(reason)
            .with_ignored_flag(true);
    }
    let (factory, findings) = (Arc::clone(factory), findings.clone());
    Trial::test(check.to_string(), move || {
        findings.told(Finding::of_check(check, Verdict::of(check.run(&factory))))
    })
}

/// A cell of the decision table: what one call answers in one state, and what becomes of the package.
fn cell_trial(cell: decisions::Cell, factory: &Arc<dyn Factory>, rooms: &Arc<Rooms>, findings: &Findings) -> Trial {
    let (factory, rooms, findings) = (Arc::clone(factory), Arc::clone(rooms), findings.clone());
    Trial::test(format!("DECISIONS {}", cell.name()), move || {
        let ran = if cell.is_on_one_pool() {
            rooms.run(cell)
        } else {
            run_cell(cell, &factory)
        };
        findings.told(Finding::of_cell(cell.name(), Verdict::of(ran)))
    })
}

/// Runs a cell in a space of its own.
pub(crate) fn run_cell(cell: decisions::Cell, factory: &Arc<dyn Factory>) -> Result<(), String> {
    in_a_space(
        several_threads(),
        factory,
        false,
        move |context: Context| -> BoxFuture<'static, ()> {
            Box::pin(async move { cell.run(context.open().await).await })
        },
    )
}

/// Runs `body` in a new space on a runtime of its own, and destroys the space, however it ends.
pub(crate) fn in_a_space<S: ?Sized + Send + Sync + 'static, T: Send + 'static>(
    runtime: runtime::Builder,
    factory: &Arc<dyn Factory<S>>,
    is_apart: bool,
    body: impl FnOnce(Context<S>) -> BoxFuture<'static, T> + Send + 'static,
) -> Result<T, String> {
    let place = Place::new(runtime, factory, is_apart)?;
    let checked = place.run(body);
    let destroyed = place.close();
    checked.and_then(|value| destroyed.map(|()| value))
}
