use deadpool_postgres::{Manager, ManagerConfig, Pool, RecyclingMethod};
use tokio_postgres::{Config, NoTls};

use crate::measure::Fallible;
use crate::measure::floor::postgres::connect;

/// The connections of a server's pool: one call at a time on each.
const CONNECTIONS: usize = 8;

/// A pool of connections to a schema of this name, which is made where there is none.
pub(super) async fn open(url: &str, schema: &str, tables: &str) -> Fallible<Pool> {
    let client = connect(url).await?;
    let exists = "SELECT to_regnamespace($1) IS NOT NULL";
    let quoted = format!("\"{schema}\"");
    if !client.query_one(exists, &[&quoted]).await?.get::<_, bool>(0) {
        let all = format!("CREATE SCHEMA {quoted}; SET search_path = {quoted}; {tables}");
        client.batch_execute(&all).await?;
    }
    let mut config: Config = url.parse()?;
    config.options(format!("-c search_path={quoted}"));
    let recycling = ManagerConfig {
        recycling_method: RecyclingMethod::Fast,
    };
    let manager = Manager::from_config(config, NoTls, recycling);
    Ok(Pool::builder(manager).max_size(CONNECTIONS).build()?)
}
