use kp_core::Rejection::{AlreadySpent, Expired};
use kp_core::server::Spend;

use crate::Context;
use crate::check::checks;
use crate::packages::{Altered, DAY, at, group, no_usage, one_time, party, usage};

checks! {
    /// The same spend again gets the same receipt: later, after the lease would have ended, and past `not_after`. Any other
    /// is refused, and the package never returns.
    #[rules("SPEND-3", "SPEND-1", "SPEND-2")]
    async fn the_same_spend_gets_the_same_receipt(context: &Context) {
        let pool = context.stocked((1..=4).map(|n| one_time(n).valid(-DAY, 100)).collect()).await;
        let group_only = Spend::new().group(group("club"));
        let party_only = Spend::new().by(party("alice"));
        let usages = [usage("club", "alice"), group_only, party_only, no_usage()];
        for (n, usage) in (1..).zip(&usages) {
            let token = pool.lease(&pool.take(n), at(0)).await;
            let receipt = pool.spend(&token, usage, at(3)).await;
            assert!(receipt.is_ok());
            for now in [3, 4, 60, 99, 100, 5_000, 2] {
                assert_eq!(pool.spend(&token, usage, at(now)).await, receipt, "at {now}");
            }
            for other in usages.iter().filter(|other| *other != usage) {
                assert_eq!(pool.spend(&token, other, at(99)).await, Err(AlreadySpent));
                assert_eq!(pool.spend(&token, other, at(100)).await, Err(Expired));
            }
        }
    }
}
