use super::rule::{Rule, rules};

rules! {
    /// Failures, refusals and secrets.
    ERR;

    /// A failure says what is known of the call:
    ///
    /// - [`NotApplied`](crate::Effect::NotApplied), only when that is certain, or
    /// - [`Unknown`](crate::Effect::Unknown): a failed commit or sync, a lost reply, a time-out after sending.
    ///
    /// The same request again finds out. While the id of the request is bound, the repeated request never takes a
    /// second one-time package.
    ERR_1 = "ERR-1", "a failure says whether it was applied";

    /// Every future may be dropped at any point. The outcome of the call is then unknown, and the store stays
    /// consistent and usable.
    ERR_2 = "ERR-2", "a dropped future leaves the store usable";

    /// A refusal ([`Rejection`](crate::Rejection), with a stable `code()`) is distinct from a failure
    /// ([`BackendError`](crate::BackendError): backend, operation, effect, transient or not, source).
    ///
    /// In a batch each item has its own answer. An outage answers each item.
    ERR_3 = "ERR-3", "a refusal is not a failure";

    /// No package bytes, reservation ids or tokens appear in `Debug`, `Display` or logs.
    ERR_4 = "ERR-4", "no secrets in Debug, Display or logs";

    /// An answer, also a refusal, leaves only when everything that the answer was decided on is as durable as the
    /// backend promises. If a shared commit fails, every call in it fails.
    ERR_5 = "ERR-5", "no answer before it is durable";
}

rules! {
    /// Privacy: what a store may be told of people.
    PRIV;

    /// Reserver, spender and group are optional and opaque: a store only ever compares them.
    PRIV_1 = "PRIV-1", "reserver, spender and group are optional and opaque";
}
