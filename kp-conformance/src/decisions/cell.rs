use std::sync::Arc;

use kp_core::Status;
use kp_core::server::KeyPackageStore;

use super::scene::{Asker, CALL, EARLIER, LONG, OTHER, OWN, Scene};
use super::view::View;
use super::{Answer, Call, Decision, Event, Row, State, decide};
use crate::must_be::must_be;
use crate::packages::{at, ttl};
use crate::pool::Pool;

/// One cell of the table, as a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Cell {
    /// Where the package stands.
    pub state: State,
    /// What is called.
    pub event: Event,
}

/// All cells, state by state.
pub fn cells() -> impl Iterator<Item = Cell> {
    let cell = |state| move |event| Cell { state, event };
    State::ALL
        .iter()
        .flat_map(move |state| Event::ALL.iter().copied().map(cell(*state)))
}

impl Cell {
    /// Its name: `C (withdrawn) x release (by this id)`.
    #[must_use]
    pub fn name(self) -> String {
        let Self { state, event } = self;
        let (row, words) = (state.group(), state.words());
        format!("{row} ({words}) x {} ({})", event.group().words(), event.words())
    }

    /// Brings a package into the state, makes the call, and proves the answer and the state after. The store is empty,
    /// and nobody else's.
    ///
    /// # Panics
    ///
    /// When the store answers otherwise.
    pub async fn run(self, store: Arc<dyn KeyPackageStore>) {
        self.run_on(Pool::new(store, "bob/phone")).await;
    }

    /// Whether it calls one pool alone, so that other pools do not matter to it, nor it to them.
    pub(crate) fn is_on_one_pool(self) -> bool {
        let on_all = matches!(self.event.group(), Call::Retire | Call::Settle | Call::Sweep);
        !on_all && !Scene::sweeps(self.state)
    }

    /// The same in a pool that is empty, and nobody else's.
    pub(crate) async fn run_on(self, pool: Pool) {
        let Self { state, event } = self;
        let Decision { answer, next } = decide(state, event);
        let mut scene = Scene::set(pool, state).await;
        scene.prepare(event).await;
        let before = Moments::of(&scene).await;
        before.prove(state, "before the call");

        let given = scene.act(event, OWN, Asker::of(event), CALL).await;
        must_be!(given, answer, "{}", self.name());

        let after = Moments::of(&scene).await;
        after.prove(next, "after the call");
        self.prove_change(&before, &after, answer, next);
        self.probe(&mut scene, next).await;
    }

    /// What did not change is as it was, to the second, and what changed did so now. What was refused changed nothing,
    /// but for what a settlement ended (`TIME-2`).
    fn prove_change(self, before: &Moments, after: &Moments, answer: Answer, next: State) {
        if answer == Answer::LongerLease {
            let until = Status::Reserved {
                until: at(CALL).after(ttl(LONG)),
            };
            must_be!(
                after.call.p().map(|stored| stored.status),
                Some(until),
                "the end is as answered"
            );
            return;
        }
        if next == self.state {
            must_be!(before.earlier.p(), after.earlier.p(), "nothing became of the package");
        }
        if next.seen() == self.state.seen() {
            must_be!(
                before.call.p(),
                after.call.p(),
                "nothing is seen to become of the package"
            );
        } else {
            match after.call.p().map(|stored| stored.status) {
                Some(Status::Reserved { until }) => must_be!(until, at(CALL).after(ttl(LONG))),
                Some(Status::Spent { at: time, .. }) => must_be!(time, at(CALL)),
                _ => {}
            }
        }
        if answer.changes_nothing() {
            let others = |moments: &Moments| [&moments.call, &moments.earlier].map(|view| view.others().to_vec());
            must_be!(others(before), others(after), "nothing became of the others");
        }
    }

    /// What reads do not tell apart, calls at an earlier time do: whose a lease is and whether it was recalled, and
    /// whether a claim's window has ended for good.
    async fn probe(self, scene: &mut Scene, next: State) {
        let asker = if next.seen() == self.state.seen() {
            Asker::SAME
        } else {
            Asker::of(self.event)
        };
        let probes: &[_] = match next.earlier().group() {
            // Its id may be bound to another package by now (RES-5).
            _ if next.group() == Row::E => &[],
            Row::R | Row::OtherR | Row::C | Row::OtherC => &[(Event::Release, OWN), (Event::Release, OTHER)],
            Row::U => &[(Event::Claim, OWN)],
            Row::OtherU => &[(Event::Claim, OTHER)],
            _ => &[],
        };
        let mut state = next.earlier();
        for &(event, who) in probes {
            let as_seen = |state: State| if who == OWN { state } else { state.mirrored() };
            let Decision { answer, next } = decide(as_seen(state), event);
            let given = scene.act(event, who, asker, EARLIER).await;
            must_be!(given, answer, "{}, then {event:?} by {who} in {state:?}", self.name());
            state = as_seen(next);
            must_be!(
                scene.view(EARLIER).await.seen(),
                state.seen(),
                "after {event:?} by {who}"
            );
        }
    }
}

/// What the reads show at the time of the call, and at an earlier one: a lease that has ended but is not settled is
/// still live to that (`TIME-3`).
struct Moments {
    call: View,
    earlier: View,
}

impl Moments {
    async fn of(scene: &Scene) -> Self {
        Self {
            call: scene.view(CALL).await,
            earlier: scene.view(EARLIER).await,
        }
    }

    fn prove(&self, state: State, when: &str) {
        must_be!(self.call.seen(), state.seen(), "{when}, in {state:?}");
        must_be!(
            self.earlier.seen(),
            state.earlier().seen(),
            "{when}, in {state:?}, at an earlier time"
        );
    }
}
