use serde::{Deserialize, Serialize};

/// Says why a request is not answered as asked: problem details (RFC 9457). `code` is what programs go by; the texts are for
/// people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
#[non_exhaustive]
pub struct Problem {
    /// Always `about:blank`: the code says more.
    #[serde(rename = "type", default = "about_blank")]
    pub kind: String,
    /// The phrase of the HTTP status.
    #[serde(default)]
    pub title: String,
    /// The HTTP status.
    #[serde(default)]
    pub status: u16,
    /// Names the problem. A code never changes once released.
    #[serde(default)]
    pub code: String,
    /// Says more, for people.
    #[serde(default)]
    pub detail: String,
    /// Of a failure: `not_applied` if the request certainly changed nothing, or `unknown`. The same request again finds out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub effect: Option<String>,
}

fn about_blank() -> String {
    "about:blank".to_owned()
}

impl Problem {
    /// Names a problem.
    pub fn new(status: u16, title: impl Into<String>, code: impl Into<String>, detail: impl Into<String>) -> Self {
        Self {
            kind: about_blank(),
            title: title.into(),
            status,
            code: code.into(),
            detail: detail.into(),
            effect: None,
        }
    }

    /// Sets what is known of a request that failed.
    #[must_use]
    pub fn effect(self, effect: impl Into<String>) -> Self {
        Self {
            effect: Some(effect.into()),
            ..self
        }
    }
}
