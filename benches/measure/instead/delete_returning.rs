use std::collections::HashMap;

use async_trait::async_trait;
use deadpool_postgres::Pool;
use kp_core::server::SaveOutcome;
use kp_core::{KeyPackage, PoolId, Role, Timestamp};

use super::peer::Peer;
use super::{postgres, record};
use crate::measure::Fallible;

const TABLES: &str = "
    CREATE TABLE keys (
        pool bytea, ref bytea, added_at bigint NOT NULL, package bytea NOT NULL, PRIMARY KEY (pool, ref)
    );
    CREATE INDEX ON keys (pool, added_at, ref);
    CREATE TABLE fallback_keys (pool bytea PRIMARY KEY, package bytea NOT NULL, is_used boolean NOT NULL)";

const SAVE: &str = "
    INSERT INTO keys (pool, ref, added_at, package)
    SELECT $1, ref, $4, package FROM unnest($2::bytea[], $3::bytea[]) AS new (ref, package)
    ON CONFLICT DO NOTHING
    RETURNING ref";

const STORED: &str = "SELECT ref, package FROM keys WHERE pool = $1 AND ref = ANY($2::bytea[])";

const SAVE_FALLBACK: &str = "
    INSERT INTO fallback_keys (pool, package, is_used) VALUES ($1, $2, false)
    ON CONFLICT (pool) DO UPDATE SET package = excluded.package, is_used = false";

const TAKE: &str = "
    DELETE FROM keys
    WHERE pool = $1 AND ref = (SELECT ref FROM keys WHERE pool = $1 ORDER BY added_at, ref LIMIT 1)
    RETURNING package";

const TAKE_FALLBACK: &str = "UPDATE fallback_keys SET is_used = true WHERE pool = $1 RETURNING package";

/// As Synapse takes one on PostgreSQL: the statement commits by itself, and who comes second to a row finds nothing.
pub(super) struct DeleteReturning(Pool);

impl DeleteReturning {
    pub(super) async fn open(url: &str, schema: &str) -> Fallible<Self> {
        Ok(Self(postgres::open(url, schema, TABLES).await?))
    }
}

#[async_trait]
impl Peer for DeleteReturning {
    const HAS_LAST_RESORT: bool = true;

    async fn save(&self, pool: &PoolId, packages: &[&KeyPackage], now: Timestamp) -> Fallible<Vec<SaveOutcome>> {
        let client = self.0.get().await?;
        let (pool, mut outcomes) = (pool.as_bytes(), vec![SaveOutcome::Saved; packages.len()]);
        for package in packages.iter().filter(|package| package.info.role == Role::LastResort) {
            client.execute(SAVE_FALLBACK, &[&pool, &record::write(package)]).await?;
        }
        let keys = packages.iter().enumerate();
        let keys = keys.filter(|(_, package)| package.info.role == Role::OneTime);
        let keys =
            keys.map(|(place, package)| (place, package.info.key_package_ref.as_bytes(), record::write(package)));
        let keys: Vec<_> = keys.collect();
        let refs: Vec<_> = keys.iter().map(|(_, named, _)| *named).collect();
        let records: Vec<_> = keys.iter().map(|(.., record)| record.as_slice()).collect();
        let save = client.prepare_cached(SAVE).await?;
        let saved = client.query(&save, &[&pool, &refs, &records, &now.get()]).await?;
        if saved.len() < keys.len() {
            let stored = client.query(STORED, &[&pool, &refs]).await?;
            let stored: HashMap<&[u8], &[u8]> = stored.iter().map(|row| (row.get(0), row.get(1))).collect();
            let mut new: Vec<&[u8]> = saved.iter().map(|row| row.get(0)).collect();
            for (place, named, record) in &keys {
                let is_new = new
                    .iter()
                    .position(|saved| saved == named)
                    .map(|found| new.swap_remove(found));
                outcomes[*place] = match is_new {
                    Some(_) => SaveOutcome::Saved,
                    None if stored.get(named).is_none_or(|stored| stored == record) => SaveOutcome::AlreadyStored,
                    None => SaveOutcome::RefConflict,
                };
            }
        }
        Ok(outcomes)
    }

    async fn take(&self, pool: &PoolId) -> Fallible<Option<KeyPackage>> {
        let client = self.0.get().await?;
        let take = client.prepare_cached(TAKE).await?;
        let mut taken = client.query_opt(&take, &[&pool.as_bytes()]).await?;
        if taken.is_none() {
            let take = client.prepare_cached(TAKE_FALLBACK).await?;
            taken = client.query_opt(&take, &[&pool.as_bytes()]).await?;
        }
        taken.map(|row| record::read(row.get(0))).transpose()
    }

    async fn clear(&self, pool: &PoolId) -> Fallible<()> {
        let client = self.0.get().await?;
        client
            .execute("DELETE FROM keys WHERE pool = $1", &[&pool.as_bytes()])
            .await?;
        Ok(())
    }
}
