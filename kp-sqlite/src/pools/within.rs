use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use kp_core::rules::{self, Answer, Limits};
use kp_core::server::{
    Answers, Lease, OnLapse, Receipt, Reservation, ReservationToken, Save, SaveOutcome, Spend, TakeRequest,
    WithdrawOutcome, Withdrawal,
};
use kp_core::{Effect, Error, GroupId, KeyPackage, KeyPackageRef, PoolId, Result, Timestamp, Ttl};
use rusqlite::Connection;

use crate::file::calls::let_go;
use crate::file::error::{Failure, backend_error};
use crate::file::guard::{guarded, unguarded};
use crate::pools::cache::PoolSession;
use crate::pools::records::step;

/// The calls on the pools, and the connection, inside a closure of the server: see
/// [`SqliteStore::within`](crate::SqliteStore::within).
///
/// A refusal by the rules is an answer, and the closure goes on. If a call fails, the closure is undone, whatever it returns.
pub struct Within<'call, 'file> {
    session: &'call mut PoolSession<'file>,
    limits: Limits,
    /// The first failure. After it, no call runs (TX-3).
    failure: Option<Arc<Failure>>,
}

impl fmt::Debug for Within<'_, '_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Within").finish_non_exhaustive()
    }
}

/// The reason why nothing of a closure is there.
#[derive(Debug)]
pub(crate) enum Undone<E> {
    /// The closure returned this error.
    Closure(E),
    Failure(Arc<Failure>),
}

/// Runs a closure in a part of the transaction.
pub(crate) fn run<T, E>(
    session: &mut PoolSession<'_>,
    limits: Limits,
    closure: impl FnOnce(&mut Within<'_, '_>) -> std::result::Result<T, E>,
) -> std::result::Result<std::result::Result<T, Undone<E>>, Failure> {
    session.part(|session| {
        let mut within = Within {
            session,
            limits,
            failure: None,
        };
        // What a panic leaves in the session goes with the part.
        let ran = catch_unwind(AssertUnwindSafe(|| guarded(|| closure(&mut within))));
        match (ran, within.failure) {
            (Ok(Err(error)), _) => Err(Undone::Closure(error)),
            (Ok(Ok(answer)), None) => Ok(answer),
            (Ok(Ok(answer)), Some(failure)) => {
                let_go(answer);
                Err(Undone::Failure(failure))
            }
            (Err(panic), _) => {
                let_go(panic);
                Err(Undone::Failure(Arc::new(Failure::Panicked)))
            }
        }
    })
}

/// # Errors
///
/// Each call fails with [`Error::Rejected`] if its list is too long: it did nothing, and the closure goes on. It fails with
/// [`Error::Backend`] if SQLite fails: then the closure is undone.
impl<'file> Within<'_, 'file> {
    /// Returns the store's connection, in its transaction, for rows of the server's own.
    ///
    /// Statements may read all rows, and write the rows of the server's tables. All others are refused as not authorized: the
    /// transaction is the store's, and so are the tables whose names begin with `keypackage_pool`. Make tables at the start of
    /// the server, with a connection of its own.
    ///
    /// The settings of the connection are the store's: set no hook, function or limit, and open no blob of the store's tables.
    #[must_use]
    pub fn connection(&self) -> &Connection {
        self.session.statements.connection()
    }

    /// As [`KeyPackageStore::save_key_packages`](kp_core::server::KeyPackageStore::save_key_packages).
    pub fn save_key_packages(&mut self, save: &Save, now: Timestamp) -> Result<Vec<SaveOutcome>> {
        let limits = self.limits;
        self.call("save_key_packages", |session| {
            step(session, &save.pool, |pool| rules::save(pool, save, limits, now))
        })
    }

    /// As [`KeyPackageStore::reserve_key_packages`](kp_core::server::KeyPackageStore::reserve_key_packages).
    pub fn reserve_key_packages(
        &mut self,
        takes: &[TakeRequest],
        lapse: OnLapse,
        now: Timestamp,
    ) -> Result<Answers<Reservation>> {
        rules::bounded_takes(takes)?;
        self.each("reserve_key_packages", takes, |session, take| {
            step(session, &take.pool, |pool| rules::reserve(pool, take, lapse, now))
        })
    }

    /// As [`KeyPackageStore::claim_key_packages`](kp_core::server::KeyPackageStore::claim_key_packages).
    pub fn claim_key_packages(
        &mut self,
        takes: &[TakeRequest],
        group: Option<&GroupId>,
        now: Timestamp,
    ) -> Result<Answers<KeyPackage>> {
        rules::bounded_takes(takes)?;
        self.each("claim_key_packages", takes, |session, take| {
            step(session, &take.pool, |pool| rules::claim(pool, take, group, now))
        })
    }

    /// As [`KeyPackageStore::spend_key_packages`](kp_core::server::KeyPackageStore::spend_key_packages).
    pub fn spend_key_packages(
        &mut self,
        tokens: &[ReservationToken],
        spend: &Spend,
        now: Timestamp,
    ) -> Result<Answers<Receipt>> {
        rules::bounded(tokens)?;
        self.each("spend_key_packages", tokens, |session, token| {
            step(session, &token.pool, |pool| rules::spend(pool, token, spend, now))
        })
    }

    /// As [`KeyPackageStore::release_key_packages`](kp_core::server::KeyPackageStore::release_key_packages).
    pub fn release_key_packages(&mut self, tokens: &[ReservationToken], now: Timestamp) -> Result<Answers<()>> {
        rules::bounded(tokens)?;
        self.each("release_key_packages", tokens, |session, token| {
            step(session, &token.pool, |pool| rules::release(pool, token, now))
        })
    }

    /// As [`KeyPackageStore::renew_key_packages`](kp_core::server::KeyPackageStore::renew_key_packages).
    pub fn renew_key_packages(
        &mut self,
        tokens: &[ReservationToken],
        ttl: Ttl,
        now: Timestamp,
    ) -> Result<Answers<Lease>> {
        rules::bounded(tokens)?;
        self.each("renew_key_packages", tokens, |session, token| {
            step(session, &token.pool, |pool| rules::renew(pool, token, ttl, now))
        })
    }

    /// As [`KeyPackageStore::withdraw_key_packages`](kp_core::server::KeyPackageStore::withdraw_key_packages).
    pub fn withdraw_key_packages(
        &mut self,
        pool: &PoolId,
        what: &Withdrawal,
        now: Timestamp,
    ) -> Result<Vec<(KeyPackageRef, WithdrawOutcome)>> {
        rules::bounded_withdrawal(what)?;
        // TIME-2: an empty batch changes nothing.
        if *what == Withdrawal::Refs(Vec::new()) {
            return Ok(Vec::new());
        }
        self.call("withdraw_key_packages", |session| {
            step(session, pool, |records| rules::withdraw(records, what, now))
        })
    }

    /// As [`KeyPackageStore::delete_pool`](kp_core::server::KeyPackageStore::delete_pool): a user goes, and its pools with it.
    pub fn delete_pool(&mut self, pool: &PoolId) -> Result<()> {
        self.call("delete_pool", |session| step(session, pool, |records| records.clear()))
    }

    fn each<I, A>(
        &mut self,
        operation: &'static str,
        items: &[I],
        mut run: impl FnMut(&mut PoolSession<'file>, &I) -> std::result::Result<Answer<A>, Failure>,
    ) -> Result<Answers<A>> {
        self.call(operation, |session| {
            let answer = |item| Ok(run(session, item)?.map_err(Error::Rejected));
            items.iter().map(answer).collect()
        })
    }

    /// Runs a call of the store.
    fn call<A>(
        &mut self,
        operation: &'static str,
        run: impl FnOnce(&mut PoolSession<'file>) -> std::result::Result<A, Failure>,
    ) -> Result<A> {
        let ran = match &self.failure {
            Some(failure) => Err(Arc::clone(failure)),
            // Outside of a transaction, each statement would be one.
            None if self.connection().is_autocommit() => Err(Arc::new(Failure::RolledBack)),
            None => unguarded(|| run(self.session)).map_err(Arc::new),
        };
        ran.map_err(|failure| {
            self.failure = Some(Arc::clone(&failure));
            backend_error(operation, Effect::NotApplied, failure).into()
        })
    }
}
