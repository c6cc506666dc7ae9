use std::fmt;

/// Declares the methods of the trait, each with its name.
macro_rules! methods {
    ($($(#[doc = $doc:literal])+ $variant:ident = $name:literal,)+) => {
        /// A method of [`KeyPackageStore`](kp_core::server::KeyPackageStore): what a backend may not offer
        /// ([`Factory::offers`](crate::Factory::offers)).
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Method {
            $($(#[doc = $doc])+ $variant,)+
        }

        impl Method {
            /// All of them, in the order of the trait.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// Its name in the trait.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)+
                }
            }
        }
    };
}

methods! {
    /// `save_key_packages`
    Save = "save_key_packages",
    /// `reserve_key_packages`
    Reserve = "reserve_key_packages",
    /// `claim_key_packages`
    Claim = "claim_key_packages",
    /// `spend_key_packages`
    Spend = "spend_key_packages",
    /// `release_key_packages`
    Release = "release_key_packages",
    /// `renew_key_packages`
    Renew = "renew_key_packages",
    /// `get_key_package`
    Get = "get_key_package",
    /// `get_statuses`
    Statuses = "get_statuses",
    /// `list_available`
    ListAvailable = "list_available",
    /// `list_ready`
    ListReady = "list_ready",
    /// `count_by_status`
    Count = "count_by_status",
    /// `list_pools`
    ListPools = "list_pools",
    /// `withdraw_key_packages`
    Withdraw = "withdraw_key_packages",
    /// `delete_pool`
    DeletePool = "delete_pool",
    /// `retire_unspent`
    Retire = "retire_unspent",
    /// `cleanup_expired`
    CleanUp = "cleanup_expired",
    /// `release_expired_reservations`
    Settle = "release_expired_reservations",
}

impl Method {
    /// Whether only a server that reserves has it: a claim needs none of them.
    #[must_use]
    pub const fn is_of_reservations(self) -> bool {
        matches!(self, Self::Reserve | Self::Spend | Self::Release | Self::Renew)
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
