use kp_core::server::{WithdrawOutcome, Withdrawal};
use serde::Serialize;

use super::{damage, now};
use crate::confirm::confirm;
use crate::failure::Failure;
use crate::pool_name::PoolName;
use crate::report::{Report, count, print};
use crate::stores::Store;

#[derive(Serialize)]
struct Withdrawn {
    withdrawn: u64,
}

impl Report for Withdrawn {
    fn text(&self) -> String {
        format!("{} withdrawn", count(self.withdrawn, "KeyPackage"))
    }
}

/// Refuses what is asked of a pool that is not there.
async fn refuse_no_pool(store: &Store, pool: &PoolName) -> Result<(), Failure> {
    match damage::is_there(store, &pool.0).await? {
        true => Ok(()),
        false => Err(Failure::NO_POOL),
    }
}

pub(crate) async fn withdraw(store: &Store, pool: &PoolName, yes: bool, json: bool) -> Result<(), Failure> {
    refuse_no_pool(store, pool).await?;
    confirm(yes, &format!("No KeyPackage of {pool} is handed out any more."))?;
    let outcomes = store.withdraw_key_packages(&pool.0, &Withdrawal::All, now()).await?;
    let withdrawn = outcomes
        .iter()
        .filter(|(_, outcome)| matches!(outcome, WithdrawOutcome::Withdrawn));
    let withdrawn = withdrawn.count() as u64;
    print(&Withdrawn { withdrawn }, json)
}

#[derive(Serialize)]
struct Deleted {
    deleted: String,
}

impl Report for Deleted {
    fn text(&self) -> String {
        format!("{} deleted", self.deleted)
    }
}

pub(crate) async fn delete(store: &Store, pool: &PoolName, yes: bool, json: bool) -> Result<(), Failure> {
    refuse_no_pool(store, pool).await?;
    confirm(yes, &format!("{pool} goes, and so does the memory of what was spent."))?;
    store.delete_pool(&pool.0).await?;
    let deleted = pool.to_string();
    print(&Deleted { deleted }, json)
}
