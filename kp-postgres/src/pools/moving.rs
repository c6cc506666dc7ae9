use async_trait::async_trait;
use kp_core::moving::{ImportRejection, MovePools, PoolExport};
use kp_core::{Error, PoolId, Result};

use crate::link::error::Failure;
use crate::link::param::Param;
use crate::pools::store::{PostgresStore, unreadable};
use crate::pools::{operations, rows};
use crate::sql::ReadSql;

#[async_trait]
impl MovePools for PostgresStore {
    async fn export_pool(&self, pool: &PoolId) -> Result<PoolExport> {
        let operation = "export_pool";
        let params = || vec![Param::Bytes(pool.as_bytes().to_vec())];
        let found = self.access().read(operation, ReadSql::Export, params).await?;
        let records = found.iter().map(rows::whole).collect::<Result<Vec<_>, Failure>>();
        let export = records.and_then(|records| Ok(PoolExport::new(records)?));
        Ok(export.map_err(unreadable(operation))?)
    }

    async fn import_pool(&self, pool: &PoolId, export: &PoolExport) -> Result<(), Error<ImportRejection>> {
        // MOVE-2: it makes no pool.
        if export.is_empty() {
            return Ok(());
        }
        let imported = self.access().write(operations::import(pool, export)).wait().await?;
        imported.map_err(Error::Rejected)
    }
}
