//! Packs the leases and the record of a client into one value each. Numbers are big-endian.

use kp_core::Timestamp;
use kp_core::client::{LeaseHolder, LeaseName, PoolRecord, StorageLease};

use crate::link::error::Unreadable;

/// The field of the record.
pub(crate) const RECORD: &[u8] = b"record";

/// The first byte of a record, so that an empty record is not taken for none.
const VERSION: u8 = 1;

/// Names the field of a lease.
pub(crate) fn lease_field(name: LeaseName) -> Vec<u8> {
    format!("lease:{}", name.as_str()).into_bytes()
}

/// Encodes a lease. The fence comes first: `apply.lua` compares the value's first bytes with a fence.
pub(crate) fn encode_lease(lease: &StorageLease) -> Vec<u8> {
    let times = [lease.since, lease.until].map(|time| time.get().to_be_bytes());
    let fence = lease.fence.to_be_bytes();
    [fence.as_slice(), lease.holder.as_bytes(), times.as_flattened()].concat()
}

/// Decodes a lease.
pub(crate) fn decode_lease(value: &[u8]) -> Result<StorageLease, Unreadable> {
    parse_lease(value).ok_or(Unreadable)
}

fn parse_lease(value: &[u8]) -> Option<StorageLease> {
    let (fence, rest) = value.split_first_chunk()?;
    let (holder, rest) = rest.split_first_chunk()?;
    let (since, until) = rest.split_first_chunk()?;
    let time = |bytes| Timestamp::new(i64::from_be_bytes(bytes));
    Some(StorageLease {
        holder: LeaseHolder::from_bytes(*holder),
        fence: u64::from_be_bytes(*fence),
        since: time(*since)?,
        until: time(until.try_into().ok()?)?,
    })
}

/// Encodes a record: its version, then each number after its key.
pub(crate) fn encode_record(record: &PoolRecord) -> Vec<u8> {
    let mut value = vec![VERSION];
    for (key, number) in record.numbers() {
        value.extend(key.to_be_bytes());
        value.extend(number.to_be_bytes());
    }
    value
}

/// Decodes a record.
pub(crate) fn decode_record(value: &[u8]) -> Result<PoolRecord, Unreadable> {
    parse_record(value).ok_or(Unreadable)
}

fn parse_record(value: &[u8]) -> Option<PoolRecord> {
    let mut rest = value.strip_prefix(&[VERSION])?;
    let mut numbers = Vec::new();
    while let Some((key, after)) = rest.split_first_chunk() {
        let (number, after) = after.split_first_chunk()?;
        numbers.push((u32::from_be_bytes(*key), i64::from_be_bytes(*number)));
        rest = after;
    }
    if rest.is_empty() {
        PoolRecord::from_numbers(numbers)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use kp_core::client::Wait;
    use kp_core::{Ciphersuite, Role, Ttl};

    use super::*;

    #[test]
    fn whatever_is_cut_off_or_added_is_damage() {
        let holder = LeaseHolder::from_bytes([7; 16]);
        let lease = StorageLease::grant(None, holder, Ttl::seconds(60).unwrap(), Timestamp::MAX).unwrap();
        let value = encode_lease(&lease);
        assert_eq!(decode_lease(&value).unwrap(), lease);
        let mut record = PoolRecord::default();
        let wait = Wait::new(Timestamp::MAX, 60);
        record.waits.insert((Ciphersuite(1), Role::OneTime), wait);
        let packed = encode_record(&record);
        assert_eq!(decode_record(&packed).unwrap(), record);
        assert_eq!(
            decode_record(&encode_record(&PoolRecord::default())).unwrap(),
            PoolRecord::default()
        );
        for length in 0..value.len() {
            assert!(decode_lease(&value[..length]).is_err());
        }
        // A record of no numbers is one.
        for length in (0..packed.len()).filter(|length| *length != 1) {
            assert!(decode_record(&packed[..length]).is_err());
        }
        assert!(decode_lease(&[value.as_slice(), b"\0"].concat()).is_err());
        assert!(decode_record(&[packed.as_slice(), b"\0"].concat()).is_err());
    }
}
