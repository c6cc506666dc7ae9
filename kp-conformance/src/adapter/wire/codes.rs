use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::misfit::Misfit;

/// Declares an enum of codes that mirrors one of kp-core, and the way there and back.
macro_rules! codes {
    ($(#[$doc:meta])* $name:ident is $core:ty { $($(#[$variant_doc:meta])* $variant:ident,)+ }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
        #[serde(rename_all = "snake_case")]
        pub enum $name { $($(#[$variant_doc])* $variant,)+ }

        impl $name {
            /// All codes.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];
        }

        impl From<$name> for $core {
            fn from(code: $name) -> Self {
                match code { $($name::$variant => Self::$variant,)+ }
            }
        }

        impl TryFrom<$core> for $name {
            type Error = Misfit;

            fn try_from(core: $core) -> Result<Self, Misfit> {
                match core {
                    $(<$core>::$variant => Ok(Self::$variant),)+
                    other => Err(Misfit::new(other.code())),
                }
            }
        }
    };
}

codes! {
    /// What became of one package of a save.
    SaveOutcome is kp_core::server::SaveOutcome {
        /// Stored now.
        Saved,
        /// Stored before, and unspent.
        AlreadyStored,
        /// Used, withdrawn, retired or replaced.
        AlreadySpent,
        /// Past its `not_after`.
        Expired,
        /// A last-resort package before its `not_before`.
        NotYetValid,
        /// The pool holds as many as it may.
        PoolFull,
        /// Another package is stored under the ref.
        RefConflict,
        /// Another package of the pool has the fingerprint.
        InitKeyReused,
    }
}

codes! {
    /// What a withdrawal did to one package.
    WithdrawOutcome is kp_core::server::WithdrawOutcome {
        /// Withdrawn now or before.
        Withdrawn,
        /// Used, retired or replaced before.
        AlreadySpent,
        /// No record, or past its `not_after`.
        NotFound,
    }
}

codes! {
    /// Why the rules refuse a request.
    Rejection is kp_core::Rejection {
        /// No one-time package is available, and no last-resort package fits.
        PoolExhausted,
        /// Packages are available, but none fits.
        NothingFits,
        /// The package is used, withdrawn, retired or replaced.
        AlreadySpent,
        /// Another reservation holds the package named.
        AlreadyReserved,
        /// The package is past its `not_after`.
        Expired,
        /// The pool has no record of the package.
        NotFound,
        /// The package named does not fit.
        Unsuitable,
        /// The id belongs to another request.
        ReservationConflict,
        /// The party has as many as its limit allows.
        TooManyReservations,
        /// The token's reservation does not hold.
        NoLiveReservation,
        /// A list has more items than one call may name.
        TooManyItems,
        /// The place is not one of this listing.
        InvalidCursor,
    }
}
