use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

/// What befalls a call of a [`FaultyStore`](crate::FaultyStore).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Nothing.
    None,
    /// It is not made: a failure that says [not applied](kp_core::Effect::NotApplied).
    NotMade,
    /// It is made, and its answer is thrown away: a failure that says [unknown](kp_core::Effect::Unknown).
    LostReply,
    /// Others are let in so many times before it is made, and again before its answer leaves.
    Delayed {
        /// How often the task yields, each time.
        turns: u32,
    },
    /// Its future is dropped when it waits for the n-th time, or unpolled when that is 0: a failure that says
    /// [unknown](kp_core::Effect::Unknown). A call that has ended by then is answered.
    Dropped {
        /// At which await of the store's future.
        at_await: u32,
    },
}

/// Faults without end, drawn from a seed; nothing befalls every other call.
#[derive(Debug, Clone)]
pub struct Faults(StdRng);

impl Faults {
    /// The faults of this seed: the same ones, in the same order, every time.
    #[must_use]
    pub fn seeded(seed: u64) -> Self {
        Self(StdRng::seed_from_u64(seed))
    }
}

impl Iterator for Faults {
    type Item = Fault;

    fn next(&mut self) -> Option<Fault> {
        Some(match self.0.random_range(0..10) {
            0 => Fault::NotMade,
            1 => Fault::LostReply,
            2 => Fault::Delayed {
                turns: self.0.random_range(1..=8),
            },
            3 | 4 => Fault::Dropped {
                at_await: self.0.random_range(0..=4),
            },
            _ => Fault::None,
        })
    }
}
