listed! {
    /// The call of the trait that an [`Event`] is, by what it does, in a word.
    enum Call;
    /// `reserve_key_packages`
    Reserve: "reserve";
    /// `claim_key_packages`
    Claim: "claim";
    /// `spend_key_packages`
    Spend: "spend";
    /// `release_key_packages`
    Release: "release";
    /// `renew_key_packages`
    Renew: "renew";
    /// `save_key_packages`
    Save: "save";
    /// `withdraw_key_packages`
    Withdraw: "withdraw";
    /// `retire_unspent`
    Retire: "retire";
    /// `release_expired_reservations`
    Settle: "settle";
    /// `cleanup_expired`
    Sweep: "sweep";
    /// `delete_pool`
    Delete: "delete";
    /// The reads.
    Read: "read";
}

impl Call {
    /// Its method in the trait.
    #[must_use]
    pub const fn method(self) -> &'static str {
        match self {
            Self::Reserve => "reserve_key_packages",
            Self::Claim => "claim_key_packages",
            Self::Spend => "spend_key_packages",
            Self::Release => "release_key_packages",
            Self::Renew => "renew_key_packages",
            Self::Save => "save_key_packages",
            Self::Withdraw => "withdraw_key_packages",
            Self::Retire => "retire_unspent",
            Self::Settle => "release_expired_reservations",
            Self::Sweep => "cleanup_expired",
            Self::Delete => "delete_pool",
            Self::Read => "get_key_package",
        }
    }

    /// Whether it settles its pool first (`TIME-2`).
    #[must_use]
    pub const fn settles(self) -> bool {
        !matches!(self, Self::Sweep | Self::Delete | Self::Read)
    }
}

listed! {
    /// One call about one package P, with this reservation id where it takes one.
    ///
    /// Its party and group are those with which the id reserved, spent or claimed before, if it did, unless said
    /// otherwise.
    enum Event -> Call;
    /// P named.
    ReserveNamed: Reserve, "P named";
    /// P named, by another party.
    ReserveNamedByOtherParty: Reserve, "P named, another party";
    /// P named, with more lifetime left than it has.
    ReserveNamedUnfit: Reserve, "P named, unfit";
    /// P named, with more required than it supports.
    ReserveNamedUnmet: Reserve, "P named, more required";
    /// P named, and last resort only.
    ReserveNamedLastResort: Reserve, "P named, last resort only";
    /// P named, by an id that is bound to another package.
    ReserveNamedIdTaken: Reserve, "P named, id bound elsewhere";
    /// Another package named.
    ReserveOther: Reserve, "another named";
    /// No package named.
    ReserveById: Reserve, "none named";
    /// No package named, by another party.
    ReserveByIdByOtherParty: Reserve, "none named, another party";
    /// No package named, of another ciphersuite than P's.
    ReserveOtherSuite: Reserve, "none named, another ciphersuite";
    /// No package named, with more required than P supports.
    ReserveUnmet: Reserve, "none named, more required";
    /// No package named, last resort only.
    ReserveLastResort: Reserve, "none named, last resort only";
    /// The same claim.
    Claim: Claim, "the same claim";
    /// By another party.
    ClaimByOtherParty: Claim, "another party";
    /// For another group.
    ClaimForOtherGroup: Claim, "another group";
    /// Of another ciphersuite than P's.
    ClaimOtherSuite: Claim, "another ciphersuite";
    /// With more required than P supports.
    ClaimUnmet: Claim, "more required";
    /// Last resort only.
    ClaimLastResort: Claim, "last resort only";
    /// The same use.
    Spend: Spend, "the same use";
    /// For another group.
    SpendForOtherGroup: Spend, "another group";
    /// By another spender.
    SpendByOtherParty: Spend, "another spender";
    /// With the token of this id.
    Release: Release, "by this id";
    /// With the token of this id, to a later end.
    Renew: Renew, "by this id, to a later end";
    /// With the token of this id, to an earlier end.
    RenewShorter: Renew, "by this id, to an earlier end";
    /// P as it is.
    SaveAgain: Save, "P again";
    /// P with other bytes.
    SaveOtherBytes: Save, "P, other bytes";
    /// P with other facts.
    SaveOtherFacts: Save, "P, other facts";
    /// Another package of P's ciphersuite, with a cap of 1: does P count?
    SaveAtCap: Save, "another, cap 1";
    /// Another package of P's ciphersuite, which replaces the rest.
    SaveReplacing: Save, "another, `Replace`";
    /// Another package with P's init key.
    SaveInitKey: Save, "another, P's init key";
    /// A last resort of P's ciphersuite.
    SaveLastResort: Save, "another last resort";
    /// P named.
    Withdraw: Withdraw, "P named";
    /// All.
    WithdrawAll: Withdraw, "all";
    /// What was saved until now.
    RetireUnspent: Retire, "saved before";
    /// Until nothing is left to do.
    ReleaseExpired: Settle, "leases, windows ended";
    /// Until nothing is left to do.
    CleanupExpired: Sweep, "packages removed";
    /// The pool of P.
    DeletePool: Delete, "its pool";
    /// P's status and bytes.
    Read: Read, "P";
}
