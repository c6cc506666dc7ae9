use async_trait::async_trait;
use kp_core::moving::{ImportRejection, MovePools, PoolExport, import};
use kp_core::{Error, PoolId, Result, Timestamp};

use crate::pools::store::{MemoryStore, failed};
use crate::pools::table::Pool;

#[async_trait]
impl MovePools for MemoryStore {
    async fn export_pool(&self, pool: &PoolId) -> Result<PoolExport> {
        let all = |pool: &Pool| PoolExport::new(pool.entries().map(|entry| (entry.record(), entry.kept())));
        let export = self.table().look(pool, all);
        Ok(export.map_err(|contradiction| failed("export_pool")(contradiction.into()))?)
    }

    async fn import_pool(&self, pool: &PoolId, export: &PoolExport) -> Result<(), Error<ImportRejection>> {
        let step = |pool: &mut Pool| import(pool, export);
        let imported = self.table().fill(pool, Timestamp::MIN, step);
        imported.map_err(failed("import_pool"))?.map_err(Error::Rejected)
    }
}
