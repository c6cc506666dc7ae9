//! Opens stores by their URLs, and lists their pools.

use std::sync::Arc;
use std::time::Duration;

use kp_core::audit::AuditPools;
use kp_core::{OpenError, PoolId};
use kp_postgres::PostgresStore;
use kp_redis::RedisStore;
use kp_sqlite::SqliteStore;

use crate::failure::Failure;
use crate::store_url::StoreUrl;

/// How long a call on PostgreSQL may take: an audit goes through whole tables.
const PATIENCE: Duration = Duration::from_secs(300);

/// How many pools a page of a listing holds.
const PAGE: u32 = 1_000;

/// A store that was opened, whatever its backend.
pub(crate) type Store = Arc<dyn AuditPools>;

/// Opens a store. `create`: its file or tables are made if there are none.
pub(crate) async fn open(url: &str, create: bool) -> Result<Store, Failure> {
    let opened: Result<Store, OpenError> = match read(url)? {
        StoreUrl::Sqlite { path } => {
            let builder = SqliteStore::builder(path).create(create);
            builder.open().await.map(|store| Arc::new(store) as _)
        }
        StoreUrl::Postgres { url, schema } => {
            let mut builder = PostgresStore::builder(url).create(create).timeout(PATIENCE);
            if let Some(schema) = schema {
                builder = builder.schema(schema);
            }
            builder.connect().await.map(|store| Arc::new(store) as _)
        }
        StoreUrl::Redis { url, prefix, buckets } => {
            let mut builder = RedisStore::builder(url).create(create);
            if let Some(prefix) = prefix {
                builder = builder.prefix(prefix);
            }
            if let Some(buckets) = buckets {
                builder = builder.buckets(buckets);
            }
            builder.open().await.map(|store| Arc::new(store) as _)
        }
    };
    opened.map_err(|source| Failure::Open {
        url: without_password(url),
        source,
    })
}

fn read(url: &str) -> Result<StoreUrl, Failure> {
    url.parse().map_err(|source| Failure::Url {
        url: without_password(url),
        source,
    })
}

/// Returns whether two URLs lead to the same store, as far as that can be seen: they say the same, or name the same file.
pub(crate) fn are_same(one: &str, other: &str) -> Result<bool, Failure> {
    let file = |url: &StoreUrl| match url {
        StoreUrl::Sqlite { path } => std::fs::canonicalize(path).ok(),
        _ => None,
    };
    let (one, other) = (read(one)?, read(other)?);
    Ok(one == other || file(&one).is_some_and(|path| file(&other) == Some(path)))
}

/// Leaves out of a URL who logs in with what, and what follows a question mark.
fn without_password(url: &str) -> String {
    let shown = url.split('?').next().unwrap_or_default();
    match (shown.split_once("://"), shown.rsplit_once('@')) {
        (Some((scheme, _)), Some((_, host))) => format!("{scheme}://{host}"),
        _ => shown.to_owned(),
    }
}

/// Lists all pools.
pub(crate) async fn pools(store: &Store) -> Result<Vec<PoolId>, Failure> {
    let (mut pools, mut after) = (Vec::new(), None);
    loop {
        let page = store.list_pools(after.as_ref(), PAGE).await?;
        pools.extend(page.items);
        match page.next {
            Some(next) => after = Some(next),
            None => return Ok(pools),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_password_is_shown() {
        assert_eq!(
            without_password("postgres://kp:secret@db:5432/kp?password=x"),
            "postgres://db:5432/kp"
        );
        assert_eq!(without_password("redis://:se@cret@db"), "redis://db");
        assert_eq!(without_password("sqlite:pools.db"), "sqlite:pools.db");
    }
}
