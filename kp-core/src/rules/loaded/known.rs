use std::collections::{HashMap, HashSet};

use super::{Extent, LookUp};
use crate::Timestamp;

/// Says which look-ups the entries answer.
#[derive(Debug, Clone, Default)]
pub(super) struct Known {
    /// Whether nothing is stored but what the entries show.
    pub(super) all: bool,
    pub(super) asked: HashSet<LookUp>,
    pub(super) unreadable: HashSet<LookUp>,
    pub(super) counts: HashMap<LookUp, u32>,
    pub(super) lapsed: Option<Timestamp>,
    pub(super) queue: Option<Walk>,
    pub(super) expired: Option<Walk>,
}

/// Says how far the records were read in order.
#[derive(Debug, Clone, Copy)]
pub(super) struct Walk {
    pub(super) now: Timestamp,
    pub(super) to: Extent,
}

impl Known {
    /// Takes note of a look-up that found records.
    pub(super) fn found(&mut self, look_up: &LookUp, extent: Extent) {
        match *look_up {
            LookUp::Lapsed(now) => self.lapsed = self.lapsed.max(Some(now)),
            LookUp::Queue { now, .. } => self.queue = Some(Walk { now, to: extent }),
            LookUp::Expired { now, .. } => self.expired = Some(Walk { now, to: extent }),
            _ => {
                self.asked.insert(look_up.clone());
            }
        }
    }

    /// Returns whether the look-up, which is none of bytes, has its answer.
    pub(super) fn answers(&self, look_up: &LookUp) -> bool {
        self.all
            || self.unreadable.contains(look_up)
            || match *look_up {
                LookUp::Lapsed(now) => self.lapsed >= Some(now),
                LookUp::Queue { after: None, now } => self.queue.is_some_and(|walk| walk.now <= now),
                LookUp::Expired { after: None, now } => self.expired.is_some_and(|walk| walk.now >= now),
                LookUp::Queue { .. } | LookUp::Expired { .. } => false,
                _ => self.asked.contains(look_up) || self.counts.contains_key(look_up),
            }
    }

    /// Returns how far a walk went.
    pub(super) fn walk(&self, walk: Option<Walk>) -> Option<Walk> {
        let all = Walk {
            now: Timestamp::MIN,
            to: Extent::All,
        };
        if self.all { Some(all) } else { walk }
    }
}

impl Walk {
    pub(super) fn covers(self, sequence: u64) -> bool {
        match self.to {
            Extent::All => true,
            Extent::UpTo(to) => sequence <= to,
        }
    }

    /// Returns where to go on; `None`: the walk is at its end.
    pub(super) fn next(self) -> Option<u64> {
        match self.to {
            Extent::All => None,
            Extent::UpTo(to) => Some(to),
        }
    }
}
