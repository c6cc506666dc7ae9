use kp_core::Rejection;
use kp_core::server::{SaveOutcome, WithdrawOutcome};

use super::{Answer, Event, Row, State};

/// A cell of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Decision {
    /// What the call answers.
    pub answer: Answer,
    /// Where the package stands then.
    pub next: State,
}

/// The table: what `event` answers about a package in `state`, and the state after.
#[must_use]
pub fn decide(state: State, event: Event) -> Decision {
    // TIME-2: a changing call meets what the settlement left.
    let settled = if event.group().settles() {
        state.settled()
    } else {
        state
    };
    let (answer, next) = match event {
        Event::ReserveNamed | Event::ReserveNamedByOtherParty => reserve_named(settled, event, true),
        Event::ReserveNamedUnfit | Event::ReserveNamedUnmet | Event::ReserveNamedLastResort => {
            reserve_named(settled, event, false)
        }
        Event::ReserveNamedIdTaken => (rejected(Rejection::ReservationConflict), settled),
        Event::ReserveOther
        | Event::ReserveById
        | Event::ReserveByIdByOtherParty
        | Event::ReserveOtherSuite
        | Event::ReserveUnmet
        | Event::ReserveLastResort => reserve_by_id(settled, event),
        Event::Claim
        | Event::ClaimByOtherParty
        | Event::ClaimForOtherGroup
        | Event::ClaimOtherSuite
        | Event::ClaimUnmet
        | Event::ClaimLastResort => claim(settled, event),
        Event::Spend => spend(settled, true),
        Event::SpendForOtherGroup | Event::SpendByOtherParty => spend(settled, false),
        Event::Renew | Event::RenewShorter => (renew(settled, event), settled),
        Event::Release => release(settled),
        Event::SaveAgain => save(settled, SaveOutcome::AlreadyStored),
        Event::SaveOtherBytes | Event::SaveOtherFacts => save(settled, SaveOutcome::RefConflict),
        Event::SaveAtCap => match settled.group() {
            Row::A | Row::N | Row::R | Row::OtherR => (Answer::Saved(SaveOutcome::PoolFull), settled),
            _ => (Answer::Saved(SaveOutcome::Saved), settled),
        },
        Event::SaveReplacing => {
            let spared = settled.is_last_resort();
            let next = if spared { settled } else { withdrawn(settled) };
            (Answer::Saved(SaveOutcome::Saved), next)
        }
        Event::SaveInitKey => match settled.group() {
            Row::E | Row::Absent => (Answer::Saved(SaveOutcome::Saved), settled),
            _ => (Answer::Saved(SaveOutcome::InitKeyReused), settled),
        },
        Event::SaveLastResort => (Answer::Saved(SaveOutcome::Saved), replaced(settled)),
        Event::Withdraw => withdraw(settled),
        Event::WithdrawAll => {
            let unspent = matches!(
                settled.group(),
                Row::A | Row::N | Row::R | Row::OtherR | Row::C | Row::OtherC | Row::S
            );
            (
                Answer::WithdrawOutcome(unspent.then_some(WithdrawOutcome::Withdrawn)),
                withdrawn(settled),
            )
        }
        Event::RetireUnspent => {
            let next = retired(settled);
            (Answer::Count((next != settled).into()), next)
        }
        Event::ReleaseExpired => {
            // The reserver of a used package is remembered until the lease would have ended, not_after at the latest.
            let remembered = matches!(state, State::ExpiredSpent | State::ExpiredOtherSpent);
            (Answer::Count((settled != state || remembered).into()), settled)
        }
        Event::CleanupExpired => match state.group() {
            Row::E => (Answer::Count(1), state.gone()),
            _ => (Answer::Count(0), state),
        },
        Event::DeletePool => (Answer::Done, state.gone()),
        Event::Read => (Answer::Seen(state.seen()), state),
    };
    Decision { answer, next }
}

const fn rejected(rejection: Rejection) -> Answer {
    Answer::Rejected(rejection)
}

/// RES-3, RES-5.
fn reserve_named(state: State, event: Event, fits: bool) -> (Answer, State) {
    match state.group() {
        Row::R | Row::C if matches!(event, Event::ReserveNamedByOtherParty | Event::ReserveNamedUnmet) => {
            (rejected(Rejection::ReservationConflict), state)
        }
        Row::R | Row::C => (Answer::SameLease, state),
        Row::A if fits => (Answer::Lease, State::Reserved),
        Row::A | Row::N | Row::S => (rejected(Rejection::Unsuitable), state),
        Row::OtherR | Row::OtherC => (rejected(Rejection::AlreadyReserved), state),
        Row::E => (rejected(Rejection::Expired), state),
        Row::Absent => (rejected(Rejection::NotFound), state),
        _ => (rejected(Rejection::AlreadySpent), state),
    }
}

/// RES-5, RES-6, RES-10. Another package that fits is available.
fn reserve_by_id(state: State, event: Event) -> (Answer, State) {
    match (state.group(), event) {
        (Row::R | Row::C | Row::U, Event::ReserveOther | Event::ReserveOtherSuite)
        | (Row::R | Row::C, Event::ReserveByIdByOtherParty | Event::ReserveUnmet) => {
            (rejected(Rejection::ReservationConflict), state)
        }
        (Row::R | Row::C, _) => (Answer::SameLease, state),
        (Row::U, _) => (rejected(Rejection::AlreadySpent), state),
        (Row::A, Event::ReserveById | Event::ReserveByIdByOtherParty) => (Answer::Lease, State::Reserved),
        (_, Event::ReserveLastResort) => last_resort(state),
        _ => (Answer::NewRequest, state),
    }
}

/// CLAIM-1.
fn claim(state: State, event: Event) -> (Answer, State) {
    let same = matches!(event, Event::Claim | Event::ClaimLastResort);
    match state.group() {
        Row::R | Row::C | Row::U if event == Event::ClaimOtherSuite => {
            (rejected(Rejection::ReservationConflict), state)
        }
        Row::R | Row::C if matches!(event, Event::ClaimByOtherParty | Event::ClaimUnmet) => {
            (rejected(Rejection::ReservationConflict), state)
        }
        Row::R | Row::C => (Answer::KeyPackage, State::Claimed),
        Row::U if state == State::Claimed && event == Event::ClaimUnmet => {
            (rejected(Rejection::ReservationConflict), state)
        }
        Row::U if state == State::Claimed && same => (Answer::KeyPackage, state),
        Row::U => (rejected(Rejection::AlreadySpent), state),
        _ if event == Event::ClaimLastResort => last_resort(state),
        Row::A if !matches!(event, Event::ClaimOtherSuite | Event::ClaimUnmet) => (Answer::KeyPackage, State::Claimed),
        _ => (Answer::NewRequest, state),
    }
}

/// RES-6: a new request for a last resort, in a pool that has a one-time package available, and none but P in the slot
/// unless P was replaced.
fn last_resort(state: State) -> (Answer, State) {
    match state.group() {
        Row::S => (Answer::LastResort, State::LastResortUsed),
        Row::O if state == State::Replaced => (Answer::NewRequest, state),
        _ if state == State::ExpiredReplaced => (Answer::NewRequest, state),
        _ => (rejected(Rejection::NothingFits), state),
    }
}

/// SPEND-2, SPEND-3.
fn spend(state: State, same_use: bool) -> (Answer, State) {
    match state.group() {
        Row::Absent => (rejected(Rejection::NotFound), state),
        Row::U if same_use => (Answer::SameReceipt, state),
        Row::E if same_use && state == State::ExpiredSpent => (Answer::SameReceipt, state),
        Row::E => (rejected(Rejection::Expired), state),
        Row::U | Row::OtherU => (rejected(Rejection::AlreadySpent), state),
        Row::R | Row::C => (Answer::Receipt, State::Spent),
        _ => (rejected(Rejection::NoLiveReservation), state),
    }
}

/// REN-1, REN-2.
fn renew(state: State, event: Event) -> Answer {
    match state.group() {
        Row::R if event == Event::Renew => Answer::LongerLease,
        Row::R | Row::C => Answer::SameLease,
        Row::Absent => rejected(Rejection::NotFound),
        Row::E => rejected(Rejection::Expired),
        Row::U | Row::OtherU => rejected(Rejection::AlreadySpent),
        _ => rejected(Rejection::NoLiveReservation),
    }
}

/// REL-1, REL-2.
fn release(state: State) -> (Answer, State) {
    match state.group() {
        Row::Absent => (rejected(Rejection::NotFound), state),
        Row::E => (rejected(Rejection::Expired), state),
        Row::U | Row::OtherU => (rejected(Rejection::AlreadySpent), state),
        Row::R => (Answer::Released, State::Available),
        Row::C if state == State::WithdrawnWhileReserved => (Answer::Released, State::Withdrawn),
        Row::C => (Answer::Released, State::Retired),
        _ => (rejected(Rejection::NoLiveReservation), state),
    }
}

/// SAVE-7; `known` is what a known, unspent package gets.
fn save(state: State, known: SaveOutcome) -> (Answer, State) {
    let (outcome, next) = match state.group() {
        Row::E => (SaveOutcome::Expired, state),
        Row::Absent => match state {
            State::AbsentNotYetValid => (SaveOutcome::Saved, State::NotYetValid),
            State::AbsentLastResort => (SaveOutcome::Saved, State::LastResort),
            _ => (SaveOutcome::Saved, State::Available),
        },
        Row::A | Row::N | Row::R | Row::OtherR | Row::S => (known, state),
        _ => (SaveOutcome::AlreadySpent, state),
    };
    (Answer::Saved(outcome), next)
}

/// DEL-3.
fn withdraw(state: State) -> (Answer, State) {
    let outcome = match state.group() {
        Row::E | Row::Absent => WithdrawOutcome::NotFound,
        Row::U | Row::OtherU => WithdrawOutcome::AlreadySpent,
        _ if matches!(state, State::Retired | State::Replaced) => WithdrawOutcome::AlreadySpent,
        _ => WithdrawOutcome::Withdrawn,
    };
    (Answer::WithdrawOutcome(Some(outcome)), withdrawn(state))
}

/// DEL-3: a withdrawal outranks a retirement.
fn withdrawn(state: State) -> State {
    match state.group() {
        Row::A | Row::N => State::Withdrawn,
        Row::R | Row::C => State::WithdrawnWhileReserved,
        Row::OtherR | Row::OtherC => State::OtherWithdrawnWhileReserved,
        Row::S => State::LastResortWithdrawn,
        _ => state,
    }
}

/// DEL-2.
fn retired(state: State) -> State {
    match state.group() {
        Row::A | Row::N => State::Retired,
        Row::R => State::RetiredWhileReserved,
        Row::OtherR => State::OtherRetiredWhileReserved,
        Row::S => State::LastResortUsed,
        _ => state,
    }
}

/// LAST-1: the old one is remembered, also one past `not_after`.
fn replaced(state: State) -> State {
    match state {
        State::LastResort | State::LastResortUsed => State::Replaced,
        State::ExpiredLastResort => State::ExpiredReplaced,
        other => other,
    }
}
