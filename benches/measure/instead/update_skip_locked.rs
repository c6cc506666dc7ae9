use async_trait::async_trait;
use deadpool_postgres::Pool;
use kp_core::server::SaveOutcome;
use kp_core::{KeyPackage, PoolId, Role, Timestamp};

use super::peer::Peer;
use super::{postgres, record};
use crate::measure::Fallible;

const TABLES: &str = "
    CREATE TABLE packages (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, pool bytea NOT NULL, package bytea NOT NULL,
        is_last_resort boolean NOT NULL, is_taken boolean NOT NULL DEFAULT false
    );
    CREATE INDEX ON packages (pool, is_last_resort, id) WHERE NOT is_taken";

const SAVE: &str = "
    INSERT INTO packages (pool, package, is_last_resort)
    SELECT $1, package, is_last_resort FROM unnest($2::bytea[], $3::boolean[]) AS new (package, is_last_resort)";

/// The last resort is behind all others, and stays.
const TAKE: &str = "
    UPDATE packages SET is_taken = NOT is_last_resort
    WHERE id = (
        SELECT id FROM packages WHERE pool = $1 AND NOT is_taken
        ORDER BY is_last_resort, id LIMIT 1 FOR UPDATE SKIP LOCKED
    )
    RETURNING package";

/// As Phoenix's air takes one: who meets a row that another takes passes over the row.
pub(super) struct UpdateSkipLocked(Pool);

impl UpdateSkipLocked {
    pub(super) async fn open(url: &str, schema: &str) -> Fallible<Self> {
        Ok(Self(postgres::open(url, schema, TABLES).await?))
    }
}

#[async_trait]
impl Peer for UpdateSkipLocked {
    const HAS_LAST_RESORT: bool = true;

    async fn save(&self, pool: &PoolId, packages: &[&KeyPackage], _: Timestamp) -> Fallible<Vec<SaveOutcome>> {
        let client = self.0.get().await?;
        let save = client.prepare_cached(SAVE).await?;
        let records: Vec<_> = packages.iter().map(|package| record::write(package)).collect();
        let last = packages.iter().map(|package| package.info.role == Role::LastResort);
        let last: Vec<_> = last.collect();
        client.execute(&save, &[&pool.as_bytes(), &records, &last]).await?;
        Ok(vec![SaveOutcome::Saved; packages.len()])
    }

    async fn take(&self, pool: &PoolId) -> Fallible<Option<KeyPackage>> {
        let client = self.0.get().await?;
        let take = client.prepare_cached(TAKE).await?;
        let taken = client.query_opt(&take, &[&pool.as_bytes()]).await?;
        taken.map(|row| record::read(row.get(0))).transpose()
    }

    async fn clear(&self, pool: &PoolId) -> Fallible<()> {
        let client = self.0.get().await?;
        client
            .execute("DELETE FROM packages WHERE pool = $1", &[&pool.as_bytes()])
            .await?;
        Ok(())
    }
}
