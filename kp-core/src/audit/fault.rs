use std::collections::BTreeMap;
use std::fmt;

use crate::moving::{Consistency, Contradiction};
use crate::rules::{Kept, Record};

/// Says what is wrong with what a store keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Fault {
    /// A record cannot be read. Nothing can mend it.
    Unreadable,
    /// Records contradict the rules or each other. Bytes that are left can be dropped; nothing else can be mended.
    Record(Contradiction),
    /// The number of the pool's records is not what is kept of it ([SAVE-6](crate::contract::SAVE_6)).
    Count,
    /// The pool would give out a sequence again ([RES-2](crate::contract::RES_2)).
    Sequence,
    /// What expires would be found too late ([SWEEP-1](crate::contract::SWEEP_1)).
    Expiry,
    /// What lapses would be found too late ([TIME-2](crate::contract::TIME_2)).
    Lapse,
    /// A free KeyPackage or a last resort would not be found, or another would ([RES-2](crate::contract::RES_2)).
    Queue,
    /// A lease has no KeyPackage ([RES-1](crate::contract::RES_1)).
    StrayLease,
    /// A lease does not fit the state of its KeyPackage ([RES-1](crate::contract::RES_1)).
    Lease,
    /// A reservation leads to another KeyPackage than the one it is bound to, or to none
    /// ([RES-5](crate::contract::RES_5)).
    Binding,
    /// A fingerprint would not be found, or one that is no record's would ([SAVE-9](crate::contract::SAVE_9)).
    InitKey,
    /// The pool is not among the pools, or is and holds nothing ([READ-5](crate::contract::READ_5)).
    Listing,
    /// Something belongs to no pool.
    Orphan,
    /// An index or a trigger of the engine is missing, or an index does not hold what its table holds.
    Index,
}

impl Fault {
    /// Returns the stable name of the fault.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::Unreadable => "unreadable",
            Self::Record(Contradiction::RefTwice) => "ref_twice",
            Self::Record(Contradiction::IdBoundTwice) => "id_bound_twice",
            Self::Record(Contradiction::SlotTwice) => "slot_twice",
            Self::Record(Contradiction::RoleMismatch) => "role_mismatch",
            Self::Record(Contradiction::BytesMissing) => "bytes_missing",
            Self::Record(Contradiction::BytesLeft) => "bytes_left",
            Self::Count => "count",
            Self::Sequence => "sequence",
            Self::Expiry => "expiry",
            Self::Lapse => "lapse",
            Self::Queue => "queue",
            Self::StrayLease => "stray_lease",
            Self::Lease => "lease",
            Self::Binding => "binding",
            Self::InitKey => "init_key",
            Self::Listing => "listing",
            Self::Orphan => "orphan",
            Self::Index => "index",
        }
    }

    /// Returns whether a repair may mend the fault: what is wrong follows from the records, or is no record's.
    #[must_use]
    pub fn is_mendable(self) -> bool {
        match self {
            Self::Unreadable => false,
            Self::Record(contradiction) => contradiction == Contradiction::BytesLeft,
            _ => true,
        }
    }

    /// Returns whether a repair removes what is wrong, because it belongs to nothing. A pool that has records, and is only not
    /// listed, is listed again.
    #[must_use]
    pub fn is_removed(self) -> bool {
        matches!(self, Self::StrayLease | Self::Orphan)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unreadable => "a record cannot be read",
            Self::Record(contradiction) => return contradiction.fmt(f),
            Self::Count => "the count of records is wrong",
            Self::Sequence => "a sequence would be given out again",
            Self::Expiry => "what expires would be found too late",
            Self::Lapse => "what lapses would be found too late",
            Self::Queue => "the queue is not of the free KeyPackages",
            Self::StrayLease => "a lease has no KeyPackage",
            Self::Lease => "a lease does not fit its KeyPackage",
            Self::Binding => "a reservation leads astray",
            Self::InitKey => "a fingerprint leads astray",
            Self::Listing => "the pool is not listed as it is",
            Self::Orphan => "something belongs to no pool",
            Self::Index => "an index or a trigger is missing, or an index does not follow its table",
        })
    }
}

/// A fault, and how often it was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub struct Finding {
    /// What is wrong.
    pub fault: Fault,
    /// How many records, rows or entries are so.
    pub count: u64,
}

impl Finding {
    /// Makes a finding.
    #[must_use]
    pub fn new(fault: Fault, count: u64) -> Self {
        Self { fault, count }
    }
}

/// Finds how the records of a pool contradict the rules or each other.
pub fn contradictions<'a>(records: impl IntoIterator<Item = &'a (Record, Kept)>) -> Vec<Finding> {
    let (mut consistency, mut found) = (Consistency::default(), BTreeMap::<_, u64>::new());
    for (record, kept) in records {
        if let Err(contradiction) = consistency.take(record, kept) {
            *found.entry(Fault::Record(contradiction)).or_default() += 1;
        }
    }
    found
        .into_iter()
        .map(|(fault, count)| Finding::new(fault, count))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::State;
    use crate::server::Support;
    use crate::{Ciphersuite, CredentialHash, KeyPackageInfo, KeyPackageRef, Lifetime, Role, Timestamp};

    fn record(name: &str, role: Role, state: State) -> (Record, Kept) {
        let time = |seconds| Timestamp::new(seconds).unwrap();
        let info = KeyPackageInfo::new(
            KeyPackageRef::try_from(name).unwrap(),
            Ciphersuite(1),
            Lifetime::new(time(0), time(1_000)).unwrap(),
            CredentialHash([0; 32]),
        );
        let kept = Kept {
            bytes: state.keeps_bytes().then(|| b"bytes".as_slice().try_into().unwrap()),
            ..Kept::default()
        };
        let record = Record {
            info: info.role(role),
            sequence: 0,
            saved_at: time(0),
            state,
        };
        (record, kept)
    }

    #[test]
    fn what_is_lost_is_not_mended() {
        for lost in [
            Fault::Unreadable,
            Fault::Record(Contradiction::RefTwice),
            Fault::Record(Contradiction::BytesMissing),
        ] {
            assert!(!lost.is_mendable() && !lost.is_removed(), "{lost}");
        }
        for derived in [Fault::Record(Contradiction::BytesLeft), Fault::Count, Fault::Index] {
            assert!(derived.is_mendable() && !derived.is_removed(), "{derived}");
        }
        for stray in [Fault::Orphan, Fault::StrayLease] {
            assert!(stray.is_mendable() && stray.is_removed(), "{stray}");
        }
    }

    #[test]
    fn every_contradiction_is_counted() {
        let slot = |name| record(name, Role::LastResort, State::Slot { used: false });
        let mut records = vec![
            record("a", Role::OneTime, State::Free),
            record("b", Role::OneTime, State::Free),
            slot("c"),
        ];
        assert_eq!(contradictions(&records), []);
        records.push(record("a", Role::OneTime, State::Free));
        records.extend([slot("d"), slot("e")]);
        records[1].1.bytes = None;
        let at = Timestamp::new(1).unwrap();
        records.push(record("f", Role::OneTime, State::Retired { at }));
        records.last_mut().unwrap().1.support = Support::from_bytes(&[1, 0xf0, 1]);
        let found = contradictions(&records);
        let of = |contradiction, count| Finding::new(Fault::Record(contradiction), count);
        assert_eq!(
            found,
            [
                of(Contradiction::RefTwice, 1),
                of(Contradiction::SlotTwice, 2),
                of(Contradiction::BytesMissing, 1),
                of(Contradiction::BytesLeft, 1)
            ]
        );
    }
}
