use kp_core::OpenError;
use tokio_postgres::Client;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::{ToSql, Type};

use crate::link::error::Failure;
use crate::sql::in_schema;

// Nothing here is prepared: behind a pooler, a name would mean nothing to the next session.

/// A set of tables, with one migration for each version of their schema. A database holds the sets that it was opened for.
#[derive(Debug)]
pub(crate) struct Tables {
    pub(crate) name: &'static str,
    /// The migrations in order. A released migration never changes.
    migrations: &'static [&'static str],
    /// The tables, which the role must be able to read and write.
    tables: &'static [&'static str],
}

/// The tables of a server's pools.
pub(crate) static POOLS: Tables = Tables {
    name: "pools",
    migrations: &[include_str!("../sql/migrations/0001_pools.sql")],
    tables: &[
        "keypackage_pools",
        "keypackage_pool_heads",
        "keypackage_pool_packages",
        "keypackage_pool_leases",
        "keypackage_pool_ids",
    ],
};

/// The tables of the metadata of clients.
pub(crate) static METADATA: Tables = Tables {
    name: "metadata",
    migrations: &[include_str!("../sql/migrations/0001_metadata.sql")],
    tables: &[
        "keypackage_pool_clients",
        "keypackage_pool_metadata",
        "keypackage_pool_metadata_leases",
    ],
};

/// The table of migrations.
const SCHEMA: &str = "keypackage_pool_schema";

/// Names a schema in a statement, whatever its name.
pub(crate) fn quoted(schema: &str) -> String {
    format!("\"{}\"", schema.replace('"', "\"\""))
}

impl Tables {
    const fn known(&self) -> u32 {
        self.migrations.len() as u32
    }

    /// Runs the missing migrations in one transaction, and checks the rights of the role.
    pub(crate) async fn migrate(&self, client: &mut Client, schema: &str, create: bool) -> Result<(), Failure> {
        let read = format!("USAGE on the schema {schema} and SELECT on {SCHEMA}");
        match self.version(client, schema).await.map_err(needs(&read))? {
            0 if !create => return Err(OpenError::Missing.into()),
            found if found < self.known() => self.run_missing(client, schema).await?,
            _ => {}
        }
        self.check_rights(client, schema).await
    }

    async fn run_missing(&self, client: &mut Client, schema: &str) -> Result<(), Failure> {
        let transaction = client.transaction().await?;
        // Others wait here, and then find nothing to do. The number is of this crate: "kp_mig" in ASCII.
        transaction
            .batch_execute("SELECT pg_advisory_xact_lock(118009338423655)")
            .await?;
        let exists = "SELECT to_regnamespace($1) IS NOT NULL";
        if !transaction
            .query_typed_one(exists, &[(&quoted(schema), Type::TEXT)])
            .await?
            .try_get(0)?
        {
            let create = format!("CREATE SCHEMA {}", quoted(schema));
            let created = transaction.batch_execute(&create).await.map_err(Failure::from);
            created.map_err(needs("CREATE on the database, to make the schema"))?;
        }
        let create = "CREATE TABLE IF NOT EXISTS {schema}.keypackage_pool_schema (
            name text PRIMARY KEY,
            version bigint NOT NULL
        )";
        let created = transaction.batch_execute(&in_schema(create, &quoted(schema))).await;
        let create = format!("CREATE on the schema {schema}, to make the tables");
        created.map_err(Failure::from).map_err(needs(&create))?;
        let done = self.version(transaction.client(), schema).await?;
        if done == 0 {
            for table in self.tables {
                if has_table(transaction.client(), schema, table).await? {
                    let why = format!("the schema has a table of the name {table} that this crate did not make");
                    return Err(OpenError::NotADatabase(why).into());
                }
            }
        }
        for migration in self.migrations.iter().skip(done as usize) {
            let run = transaction.batch_execute(&in_schema(migration, &quoted(schema))).await;
            run.map_err(Failure::from)
                .map_err(needs("to be the owner of the tables, to change them"))?;
        }
        let store = "INSERT INTO {schema}.keypackage_pool_schema (name, version) VALUES ($1, $2)
            ON CONFLICT (name) DO UPDATE SET version = excluded.version";
        let store = in_schema(store, &quoted(schema));
        transaction
            .execute_typed(
                &store,
                &[(&self.name, Type::TEXT), (&i64::from(self.known()), Type::INT8)],
            )
            .await?;
        Ok(transaction.commit().await?)
    }

    /// Reads the version of the tables. 0: there are none.
    async fn version(&self, client: &Client, schema: &str) -> Result<u32, Failure> {
        if !has_table(client, schema, SCHEMA).await? {
            return Ok(0);
        }
        let read = in_schema(
            "SELECT version FROM {schema}.keypackage_pool_schema WHERE name = $1",
            &quoted(schema),
        );
        let Some(row) = client.query_typed_opt(&read, &[(&self.name, Type::TEXT)]).await? else {
            return Ok(0);
        };
        let found: i64 = row.try_get(0)?;
        let found = u32::try_from(found).unwrap_or(u32::MAX);
        if found > self.known() {
            let known = self.known();
            return Err(OpenError::NewerSchema { found, known }.into());
        }
        Ok(found)
    }

    /// Names the rights that the role lacks.
    async fn check_rights(&self, client: &Client, schema: &str) -> Result<(), Failure> {
        let lacking = "SELECT coalesce(string_agg(r.privilege || ' on ' || t.name, ', '), '')
            FROM unnest($1::text[]) AS t (name), unnest('{SELECT,INSERT,UPDATE,DELETE}'::text[]) AS r (privilege)
            WHERE NOT has_table_privilege($2 || '.' || t.name, r.privilege)";
        let named = [
            (&self.tables as &(dyn ToSql + Sync), Type::TEXT_ARRAY),
            (&quoted(schema), Type::TEXT),
        ];
        let row = client.query_typed_one(lacking, &named).await?;
        let lacking: String = row.try_get(0)?;
        if lacking.is_empty() {
            return Ok(());
        }
        Err(OpenError::UnsafeConfiguration(format!("the role lacks rights that the store needs: {lacking}")).into())
    }
}

/// Names what a role needs that was refused something.
fn needs(right: &str) -> impl Fn(Failure) -> Failure {
    move |failure| match failure {
        Failure::Server { ref code, .. } if *code == SqlState::INSUFFICIENT_PRIVILEGE => {
            OpenError::UnsafeConfiguration(format!("the role needs {right}: {failure}")).into()
        }
        other => other,
    }
}

async fn has_table(client: &Client, schema: &str, table: &str) -> Result<bool, Failure> {
    let found = "SELECT to_regclass($1) IS NOT NULL";
    let name = format!("{}.{table}", quoted(schema));
    Ok(client
        .query_typed_one(found, &[(&name, Type::TEXT)])
        .await?
        .try_get(0)?)
}
