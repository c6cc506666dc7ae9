use std::path::Path;

use kp_core::server::TakeRequest;
use kp_core::{
    Ciphersuite, CredentialHash, KeyPackage, KeyPackageBytes, KeyPackageInfo, KeyPackageRef, Lifetime, Timestamp,
};
use rusqlite::{CachedStatement, Connection, Row, params};

use crate::measure::Fallible;
use crate::measure::inputs::{self, Kind, NOW, PER_POOL};

const SCHEMA: &str = include_str!("schema.sql");
const RESERVE: &str = include_str!("reserve.sql");
const SPEND: &str = include_str!("spend.sql");

/// A connection with the settings of kp-sqlite's writer.
pub(crate) fn as_the_store(path: &Path) -> Fallible<Connection> {
    let connection = Connection::open(path)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "cache_size", -16_384)?;
    connection.pragma_update(None, "wal_autocheckpoint", 4_000)?;
    Ok(connection)
}

/// A reserve is one statement and a spend another, in one thread, with the settings of a `SqliteStore`.
pub(crate) struct SqliteFloor(Connection);

impl SqliteFloor {
    pub(crate) fn open(path: &Path) -> Fallible<Self> {
        let connection = as_the_store(path)?;
        connection.execute_batch(SCHEMA)?;
        Ok(Self(connection))
    }

    /// Full pools, whatever there was before.
    pub(crate) fn restock(&mut self, pools: u32, kind: Kind) -> Fallible<()> {
        let transaction = self.0.transaction()?;
        transaction.execute_batch("DELETE FROM packages; DELETE FROM pools;")?;
        for pool in 0..pools {
            transaction
                .prepare_cached("INSERT INTO pools (key, pool) VALUES (?, ?)")?
                .execute(params![pool, inputs::pool_id(pool)?.as_bytes()])?;
            for number in 0..PER_POOL {
                let package = inputs::package(pool, number, kind)?;
                transaction
                    .prepare_cached(
                        "INSERT INTO packages (pool, ref, suite, not_before, not_after, credential, state, bytes)
                         VALUES (?, ?, ?, ?, ?, ?, 0, ?)",
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
    pub(crate) fn cycles(&self, takes: &[TakeRequest], per_transaction: usize) -> Fallible<()> {
        let mut begin = self.0.prepare_cached("BEGIN IMMEDIATE")?;
        let mut commit = self.0.prepare_cached("COMMIT")?;
        let mut reserve = self.0.prepare_cached(RESERVE)?;
        let mut spend = self.0.prepare_cached(SPEND)?;
        for lot in takes.chunks(per_transaction) {
            begin.execute([])?;
            let refs = lot
                .iter()
                .map(|take| reserve_one(&mut reserve, take))
                .collect::<Fallible<Vec<_>>>()?;
            commit.execute([])?;
            begin.execute([])?;
            for (take, named) in lot.iter().zip(&refs) {
                spend_one(&mut spend, take, named)?;
            }
            commit.execute([])?;
        }
        Ok(())
    }
}

/// The package is made up whole, as its caller needs it.
fn reserve_one(statement: &mut CachedStatement<'_>, take: &TakeRequest) -> Fallible<KeyPackage> {
    let parameters = params![take.pool.as_bytes(), take.id.as_bytes(), NOW.get(), take.ttl.get()];
    statement.query_row(parameters, |row| Ok(package(row)))?
}

fn package(row: &Row<'_>) -> Fallible<KeyPackage> {
    let (not_before, not_after): (i64, i64) = (row.get(2)?, row.get(3)?);
    Ok(KeyPackage::new(
        KeyPackageInfo::new(
            KeyPackageRef::try_from(row.get_ref(0)?.as_blob()?)?,
            Ciphersuite(row.get(1)?),
            Lifetime::new(Timestamp::try_from(not_before)?, Timestamp::try_from(not_after)?)?,
            CredentialHash(row.get(4)?),
        ),
        KeyPackageBytes::try_from(row.get_ref(5)?.as_blob()?)?,
    ))
}

fn spend_one(statement: &mut CachedStatement<'_>, take: &TakeRequest, named: &KeyPackage) -> Fallible<()> {
    let named = named.info.key_package_ref.as_bytes();
    let parameters = params![take.pool.as_bytes(), named, take.id.as_bytes(), NOW.get()];
    match statement.execute(parameters)? {
        1 => Ok(()),
        spent => Err(format!("{spent} packages were spent, not 1").into()),
    }
}
