//! Exports of pools as bytes: what is read back, what is refused, and that nothing panics.

#![allow(clippy::unwrap_used, reason = "what a test stands on may panic")]

use kp_core::moving::{Contradiction, InvalidPoolExport, PoolExport};
use kp_core::rules::{Kept, LeaseRecord, Record, State};
use kp_core::server::{Admitted, InitKeyFingerprint, OnLapse};
use kp_core::{
    Ciphersuite, CredentialHash, KeyPackage, KeyPackageBytes, KeyPackageInfo, KeyPackageRef, Lifetime, ReservationId,
    Role, Timestamp,
};
use proptest::prelude::*;

fn record(n: u8, state: State) -> (Record, Kept) {
    let lifetime = Lifetime::new(Timestamp::MIN, Timestamp::MAX).unwrap();
    let key_package_ref = KeyPackageRef::try_from([n].as_slice()).unwrap();
    let role = Role::of(matches!(state, State::Slot { .. } | State::Replaced { .. }));
    let info = KeyPackageInfo::new(key_package_ref, Ciphersuite(1), lifetime, CredentialHash([n; 32])).role(role);
    let bytes = KeyPackageBytes::try_from(b"the secret bytes".as_slice()).unwrap();
    let item = Admitted::new(KeyPackage::new(info.clone(), bytes)).fingerprint(InitKeyFingerprint::from_bytes([n; 8]));
    let mut kept = Kept::of(&item);
    kept.bytes = kept.bytes.filter(|_| state.keeps_bytes());
    let record = Record {
        info,
        sequence: n.into(),
        saved_at: Timestamp::MIN,
        state,
    };
    (record, kept)
}

fn leased(n: u8, id: u8) -> (Record, Kept) {
    let lease = LeaseRecord {
        id: ReservationId::from_bytes([id; 16]),
        by: None,
        expires_at: Timestamp::MAX,
        on_lapse: OnLapse::Retire,
        recalled: None,
    };
    record(n, State::Reserved(lease))
}

fn export() -> PoolExport {
    let at = Timestamp::MAX;
    PoolExport::new([
        record(9, State::Free),
        leased(3, 77),
        record(1, State::Slot { used: true }),
        record(2, State::Replaced { at }),
        record(4, State::Withdrawn { at }),
    ])
    .unwrap()
}

/// The checksum of the form, as another program would make it.
fn summed(mut bytes: Vec<u8>) -> Vec<u8> {
    let end = bytes.len().saturating_sub(8);
    bytes.truncate(end);
    let sum = bytes.iter().fold(0xcbf2_9ce4_8422_2325_u64, |sum, byte| {
        (sum ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    });
    bytes.extend(sum.to_be_bytes());
    bytes
}

#[test]
fn an_export_is_read_as_it_was_written() {
    let export = export();
    assert_eq!(PoolExport::from_bytes(&export.to_bytes()), Ok(export));
    let empty = PoolExport::default();
    assert_eq!(PoolExport::from_bytes(&empty.to_bytes()), Ok(empty));
}

#[test]
fn records_are_in_the_order_of_their_sequences_and_counted_anew() {
    let export = export();
    let order = export
        .records()
        .iter()
        .map(|(record, _)| (record.sequence, record.info.key_package_ref.as_bytes()[0]));
    assert_eq!(order.collect::<Vec<_>>(), [(0, 2), (1, 4), (2, 1), (3, 3), (4, 9)]);
}

#[test]
fn what_is_no_export_is_refused_with_its_reason() {
    let bytes = export().to_bytes();
    let refused = |bytes: &[u8]| PoolExport::from_bytes(bytes).unwrap_err();
    assert_eq!(refused(b""), InvalidPoolExport::NotAnExport);
    assert_eq!(refused(b"kp-pool"), InvalidPoolExport::Damaged);
    assert_eq!(refused(&bytes[..bytes.len() - 1]), InvalidPoolExport::Damaged);
    let mut newer = bytes;
    newer[7] = 2;
    assert_eq!(refused(&newer), InvalidPoolExport::NewerForm { found: 2 });
}

#[test]
fn records_that_contradict_each_other_are_no_pool() {
    let slot = || State::Slot { used: false };
    let mut one_time_in_a_slot = record(1, State::Free);
    one_time_in_a_slot.0.state = slot();
    let mut without_bytes = record(1, State::Free);
    without_bytes.1.bytes = None;
    let mut with_bytes = record(1, State::Free);
    with_bytes.0.state = State::Retired { at: Timestamp::MAX };
    for (records, contradiction) in [
        (
            vec![record(1, State::Free), record(1, State::Free)],
            Contradiction::RefTwice,
        ),
        (vec![leased(1, 7), leased(2, 7)], Contradiction::IdBoundTwice),
        (vec![record(1, slot()), record(2, slot())], Contradiction::SlotTwice),
        (vec![one_time_in_a_slot], Contradiction::RoleMismatch),
        (vec![without_bytes], Contradiction::BytesMissing),
        (vec![with_bytes], Contradiction::BytesLeft),
    ] {
        assert_eq!(PoolExport::new(records), Err(contradiction));
    }
}

#[test]
fn no_secret_is_shown() {
    let shown = format!("{:?}", export());
    assert_eq!(shown, "PoolExport { records: 5, .. }");
}

proptest! {
    #[test]
    fn hostile_bytes_are_an_error_or_a_pool(mut changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4)) {
        let mut bytes = export().to_bytes();
        for (at, byte) in changes.drain(..) {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if let Ok(read) = PoolExport::from_bytes(&summed(bytes)) {
            prop_assert_eq!(PoolExport::from_bytes(&read.to_bytes()), Ok(read));
        }
    }
}
