use std::fmt::{Debug, Write};

use crate::asking::Asking as _;
use kp_core::server::{OnLapse, TakeRequest};
use kp_core::{KeyPackageBytes, Rejection, ReservationId};

use crate::Context;
use crate::check::checks;
use crate::packages::{SUITE, at, last_resort, no_usage, one_time, one_times, party, ttl, usage};

/// Text that gives away these bytes: as they are, as hexadecimal, as a list of numbers.
fn betrays(text: &str, secret: &[u8]) -> bool {
    let mut hex = String::new();
    for byte in secret {
        let _ = write!(hex, "{byte:02x}");
    }
    let numbers = |separator: &str| secret.iter().map(u8::to_string).collect::<Vec<_>>().join(separator);
    let hexes = secret
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect::<Vec<_>>()
        .join(", ");
    let lower = text.to_lowercase();
    text.contains(&*String::from_utf8_lossy(secret))
        || [hex, hexes].iter().any(|pattern| lower.contains(pattern))
        || [", ", ",", ",\n    "]
            .iter()
            .any(|separator| text.contains(&numbers(separator)))
}

checks! {
    /// Nothing that a store returns, nor the store itself, prints package bytes or the ids of reservations.
    #[rules("ERR-4")]
    async fn nothing_printed_betrays_bytes_or_ids(context: &Context) {
        let pool = context.pool().await;
        let secret_bytes = b"THE BYTES OF A PACKAGE, NOBODY ELSE'S BUSINESS";
        let secret_id = *b"SIXTEEN BYTES ID";
        let mut package = one_time(1);
        package.bytes = KeyPackageBytes::try_from(&secret_bytes[..]).expect("they are few");
        let mut last = last_resort(2);
        last.bytes = package.bytes.clone();
        let take = TakeRequest::new(pool.id.clone(), ReservationId::from_bytes(secret_id), ttl(60));
        let save = pool.request(vec![package, last]);
        let mut texts = Vec::new();
        let mut note = |what: &dyn Debug| texts.extend([format!("{what:?}"), format!("{what:#?}")]);
        note(&pool.save_as(&save, at(0)).await);
        note(&save);
        let reserved = pool.reserve(&take, at(0)).await.expect("a package is there");
        note(&take);
        note(&reserved);
        note(&pool.get(1, at(0)).await);
        note(&pool.store);
        let token = reserved.lease.expect("a one-time package comes with a lease").token;
        note(&token);
        note(
            &pool
                .store
                .spend_key_packages(std::slice::from_ref(&token), &usage("club", "alice"), at(1))
                .await,
        );
        note(
            &pool
                .store
                .spend_key_packages(std::slice::from_ref(&token), &no_usage(), at(1))
                .await,
        );
        note(
            &pool
                .store
                .release_key_packages(std::slice::from_ref(&token), at(1))
                .await,
        );
        note(
            &pool
                .store
                .claim_key_packages(&[take.clone(), pool.take(5)], None, at(1))
                .await,
        );
        note(&pool.store.reserve_key_packages(&[take], OnLapse::Return, at(1)).await);
        note(&pool.available_by(10, at(1)).await);
        note(&pool.store.list_available(&pool.id, None, 1, at(1)).await);
        note(&pool.store.list_pools(None, 1).await);
        for rejection in Rejection::ALL {
            texts.push(rejection.to_string());
        }
        for text in texts {
            assert!(!betrays(&text, secret_bytes), "bytes are printed: {text}");
            assert!(!betrays(&text, &secret_id), "an id is printed: {text}");
        }
        assert!(
            betrays(&format!("{secret_bytes:?}"), secret_bytes),
            "a list of numbers would be found"
        );
        assert!(
            betrays(&format!("{secret_id:02X?}"), &secret_id),
            "hexadecimal would be found"
        );
    }

    /// Parties and groups are bytes that are only compared: with NUL bytes, not UTF-8, of the longest, and of one that
    /// the other begins with.
    #[rules("PRIV-1", "CLAIM-1", "RES-5")]
    async fn parties_and_groups_are_compared_as_bytes(context: &Context) {
        let pool = context.pool().await;
        let names: [&[u8]; 8] = [
            b"x",
            b"X",
            b"x\0",
            b"\0",
            b"x\0y",
            b"\xFF\xFE",
            b"' OR 1=1 --",
            &[0xEE; 64],
        ];
        pool.stock(one_times(0..16), at(0)).await;
        for (n, name) in (0..).zip(names) {
            let party = kp_core::Party::try_from(name).expect("1 to 64 bytes");
            let group = kp_core::GroupId::try_from(name).expect("1 to 255 bytes");
            let mine = pool.take(n).by(party.clone());
            let given = pool
                .claim(&mine, Some(&group), at(0))
                .await
                .expect("there is one for each");
            assert_eq!(pool.claim(&mine, Some(&group), at(1)).await, Ok(given));
            for other in names.iter().filter(|other| **other != name) {
                let other_party = kp_core::Party::try_from(*other).expect("1 to 64 bytes");
                let other_group = kp_core::GroupId::try_from(*other).expect("1 to 255 bytes");
                let theirs = pool.take(n).by(other_party.clone());
                let answers = [
                    pool.claim(&theirs, Some(&group), at(1)).await,
                    pool.claim(&mine, Some(&other_group), at(1)).await,
                ];
                assert_eq!(answers, [Err(Rejection::AlreadySpent), Err(Rejection::AlreadySpent)]);
            }
            assert_eq!(
                pool.reserve(&pool.take(100 + n).by(party).limit(1), at(1)).await,
                Err(Rejection::TooManyReservations)
            );
        }
        assert_eq!(pool.count(SUITE, at(1)).await.available, 8);
    }

    /// Nobody has to say who it is: without reserver, spender and group everything works, and none equals only none.
    #[rules("PRIV-1", "SPEND-3")]
    async fn nobody_has_to_say_who_it_is(context: &Context) {
        let pool = context.stocked(one_times([1, 2])).await;
        let token = pool.lease(&pool.take(1), at(0)).await;
        assert_eq!(
            pool.reserve(&pool.take(1).by(party("alice")), at(0)).await,
            Err(Rejection::ReservationConflict)
        );
        let receipt = pool.spend(&token, &no_usage(), at(1)).await;
        assert!(receipt.is_ok());
        assert_eq!(pool.spend(&token, &no_usage(), at(2)).await, receipt);
        assert_eq!(
            pool.spend(&token, &usage("club", "alice"), at(2)).await,
            Err(Rejection::AlreadySpent)
        );
        assert_eq!(pool.claim(&pool.take(2), None, at(2)).await, Ok(one_time(2)));
        assert_eq!(
            pool.claim(&pool.take(2).by(party("alice")), None, at(2)).await,
            Err(Rejection::AlreadySpent)
        );
    }
}
