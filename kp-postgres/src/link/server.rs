use kp_core::OpenError;
use tokio_postgres::Client;

use crate::link::error::Failure;
use crate::link::pooler::leads_to_pooler;

/// The oldest release that the store takes.
const OLDEST: i32 = 130_000;

/// Describes the server, as it was when the store was opened: its settings decide which changes survive.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Server {
    /// The version: `15.18`.
    pub version: String,
    /// What a commit waits for (`synchronous_commit`): `on`, `remote_apply`, `remote_write` or `local`; `off` if that was
    /// allowed.
    pub synchronous_commit: String,
    /// Which standbys a commit waits for (`synchronous_standby_names`). Empty: none.
    pub synchronous_standbys: String,
    /// Whether the connection leads to a pooler, such as PgBouncer, and not to the server itself.
    pub is_pooled: bool,
}

impl Server {
    /// Asks the server for its settings, and refuses a server that would lose KeyPackages, or takes no changes.
    pub(crate) async fn inspect(client: &Client, may_lose: bool) -> Result<Self, Failure> {
        let settings = "SELECT
            current_setting('server_version_num')::integer, current_setting('server_version'),
            pg_is_in_recovery() OR current_setting('transaction_read_only')::boolean, current_setting('fsync')::boolean,
            current_setting('synchronous_commit'), current_setting('synchronous_standby_names'), pg_backend_pid()";
        let row = client.query_typed_one(settings, &[]).await?;
        let (number, version): (i32, String) = (row.try_get(0)?, row.try_get(1)?);
        if number < OLDEST {
            return Err(OpenError::TooOld(format!("PostgreSQL {version}: the store needs 13 or later")).into());
        }
        if row.try_get(2)? {
            return Err(Failure::Standby);
        }
        let unsafe_configuration = |what: &str| Err(OpenError::UnsafeConfiguration(what.to_owned()).into());
        if !row.try_get::<_, bool>(3)? {
            return unsafe_configuration("fsync is off: a crash may lose the whole database");
        }
        let server = Self {
            version,
            synchronous_commit: row.try_get(4)?,
            synchronous_standbys: row.try_get(5)?,
            is_pooled: leads_to_pooler(client, row.try_get(6)?).await?,
        };
        if server.synchronous_commit == "off" && !may_lose {
            return unsafe_configuration("synchronous_commit is off: a crash loses what was answered last");
        }
        Ok(server)
    }
}
