use kp_core::server::{TakeOptions, TakeRequest};
use kp_core::{BackendError, Effect, GroupId, PoolId, ReservationId, Result, Ttl};

/// A request for one KeyPackage of each pool named. Nothing is required: by default any KeyPackage, for nobody in
/// particular, under a fresh random id, and the last resort when nothing else is left.
///
/// ```
/// use kp_core::server::TakeOptions;
/// use kp_core::{Ciphersuite, Party, ReservationId};
/// use kp_server::Take;
///
/// let retry_key = [7; 16]; // of the request, made by the client
/// let options = TakeOptions::new()
///     .by(Party::try_from("a keyed hash of who asks")?)
///     .ciphersuites([Ciphersuite(0x0001)])
///     .remaining(86_400);
/// let take = Take::new().options(options).id(ReservationId::from_bytes(retry_key));
/// # Ok::<(), kp_core::InvalidId>(())
/// ```
#[derive(Debug, Clone, Default)]
#[must_use]
#[non_exhaustive]
pub struct Take {
    /// Which KeyPackage will do, and who asks.
    pub options: TakeOptions,
    /// The retry key. Default: a fresh random id.
    pub id: Option<ReservationId>,
    /// The group that a claim is for.
    pub group: Option<GroupId>,
}

impl Take {
    /// Asks for any KeyPackage.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets which KeyPackage will do, and who asks.
    pub fn options(self, options: TakeOptions) -> Self {
        Self { options, ..self }
    }

    /// Sets the retry key: the same id is answered with the same KeyPackage, also after a lost reply. One id serves all
    /// pools of a request. Default: a fresh random id, so that each call is a new request and takes a new KeyPackage.
    ///
    /// The same id with another request is refused where its KeyPackage would be wrong
    /// ([`ReservationConflict`](kp_core::Rejection::ReservationConflict)): another one named, other ciphersuites accepted, more
    /// required than it has, another party. Else it is answered like the first request, whatever lifetime is asked for now.
    pub fn id(self, retry_key: ReservationId) -> Self {
        Self {
            id: Some(retry_key),
            ..self
        }
    }

    /// Sets the group that a claim is for, to be remembered with the use. A reservation names the group when it is spent.
    pub fn group(self, group: GroupId) -> Self {
        Self {
            group: Some(group),
            ..self
        }
    }

    /// Makes the store's requests, one for each pool, all under the same id.
    pub(crate) fn requests(
        &self,
        pools: &[PoolId],
        ttl: Ttl,
        limit: Option<u32>,
        operation: &'static str,
    ) -> Result<Vec<TakeRequest>, BackendError> {
        let id = match self.id {
            Some(id) => id,
            None => fresh_id(operation)?,
        };
        let request = |pool: &PoolId| {
            let mut request = TakeRequest::new(pool.clone(), id, ttl).options(self.options.clone());
            request.limit = limit;
            request
        };
        Ok(pools.iter().map(request).collect())
    }
}

impl From<TakeOptions> for Take {
    fn from(options: TakeOptions) -> Self {
        Self::new().options(options)
    }
}

fn fresh_id(operation: &'static str) -> Result<ReservationId, BackendError> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes)
        .map_err(|error| BackendError::new("directory", operation, Effect::NotApplied, error))?;
    Ok(ReservationId::from_bytes(bytes))
}
