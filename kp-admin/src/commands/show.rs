use std::fmt::Write as _;

use kp_core::{Ciphersuite, KeyPackageRef, PoolCounts, Role, Slot, Status};
use serde::Serialize;

use super::counts::counted;
use super::{damage, now};
use crate::failure::Failure;
use crate::pool_name::PoolName;
use crate::report::{Report, print, table};
use crate::stores::Store;

#[derive(Serialize)]
struct Shown {
    pool: String,
    counts: PoolCounts,
    records: Vec<Record>,
}

/// A record: no bytes, no id of a reservation, no party and no group.
#[derive(Serialize)]
struct Record {
    key_package_ref: KeyPackageRef,
    ciphersuite: Ciphersuite,
    role: Role,
    status: Status,
    /// `None`: it is not kept of what is spent.
    saved_at: Option<i64>,
    not_after: i64,
}

fn last_resort(slot: Slot) -> &'static str {
    match slot {
        Slot::Empty => "none",
        Slot::Unused => "unused",
        Slot::Used => "used",
    }
}

impl Report for Shown {
    fn text(&self) -> String {
        let mut text = format!("{}\n\n", self.pool);
        let suites = self.counts.ciphersuites.iter().map(|(suite, counts)| {
            let numbers = [
                counts.available,
                counts.reserved,
                counts.spent,
                counts.not_yet_valid,
                counts.expired,
            ];
            (
                *suite,
                numbers.map(u64::from),
                last_resort(counts.last_resort).to_owned(),
            )
        });
        text += &counted(suites);
        let _ = write!(text, "\n\nroom for {} more\n\n", self.counts.room);
        let head = ["ref", "suite", "status", "saved at", "not after"];
        let records = self.records.iter().map(|record| {
            let digits = hex::encode(record.key_package_ref.as_bytes());
            let start: String = digits.chars().take(16).collect();
            vec![
                start,
                record.ciphersuite.to_string(),
                status(&record.status),
                record
                    .saved_at
                    .map_or_else(|| "-".to_owned(), |seconds| seconds.to_string()),
                record.not_after.to_string(),
            ]
        });
        text + &table(&head, records)
    }
}

fn status(status: &Status) -> String {
    match status {
        Status::Available => "available".to_owned(),
        Status::NotYetValid => "not yet valid".to_owned(),
        Status::Reserved { until } => format!("reserved until {until}", until = until.get()),
        Status::LastResort { used: false } => "last resort".to_owned(),
        Status::LastResort { used: true } => "last resort, used".to_owned(),
        Status::Spent { cause, .. } => format!("spent: {cause:?}").to_lowercase(),
        Status::Expired => "expired".to_owned(),
        _ => "unknown".to_owned(),
    }
}

pub(crate) async fn run(store: &Store, PoolName(pool): PoolName, json: bool) -> Result<(), Failure> {
    let now = now();
    let damaged = |says: String| Failure::Found(format!("the pool is damaged: {says}"));
    let export = damage::export(store, &pool).await?.map_err(damaged)?;
    if export.is_empty() {
        return Err(Failure::NO_POOL);
    }
    let found = store.audit_pool(&pool).await?;
    let records = export.records().iter().map(|(record, _)| {
        let record = record.clone().settled(now);
        Record {
            status: record.status(now),
            ciphersuite: record.info.ciphersuite,
            role: record.info.role,
            saved_at: Some(record.saved_at.get()).filter(|seconds| *seconds != 0),
            not_after: record.info.lifetime.not_after().get(),
            key_package_ref: record.info.key_package_ref,
        }
    });
    let records = records.collect();
    let shown = Shown {
        counts: store.count_by_status(&pool, now).await?,
        pool: PoolName(pool).to_string(),
        records,
    };
    print(&shown, json)?;
    damage::says(&found).map_or(Ok(()), |says| Err(damaged(says)))
}
