//! The writer of a client's metadata: takes one change after the other, each a transaction of its own.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use kp_core::client::{LeaseHolder, LeaseName, MetadataChanges, MetadataRejection, StorageLease};
use kp_core::{BackendError, Effect, PoolId, Timestamp, Ttl};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep, timeout};

use crate::link::commit::{Failed, Transaction, abandon, end};
use crate::link::connection::{Connection, Exchange};
use crate::link::error::{Failure, Remedy, backend_error};
use crate::link::line::Line;
use crate::link::param::Param;
use crate::link::readers::PAUSE;
use crate::metadata::rows;
use crate::sql::MetadataSql;

/// A change, as it is asked for.
#[derive(Debug, Clone)]
pub(crate) enum Change {
    Apply(Box<MetadataChanges>),
    Lease(LeaseName, LeaseHolder, Ttl, Timestamp),
    Release(LeaseName, LeaseHolder),
}

/// The answer to a change: how many rows were deleted, or the fence of a lease.
pub(crate) type Decided = Result<u64, MetadataRejection>;

/// A change that waits.
#[derive(Debug)]
pub(crate) struct Waiting {
    pub(crate) change: Change,
    pub(crate) deadline: Instant,
    pub(crate) reply: oneshot::Sender<Result<Decided, BackendError>>,
}

impl Change {
    fn operation(&self) -> &'static str {
        match self {
            Self::Apply(_) => "apply",
            Self::Lease(..) => "lease",
            Self::Release(..) => "release_lease",
        }
    }
}

/// The writer, with a connection of its own.
#[derive(Debug)]
pub(crate) struct Writer {
    pub(crate) line: Line,
    pub(crate) client: PoolId,
}

impl Writer {
    /// Runs the writer until its queue is dropped. It connects at the first change.
    pub(crate) async fn run(mut self, mut queue: mpsc::UnboundedReceiver<Waiting>) {
        while let Some(Waiting {
            change,
            deadline,
            reply,
        }) = queue.recv().await
        {
            let decided = self.change(&change, deadline).await;
            let failed = |(effect, failure)| backend_error(change.operation(), effect, Arc::new(failure));
            // ERR-2: the caller may have dropped the future.
            let _ = reply.send(decided.map_err(failed));
        }
    }

    /// Makes a change, again and again until its time is over.
    async fn change(&mut self, change: &Change, deadline: Instant) -> Result<Decided, (Effect, Failure)> {
        let mut last = Failure::TimedOut(self.line.timeout());
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err((Effect::NotApplied, last));
            }
            last = match self.attempt(change, left).await {
                Ok(decided) => return Ok(decided),
                Err(Failed::Unknown(failure)) => return Err((Effect::Unknown, failure)),
                Err(Failed::NotApplied(failure)) => failure,
            };
            match last.remedy() {
                Remedy::Never | Remedy::ForNow => return Err((Effect::NotApplied, last)),
                Remedy::Again => {}
                Remedy::Reconnect => sleep(PAUSE).await,
            }
        }
    }

    async fn attempt(&mut self, change: &Change, left: Duration) -> Result<Decided, Failed> {
        let connection = self.line.take(left).await?;
        let limit = self.line.timeout();
        let done = commit(&connection, &self.client, change, left, limit).await;
        self.line.put_back(connection, &done);
        done
    }
}

/// What a change writes, and its answer. How many rows were deleted is known when they are.
struct Decision {
    writes: Vec<(MetadataSql, Vec<Param>)>,
    decided: Decided,
}

impl Decision {
    fn refused(rejection: MetadataRejection) -> Self {
        Self {
            writes: Vec::new(),
            decided: Err(rejection),
        }
    }
}

async fn commit(
    connection: &Connection,
    client: &PoolId,
    change: &Change,
    left: Duration,
    limit: Duration,
) -> Result<Decided, Failed> {
    let begin = Some(connection.begin(left, limit));
    let mut transaction = Transaction { connection, begin };
    let decision = timeout(left, decide(&mut transaction, client, change)).await;
    let Decision { writes, decided } = match decision.unwrap_or(Err(Failure::TimedOut(left))) {
        Ok(decision) => decision,
        Err(failure) => {
            abandon(connection, &failure, limit).await;
            return Err(Failed::NotApplied(failure));
        }
    };
    let deletes = writes.iter().position(|(sql, _)| *sql == MetadataSql::MetadataDelete);
    let statements = writes.into_iter().map(|(sql, mut params)| {
        params.insert(0, named(client));
        sql.with(params)
    });
    let written = end(connection, statements.collect(), limit).await?;
    let deleted = deletes.and_then(|place| written.get(place)).map(Vec::len);
    Ok(deleted.map_or(decided, |deleted| Ok(deleted as u64)))
}

fn named(client: &PoolId) -> Param {
    Param::Bytes(client.as_bytes().to_vec())
}

/// Locks the client, reads what the change is decided on, and decides.
async fn decide(transaction: &mut Transaction<'_>, client: &PoolId, change: &Change) -> Result<Decision, Failure> {
    let (refs, lease) = match change {
        Change::Apply(changes) => (changes.named(), changes.fence.map(|fence| fence.lease)),
        Change::Lease(name, ..) | Change::Release(name, _) => (Default::default(), Some(*name)),
    };
    let name = Param::Text(lease.map_or("", LeaseName::as_str).into());
    let statements = vec![
        MetadataSql::ClientCreate.with(vec![named(client)]),
        MetadataSql::ClientLock.with(vec![named(client)]),
        MetadataSql::MetadataGet.with(vec![named(client), Param::all_bytes(refs)]),
        MetadataSql::MetadataLease.with(vec![named(client), name]),
    ];
    let mut answers = transaction.exchange(statements).await?;
    let lease = rows::read_lease(&answers.pop().unwrap_or_default())?;
    let found = rows::read_all(&answers.pop().unwrap_or_default())?;
    match change {
        Change::Apply(changes) => Ok(apply(changes, found, lease.as_ref())),
        Change::Lease(name, holder, ttl, now) => Ok(match StorageLease::grant(lease.as_ref(), *holder, *ttl, *now) {
            Err(held) => Decision::refused(held),
            Ok(granted) => Decision {
                writes: vec![store_lease(*name, &granted)],
                decided: Ok(granted.fence),
            },
        }),
        Change::Release(name, holder) => Ok(Decision {
            writes: lease
                .and_then(|lease| lease.release(*holder))
                .map(|released| store_lease(*name, &released))
                .into_iter()
                .collect(),
            decided: Ok(0),
        }),
    }
}

fn store_lease(name: LeaseName, lease: &StorageLease) -> (MetadataSql, Vec<Param>) {
    let mut params = vec![Param::Text(name.as_str().into())];
    params.extend(rows::lease(lease));
    (MetadataSql::MetadataLeaseStore, params)
}

fn apply(
    changes: &MetadataChanges,
    found: Vec<kp_core::client::KeyPackageMetadata>,
    lease: Option<&StorageLease>,
) -> Decision {
    if let Some(fence) = changes.fence
        && let Err(fenced) = StorageLease::admit(lease, fence)
    {
        return Decision::refused(fenced);
    }
    let mut changed: BTreeMap<_, _> = found
        .into_iter()
        .map(|row| (row.key_package_ref.clone(), row))
        .collect();
    if let Err(rejection) = changes.decide(&mut changed) {
        return Decision::refused(rejection);
    }
    let mut writes = Vec::new();
    if !changed.is_empty() {
        writes.push((MetadataSql::MetadataStore, rows::columns(changed.values())));
    }
    if let Some(record) = &changes.record {
        writes.push((MetadataSql::ClientRecordStore, vec![rows::record(record)]));
    }
    if !changes.delete.is_empty() {
        writes.push((MetadataSql::MetadataDelete, vec![Param::all_bytes(&changes.delete)]));
    }
    Decision { writes, decided: Ok(0) }
}
