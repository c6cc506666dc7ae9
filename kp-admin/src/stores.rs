//! Opens stores by their URLs, and lists their pools.

use std::path::Path;
use std::sync::Arc;

use kp_core::moving::MovePools;
use kp_core::{OpenError, PoolId};
use kp_postgres::PostgresStore;
use kp_redis::RedisStore;
use kp_sqlite::SqliteStore;

use crate::failure::Failure;

/// How many pools a page of a listing holds.
const PAGE: u32 = 1_000;

/// A store that was opened, whatever its backend.
pub(crate) type Store = Arc<dyn MovePools>;

/// Opens a store that is there.
pub(crate) async fn open(url: &str) -> Result<Store, Failure> {
    if let Some(path) = url.strip_prefix("sqlite:")
        && !Path::new(path).exists()
    {
        return Err(unopened(url, OpenError::Unreachable("there is no such file".into())));
    }
    open_or_create(url).await
}

/// Opens a store, and makes its tables if there are none.
pub(crate) async fn open_or_create(url: &str) -> Result<Store, Failure> {
    let scheme = url.split(':').next().unwrap_or_default();
    let opened: Result<Store, OpenError> = match scheme {
        "sqlite" => SqliteStore::open(&url["sqlite:".len()..])
            .await
            .map(|store| Arc::new(store) as _),
        "postgres" | "postgresql" => PostgresStore::connect(url).await.map(|store| Arc::new(store) as _),
        "redis" | "rediss" | "redis-cluster" | "rediss-cluster" | "redis-sentinel" | "rediss-sentinel" => {
            RedisStore::open(url).await.map(|store| Arc::new(store) as _)
        }
        _ => Err(OpenError::Unreachable(
            "a store is sqlite:PATH, postgres://, redis:// or redis-cluster://".into(),
        )),
    };
    opened.map_err(|source| unopened(url, source))
}

fn unopened(url: &str, source: OpenError) -> Failure {
    Failure::Open {
        url: without_password(url),
        source,
    }
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
