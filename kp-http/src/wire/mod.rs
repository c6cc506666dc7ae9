//! Holds the bodies that travel over HTTP, the same for the server and the client.

mod base64;
mod handing_out;
mod notice;
mod own_pool;
mod problem;

pub use base64::Base64;
pub use handing_out::{
    Answer, Code, DeviceAnswer, DevicesAnswer, HandedOut, LeaseGranted, LeaseReleased, LeaseRenewed, Required,
    SpendRequest, TakeRequest, TokensAnswer, TokensRequest,
};
pub use notice::PoolNotice;
pub use own_pool::{
    StatusAnswer, SyncRequest, UploadAnswer, UploadRequest, WithdrawAnswer, WithdrawRequest, WithdrawnKeyPackage,
};
pub use problem::Problem;

/// The media type of an answer that is a [`Problem`] (RFC 9457).
pub const PROBLEM_JSON: &str = "application/problem+json";

/// The header of a request's retry key.
pub const IDEMPOTENCY_KEY: &str = "idempotency-key";

/// The most bytes of a retry key.
pub const MAX_IDEMPOTENCY_KEY: usize = 255;
