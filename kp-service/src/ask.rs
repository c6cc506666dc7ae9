use kp_core::{Ciphersuite, GroupId, KeyPackageRef, LastResort, Party, ReservationId};

/// What is asked for in a claim or a reservation. Nothing is required: by default a package of any ciphersuite, for
/// nobody in particular, under a fresh random id, and the last resort when nothing else is left.
///
/// ```
/// use kp_core::{Ciphersuite, Party, ReservationId};
/// use kp_service::Take;
///
/// let retry_key = [7; 16]; // of the request, made by the client
/// let ask = Take::new()
///     .id(ReservationId::from_bytes(retry_key))
///     .by(Party::try_from("a keyed hash of who asks")?)
///     .suites([Ciphersuite(0x0001)])
///     .remaining(86_400);
/// # Ok::<(), kp_core::InvalidId>(())
/// ```
#[derive(Debug, Clone, Default)]
#[must_use]
pub struct Take {
    pub(crate) id: Option<ReservationId>,
    pub(crate) by: Option<Party>,
    pub(crate) suites: Vec<Ciphersuite>,
    pub(crate) remaining: u32,
    pub(crate) last_resort: LastResort,
    pub(crate) only: Option<KeyPackageRef>,
    pub(crate) group: Option<GroupId>,
}

impl Take {
    /// Any package.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the retry key: the same id is answered with the same package, also after a lost reply (`RES-5`, `CLAIM-1`).
    /// One id serves all pools of a request. Without one each call is a new request, and takes a new package.
    pub fn id(self, retry_key: ReservationId) -> Self {
        Self {
            id: Some(retry_key),
            ..self
        }
    }

    /// Sets who asks; this is what the limit per requester counts (`RES-7`).
    pub fn by(self, who: Party) -> Self {
        Self { by: Some(who), ..self }
    }

    /// Sets the ciphersuites accepted; their order means nothing.
    pub fn suites(self, suites: impl IntoIterator<Item = Ciphersuite>) -> Self {
        Self {
            suites: suites.into_iter().collect(),
            ..self
        }
    }

    /// Sets how many seconds of its lifetime a package must have left at least.
    pub fn remaining(self, seconds: u32) -> Self {
        Self {
            remaining: seconds,
            ..self
        }
    }

    /// Sets whether a last-resort package will do.
    pub fn last_resort(self, last_resort: LastResort) -> Self {
        Self { last_resort, ..self }
    }

    /// Asks for this package and no other.
    pub fn only(self, key_package_ref: KeyPackageRef) -> Self {
        Self {
            only: Some(key_package_ref),
            ..self
        }
    }

    /// Sets the group that a claim is for, to be remembered with the use; a reservation names it when it is spent.
    pub fn group(self, group: GroupId) -> Self {
        Self {
            group: Some(group),
            ..self
        }
    }
}
