//! Moves whole pools: `export.lua` and `import.lua`, and how a record lies in their replies and arguments.

use async_trait::async_trait;
use kp_core::moving::{ImportRejection, MovePools, PoolExport};
use kp_core::rules::{Kept, LeaseRecord, Recall, Record, Spent, State, Window};
use kp_core::server::{InitKeyFingerprint, OnLapse, Support};
use kp_core::{Effect, Error, PoolId, ReservationId, Result, Timestamp};

use crate::link::error::{Malformed, failed, malformed};
use crate::pools::replies::{self, Fields, Read};
use crate::pools::requests::{Arguments, facts, number, optional, text, time};
use crate::pools::store::RedisStore;
use crate::pools::{batch, scripts};

#[async_trait]
impl MovePools for RedisStore {
    async fn export_pool(&self, pool: &PoolId) -> Result<PoolExport> {
        let script = &scripts::EXPORT;
        let reply = self.runner().run(script, pool, Timestamp::MIN, Vec::new()).await?;
        let records = batch::answer_all(script, reply, exported)?;
        let export = PoolExport::new(records);
        Ok(export.map_err(|why| failed(script.operation, Effect::NotApplied, why))?)
    }

    async fn import_pool(&self, pool: &PoolId, export: &PoolExport) -> Result<(), Error<ImportRejection>> {
        // MOVE-2: it makes no pool.
        if export.is_empty() {
            return Ok(());
        }
        let script = &scripts::IMPORT;
        let arguments = export
            .records()
            .iter()
            .flat_map(|(record, kept)| arguments(record, kept));
        let reply = self
            .runner()
            .run(script, pool, Timestamp::MIN, arguments.collect())
            .await?;
        match replies::integer(&reply) {
            Ok(0) => Err(Error::Rejected(ImportRejection::PoolNotEmpty)),
            Ok(_) => Ok(()),
            Err(source) => Err(malformed(script, source).into()),
        }
    }
}

/// Reads a record as `export.lua` replies it.
pub(crate) fn exported(mut fields: Fields) -> Read<(Record, Kept)> {
    let info = replies::info(&mut fields)?;
    let state = fields.text()?;
    let (saved_at, at, ends_at) = (fields.time()?, fields.time()?, fields.time()?);
    let id = fields.bytes()?;
    let id = || {
        Ok(ReservationId::from_bytes(
            id.as_slice().try_into().map_err(|_| Malformed("an impossible id"))?,
        ))
    };
    let (by, group, reserver) = (given(&mut fields)?, given(&mut fields)?, given(&mut fields)?);
    let (marked, half) = (fields.integer()? == 1, fields.integer()?);
    let state = match state.as_str() {
        "F" => State::Free,
        "S" => State::Slot { used: marked },
        "R" => State::Reserved(LeaseRecord {
            id: id()?,
            by,
            expires_at: ends_at,
            on_lapse: if marked { OnLapse::Retire } else { OnLapse::Return },
            recalled: match half {
                0 => None,
                1 => Some(Recall::Retired),
                _ => Some(Recall::Withdrawn),
            },
        }),
        "U" => State::Used(Spent {
            at,
            id: id()?,
            bound: marked,
            group,
            by,
            window: (half > 0).then_some(Window {
                expires_at: ends_at,
                reserver,
                replayable: half > 1,
            }),
        }),
        "T" => State::Retired { at },
        "P" => State::Replaced { at },
        "W" => State::Withdrawn { at },
        _ => return Err(Malformed("an unknown state")),
    };
    let mut kept = Kept::default();
    kept.bytes = given(&mut fields)?;
    let support = fields.bytes()?;
    kept.support = match support.as_slice() {
        [] => None,
        types => Some(Support::from_bytes(types).ok_or(Malformed("an impossible support"))?),
    };
    let fingerprint = fields.bytes()?;
    kept.fingerprint = match fingerprint.as_slice() {
        [] => None,
        hash => {
            let hash = hash.try_into().map_err(|_| Malformed("an impossible fingerprint"))?;
            Some(InitKeyFingerprint::from_bytes(hash))
        }
    };
    let sequence = u64::try_from(fields.integer()?).map_err(|_| Malformed("an impossible sequence"))?;
    let record = Record {
        info,
        sequence,
        saved_at,
        state,
    };
    Ok((record, kept))
}

/// Reads a value that is empty when it was not given.
fn given<T: TryFrom<Vec<u8>>>(fields: &mut Fields) -> Read<Option<T>> {
    let bytes = fields.bytes()?;
    if bytes.is_empty() {
        return Ok(None);
    }
    bytes.try_into().map(Some).map_err(|_| Malformed("an impossible value"))
}

/// What a state keeps, as `import.lua` takes it.
struct Kind<'a> {
    state: &'static str,
    at: Timestamp,
    ends_at: Timestamp,
    id: Option<&'a ReservationId>,
    by: Option<&'a [u8]>,
    group: Option<&'a [u8]>,
    reserver: Option<&'a [u8]>,
    marked: bool,
    half: u8,
}

impl<'a> Kind<'a> {
    fn of(state: &'a State) -> Self {
        let ended = |state, at: &Timestamp| Self::at(state, *at);
        match state {
            State::Free => Self::at("F", Timestamp::MIN),
            State::Slot { used } => Self {
                marked: *used,
                ..Self::at("S", Timestamp::MIN)
            },
            State::Reserved(lease) => Self {
                ends_at: lease.expires_at,
                id: Some(&lease.id),
                by: lease.by.as_ref().map(AsRef::as_ref),
                marked: lease.on_lapse == OnLapse::Retire,
                half: match lease.recalled {
                    None => 0,
                    Some(Recall::Retired) => 1,
                    Some(Recall::Withdrawn) => 2,
                },
                ..Self::at("R", Timestamp::MIN)
            },
            State::Used(spent) => Self {
                ends_at: spent.window.as_ref().map_or(Timestamp::MIN, |window| window.expires_at),
                id: Some(&spent.id),
                by: spent.by.as_ref().map(AsRef::as_ref),
                group: spent.group.as_ref().map(AsRef::as_ref),
                reserver: state.reserver().map(AsRef::as_ref),
                marked: spent.bound,
                half: spent
                    .window
                    .as_ref()
                    .map_or(0, |window| 1 + u8::from(window.replayable)),
                ..Self::at("U", spent.at)
            },
            State::Retired { at } => ended("T", at),
            State::Withdrawn { at } => ended("W", at),
            State::Replaced { at } => ended("P", at),
        }
    }

    fn at(state: &'static str, at: Timestamp) -> Self {
        Self {
            state,
            at,
            ends_at: Timestamp::MIN,
            id: None,
            by: None,
            group: None,
            reserver: None,
            marked: false,
            half: 0,
        }
    }
}

fn arguments(record: &Record, kept: &Kept) -> Arguments {
    let kind = Kind::of(&record.state);
    let mut arguments = facts(&record.info);
    arguments.extend([
        text(kind.state),
        time(record.saved_at),
        time(kind.at),
        time(kind.ends_at),
        optional(kind.id.map(ReservationId::as_bytes)),
        optional(kind.by.as_ref()),
        optional(kind.group.as_ref()),
        optional(kind.reserver.as_ref()),
        number(u8::from(kind.marked)),
        number(kind.half),
        optional(kept.bytes.as_ref()),
        optional(kept.support.as_ref().map(Support::as_bytes).as_ref()),
        optional(kept.fingerprint.as_ref().map(InitKeyFingerprint::as_bytes)),
    ]);
    arguments
}
