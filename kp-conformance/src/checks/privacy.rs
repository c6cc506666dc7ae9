use std::fmt::Debug;

use crate::asking::Asking as _;
use crate::must_be::must_be;
use kp_core::Rejection::{AlreadySpent, TooManyReservations};
use kp_core::server::{OnLapse, ReservationToken, TakeRequest};
use kp_core::{GroupId, KeyPackage, KeyPackageBytes, Party, Rejection, ReservationId};

use crate::Context;
use crate::check::checks;
use crate::histories::Call;
use crate::packages::{SUITE, at, key_package_ref, last_resort, no_usage, one_time, one_times, ttl, usage};
use crate::pool::works;

/// Text that gives away these bytes: as they are, as hexadecimal, as a list of numbers.
fn betrays(text: &str, secret: &[u8]) -> bool {
    let written =
        |byte: fn(&u8) -> String, separator: &str| secret.iter().map(byte).collect::<Vec<_>>().join(separator);
    let hex = |byte: &u8| format!("{byte:02x}");
    let lower = text.to_lowercase();
    text.contains(&*String::from_utf8_lossy(secret))
        || ["", ", "]
            .iter()
            .any(|separator| lower.contains(&written(hex, separator)))
        || [", ", ",", ",\n    "]
            .iter()
            .any(|separator| text.contains(&written(u8::to_string, separator)))
}

checks! {
    /// Nothing that a store returns, nor the store itself, prints package bytes or the ids of reservations.
    #[rules("ERR-4")]
    async fn nothing_printed_betrays_bytes_or_ids(context: &Context) {
        let pool = context.pool().await;
        let secret_bytes = b"THE BYTES OF A PACKAGE, NOBODY ELSE'S BUSINESS";
        let secret_id = *b"SIXTEEN BYTES ID";
        let secret = |package: KeyPackage| {
            let bytes = KeyPackageBytes::try_from(&secret_bytes[..]).expect("they are few");
            KeyPackage::new(package.info, bytes)
        };
        let take = TakeRequest::new(pool.id.clone(), ReservationId::from_bytes(secret_id), ttl(60));
        let token = ReservationToken::new(pool.id.clone(), key_package_ref(1), take.id);
        let (packages, limit) = (vec![secret(one_time(1)), secret(last_resort(2))], 10);
        let calls = [
            Call::Save(pool.request(packages), at(0)),
            Call::Reserve(take.clone(), OnLapse::Return, at(0)),
            Call::Get(pool.id.clone(), key_package_ref(1), at(0)),
            Call::Spend(token.clone(), usage("club", "alice"), at(1)),
            Call::Spend(token.clone(), no_usage(), at(1)),
            Call::Release(token.clone(), at(1)),
            Call::Claim(take.clone(), None, at(1)),
            Call::Claim(pool.take(5), None, at(1)),
            Call::ReserveMany(vec![take.clone(), pool.take(6)], OnLapse::Return, at(1)),
            Call::List { pool: pool.id.clone(), limit, now: at(1) },
            Call::Pools { limit },
        ];
        let mut texts: Vec<_> = Rejection::ALL.iter().map(ToString::to_string).collect();
        let mut note = |printed: &dyn Debug| texts.extend([format!("{printed:?}"), format!("{printed:#?}")]);
        for call in calls {
            note(&(works(call.ask(&*pool.store).await), call, &pool.store));
        }
        note(&pool.store.claim_key_packages(&[take.clone(), pool.take(5)], None, at(1)).await);
        note(&pool.store.spend_key_packages(&[token], &no_usage(), at(1)).await);
        note(&pool.store.reserve_key_packages(&[take], OnLapse::Return, at(1)).await);
        note(&pool.store.list_available(&pool.id, None, 1, at(1)).await);
        for text in texts {
            assert!(!betrays(&text, secret_bytes), "bytes are printed: {text}");
            assert!(!betrays(&text, &secret_id), "an id is printed: {text}");
        }
        assert!(betrays(&format!("{secret_bytes:?}"), secret_bytes), "a list of numbers would be found");
        assert!(betrays(&format!("{secret_id:02X?}"), &secret_id), "hexadecimal would be found");
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
            let party = Party::try_from(name).expect("1 to 64 bytes");
            let group = GroupId::try_from(name).expect("1 to 255 bytes");
            let mine = pool.take(n).by(party.clone());
            let given = pool
                .claim(&mine, Some(&group), at(0))
                .await
                .expect("there is one for each");
            must_be!(pool.claim(&mine, Some(&group), at(1)).await, Ok(given));
            for other in names.iter().filter(|other| **other != name) {
                let other_party = Party::try_from(*other).expect("1 to 64 bytes");
                let other_group = GroupId::try_from(*other).expect("1 to 255 bytes");
                let theirs = pool.take(n).by(other_party.clone());
                let answers = [
                    pool.claim(&theirs, Some(&group), at(1)).await,
                    pool.claim(&mine, Some(&other_group), at(1)).await,
                ];
                let answers = answers.map(|given| given.map(|package| package.info.key_package_ref));
                must_be!(answers, [Err(AlreadySpent), Err(AlreadySpent)]);
            }
            pool.refuses(&pool.take(100 + n).by(party).limit(1), at(1), TooManyReservations).await;
        }
        must_be!(pool.count(SUITE, at(1)).await.available, 8);
    }
}
