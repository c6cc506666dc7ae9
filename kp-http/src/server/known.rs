use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use kp_core::rules::MAX_ITEMS;
use kp_core::server::ReservationToken;
use kp_core::{Party, Rejection};

use crate::server::busy::UnderWay;
use crate::server::identify::Caller;
use crate::server::refusal::Refusal;
use crate::server::state::Shared;

/// The device that makes a request, known before the body is read.
pub(crate) struct Known {
    pub(crate) caller: Caller,
    server: Shared,
    /// Held until the request is answered.
    _under_way: UnderWay,
}

impl FromRequestParts<Shared> for Known {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, server: &Shared) -> Result<Self, Refusal> {
        let caller = server.identify.caller(parts).await?;
        let under_way = server.busy.begin(&caller.pool, server.limits.requests);
        let under_way = under_way.ok_or_else(|| Refusal::too_busy("more requests at once than a device may have"))?;
        Ok(Self {
            caller,
            server: server.clone(),
            _under_way: under_way,
        })
    }
}

impl Known {
    /// All devices of a user count as one ([RES-7](kp_core::contract::RES_7)).
    pub(crate) fn party(&self) -> Party {
        self.server.secret.party(&self.caller.user)
    }

    /// Opens the tokens that are the caller's, unless there are too many ([DIR-8](kp_core::contract::DIR_8)). In the place of
    /// any other stands the refusal of one that does not hold.
    pub(crate) fn open(&self, tokens: &[String]) -> Result<Vec<Result<ReservationToken, Rejection>>, Refusal> {
        if tokens.len() > MAX_ITEMS {
            return Err(Rejection::TooManyItems.into());
        }
        let open = |token: &String| self.server.secret.open(&self.caller.user, token);
        Ok(tokens
            .iter()
            .map(|token| open(token).ok_or(Rejection::NoLiveReservation))
            .collect())
    }

    pub(crate) fn seal(&self, token: &ReservationToken) -> String {
        self.server.secret.seal(&self.caller.user, token)
    }
}
