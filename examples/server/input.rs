use axum::Json;
use axum::extract::rejection::JsonRejection;
use axum::extract::{FromRequest, FromRequestParts, Path, Request};
use axum::http::StatusCode;
use axum::http::request::Parts;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::answer::ApiError;

/// A request's body, or an error in this API's own form.
pub(crate) struct Input<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Input<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        let Json(input) = Json::from_request(request, state).await.map_err(unreadable)?;
        Ok(Self(input))
    }
}

/// Whom a path names.
pub(crate) struct Named(pub(crate) String);

impl<S: Send + Sync> FromRequestParts<S> for Named {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let named = Path::<String>::from_request_parts(parts, state).await;
        let Path(name) =
            named.map_err(|error| ApiError::input(StatusCode::BAD_REQUEST, "malformed_path", error.body_text()))?;
        Ok(Self(name))
    }
}

fn unreadable(rejection: JsonRejection) -> ApiError {
    let (status, code) = match rejection.status() {
        status @ StatusCode::PAYLOAD_TOO_LARGE => (status, "body_too_large"),
        status @ StatusCode::UNSUPPORTED_MEDIA_TYPE => (status, "not_json"),
        status @ StatusCode::UNPROCESSABLE_ENTITY => (status, "invalid_body"),
        status => (status, "malformed_json"),
    };
    ApiError::input(status, code, rejection.body_text())
}

/// Bytes, in JSON as base64 with padding.
pub(crate) struct Base64(pub(crate) Vec<u8>);

impl<'de> Deserialize<'de> for Base64 {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let bytes = STANDARD
            .decode(text)
            .map_err(|error| D::Error::custom(format!("not base64: {error}")))?;
        Ok(Self(bytes))
    }
}

impl Serialize for Base64 {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD.encode(&self.0))
    }
}
