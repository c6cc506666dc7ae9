use std::collections::HashMap;
use std::path::Path;

use kp_core::server::TakeRequest;
use kp_core::{
    Ciphersuite, CredentialHash, KeyPackage, KeyPackageBytes, KeyPackageInfo, KeyPackageRef, Lifetime, PoolId,
    Timestamp,
};
use rusqlite::{Connection, Row, params};

use super::sqlite::as_the_store;
use crate::measure::Fallible;
use crate::measure::inputs::{self, Kind, NOW, PER_POOL};

const SCHEMA: &str = include_str!("schema.sql");
const NEXT: &str = include_str!("next.sql");
const LEASE: &str = include_str!("lease.sql");
const END: &str = include_str!("end.sql");
const SPEND: &str = include_str!("spend.sql");

/// The fewest pages: leases lie apart, and one thread, which alone writes, remembers where the queue of each pool begins.
/// With the settings of a `SqliteStore`.
pub(crate) struct SqliteApart {
    connection: Connection,
    /// Of each pool, its key, and a key below which nothing is free.
    heads: HashMap<PoolId, (i64, i64)>,
}

impl SqliteApart {
    pub(crate) fn open(path: &Path) -> Fallible<Self> {
        let connection = as_the_store(path)?;
        connection.execute_batch(SCHEMA)?;
        Ok(Self {
            connection,
            heads: HashMap::new(),
        })
    }

    /// Full pools, whatever there was before.
    pub(crate) fn restock(&mut self, pools: u32, kind: Kind) -> Fallible<()> {
        let transaction = self.connection.transaction()?;
        transaction.execute_batch("DELETE FROM leases; DELETE FROM packages; DELETE FROM pools;")?;
        for pool in 0..pools {
            let id = inputs::pool_id(pool)?;
            transaction
                .prepare_cached("INSERT INTO pools (key, pool) VALUES (?, ?)")?
                .execute(params![pool, id.as_bytes()])?;
            self.heads.insert(id, (pool.into(), 0));
            for number in 0..PER_POOL {
                let package = inputs::package(pool, number, kind)?;
                transaction
                    .prepare_cached(
                        "INSERT INTO packages (pool, ref, suite, not_before, not_after, credential, bytes)
                         VALUES (?, ?, ?, ?, ?, ?, ?)",
                    )?
                    .execute(params![
                        pool,
                        package.info.key_package_ref.as_bytes(),
                        package.info.ciphersuite.0,
                        kind.lifetime.not_before().get(),
                        kind.lifetime.not_after().get(),
                        package.info.credential.0,
                        package.bytes.as_ref(),
                    ])?;
            }
        }
        transaction.commit()?;
        Ok(())
    }

    /// Reserves and spends, so many calls a transaction: as many reserves, and then as many spends, since a spend follows
    /// an answer that is durable.
    pub(crate) fn cycles(&mut self, takes: &[TakeRequest], per_transaction: usize) -> Fallible<()> {
        let Self { connection, heads } = self;
        let mut begin = connection.prepare_cached("BEGIN IMMEDIATE")?;
        let mut commit = connection.prepare_cached("COMMIT")?;
        let mut next = connection.prepare_cached(NEXT)?;
        let mut lease = connection.prepare_cached(LEASE)?;
        let mut end = connection.prepare_cached(END)?;
        let mut spend = connection.prepare_cached(SPEND)?;
        for lot in takes.chunks(per_transaction) {
            begin.execute([])?;
            let mut leased = Vec::with_capacity(lot.len());
            for take in lot {
                let (pool, head) = heads.get_mut(&take.pool).ok_or("no such pool")?;
                let (key, package) = next.query_row(params![*pool, *head, NOW.get()], |row| Ok(read(row)))??;
                let not_after = package.info.lifetime.not_after().get();
                lease.execute(params![key, take.id.as_bytes(), NOW.get(), take.ttl.get(), not_after])?;
                *head = key + 1;
                leased.push((key, package));
            }
            commit.execute([])?;
            begin.execute([])?;
            for (take, (key, _)) in lot.iter().zip(&leased) {
                let ended = end.execute(params![key, take.id.as_bytes(), NOW.get()])?;
                let spent = spend.execute(params![key, take.id.as_bytes(), NOW.get()])?;
                if (ended, spent) != (1, 1) {
                    return Err("a package was not spent".into());
                }
            }
            commit.execute([])?;
        }
        Ok(())
    }
}

/// The package is made up whole, as its caller needs it.
fn read(row: &Row<'_>) -> Fallible<(i64, KeyPackage)> {
    let (not_before, not_after): (i64, i64) = (row.get(3)?, row.get(4)?);
    let info = KeyPackageInfo::new(
        KeyPackageRef::try_from(row.get_ref(1)?.as_blob()?)?,
        Ciphersuite(row.get(2)?),
        Lifetime::new(Timestamp::try_from(not_before)?, Timestamp::try_from(not_after)?)?,
        CredentialHash(row.get(5)?),
    );
    let bytes = KeyPackageBytes::try_from(row.get_ref(6)?.as_blob()?)?;
    Ok((row.get(0)?, KeyPackage::new(info, bytes)))
}
