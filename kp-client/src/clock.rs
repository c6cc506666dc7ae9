use kp_core::Timestamp;
use kp_core::client::KeyPackageMetadata;

/// The two clocks by which a pool judges what is over (`POOL-8`).
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clocks {
    pub(crate) own: Timestamp,
    /// What the server told last, if it ever did.
    pub(crate) server: Option<Timestamp>,
}

impl Clocks {
    /// Returns the later of the two: a grace period that begins then is over on neither too early.
    pub(crate) fn latest(self) -> Timestamp {
        self.server.map_or(self.own, |server| server.max(self.own))
    }

    /// Returns whether both clocks have passed `at`. A server that never told its time has passed nothing.
    pub(crate) fn both_passed(self, at: Timestamp) -> bool {
        at <= self.own && self.server.is_some_and(|server| at <= server)
    }

    /// Returns whether the client's own clock has passed `at`, and the server's too, if it ever told its time.
    pub(crate) fn passed(self, at: Timestamp) -> bool {
        at <= self.own && self.server.is_none_or(|server| at <= server)
    }

    /// Returns whether a package becomes valid further ahead than clocks may differ.
    pub(crate) fn is_ahead(self, row: &KeyPackageMetadata, skew: u64) -> bool {
        let latest = self.server.unwrap_or(self.own).plus(skew);
        row.not_before.is_some_and(|not_before| latest < not_before)
    }
}

/// Returns by how many seconds a clock is ahead of the server's, or behind if negative. `None` unless the server's time lies
/// outside the span from request to answer by more than the skew (`POOL-8`).
pub(crate) fn off(asked: Timestamp, answered: Timestamp, server: Timestamp, skew: u64) -> Option<i64> {
    // A clock that was set back meanwhile turns the span round.
    let (first, last) = (asked.min(answered), asked.max(answered));
    if server < first.minus(skew) {
        Some(first.get().saturating_sub(server.get()))
    } else if last.plus(skew) < server {
        Some(last.get().saturating_sub(server.get()))
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_is_off_outside_the_span_by_more_than_the_skew() {
        let at = |seconds| Timestamp::new(seconds).unwrap();
        let off = |server| off(at(10_000), at(10_300), at(server), 3_600);
        assert_eq!((off(6_400), off(6_399)), (None, Some(3_601)), "ahead");
        assert_eq!((off(13_900), off(13_901)), (None, Some(-3_601)), "behind");
        assert_eq!(super::off(at(10_300), at(10_000), at(13_900), 3_600), None);
    }

    /// POOL-8: of a server that never told its time, the client's clock alone ends no package; it ends a grace period.
    #[test]
    fn a_server_that_never_told_its_time_has_passed_nothing() {
        let at = |seconds| Timestamp::new(seconds).unwrap();
        for (own, server, both, passed) in [
            (9, None, false, false),
            (10, None, false, true),
            (10, Some(9), false, false),
            (9, Some(10), false, false),
            (10, Some(10), true, true),
        ] {
            let clocks = Clocks {
                own: at(own),
                server: server.map(at),
            };
            let told = (clocks.both_passed(at(10)), clocks.passed(at(10)));
            assert_eq!(told, (both, passed), "{clocks:?}");
        }
    }
}
