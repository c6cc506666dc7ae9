//! What the reference answers to a call of the protocol.

use kp_conformance::ReferenceStore;
use kp_conformance::adapter::wire::{
    self, Call, Cause, Counted, CountedSuite, Effect, Failure, Hex, Info, Lease, OnLapse, Outcome, Package, Page,
    Place, Ready, Receipt, Reservation, Retired, SaveMode, Slot, Status, Stored, Take, Token, Withdrawn,
};
use kp_core::key_package::{CredentialType, ExtensionType, ProposalType};
use kp_core::server::{
    Admitted, Answers, Cursor, InitKeyFingerprint, KeyPackageStore, LastResort, Requirements, ReservationToken, Save,
    Spend, StoredKeyPackage, Support, TakeOptions, TakeRequest, Withdrawal,
};
use kp_core::{Ciphersuite, Error, KeyPackage, KeyPackageInfo, KeyPackageRef, ReservationId, Timestamp, Ttl};
use serde::Serialize;
use serde_json::{Value, json};

fn at(seconds: i64) -> Timestamp {
    Timestamp::try_from(seconds).expect("the program sends times within bounds")
}

fn refs(refs: Vec<Hex<KeyPackageRef>>) -> Vec<KeyPackageRef> {
    refs.into_iter().map(|named| named.0).collect()
}

/// The numbers of one kind of type.
fn numbers(types: &[wire::Type], kind: u8) -> impl Iterator<Item = u16> {
    let of_kind = types.iter().filter(move |named| named.0[0] == kind);
    of_kind.map(|named| u16::from_be_bytes([named.0[1], named.0[2]]))
}

fn item(item: wire::Item) -> Admitted {
    let package = KeyPackage::try_from(item.package).expect("the program sends packages");
    let mut admitted = Admitted::new(package);
    admitted.fingerprint = item.fingerprint.map(|bytes| InitKeyFingerprint::from_bytes(bytes.0));
    admitted.support = item.support.and_then(|types| {
        Support::new(
            numbers(&types, 1).map(ExtensionType),
            numbers(&types, 2).map(ProposalType),
            numbers(&types, 3).map(CredentialType),
        )
    });
    admitted
}

fn request(take: Take) -> TakeRequest {
    let few = "the program requires few types";
    let requirements = Requirements::new()
        .extensions(numbers(&take.requirements, 1).map(ExtensionType))
        .expect(few)
        .proposals(numbers(&take.requirements, 2).map(ProposalType))
        .expect(few)
        .credentials(numbers(&take.requirements, 3).map(CredentialType))
        .expect(few);
    let mut options = TakeOptions::new()
        .ciphersuites(take.ciphersuites.into_iter().map(Ciphersuite))
        .remaining(take.remaining)
        .requirements(requirements)
        .last_resort(match take.last_resort {
            wire::LastResort::Never => LastResort::Never,
            wire::LastResort::Fallback => LastResort::Fallback,
            wire::LastResort::Only => LastResort::Only,
        });
    options.only = take.only.map(|named| named.0);
    options.by = take.by.map(|party| party.0);
    let ttl = Ttl::try_from(take.ttl).expect("the program sends ttls within bounds");
    let mut request = TakeRequest::new(take.pool.0, ReservationId::from_bytes(take.id.0), ttl).options(options);
    request.limit = take.limit;
    request
}

fn tokens(tokens: Vec<Token>) -> Vec<ReservationToken> {
    tokens.into_iter().map(ReservationToken::from).collect()
}

fn cursor(place: Option<Place>) -> Option<Cursor> {
    place.map(|place| place.0)
}

fn outcome<T, U: Serialize>(answer: kp_core::Result<T>, shown: impl Fn(T) -> U) -> Outcome<Value> {
    match answer {
        Ok(value) => Outcome::Ok(json!(shown(value))),
        Err(Error::Rejected(rejection)) => Outcome::Rejected(rejection.try_into().expect("a code of the protocol")),
        Err(failure) => Outcome::Failed(Failure {
            effect: Effect::Unknown,
            transient: false,
            message: failure.to_string(),
        }),
    }
}

fn each<T, U: Serialize>(answers: Answers<T>, shown: impl Fn(T) -> U) -> Outcome<Value> {
    let each = answers.into_iter().map(|answer| outcome(answer, &shown));
    Outcome::Ok(json!(each.collect::<Vec<_>>()))
}

fn lease(lease: kp_core::server::Lease) -> Lease {
    Lease {
        token: Token::from(&lease.token),
        expires_at: lease.expires_at.get(),
    }
}

fn status(status: kp_core::Status) -> Status {
    match status {
        kp_core::Status::Available => Status::Available {},
        kp_core::Status::NotYetValid => Status::NotYetValid {},
        kp_core::Status::Reserved { until } => Status::Reserved { until: until.get() },
        kp_core::Status::Spent { at, cause } => Status::Spent {
            at: at.get(),
            cause: match cause {
                kp_core::Cause::Retired => Cause::Retired,
                kp_core::Cause::Withdrawn => Cause::Withdrawn,
                kp_core::Cause::Replaced => Cause::Replaced,
                _ => Cause::Used,
            },
        },
        kp_core::Status::LastResort { used } => Status::LastResort { used },
        _ => Status::Expired {},
    }
}

fn stored(stored: StoredKeyPackage) -> Stored {
    Stored {
        info: Info::from(&stored.info),
        status: status(stored.status),
        bytes: stored.bytes.map(|bytes| Hex(bytes.as_ref().to_vec())),
    }
}

fn page<T, U>(page: kp_core::server::Page<T>, shown: impl Fn(T) -> U) -> Page<U> {
    Page {
        items: page.items.into_iter().map(shown).collect(),
        next: page.next.map(Place),
    }
}

fn counted(counts: kp_core::PoolCounts) -> Counted {
    let suite = |(suite, counts): (Ciphersuite, kp_core::Counts)| CountedSuite {
        ciphersuite: suite.0,
        available: counts.available,
        reserved: counts.reserved,
        recalled: counts.recalled,
        spent: counts.spent,
        spent_last_resorts: counts.spent_last_resorts,
        not_yet_valid: counts.not_yet_valid,
        expired: counts.expired,
        last_resort: match counts.last_resort {
            kp_core::Slot::Empty => Slot::Empty,
            kp_core::Slot::Unused => Slot::Unused,
            kp_core::Slot::Used => Slot::Used,
        },
    };
    Counted {
        ciphersuites: counts.ciphersuites.into_iter().map(suite).collect(),
        room: counts.room,
    }
}

/// The answer to a call of the contract.
pub(crate) async fn answer(store: &ReferenceStore, call: Call) -> Outcome<Value> {
    let saved = |outcome| wire::SaveOutcome::try_from(outcome).expect("a code of the protocol");
    let withdrawn = |(named, what)| Withdrawn {
        key_package_ref: Hex(named),
        outcome: wire::WithdrawOutcome::try_from(what).expect("a code of the protocol"),
    };
    match call {
        Call::SaveKeyPackages {
            pool,
            packages,
            mode,
            cap_per_ciphersuite,
            now,
        } => {
            let save = Save::new(pool.0, packages.into_iter().map(item)).expect("a save has 1,000 items at most");
            let save = save.cap_per_ciphersuite(cap_per_ciphersuite).mode(match mode {
                SaveMode::Append => kp_core::server::SaveMode::Append,
                SaveMode::Replace => kp_core::server::SaveMode::Replace,
                SaveMode::Amend => kp_core::server::SaveMode::Amend,
            });
            let outcomes = store.save_key_packages(&save, at(now)).await;
            outcome(outcomes, |outcomes| outcomes.into_iter().map(saved).collect::<Vec<_>>())
        }
        Call::ReserveKeyPackages { takes, on_lapse, now } => {
            let takes: Vec<_> = takes.into_iter().map(request).collect();
            let lapse = match on_lapse {
                OnLapse::Return => kp_core::server::OnLapse::Return,
                OnLapse::Retire => kp_core::server::OnLapse::Retire,
            };
            each(store.reserve_key_packages(&takes, lapse, at(now)).await, |reserved| {
                Reservation {
                    package: Package::from(&reserved.package),
                    lease: reserved.lease.map(lease),
                }
            })
        }
        Call::ClaimKeyPackages { takes, group, now } => {
            let takes: Vec<_> = takes.into_iter().map(request).collect();
            let group = group.map(|group| group.0);
            each(
                store.claim_key_packages(&takes, group.as_ref(), at(now)).await,
                |package| Package::from(&package),
            )
        }
        Call::SpendKeyPackages {
            tokens: named,
            group,
            by,
            now,
        } => {
            let mut spend = Spend::new();
            (spend.group, spend.by) = (group.map(|group| group.0), by.map(|party| party.0));
            each(
                store.spend_key_packages(&tokens(named), &spend, at(now)).await,
                |receipt| Receipt {
                    key_package_ref: Hex(receipt.key_package_ref),
                    spent_at: receipt.spent_at.get(),
                },
            )
        }
        Call::ReleaseKeyPackages { tokens: named, now } => {
            each(store.release_key_packages(&tokens(named), at(now)).await, |()| ())
        }
        Call::RenewKeyPackages {
            tokens: named,
            ttl,
            now,
        } => {
            let ttl = Ttl::try_from(ttl).expect("the program sends ttls within bounds");
            each(store.renew_key_packages(&tokens(named), ttl, at(now)).await, lease)
        }
        Call::GetKeyPackage {
            pool,
            key_package_ref,
            now,
        } => {
            let found = store.get_key_package(&pool.0, &key_package_ref.0, at(now)).await;
            outcome(found, |found| found.map(stored))
        }
        Call::GetStatuses { pool, refs: named, now } => {
            let statuses = store.get_statuses(&pool.0, &refs(named), at(now)).await;
            outcome(statuses, |all| {
                all.into_iter().map(|one| one.map(status)).collect::<Vec<_>>()
            })
        }
        Call::ListAvailable {
            pool,
            after,
            limit,
            now,
        } => {
            let listed = store
                .list_available(&pool.0, cursor(after).as_ref(), limit, at(now))
                .await;
            outcome(listed, |listed| page(listed, |info: KeyPackageInfo| Info::from(&info)))
        }
        Call::ListReady { pool, now } => {
            let ready = |ready: kp_core::server::ReadyKeyPackage| Ready {
                info: Info::from(&ready.info),
                saved_at: ready.saved_at.get(),
            };
            let listed = store.list_ready(&pool.0, at(now)).await;
            outcome(listed, |listed| listed.into_iter().map(ready).collect::<Vec<_>>())
        }
        Call::CountByStatus { pool, now } => outcome(store.count_by_status(&pool.0, at(now)).await, counted),
        Call::ListPools { after, limit } => {
            let listed = store.list_pools(cursor(after).as_ref(), limit).await;
            outcome(listed, |listed| page(listed, Hex))
        }
        Call::WithdrawKeyPackages { pool, refs: named, now } => {
            let what = named.map_or(Withdrawal::All, |named| Withdrawal::Refs(refs(named)));
            let answered = store.withdraw_key_packages(&pool.0, &what, at(now)).await;
            outcome(answered, |answered| {
                answered.into_iter().map(withdrawn).collect::<Vec<_>>()
            })
        }
        Call::DeletePool { pool } => outcome(store.delete_pool(&pool.0).await, |()| ()),
        Call::RetireUnspent {
            saved_before,
            now,
            after,
            limit,
        } => {
            let step = store
                .retire_unspent(at(saved_before), at(now), cursor(after).as_ref(), limit)
                .await;
            outcome(step, |(retired, next)| Retired {
                retired,
                next: next.map(Place),
            })
        }
        Call::CleanupExpired { now, limit } => outcome(store.cleanup_expired(at(now), limit).await, |count| count),
        Call::ReleaseExpiredReservations { now, limit } => {
            outcome(store.release_expired_reservations(at(now), limit).await, |count| count)
        }
        Call::Hello(_) | Call::Open(_) | Call::Close { .. } | Call::Destroy(_) => {
            panic!("a call of the adapter is none of the contract")
        }
    }
}
