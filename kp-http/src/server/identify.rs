use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use axum::http::request::Parts;
use kp_core::server::Uploader;
use kp_core::{BoxError, PoolId};

/// Says who makes a request, and which devices a user has: all that a server brings to the routes.
///
/// ```
/// use async_trait::async_trait;
/// use axum::http::header::AUTHORIZATION;
/// use axum::http::request::Parts;
/// use kp_core::PoolId;
/// use kp_http::server::{Caller, Device, Identify, IdentifyError};
///
/// /// A device of somebody: a row of the server's own table.
/// struct Row {
///     user: String,
///     device: String,
///     /// Random, made when the device registered.
///     pool: PoolId,
///     session: String,
/// }
///
/// struct Accounts(Vec<Row>);
///
/// #[async_trait]
/// impl Identify for Accounts {
///     async fn caller(&self, request: &Parts) -> Result<Caller, IdentifyError> {
///         let header = request.headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
///         let session = header.and_then(|value| value.strip_prefix("Bearer "));
///         let row = session.and_then(|session| self.0.iter().find(|row| row.session == session));
///         let row = row.ok_or(IdentifyError::Unauthorized { challenge: "Bearer" })?;
///         Ok(Caller::new(&row.user, row.pool.clone()))
///     }
///
///     async fn devices(&self, _caller: &Caller, user: &str) -> Result<Vec<Device>, IdentifyError> {
///         let rows = self.0.iter().filter(|row| row.user == user);
///         Ok(rows.map(|row| Device::new(&row.device, row.pool.clone())).collect())
///     }
/// }
/// ```
#[async_trait]
pub trait Identify: Send + Sync + 'static {
    /// Says which device makes this request. The request's body is not read before.
    ///
    /// # Errors
    ///
    /// [`IdentifyError`] is answered.
    async fn caller(&self, request: &Parts) -> Result<Caller, IdentifyError>;

    /// Lists the devices of a user that this caller may add to groups, always in the same order. None: there is no such user,
    /// as far as the caller may know.
    ///
    /// # Errors
    ///
    /// [`IdentifyError`] is answered.
    async fn devices(&self, caller: &Caller, user: &str) -> Result<Vec<Device>, IdentifyError>;
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<I: Identify + ?Sized> Identify for Arc<I> {
    async fn caller(&self, request: &Parts) -> Result<Caller, IdentifyError> {
        (**self).caller(request).await
    }

    async fn devices(&self, caller: &Caller, user: &str) -> Result<Vec<Device>, IdentifyError> {
        (**self).devices(caller, user).await
    }
}

/// A device that makes a request.
#[derive(Clone)]
#[non_exhaustive]
pub struct Caller {
    /// The user whose device it is. All devices of a user count as one where a user may take only so many KeyPackages, and all
    /// of them may use a token that one of them got. The store keeps a keyed hash.
    pub user: Vec<u8>,
    /// The device's own pool. Never the pool of another device, nor of another registration of this one.
    pub pool: PoolId,
    /// What the credentials of the device's KeyPackages must be.
    pub uploader: Uploader,
}

impl Caller {
    /// A device with this pool, whose KeyPackages have a basic credential of the user's name.
    pub fn new(user: impl AsRef<[u8]>, pool: PoolId) -> Self {
        let user = user.as_ref().to_vec();
        Self {
            uploader: Uploader::identity(&user),
            user,
            pool,
        }
    }

    /// Sets what the credentials of the device's KeyPackages must be. Default: basic, with the user's name.
    #[must_use]
    pub fn uploader(self, uploader: Uploader) -> Self {
        Self { uploader, ..self }
    }
}

/// Hides the user.
impl fmt::Debug for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Caller")
            .field("pool", &self.pool)
            .finish_non_exhaustive()
    }
}

/// A device that can be added to a group.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Device {
    /// The name of the device in answers.
    pub name: String,
    /// The device's pool.
    pub pool: PoolId,
}

impl Device {
    /// A device with this pool.
    pub fn new(name: impl Into<String>, pool: PoolId) -> Self {
        Self {
            name: name.into(),
            pool,
        }
    }
}

/// Says why a request is not let in.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IdentifyError {
    /// Nobody known: answered 401.
    #[error("nobody known")]
    Unauthorized {
        /// What the answer's `WWW-Authenticate` says: `Bearer`, for example.
        challenge: &'static str,
    },
    /// Somebody known, who may not do this: answered 403.
    #[error("not allowed")]
    Forbidden,
    /// The server's own limit of requests is reached: answered 429.
    #[error("too many requests")]
    TooManyRequests {
        /// When to try again: what `Retry-After` says.
        retry_after: Duration,
    },
    /// The accounts cannot be asked now: logged, and answered 503.
    #[error("the accounts cannot be asked")]
    Failed(#[source] BoxError),
}

impl IdentifyError {
    /// Reports that the accounts cannot be asked now, and why.
    pub fn failed(source: impl Into<BoxError>) -> Self {
        Self::Failed(source.into())
    }
}
