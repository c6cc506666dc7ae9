//! Reads the replies of the scripts.

use std::collections::BTreeMap;

use kp_core::server::{
    Cursor, Lease, Page, ReadyKeyPackage, Receipt, Reservation, ReservationToken, SaveOutcome, StoredKeyPackage,
    TakeRequest, WithdrawOutcome,
};
use kp_core::{
    Cause, Ciphersuite, Counts, CredentialHash, KeyPackage, KeyPackageBytes, KeyPackageInfo, KeyPackageRef, Lifetime,
    PoolId, Rejection, Role, Slot, Status, Timestamp,
};
use redis::Value;

use crate::link::error::Malformed;

pub(crate) type Read<T> = Result<T, Malformed>;

/// The reply to one item of a call.
pub(crate) enum Item {
    /// The item succeeded; the fields are those that the script's header names.
    Ok(Fields),
    Rejected(Rejection),
    Unreadable,
}

/// The elements of an array that are not yet read, in order.
pub(crate) struct Fields(std::vec::IntoIter<Value>);

impl Fields {
    pub(crate) fn of(value: Value) -> Read<Self> {
        match value {
            Value::Array(values) => Ok(Self(values.into_iter())),
            _ => Err(Malformed("no array")),
        }
    }

    pub(crate) fn next(&mut self) -> Read<Value> {
        self.0.next().ok_or(Malformed("too short"))
    }

    /// Reads a field that may be nil, or absent at the end.
    fn next_if_any(&mut self) -> Option<Value> {
        self.0.next().filter(|value| *value != Value::Nil)
    }

    pub(crate) fn rest(self) -> impl Iterator<Item = Value> {
        self.0
    }

    pub(crate) fn integer(&mut self) -> Read<i64> {
        integer(&self.next()?)
    }

    pub(crate) fn bytes(&mut self) -> Read<Vec<u8>> {
        bytes(self.next()?)
    }

    pub(crate) fn text(&mut self) -> Read<String> {
        text(self.next()?)
    }

    pub(crate) fn time(&mut self) -> Read<Timestamp> {
        time(&self.next()?)
    }
}

pub(crate) fn integer(value: &Value) -> Read<i64> {
    match value {
        Value::Int(number) => Ok(*number),
        _ => Err(Malformed("no integer")),
    }
}

pub(crate) fn count<T: TryFrom<i64>>(value: &Value) -> Read<T> {
    integer(value)?.try_into().map_err(|_| Malformed("an impossible count"))
}

fn bytes(value: Value) -> Read<Vec<u8>> {
    match value {
        Value::BulkString(bytes) => Ok(bytes),
        Value::SimpleString(text) => Ok(text.into_bytes()),
        _ => Err(Malformed("no text")),
    }
}

fn text(value: Value) -> Read<String> {
    String::from_utf8(bytes(value)?).map_err(|_| Malformed("no text"))
}

fn time(value: &Value) -> Read<Timestamp> {
    Timestamp::new(integer(value)?).ok_or(Malformed("an impossible time"))
}

fn reference(bytes: Vec<u8>) -> Read<KeyPackageRef> {
    bytes.try_into().map_err(|_| Malformed("an impossible ref"))
}

/// Reads one item by its tag: `pool.lua` lists the tags.
pub(crate) fn item(value: Value) -> Read<Item> {
    let mut fields = Fields::of(value)?;
    Ok(match fields.text()?.as_str() {
        "ok" => Item::Ok(fields),
        "no" => {
            let code = fields.text()?;
            let rejection = Rejection::ALL.iter().find(|rejection| rejection.code() == code);
            Item::Rejected(*rejection.ok_or(Malformed("an unknown rejection"))?)
        }
        "unreadable" => Item::Unreadable,
        _ => return Err(Malformed("an unknown tag")),
    })
}

/// Reads facts: ref, ciphersuite, not_before, not_after, last resort, credential.
pub(crate) fn info(fields: &mut Fields) -> Read<KeyPackageInfo> {
    let key_package_ref = reference(fields.bytes()?)?;
    let ciphersuite = Ciphersuite(count(&fields.next()?)?);
    let (not_before, not_after) = (fields.time()?, fields.time()?);
    let lifetime = Lifetime::new(not_before, not_after).map_err(|_| Malformed("an impossible lifetime"))?;
    let role = Role::of(fields.integer()? == 1);
    let credential = fields.bytes()?.try_into();
    let credential = CredentialHash(credential.map_err(|_| Malformed("an impossible credential"))?);
    Ok(KeyPackageInfo::new(key_package_ref, ciphersuite, lifetime, credential).role(role))
}

fn package_bytes(value: Value) -> Read<KeyPackageBytes> {
    bytes(value)?.try_into().map_err(|_| Malformed("an impossible package"))
}

/// Reads the state and the head of a record, as `pool.lua` describes them.
fn head(key_package_ref: KeyPackageRef, record: &[u8]) -> Read<KeyPackageInfo> {
    let cut = || Malformed("a record is cut off");
    let (&[state, _mark, high, low], rest) = record.split_first_chunk().ok_or_else(cut)?;
    let (not_before, rest) = rest.split_first_chunk().ok_or_else(cut)?;
    let (not_after, rest) = rest.split_first_chunk().ok_or_else(cut)?;
    let credential = CredentialHash(*rest.first_chunk().ok_or_else(cut)?);
    let lifetime = Lifetime::new(moment(*not_before)?, moment(*not_after)?);
    let lifetime = lifetime.map_err(|_| Malformed("an impossible lifetime"))?;
    let ciphersuite = Ciphersuite(u16::from_be_bytes([high, low]));
    let role = Role::of(state == b'S');
    Ok(KeyPackageInfo::new(key_package_ref, ciphersuite, lifetime, credential).role(role))
}

fn moment([a, b, c, d, e, f, g]: [u8; 7]) -> Read<Timestamp> {
    time(&Value::Int(i64::from_be_bytes([0, a, b, c, d, e, f, g])))
}

/// Reads an answer of `claim.lua`: a ref, its record, and how many bytes of it lie before the package.
pub(crate) fn package(fields: &mut Fields) -> Read<KeyPackage> {
    let (key_package_ref, mut record) = (reference(fields.bytes()?)?, fields.bytes()?);
    let info = head(key_package_ref, &record)?;
    let before: usize = count(&fields.next()?)?;
    if before > record.len() {
        return Err(Malformed("an impossible package"));
    }
    record.drain(..before);
    Ok(KeyPackage::new(info, package_bytes(Value::BulkString(record))?))
}

/// Reads an answer of `reserve.lua`.
pub(crate) fn reserved(take: &TakeRequest, mut fields: Fields) -> Read<Reservation> {
    let package = package(&mut fields)?;
    let lease = match fields.next_if_any() {
        None => None,
        Some(expires_at) => {
            let token = ReservationToken::new(take.pool.clone(), package.info.key_package_ref.clone(), take.id);
            Some(Lease::new(token, time(&expires_at)?))
        }
    };
    Ok(Reservation::new(package, lease))
}

/// Reads an answer of `spend.lua`.
pub(crate) fn receipt(token: &ReservationToken, mut fields: Fields) -> Read<Receipt> {
    Ok(Receipt::new(token.key_package_ref.clone(), fields.time()?))
}

/// Reads an answer of `renew.lua`.
pub(crate) fn lease(token: &ReservationToken, mut fields: Fields) -> Read<Lease> {
    Ok(Lease::new(token.clone(), fields.time()?))
}

/// Reads an answer of `get.lua` that was asked for the status alone.
pub(crate) fn status(fields: &mut Fields) -> Read<Status> {
    let mut status = Fields::of(fields.next()?)?;
    Ok(match status.text()?.as_str() {
        "available" => Status::Available,
        "not_yet_valid" => Status::NotYetValid,
        "reserved" => Status::Reserved { until: status.time()? },
        "spent" => Status::Spent {
            at: status.time()?,
            cause: cause(&status.text()?)?,
        },
        "expired" => Status::Expired,
        "last_resort" => Status::LastResort {
            used: status.integer()? == 1,
        },
        _ => return Err(Malformed("an unknown status")),
    })
}

/// Reads an answer of `get.lua` that was asked for the whole package.
pub(crate) fn stored(mut fields: Fields) -> Read<StoredKeyPackage> {
    let status = status(&mut fields)?;
    let info = info(&mut Fields::of(fields.next()?)?)?;
    let bytes = fields.next_if_any().map(package_bytes).transpose()?;
    Ok(StoredKeyPackage::new(info, status, bytes))
}

fn cause(name: &str) -> Read<Cause> {
    Ok(match name {
        "used" => Cause::Used,
        "retired" => Cause::Retired,
        "withdrawn" => Cause::Withdrawn,
        "replaced" => Cause::Replaced,
        _ => return Err(Malformed("an unknown cause")),
    })
}

/// Reads an answer of `save.lua`.
pub(crate) fn save_outcome(mut fields: Fields) -> Read<SaveOutcome> {
    Ok(match fields.text()?.as_str() {
        "saved" => SaveOutcome::Saved,
        "already_stored" => SaveOutcome::AlreadyStored,
        "already_spent" => SaveOutcome::AlreadySpent,
        "expired" => SaveOutcome::Expired,
        "not_yet_valid" => SaveOutcome::NotYetValid,
        "pool_full" => SaveOutcome::PoolFull,
        "ref_conflict" => SaveOutcome::RefConflict,
        "init_key_reused" => SaveOutcome::InitKeyReused,
        _ => return Err(Malformed("an unknown outcome")),
    })
}

/// Reads an answer of `withdraw.lua`.
pub(crate) fn withdrawn(mut fields: Fields) -> Read<(KeyPackageRef, WithdrawOutcome)> {
    let key_package_ref = reference(fields.bytes()?)?;
    let outcome = match fields.text()?.as_str() {
        "withdrawn" => WithdrawOutcome::Withdrawn,
        "already_spent" => WithdrawOutcome::AlreadySpent,
        "not_found" => WithdrawOutcome::NotFound,
        _ => return Err(Malformed("an unknown answer")),
    };
    Ok((key_package_ref, outcome))
}

/// Reads the reply of `count.lua`.
pub(crate) fn counts(value: Value) -> Read<BTreeMap<Ciphersuite, Counts>> {
    Fields::of(value)?
        .rest()
        .map(|suite| {
            let mut fields = Fields::of(suite)?;
            let ciphersuite = Ciphersuite(count(&fields.next()?)?);
            let mut counts = Counts::default();
            counts.available = count(&fields.next()?)?;
            counts.reserved = count(&fields.next()?)?;
            counts.spent = count(&fields.next()?)?;
            counts.not_yet_valid = count(&fields.next()?)?;
            counts.expired = count(&fields.next()?)?;
            counts.last_resort = match fields.integer()? {
                -1 => Slot::Empty,
                used => Slot::of(used == 1),
            };
            counts.recalled = count(&fields.next()?)?;
            counts.spent_last_resorts = count(&fields.next()?)?;
            Ok((ciphersuite, counts))
        })
        .collect()
}

/// Reads the reply of `available.lua`.
pub(crate) fn available(value: Value) -> Read<Page<KeyPackageInfo>> {
    let mut fields = Fields::of(value)?;
    let more = fields.integer()? == 1;
    let last = count(&fields.next()?)?;
    let items = fields
        .rest()
        .map(|facts| info(&mut Fields::of(facts)?))
        .collect::<Read<_>>()?;
    Ok(Page::new(items, more.then(|| Cursor::after_sequence(last))))
}

/// Where a cleanup is in its pass over a pool: handed from one step to the next, and read by the script alone.
pub(crate) struct Pass(pub(crate) Vec<Vec<u8>>);

impl Pass {
    pub(crate) fn begin() -> Self {
        Self(vec![b"0".to_vec()])
    }

    /// Returns whether the next step would be the first of a pass.
    pub(crate) fn has_ended(&self) -> bool {
        self.0.first().is_some_and(|cursor| cursor == b"0")
    }
}

/// Reads the reply of `cleanup.lua`: how many records were forgotten, whether the pool is still due, and the pass.
pub(crate) fn cleaned(value: Value) -> Read<(u64, bool, Pass)> {
    let mut fields = Fields::of(value)?;
    let forgotten = count(&fields.next()?)?;
    let still_due = fields.integer()? == 1;
    let field = |value| match value {
        Value::Int(number) => Ok(number.to_string().into_bytes()),
        value => bytes(value),
    };
    Ok((
        forgotten,
        still_due,
        Pass(fields.rest().map(field).collect::<Read<_>>()?),
    ))
}

/// Reads the reply of `ready.lua`.
pub(crate) fn ready(value: Value) -> Read<Vec<ReadyKeyPackage>> {
    let ready = |package| {
        let mut fields = Fields::of(package)?;
        Ok(ReadyKeyPackage::new(info(&mut fields)?, fields.time()?))
    };
    Fields::of(value)?.rest().map(ready).collect()
}

/// Reads pools of an index.
pub(crate) fn pools(value: Value) -> Read<Vec<PoolId>> {
    let pool = |value| bytes(value)?.try_into().map_err(|_| Malformed("an impossible pool"));
    Fields::of(value)?.rest().map(pool).collect()
}

/// Reads keys.
pub(crate) fn keys(value: Value) -> Read<Vec<Vec<u8>>> {
    Fields::of(value)?.rest().map(bytes).collect()
}

/// Reads the reply of SCAN: where to go on, and the keys.
pub(crate) fn scanned(value: Value) -> Read<(String, Vec<Vec<u8>>)> {
    let mut fields = Fields::of(value)?;
    Ok((fields.text()?, keys(fields.next()?)?))
}
