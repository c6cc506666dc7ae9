use std::collections::BTreeMap;

use kp_core::Ciphersuite;

/// Plans what a pool holds of one ciphersuite.
///
/// ```
/// use kp_client::{CiphersuitePlan, Sizes};
/// use kp_core::Ciphersuite;
///
/// let suite = Ciphersuite(0x0001);
/// let plan = CiphersuitePlan::pool(suite);
/// assert_eq!(plan.one_time, Some(Sizes::default()));
///
/// let few = plan.one_time(Sizes::new(5, 2, 10));
/// assert!(few.last_resort);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct CiphersuitePlan {
    /// The ciphersuite.
    pub ciphersuite: Ciphersuite,
    /// How many one-time packages, if any.
    pub one_time: Option<Sizes>,
    /// Whether there is a last-resort package.
    pub last_resort: bool,
}

/// Says how many one-time packages a pool holds of a ciphersuite. The sizes count what the server still holds, never what it
/// has handed out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Sizes {
    /// How many packages there are after a refill.
    pub target: u32,
    /// The low-water mark: fewer packages than this are refilled.
    pub low: u32,
    /// The most packages that there may be.
    pub cap: u32,
}

impl Sizes {
    /// Holds `target` packages after a refill, refills when there are fewer than `low`, and never has more than `cap`.
    #[must_use]
    pub const fn new(target: u32, low: u32, cap: u32) -> Self {
        Self { target, low, cap }
    }
}

impl Default for Sizes {
    /// 32, refilled below 8, never more than 64.
    fn default() -> Self {
        Self::new(32, 8, 64)
    }
}

impl CiphersuitePlan {
    /// Plans one-time packages of the default [`Sizes`], and a last resort.
    #[must_use]
    pub const fn pool(suite: Ciphersuite) -> Self {
        Self {
            ciphersuite: suite,
            one_time: Some(Sizes::new(32, 8, 64)),
            last_resort: true,
        }
    }

    /// Plans a last-resort package and nothing else: for those who rotate one package often instead of keeping many.
    #[must_use]
    pub const fn last_resort_only(suite: Ciphersuite) -> Self {
        Self {
            ciphersuite: suite,
            one_time: None,
            last_resort: true,
        }
    }

    /// Sets how many one-time packages the pool holds. Default: [`Sizes::default`].
    #[must_use]
    pub const fn one_time(mut self, sizes: Sizes) -> Self {
        self.one_time = Some(sizes);
        self
    }

    /// Sets whether the pool has a last-resort package. Default: it has one.
    #[must_use]
    pub const fn last_resort(mut self, wanted: bool) -> Self {
        self.last_resort = wanted;
        self
    }

    fn check(&self) -> Result<(), PoolConfigError> {
        let suite = self.ciphersuite;
        match self.one_time {
            Some(Sizes { target: 0, .. } | Sizes { low: 0, .. }) => Err(PoolConfigError::Zero(suite)),
            Some(Sizes { target, low, .. }) if low > target => {
                Err(PoolConfigError::LowAboveTarget { suite, low, target })
            }
            Some(Sizes { target, cap, .. }) if cap < target => {
                Err(PoolConfigError::CapBelowTarget { suite, cap, target })
            }
            None if !self.last_resort => Err(PoolConfigError::Nothing(suite)),
            Some(_) | None => Ok(()),
        }
    }
}

/// A plan for each ciphersuite, all of them sensible.
pub(crate) fn checked(plans: Vec<CiphersuitePlan>) -> Result<BTreeMap<Ciphersuite, CiphersuitePlan>, PoolConfigError> {
    let mut checked = BTreeMap::new();
    for plan in plans {
        plan.check()?;
        if checked.insert(plan.ciphersuite, plan).is_some() {
            return Err(PoolConfigError::Twice(plan.ciphersuite));
        }
    }
    if checked.is_empty() {
        return Err(PoolConfigError::NoSuite);
    }
    Ok(checked)
}

/// A setting of a [`PoolBuilder`](crate::PoolBuilder) that makes no sense.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PoolConfigError {
    /// No [`CiphersuitePlan`] was given.
    #[error("a pool needs a plan for at least one ciphersuite")]
    NoSuite,
    /// Two plans for one ciphersuite.
    #[error("two plans for the ciphersuite {0}")]
    Twice(Ciphersuite),
    /// Neither one-time packages nor a last resort.
    #[error("the plan for the ciphersuite {0} holds nothing")]
    Nothing(Ciphersuite),
    /// A pool of none, or one that is never refilled.
    #[error("the sizes for the ciphersuite {0} must be at least 1; leave them out for no one-time packages")]
    Zero(Ciphersuite),
    /// A full pool would count as low.
    #[error("{suite}: the low-water mark {low} lies above the target {target}")]
    LowAboveTarget {
        /// Of which ciphersuite.
        suite: Ciphersuite,
        /// The mark.
        low: u32,
        /// The target.
        target: u32,
    },
    /// The target could never be reached.
    #[error("{suite}: the cap {cap} lies below the target {target}")]
    CapBelowTarget {
        /// Of which ciphersuite.
        suite: Ciphersuite,
        /// The cap.
        cap: u32,
        /// The target.
        target: u32,
    },
    /// A last resort would be rotated without end.
    #[error("a last-resort package must be kept for at least a second before it is rotated")]
    RotateEvery,
    /// The system gave no random bytes, by which the processes of a client are told apart.
    #[error("the system gives no random bytes")]
    Randomness,
}
