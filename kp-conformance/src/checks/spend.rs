use kp_core::Rejection::{AlreadySpent, Expired, NoLiveReservation, NotFound};
use kp_core::server::Spend;

use crate::Context;
use crate::check::checks;
use crate::packages::{Altered, DAY, at, group, key_package_ref, no_usage, one_time, one_times, party, usage};
use crate::pool::answered;

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

    /// A receipt is kept until the record is swept, or saved anew past its `not_after`.
    #[rules("SPEND-3", "SWEEP-1", "SAVE-7")]
    async fn a_receipt_ends_with_its_record(context: &Context) {
        let pool = context.stocked((1..=2).map(|n| one_time(n).valid(-DAY, 100)).collect()).await;
        for n in 1..=2 {
            let token = pool.lease(&pool.take(n), at(0)).await;
            pool.spent(&token, &no_usage(), at(0)).await;
        }
        pool.stock(one_times([2]), at(100)).await;
        assert_eq!(
            pool.spend(&pool.token(2, 2), &no_usage(), at(100)).await,
            Err(NoLiveReservation)
        );
        pool.spent(&pool.token(1, 1), &no_usage(), at(100)).await;
        assert_eq!(pool.cleanup(at(100), 10).await, 1);
        assert_eq!(pool.spend(&pool.token(1, 1), &no_usage(), at(100)).await, Err(NotFound));
    }

    /// A batch of spends has a receipt or a refusal for each, in order, each item after the ones before it.
    #[rules("SPEND-1", "ERR-3")]
    async fn a_batch_of_spends_has_an_answer_for_each(context: &Context) {
        let bob = context.pool().await;
        let carol = bob.beside("carol/laptop");
        bob.stock(one_times([1, 2]), at(0)).await;
        carol.stock(one_times([1]), at(0)).await;
        let first = bob.lease(&bob.take(1), at(0)).await;
        let second = bob.lease(&bob.take(2), at(0)).await;
        let carols = carol.lease(&carol.take(1), at(0)).await;
        let tokens = [second, bob.token(9, 9), carols, first.clone(), bob.token(1, 9), first];
        let answers = bob.store.spend_key_packages(&tokens, &no_usage(), at(1)).await;
        let answers: Vec<_> = answers
            .into_iter()
            .map(|answer| answered(answer).map(|receipt| receipt.key_package_ref))
            .collect();
        let [one, two] = [1, 2].map(key_package_ref);
        let expected = [
            Ok(two),
            Err(NotFound),
            Ok(one.clone()),
            Ok(one.clone()),
            Err(AlreadySpent),
            Ok(one),
        ];
        assert_eq!(answers, expected);
        assert!(bob.store.spend_key_packages(&[], &no_usage(), at(1)).await.is_empty());
    }
}
