//! Compares the wall clock with a monotonic clock, so that a sweeper removes nothing by a clock that leapt (`DIR-4`).

use std::time::Duration;

use kp_core::Timestamp;
use tokio::time::Instant;

/// How long the clocks must have moved alike after a leap: one day.
pub(crate) const PROBATION: Duration = Duration::from_secs(86_400);

/// The least difference that is a leap. A wall clock counts whole seconds, and is set right by seconds now and then.
const LEAST_LEAP: Duration = Duration::from_secs(60);

/// What a sweeper knows of its clocks.
#[derive(Debug)]
pub(crate) struct ClockCheck {
    allowed: Duration,
    last_wall: Timestamp,
    last_monotonic: Instant,
    /// Where both clocks stood at the start, or after the last leap: a clock that runs fast leaps in small steps.
    first_wall: Timestamp,
    first_monotonic: Instant,
    /// Nothing is expired before this moment.
    sound_from: Instant,
    leapt: bool,
}

/// What a sweeper may do at one turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Remove what has expired.
    Sound,
    /// The same, for the first time after a leap.
    SoundAgain,
    /// Remove nothing: the sweeper started less than the skew ago, or its clock leapt less than a day ago.
    Wait,
    /// Remove nothing: the wall clock leapt ahead (> 0) or back (< 0) by this many seconds.
    Leapt(i64),
}

impl ClockCheck {
    /// Begins with the clocks as they stand when the sweeper starts.
    pub(crate) fn new(skew: Duration, wall: Timestamp, monotonic: Instant) -> Self {
        Self {
            allowed: skew.max(LEAST_LEAP),
            last_wall: wall,
            last_monotonic: monotonic,
            first_wall: wall,
            first_monotonic: monotonic,
            sound_from: monotonic + skew,
            leapt: false,
        }
    }

    /// Compares how far both clocks moved since the last turn. A monotonic clock that stood still while the machine slept
    /// looks like a leap ahead.
    pub(crate) fn turn(&mut self, wall: Timestamp, monotonic: Instant) -> Verdict {
        let leap_since = |then: Timestamp, monotonic_then: Instant| {
            let moved = monotonic.saturating_duration_since(monotonic_then).as_secs();
            (wall.get() - then.get()).saturating_sub_unsigned(moved)
        };
        let turn = leap_since(self.last_wall, self.last_monotonic);
        let all = leap_since(self.first_wall, self.first_monotonic);
        let leap = if turn.unsigned_abs() > all.unsigned_abs() {
            turn
        } else {
            all
        };
        self.last_wall = wall;
        self.last_monotonic = monotonic;
        if leap.unsigned_abs() > self.allowed.as_secs() {
            self.first_wall = wall;
            self.first_monotonic = monotonic;
            self.sound_from = self.sound_from.max(monotonic + PROBATION);
            self.leapt = true;
            Verdict::Leapt(leap)
        } else if monotonic < self.sound_from {
            Verdict::Wait
        } else if std::mem::take(&mut self.leapt) {
            Verdict::SoundAgain
        } else {
            Verdict::Sound
        }
    }
}
