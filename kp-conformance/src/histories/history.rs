use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use kp_core::server::KeyPackageStore;
use kp_core::{Effect, Error};
use stateright::semantics::{ConsistencyTester, LinearizabilityTester};

use super::spec::Step;
use super::{Call, Reply, Spec};

/// What several tasks did at once, in the order in which it happened. A task makes one call at a time, and goes on after one
/// whose outcome is unknown, which may happen at any later moment, or never.
#[derive(Clone, Default)]
pub(crate) struct History(Arc<Mutex<Log>>);

#[derive(Default)]
struct Log {
    calls: Vec<Made>,
    events: Vec<Event>,
}

struct Made {
    task: u64,
    /// How many calls of its task were never answered before: each of those is the last of a lane.
    lane: usize,
    call: Call,
    /// What was answered, if anything was.
    reply: Option<Reply>,
}

/// By the number of the call.
#[derive(Clone, Copy)]
enum Event {
    Begins(usize),
    Ends(usize),
}

impl History {
    /// Makes a call of the store as this task, and says whether it was answered.
    pub(crate) async fn ask(&self, task: u64, call: &Call, store: &dyn KeyPackageStore) -> bool {
        let number = self.log().begin(task, call.clone());
        let reply = match call.ask_once(store).await {
            Ok(reply) => reply,
            Err(Error::Backend(failure)) if failure.effect() == Effect::NotApplied => Reply::NotApplied,
            Err(Error::Backend(_)) => return false,
            Err(refusal) => panic!("the rules cannot refuse {call:?}: {refusal}"),
        };
        let answered = reply != Reply::NotApplied;
        self.log().end(number, reply);
        answered
    }

    /// Whether there is an order of single steps, each between the begin of its call and its end, that explains every
    /// answer.
    pub(crate) fn is_linearizable(&self) -> bool {
        let log = self.log();
        let mut tester = LinearizabilityTester::new(Spec::default());
        for event in &log.events {
            let (Event::Begins(number) | Event::Ends(number)) = *event;
            let made = &log.calls[number];
            for (part, (step, reply)) in made.steps().into_iter().enumerate() {
                let told = match event {
                    Event::Begins(_) => tester.on_invoke((made.task, made.lane, part), step),
                    Event::Ends(_) => tester.on_return((made.task, made.lane, part), Some(reply)),
                };
                told.expect("a task makes one call at a time");
            }
        }
        tester.is_consistent()
    }

    fn log(&self) -> MutexGuard<'_, Log> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Log {
    fn begin(&mut self, task: u64, call: Call) -> usize {
        let number = self.calls.len();
        let unanswered = |made: &&Made| made.task == task && made.reply.is_none();
        self.calls.push(Made {
            task,
            lane: self.calls.iter().filter(unanswered).count(),
            call,
            reply: None,
        });
        self.events.push(Event::Begins(number));
        number
    }

    fn end(&mut self, number: usize, reply: Reply) {
        self.calls[number].reply = Some(reply);
        self.events.push(Event::Ends(number));
    }
}

impl Made {
    /// The steps that it was, with what was told of each: in any order, and with those of others in between.
    fn steps(&self) -> Vec<(Step, Reply)> {
        match (&self.call, &self.reply) {
            // ERR-1: it was certainly not applied.
            (_, Some(Reply::NotApplied)) => Vec::new(),
            (call, None) if call.is_read() => Vec::new(),
            // SWEEP-1: it removed as many as it says, one or more at a time, and some moment saw none left if it says 0. One
            // that says nothing may have removed as many as it was allowed to.
            (Call::CleanUp { limit, now }, reply) => {
                let most = u64::from(*limit).max(1);
                let (count, each) = match reply {
                    Some(Reply::Swept(0)) => (1, 0),
                    Some(Reply::Swept(count)) => (*count, 1),
                    _ => (most, 1),
                };
                assert!(count <= most, "a clean-up that was to remove {most} removed {count}");
                (0..count)
                    .map(|_| (Step::CleanUpOne(*now), Reply::Swept(each)))
                    .collect()
            }
            (call, reply) => {
                let reply = reply.clone().unwrap_or(Reply::NotApplied);
                vec![(Step::Call(call.clone()), reply)]
            }
        }
    }
}

/// For people: what happened, line by line.
impl fmt::Display for History {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let log = self.log();
        for event in &log.events {
            let (Event::Begins(number) | Event::Ends(number)) = *event;
            let made = &log.calls[number];
            let (task, call) = (made.task, &made.call);
            match (event, &made.reply) {
                (Event::Begins(_), Some(_)) => writeln!(f, "task {task} begins {call:?}")?,
                (Event::Begins(_), None) => writeln!(f, "task {task} begins, and is never answered, {call:?}")?,
                (Event::Ends(_), reply) => writeln!(f, "task {task} ends with {reply:?}")?,
            }
        }
        Ok(())
    }
}
