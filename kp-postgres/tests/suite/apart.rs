//! Outages of a server that one check has for itself.

use kp_conformance::Outage;
use kp_test_support::postgres::Postgres;
use tokio_postgres::{Client, NoTls};

/// What one server alone is disturbed by.
pub(super) const OUTAGES: &[Outage] = &[
    Outage::Cut,
    Outage::Killed,
    Outage::Hung,
    Outage::ReadOnly,
    Outage::Full,
    Outage::CommitFails,
];

/// A server that a check disturbs.
pub(super) struct Apart {
    server: Postgres,
    /// Holds the lock of a table while the server is to hang.
    locker: Option<Client>,
}

impl Apart {
    pub(super) fn start() -> Self {
        let (server, locker) = (Postgres::start(&[]), None);
        Self { server, locker }
    }

    pub(super) fn url(&self) -> String {
        self.server.url()
    }

    pub(super) async fn connect(&self) -> Client {
        let connected = tokio_postgres::connect(&self.server.url(), NoTls).await;
        let (client, connection) = connected.expect("the server is there");
        tokio::spawn(connection);
        client
    }

    /// Runs statements for each table of the schema that a change may write to.
    async fn on_each_table(&self, schema: &str, statements: &str) {
        let client = self.connect().await;
        for table in ["keypackage_pools", "keypackage_pool_packages", "keypackage_pool_leases"] {
            let table = format!("\"{schema}\".{table}");
            let done = client.batch_execute(&statements.replace("{table}", &table)).await;
            done.expect("the statements are right");
        }
    }

    /// What a disk without room answers to a write, a trigger answers, or to a commit, a deferred one.
    pub(super) async fn disturb(&mut self, schema: &str, outage: Outage) {
        let trigger = match outage {
            Outage::Killed => return self.server.kill(),
            Outage::ReadOnly => return self.server.demote(),
            Outage::Cut => {
                let cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                    WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()";
                let done = self.connect().await.batch_execute(cut).await;
                return done.expect("the connections are cut");
            }
            Outage::Hung => {
                let client = self.connect().await;
                let lock = format!("BEGIN; LOCK TABLE \"{schema}\".keypackage_pools IN EXCLUSIVE MODE");
                client.batch_execute(&lock).await.expect("the table is locked");
                self.locker = Some(client);
                return;
            }
            Outage::Full => "CREATE TRIGGER outage BEFORE INSERT OR UPDATE OR DELETE ON {table}",
            _ => {
                "CREATE CONSTRAINT TRIGGER outage AFTER INSERT OR UPDATE OR DELETE ON {table}
                 DEFERRABLE INITIALLY DEFERRED"
            }
        };
        let function = "CREATE OR REPLACE FUNCTION no_room() RETURNS trigger LANGUAGE plpgsql AS
            $$ BEGIN RAISE EXCEPTION 'there is no room' USING ERRCODE = 'disk_full'; END $$";
        let made = self.connect().await.batch_execute(function).await;
        made.expect("the function is made");
        let trigger = format!("{trigger} FOR EACH ROW EXECUTE FUNCTION no_room()");
        self.on_each_table(schema, &trigger).await;
    }

    pub(super) async fn mend(&mut self, schema: &str, outage: Outage) {
        match outage {
            Outage::Cut => {}
            Outage::Hung => self.locker = None,
            Outage::Killed => self.server.restart(),
            Outage::ReadOnly => self.server.promote(),
            _ => self.on_each_table(schema, "DROP TRIGGER outage ON {table}").await,
        }
    }
}
