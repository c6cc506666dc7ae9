use std::sync::atomic::{AtomicUsize, Ordering};

use futures::future::try_join_all;
use kp_core::server::TakeRequest;
use kp_core::{
    Ciphersuite, CredentialHash, KeyPackage, KeyPackageBytes, KeyPackageInfo, KeyPackageRef, Lifetime, Timestamp,
};
use tokio_postgres::{Client, NoTls, Row, Statement};

use crate::measure::Fallible;
use crate::measure::inputs::{self, Kind, NOW, PER_POOL};

const SCHEMA: &str = include_str!("schema.sql");
const INSERT: &str = include_str!("insert.sql");
const RESERVE: &str = include_str!("reserve.sql");
const SPEND: &str = include_str!("spend.sql");

/// A reserve is one statement and a spend another, each a transaction of its own, on a few connections.
pub(crate) struct PostgresFloor(Vec<Connection>);

struct Connection {
    client: Client,
    reserve: Statement,
    spend: Statement,
}

impl PostgresFloor {
    pub(crate) async fn open(url: &str, connections: usize) -> Fallible<Self> {
        let client = connect(url).await?;
        let is_missing = "SELECT to_regclass('floor_pools') IS NULL";
        if client.query_one(is_missing, &[]).await?.get(0) {
            client.batch_execute(SCHEMA).await?;
        }
        let connections = (0..connections).map(async |_| {
            let client = connect(url).await?;
            // Plans are made once, as the store has them.
            client.batch_execute("SET plan_cache_mode = force_generic_plan").await?;
            let (reserve, spend) = (client.prepare(RESERVE).await?, client.prepare(SPEND).await?);
            Fallible::Ok(Connection { client, reserve, spend })
        });
        Ok(Self(try_join_all(connections).await?))
    }

    /// Full pools, whatever there was before. Its statements are planned for full tables.
    pub(crate) async fn restock(&mut self, pools: u32, kind: Kind) -> Fallible<()> {
        let client = &mut self.0.first_mut().ok_or("no connection")?.client;
        let transaction = client.transaction().await?;
        transaction
            .batch_execute("DELETE FROM floor_packages; DELETE FROM floor_pools")
            .await?;
        for pool in 0..pools {
            let id = inputs::pool_id(pool)?;
            let key = i64::from(pool);
            transaction
                .execute(
                    "INSERT INTO floor_pools (key, pool) VALUES ($1, $2)",
                    &[&key, &id.as_bytes()],
                )
                .await?;
            let packages = (0..PER_POOL).map(|number| inputs::package(pool, number, kind));
            let packages = packages.collect::<Fallible<Vec<_>>>()?;
            let refs: Vec<_> = packages
                .iter()
                .map(|package| package.info.key_package_ref.as_bytes())
                .collect();
            let bytes: Vec<_> = packages.iter().map(|package| package.bytes.as_ref()).collect();
            let (from, to) = (kind.lifetime.not_before().get(), kind.lifetime.not_after().get());
            let CredentialHash(credential) = packages.first().ok_or("no package")?.info.credential;
            transaction
                .execute(INSERT, &[&key, &refs, &bytes, &from, &to, &credential.as_slice()])
                .await?;
        }
        transaction.commit().await?;
        client
            .batch_execute("ANALYZE floor_packages; ANALYZE floor_pools")
            .await?;
        Ok(())
    }

    /// Reserves and spends, so many calls a transaction, on all connections at once.
    pub(crate) async fn cycles(&self, takes: &[TakeRequest], per_transaction: usize) -> Fallible<()> {
        let lots: Vec<_> = takes.chunks(per_transaction).collect();
        let next = AtomicUsize::new(0);
        let connections = self.0.iter().map(async |connection| {
            while let Some(lot) = lots.get(next.fetch_add(1, Ordering::Relaxed)) {
                connection.cycle(lot).await?;
            }
            Fallible::Ok(())
        });
        try_join_all(connections).await?;
        Ok(())
    }
}

impl Connection {
    /// As many reserves as calls, and then as many spends.
    async fn cycle(&self, lot: &[TakeRequest]) -> Fallible<()> {
        let pools: Vec<_> = lot.iter().map(|take| take.pool.as_bytes()).collect();
        let ids: Vec<_> = lot.iter().map(|take| take.id.as_bytes().as_slice()).collect();
        let seconds = i64::from(lot.first().ok_or("no call")?.ttl.get());
        let reserved = self
            .client
            .query(&self.reserve, &[&pools, &ids, &NOW.get(), &seconds])
            .await?;
        if reserved.len() != lot.len() {
            return Err(format!("{} packages were reserved, not {}", reserved.len(), lot.len()).into());
        }
        let packages = reserved.iter().map(package).collect::<Fallible<Vec<_>>>()?;
        let refs: Vec<_> = packages
            .iter()
            .map(|package| package.info.key_package_ref.as_bytes())
            .collect();
        let pools: Vec<&[u8]> = reserved.iter().map(|row| row.get(6)).collect();
        let ids: Vec<&[u8]> = reserved.iter().map(|row| row.get(7)).collect();
        match self
            .client
            .execute(&self.spend, &[&pools, &ids, &refs, &NOW.get()])
            .await?
        {
            spent if spent == lot.len() as u64 => Ok(()),
            spent => Err(format!("{spent} packages were spent, not {}", lot.len()).into()),
        }
    }
}

/// The package is made up whole, as its caller needs it.
fn package(row: &Row) -> Fallible<KeyPackage> {
    let (suite, not_before, not_after): (i64, i64, i64) = (row.get(1), row.get(2), row.get(3));
    Ok(KeyPackage::new(
        KeyPackageInfo::new(
            KeyPackageRef::try_from(row.get::<_, &[u8]>(0))?,
            Ciphersuite(u16::try_from(suite)?),
            Lifetime::new(Timestamp::try_from(not_before)?, Timestamp::try_from(not_after)?)?,
            CredentialHash(row.get::<_, &[u8]>(4).try_into()?),
        ),
        KeyPackageBytes::try_from(row.get::<_, &[u8]>(5))?,
    ))
}

pub(crate) async fn connect(url: &str) -> Fallible<Client> {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
    tokio::spawn(connection);
    Ok(client)
}
