use crate::Method;

/// Which rules a server is held to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Profile {
    /// The whole contract: every call.
    Full,
    /// Servers that only claim: no call about reservations is made. Of the other calls, a server must have
    /// `save_key_packages` and `claim_key_packages`.
    ClaimOnly,
}

impl Profile {
    /// Its name on the command line.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::ClaimOnly => "claim-only",
        }
    }

    /// Whether a server of this profile must have the method.
    pub(crate) fn demands(self, method: Method) -> bool {
        match self {
            Self::Full => true,
            Self::ClaimOnly => matches!(method, Method::Save | Method::Claim),
        }
    }

    /// Whether a server of this profile can show that it obeys the rule.
    pub(crate) fn has_rule(self, rule: &str) -> bool {
        let of_reservations = [
            "RES-1", "RES-9", "SPEND-2", "SPEND-3", "REL-1", "REL-2", "REL-3", "REN-1", "REN-2",
        ];
        self == Self::Full || !of_reservations.contains(&rule)
    }

    /// Whether a server of this profile may have the method.
    pub(crate) fn has(self, method: Method) -> bool {
        self == Self::Full || !method.is_of_reservations()
    }
}
