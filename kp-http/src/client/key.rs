use std::fmt;

use kp_core::BoxError;
use reqwest::header::HeaderValue;

use crate::wire::MAX_IDEMPOTENCY_KEY;

/// The retry key of a claim or a reservation: the same key again gets the same KeyPackages.
///
/// Make a key for each request, and keep it with what the request is for: who tries again after a crash needs it.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct IdempotencyKey(String);

impl IdempotencyKey {
    /// Makes a key that nobody else has.
    ///
    /// # Errors
    ///
    /// [`NoRandomness`].
    pub fn random() -> Result<Self, NoRandomness> {
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes).map_err(|error| NoRandomness(error.into()))?;
        Ok(Self(hex::encode(bytes)))
    }

    /// Returns the text of the key, to be kept.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub(crate) fn header(&self) -> Option<HeaderValue> {
        HeaderValue::from_str(&self.0).ok()
    }
}

impl TryFrom<&str> for IdempotencyKey {
    type Error = InvalidIdempotencyKey;

    fn try_from(text: &str) -> Result<Self, InvalidIdempotencyKey> {
        let is_key =
            (1..=MAX_IDEMPOTENCY_KEY).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
        is_key.then(|| Self(text.to_owned())).ok_or(InvalidIdempotencyKey)
    }
}

impl fmt::Debug for IdempotencyKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("IdempotencyKey(..)")
    }
}

/// Says that a text is no [`IdempotencyKey`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a retry key is 1 to {MAX_IDEMPOTENCY_KEY} visible ASCII characters")]
pub struct InvalidIdempotencyKey;

/// Says that the system has no random numbers.
#[derive(Debug, thiserror::Error)]
#[error("no random numbers: {0}")]
pub struct NoRandomness(#[source] BoxError);
