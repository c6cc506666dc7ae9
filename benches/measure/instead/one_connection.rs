use std::path::Path;

use async_trait::async_trait;
use kp_core::server::{Receipt, ReservationToken, SaveOutcome, Spend};
use kp_core::{KeyPackage, PoolId, Rejection, Timestamp, Ttl};
use rusqlite::{Connection, OptionalExtension as _, params};
use tokio::sync::Mutex;

use super::adapted::failed;
use super::peer::Peer;
use super::record;
use crate::measure::Fallible;
use crate::measure::floor::sqlite::as_the_store;

/// Its own table.
const TABLES: &str = "
    CREATE TABLE IF NOT EXISTS keypackages (
        keypackage_ref BLOB NOT NULL, username BLOB NOT NULL, keypackage_bytes BLOB NOT NULL, uploaded_at INTEGER NOT NULL,
        status TEXT NOT NULL DEFAULT 'available', reservation_id TEXT UNIQUE, reservation_expires_at INTEGER, reserved_by TEXT,
        spent_at INTEGER, spent_by BLOB, group_id BLOB, not_after INTEGER NOT NULL, credential_hash BLOB, ciphersuite INTEGER,
        PRIMARY KEY (username, keypackage_ref)
    );
    CREATE INDEX IF NOT EXISTS by_status ON keypackages (username, status);
    CREATE INDEX IF NOT EXISTS by_expiry ON keypackages (username, not_after);";

const SAVE: &str = "
    INSERT INTO keypackages (username, keypackage_ref, keypackage_bytes, uploaded_at, not_after, credential_hash, ciphersuite)
    VALUES (?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT DO NOTHING";

const FIND: &str = "
    SELECT keypackage_ref, keypackage_bytes FROM keypackages
    WHERE username = ?1 AND not_after > ?2
      AND (status = 'available' OR (status = 'reserved' AND reservation_expires_at <= ?2))
    ORDER BY uploaded_at LIMIT 1";

const RESERVE: &str = "
    UPDATE keypackages SET status = 'reserved', reservation_id = hex(randomblob(16)), reservation_expires_at = ?3
    WHERE username = ?1 AND keypackage_ref = ?2";

/// The primary key begins with the name, so both of these read the whole table.
const STATUS: &str = "SELECT status FROM keypackages WHERE keypackage_ref = ?";
const SPEND: &str = "
    UPDATE keypackages SET status = 'spent', spent_at = ?2, spent_by = ?3, group_id = ?4
    WHERE keypackage_ref = ?1";

/// The store that this project began from, as its documents tell it, with the settings of the file that ours has.
pub(super) struct OneConnection(Mutex<Connection>);

impl OneConnection {
    pub(super) fn open(path: &Path) -> Fallible<Self> {
        let connection = as_the_store(path)?;
        connection.execute_batch(TABLES)?;
        Ok(Self(Mutex::new(connection)))
    }
}

#[async_trait]
impl Peer for OneConnection {
    const HAS_LAST_RESORT: bool = false;
    const HAS_LEASES: bool = true;

    async fn save(&self, pool: &PoolId, packages: &[&KeyPackage], now: Timestamp) -> Fallible<Vec<SaveOutcome>> {
        let mut connection = self.0.lock().await;
        let transaction = connection.transaction()?;
        let mut outcomes = Vec::new();
        for package in packages {
            let info = &package.info;
            let is_new = transaction.prepare_cached(SAVE)?.execute(params![
                pool.as_bytes(),
                info.key_package_ref.as_bytes(),
                record::write(package),
                now.get(),
                info.lifetime.not_after().get(),
                info.credential.0,
                info.ciphersuite.0,
            ])?;
            outcomes.push([SaveOutcome::AlreadyStored, SaveOutcome::Saved][is_new]);
        }
        transaction.commit()?;
        Ok(outcomes)
    }

    async fn reserve(&self, pool: &PoolId, ttl: Ttl, now: Timestamp) -> Fallible<Option<(KeyPackage, Timestamp)>> {
        let connection = self.0.lock().await;
        let mut find = connection.prepare_cached(FIND)?;
        let found = find.query_row(params![pool.as_bytes(), now.get()], |row| {
            Ok((row.get::<_, Vec<u8>>(0)?, row.get::<_, Vec<u8>>(1)?))
        });
        let Some((named, package)) = found.optional()? else {
            return Ok(None);
        };
        let ends = now.after(ttl);
        let mut reserve = connection.prepare_cached(RESERVE)?;
        reserve.execute(params![pool.as_bytes(), named, ends.get()])?;
        Ok(Some((record::read(&package)?, ends)))
    }

    async fn spend(&self, token: &ReservationToken, usage: &Spend, now: Timestamp) -> kp_core::Result<Receipt> {
        let connection = self.0.lock().await;
        let named = token.key_package_ref.as_bytes();
        let status = connection.prepare_cached(STATUS).map_err(failed)?;
        let status = { status }.query_row([named], |row| row.get::<_, String>(0)).optional();
        match status.map_err(failed)?.as_deref() {
            Some("reserved") => {}
            Some("spent") => return Err(Rejection::AlreadySpent.into()),
            Some(_) => return Err(Rejection::NoLiveReservation.into()),
            None => return Err(Rejection::NotFound.into()),
        }
        let by = usage.by.as_ref().map(|by| by.as_bytes());
        let group = usage.group.as_ref().map(|group| group.as_bytes());
        let mut spend = connection.prepare_cached(SPEND).map_err(failed)?;
        spend.execute(params![named, now.get(), by, group]).map_err(failed)?;
        Ok(Receipt::new(token.key_package_ref.clone(), now))
    }

    async fn clear(&self, pool: &PoolId) -> Fallible<()> {
        let connection = self.0.lock().await;
        connection.execute("DELETE FROM keypackages WHERE username = ?", [pool.as_bytes()])?;
        Ok(())
    }
}
