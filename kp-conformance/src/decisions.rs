//! What every call answers in every state: the decision table, once, as data.
//!
//! [`decide`] is the table: for one package in a [`State`] and one call about it, an [`Event`], it says the [`Answer`]
//! and the state after. `docs/state-machine.md` is printed from it, the suite checks every backend against it, a cell a
//! check, and an exhaustive test holds the rules of kp-core to it.

/// An enum that knows all its variants, in order, how each is written, and perhaps which group each belongs to.
macro_rules! listed {
    (
        $(#[$doc:meta])* enum $name:ident -> $group:ident;
        $($(#[$variant_doc:meta])* $variant:ident: $in_group:ident, $words:literal;)*
    ) => {
        listed! { $(#[$doc])* enum $name; $($(#[$variant_doc])* $variant: $words;)* }

        impl $name {
            /// Which part of the table it belongs to.
            #[must_use]
            pub const fn group(self) -> $group {
                match self {
                    $(Self::$variant => $group::$in_group,)*
                }
            }
        }
    };
    ($(#[$doc:meta])* enum $name:ident; $($(#[$variant_doc:meta])* $variant:ident: $words:literal;)*) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name {
            $($(#[$variant_doc])* $variant,)*
        }

        impl $name {
            /// All of them, in the order of the table.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// How the table writes it.
            #[must_use]
            pub const fn words(self) -> &'static str {
                match self {
                    $(Self::$variant => $words,)*
                }
            }
        }
    };
}

mod answer;
mod cell;
mod event;
mod scene;
mod state;
mod table;
mod view;

pub use answer::{Answer, Seen};
pub use cell::{Cell, cells};
pub use event::{Call, Event};
pub use state::{Row, State};
pub use table::{Decision, decide};
