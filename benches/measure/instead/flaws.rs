use super::{Flaw, Instead};

const EXPIRED: Flaw = Flaw {
    says: "hands out what has expired",
    check: "RES-8,RES-2,SWEEP-1,DEL-1 a_pool_that_was_emptied_begins_anew",
};
const RETRY: Flaw = Flaw {
    says: "a claim that is tried again takes another package: a lost answer is a lost package",
    check: "RES-5,CLAIM-1,ERR-1 the_same_id_at_once_gets_one_package",
};
const TWICE: Flaw = Flaw {
    says: "a package that is saved twice is stored twice, and would be handed out twice",
    check: "SAVE-2,SAVE-1 the_same_package_saved_at_once_is_stored_once",
};
const INIT_KEY: Flaw = Flaw {
    says: "an init key comes back under another ref",
    check: "SAVE-9 init_keys_that_are_nearly_alike_are_different",
};

/// Of each, what the suite shows. `benches/instead.rs` fails when one of these checks passes.
pub(super) fn of(instead: Instead) -> &'static [Flaw] {
    match instead {
        Instead::OneConnection => &[
            Flaw {
                says: "who has lost a lease can still spend the package that another holds",
                check: "TIME-3,RES-4 a_lease_counts_from_the_now_of_its_call",
            },
            Flaw {
                says: "a spend that is tried again gets no receipt",
                check: "SPEND-1,SPEND-3 of_concurrent_spends_one_wins",
            },
            INIT_KEY,
        ],
        Instead::UpdateSkipLocked => &[TWICE, EXPIRED, RETRY, INIT_KEY],
        Instead::DeleteReturning => &[
            Flaw {
                says: "callers at once are told that there is none, and get the last resort, while packages are free",
                check: "RES-8,SPEND-1,REL-1,READ-3 many_calls_at_once_conserve_every_package",
            },
            EXPIRED,
            RETRY,
            INIT_KEY,
        ],
        Instead::Map => &[TWICE, EXPIRED, RETRY, INIT_KEY],
    }
}
