//! Holds the delivery service's side: the traits of a store and of an admission, their requests and their answers.
//!
//! - [`KeyPackageStore`] is what every backend implements, by the rules of the [`contract`](crate::contract).
//! - [`KeyPackageStoreExt`] adds the calls for one KeyPackage.
//! - [`Admission`] turns uploaded bytes into a [`KeyPackage`](crate::KeyPackage).

mod admission;
mod admission_policy;
mod answers;
mod fingerprint;
mod forward;
mod listing;
mod requirements;
mod reservation;
mod save;
mod spend;
mod store;
mod store_ext;
mod stored;
mod support;
mod take;
mod token;
mod type_set;
mod withdrawal;

pub use admission::{Admission, Admitted, Uploader};
pub use admission_policy::AdmissionPolicy;
pub use answers::Answers;
pub use fingerprint::InitKeyFingerprint;
pub use listing::{Cursor, InvalidCursor, Page};
pub use requirements::{Requirements, TooManyTypes};
pub use reservation::{Lease, Reservation};
pub use save::{Save, SaveMode, SaveOutcome, TooManyKeyPackages};
pub use spend::{Receipt, Spend};
pub use store::KeyPackageStore;
pub use store_ext::KeyPackageStoreExt;
pub use stored::{ReadyKeyPackage, StoredKeyPackage};
pub use support::Support;
pub use take::{LastResort, OnLapse, TakeOptions, TakeRequest};
pub use token::{InvalidToken, ReservationToken};
pub use withdrawal::{WithdrawOutcome, Withdrawal};
