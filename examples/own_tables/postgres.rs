//! A claim and a row of the server's own, in one transaction of a PostgreSQL database, whatever happens on the way.
//!
//! `cargo run --example own_tables_postgres` starts a server of its own, from the system's packages.

mod story;

use std::process::ExitCode;

use keypackage_pool::postgres::PostgresStore;
use keypackage_pool::server::{KeyPackageStore, TakeRequest};
use keypackage_pool::{KeyPackage, KeyPackageRef, PoolId, Timestamp};
use kp_test_support::postgres::Postgres;
use tokio_postgres::{Client, NoTls};

use crate::story::{Fate, Result, Server, Step};

struct PostgresServer {
    store: PostgresStore,
    client: Client,
}

impl PostgresServer {
    async fn open(url: &str) -> Result<Self> {
        let store = PostgresStore::connect(url).await?;
        let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
        tokio::spawn(connection);
        let table = "CREATE TABLE IF NOT EXISTS welcomes (ref bytea, pool bytea, PRIMARY KEY (ref, pool))";
        client.batch_execute(table).await?;
        Ok(Self { store, client })
    }
}

impl Server for PostgresServer {
    fn store(&self) -> &impl KeyPackageStore {
        &self.store
    }

    async fn claim(&mut self, take: TakeRequest, now: Timestamp, fate: Fate) -> Result<KeyPackage> {
        let transaction = self.client.transaction().await?;
        fate.meet(Step::Begun)?;
        let pool = take.pool.clone();
        let (transaction, claimed) = self
            .store
            .within(transaction)
            .claim_key_packages(&[take], None, now)
            .await?;
        let claimed = claimed.only();
        fate.meet(Step::Claimed)?;
        if let Ok(package) = &claimed {
            // Who asks again gets the same KeyPackage, whose row is there.
            let insert = "INSERT INTO welcomes (ref, pool) VALUES ($1, $2) ON CONFLICT DO NOTHING";
            let row: [&(dyn tokio_postgres::types::ToSql + Sync); 2] =
                [&package.info.key_package_ref.as_bytes(), &pool.as_bytes()];
            transaction.execute(insert, &row).await?;
        }
        fate.meet(Step::Written)?;
        self.store.within(transaction).commit().await?;
        // Only now may anybody learn of it, of a refusal too.
        fate.meet(Step::Committed)?;
        Ok(claimed?)
    }

    async fn addressee(&self, named: &KeyPackageRef) -> Result<Option<PoolId>> {
        let select = "SELECT pool FROM welcomes WHERE ref = $1";
        let found = self.client.query_opt(select, &[&named.as_bytes()]).await?;
        let pool = found.map(|row| row.try_get::<_, Vec<u8>>(0)).transpose()?;
        Ok(pool.map(PoolId::try_from).transpose()?)
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    // A process that the story has started finds the server that is there.
    let server = (std::env::args().len() == 1).then(|| Postgres::start(&[]));
    let url = server.as_ref().map(Postgres::url).unwrap_or_default();
    story::run(&url, PostgresServer::open).await
}
