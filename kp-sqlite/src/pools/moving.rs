use async_trait::async_trait;
use kp_core::moving::{ImportRejection, MovePools, PoolExport, import};
use kp_core::{Error, PoolId, Result};

use crate::pools::records::{Records, step};
use crate::pools::store::SqliteStore;

#[async_trait]
impl MovePools for SqliteStore {
    async fn export_pool(&self, pool: &PoolId) -> Result<PoolExport> {
        let pool = pool.clone();
        let export = self.read("export_pool", move |session| {
            Ok(PoolExport::new(Records::of(session, &pool)?.whole()?)?)
        });
        Ok(export.await?)
    }

    async fn import_pool(&self, pool: &PoolId, export: &PoolExport) -> Result<(), Error<ImportRejection>> {
        let (pool, export) = (pool.clone(), export.clone());
        let imported = self.write("import_pool", move |session| {
            step(session, &pool, |records| import(records, &export))
        });
        imported.wait().await?.map_err(Error::Rejected)
    }
}
