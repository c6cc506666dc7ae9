use crate::asking::Asking as _;
use crate::must_be::must_be;
use kp_core::server::{
    Admitted, LastResort, OnLapse, Receipt, Reservation, ReservationToken, SaveOutcome, Spend, TakeRequest,
    WithdrawOutcome, Withdrawal,
};
use kp_core::{CredentialHash, KeyPackage, Rejection, Timestamp};

use super::view::{NEW, P, SPARE, SUCCESSOR, View};
use super::{Answer, Event, Row, State};
use crate::packages::{
    Altered, Beside, DAY, END, OTHER_SUITE, Types, at, group, id, key_package_ref, last_resort, one_time, party, ttl,
    usage,
};
use crate::pool::Pool;

/// Who calls, by the number of its id: the id of the cell,
pub(super) const OWN: u64 = 1;
/// the other one,
pub(super) const OTHER: u64 = 2;
/// and one that is bound to the spare.
const TAKEN: u64 = 3;

/// When the call is made. All that led to the state was done at 0.
pub(super) const CALL: i64 = 100;
/// Before any lease, window or lifetime had ended.
pub(super) const EARLIER: i64 = 50;
/// When the leases and windows end that have ended by the time of the call; the others last [`LONG`].
const SHORT: u32 = 60;
pub(super) const LONG: u32 = 1_000;
/// When the lifetime ends of a package that is past it by the time of the call.
const EXPIRY: i64 = 80;

/// What P supports, and what the spare does: more.
const LITTLE: Types = Types(&[0xF001], &[], &[1]);
const MORE: Types = Types(&[0xF001, 0xF002], &[], &[1]);

/// For whom and for which group a call is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Asker {
    party: &'static str,
    group: &'static str,
}

impl Asker {
    /// As in all that led to the state.
    pub(super) const SAME: Self = Self {
        party: "alice",
        group: "the group",
    };

    /// As in this event.
    pub(super) fn of(event: Event) -> Self {
        let mut asker = Self::SAME;
        match event {
            Event::ReserveNamedByOtherParty
            | Event::ReserveByIdByOtherParty
            | Event::ClaimByOtherParty
            | Event::SpendByOtherParty => asker.party = "mallory",
            Event::ClaimForOtherGroup | Event::SpendForOtherGroup => asker.group = "another group",
            _ => {}
        }
        asker
    }

    fn usage(self) -> Spend {
        usage(self.group, self.party)
    }
}

/// One pool, with the package P in a certain state.
pub(super) struct Scene {
    pool: Pool,
    state: State,
    p: KeyPackage,
}

impl Scene {
    /// Brings P into the state, by public calls only.
    pub(super) async fn set(pool: Pool, state: State) -> Self {
        let p = if state.is_last_resort() {
            last_resort(P)
        } else {
            one_time(P)
        };
        let p = match state.gone() {
            _ if state.group() == Row::E => p.valid(-DAY, EXPIRY),
            State::AbsentNotYetValid => p.valid(2 * CALL, END),
            _ => p,
        };
        let scene = Self { pool, state, p };
        if state.group() != Row::Absent {
            scene.pool.stock_one(scene.p(), at(0)).await;
            scene.arrange().await;
        }
        let spare = one_time(SPARE).of(OTHER_SUITE).supporting(MORE);
        scene.pool.stock_one(spare, at(0)).await;
        scene
    }

    /// P, with its init key and what it supports.
    fn p(&self) -> Admitted {
        self.p.clone().with_key(P).supporting(LITTLE)
    }

    /// Who brings P into the state, and into which state of its own.
    fn begins(state: State) -> (u64, State) {
        let state = state.earlier();
        match state.group() {
            Row::OtherR | Row::OtherC | Row::OtherU => (OTHER, state.mirrored()),
            _ => (OWN, state),
        }
    }

    /// Whether a call on all pools brings P into the state.
    pub(super) fn sweeps(state: State) -> bool {
        let (_, state) = Self::begins(state);
        matches!(
            state,
            State::RetiredWhileReserved | State::ClaimedEnded | State::Retired
        )
    }

    async fn arrange(&self) {
        let (who, state) = Self::begins(self.state);
        match state {
            State::Reserved => drop(self.lend(who).await),
            State::WithdrawnWhileReserved => {
                self.lend(who).await;
                self.withdraw().await;
            }
            State::RetiredWhileReserved => {
                self.lend(who).await;
                self.retire().await;
            }
            State::Spent => {
                let token = self.lend(who).await;
                let receipt = self.pool.spend(&token, &Asker::SAME.usage(), at(0)).await;
                assert!(receipt.is_ok(), "the lease is live: {receipt:?}");
            }
            State::Claimed | State::ClaimedEnded => {
                let claimed = self
                    .pool
                    .claim(&self.first(who), Some(&group(Asker::SAME.group)), at(0))
                    .await;
                must_be!(claimed.as_ref(), Ok(&self.p), "P is the oldest");
                if state == State::ClaimedEnded {
                    must_be!(self.pool.settle(at(SHORT.into()), 10).await, 1, "the window has ended");
                }
            }
            State::Withdrawn | State::LastResortWithdrawn => self.withdraw().await,
            State::Retired => self.retire().await,
            State::LastResortUsed => {
                let take = self.first(OTHER).last_resort(LastResort::Only);
                let reserved = self.pool.reserve(&take, at(0)).await;
                assert!(reserved.is_ok(), "the slot is filled: {reserved:?}");
            }
            State::Replaced => self.pool.stock(vec![last_resort(SUCCESSOR)], at(0)).await,
            _ => {}
        }
    }

    /// The request that led to the state.
    fn first(&self, who: u64) -> TakeRequest {
        let ended = matches!(
            self.state,
            State::ClaimedLapsed | State::OtherClaimedLapsed | State::ClaimedEnded | State::OtherClaimedEnded
        ) || matches!(self.state.group(), Row::Lr | Row::Lx);
        self.take(who, Asker::SAME, if ended { SHORT } else { LONG })
    }

    fn take(&self, who: u64, asker: Asker, seconds: u32) -> TakeRequest {
        TakeRequest::new(self.pool.id.clone(), id(who), ttl(seconds)).by(party(asker.party))
    }

    async fn lend(&self, who: u64) -> ReservationToken {
        let lapse = match self.state {
            State::LapsedRetire => OnLapse::Retire,
            _ => OnLapse::Return,
        };
        self.pool.lease_until(&self.first(who), lapse, at(0)).await.0
    }

    async fn withdraw(&self) {
        must_be!(self.pool.withdraw([P], at(0)).await, [WithdrawOutcome::Withdrawn]);
    }

    async fn retire(&self) {
        must_be!(self.pool.retire(at(1), at(0)).await, 1, "P was saved at 0");
    }

    /// What has to be so for this event to mean what it says.
    pub(super) async fn prepare(&self, event: Event) {
        if event == Event::ReserveNamedIdTaken {
            let take = self.take(TAKEN, Asker::SAME, LONG).only(key_package_ref(SPARE));
            self.pool.lease(&take, at(0)).await;
        }
    }

    /// What the reads show.
    pub(super) async fn view(&self, now: i64) -> View {
        let view = View::of(&self.pool, at(now)).await;
        if let Some(p) = view.p() {
            must_be!(p.info, self.p.info, "the facts are as they were saved");
            assert!(
                p.bytes.as_ref().is_none_or(|bytes| *bytes == self.p.bytes),
                "the bytes are as they were saved"
            );
        }
        view
    }

    /// Makes the call.
    pub(super) async fn act(&mut self, event: Event, who: u64, asker: Asker, now: i64) -> Answer {
        let answer = self.ask(event, who, asker, at(now)).await;
        answer.unwrap_or_else(Answer::Rejected)
    }

    async fn ask(&mut self, event: Event, who: u64, asker: Asker, now: Timestamp) -> Result<Answer, Rejection> {
        let take = self.take(who, asker, LONG);
        let named = take.clone().only(key_package_ref(P));
        Ok(match event {
            Event::ReserveNamed | Event::ReserveNamedByOtherParty => self.reserve(&named, now).await?,
            Event::ReserveNamedUnfit => self.reserve(&named.remaining(u32::MAX), now).await?,
            Event::ReserveNamedUnmet => self.reserve(&named.requiring(MORE), now).await?,
            Event::ReserveNamedLastResort => self.reserve(&named.last_resort(LastResort::Only), now).await?,
            Event::ReserveNamedIdTaken => {
                let take = self.take(TAKEN, asker, LONG).only(key_package_ref(P));
                self.reserve(&take, now).await?
            }
            Event::ReserveOther => self.reserve(&take.only(key_package_ref(SPARE)), now).await?,
            Event::ReserveById | Event::ReserveByIdByOtherParty => self.reserve(&take, now).await?,
            Event::ReserveOtherSuite => self.reserve(&take.ciphersuites([OTHER_SUITE]), now).await?,
            Event::ReserveUnmet => self.reserve(&take.requiring(MORE), now).await?,
            Event::ReserveLastResort => self.reserve(&take.last_resort(LastResort::Only), now).await?,
            Event::Claim | Event::ClaimByOtherParty | Event::ClaimForOtherGroup => {
                self.claim(&take, asker, now).await?
            }
            Event::ClaimOtherSuite => self.claim(&take.ciphersuites([OTHER_SUITE]), asker, now).await?,
            Event::ClaimUnmet => self.claim(&take.requiring(MORE), asker, now).await?,
            Event::ClaimLastResort => self.claim(&take.last_resort(LastResort::Only), asker, now).await?,
            Event::Spend | Event::SpendForOtherGroup | Event::SpendByOtherParty => {
                let spent = self.pool.spend(&self.pool.token(P, who), &asker.usage(), now).await;
                self.receipt(&spent?, now)
            }
            Event::Release => {
                self.pool.release(&self.pool.token(P, who), now).await?;
                Answer::Released
            }
            Event::Renew => self.renew(who, LONG, now).await?,
            Event::RenewShorter => self.renew(who, 1, now).await?,
            Event::SaveAgain => self.save(self.p.clone(), now).await,
            Event::SaveOtherBytes => self.save(self.p.clone().with_bytes_of(NEW), now).await,
            Event::SaveOtherFacts => {
                let mut info = self.p.info.clone();
                info.credential = CredentialHash([8; 32]);
                let bytes = self.p.bytes.clone();
                self.save(KeyPackage::new(info, bytes), now).await
            }
            Event::SaveAtCap => {
                let save = self.pool.request(vec![one_time(NEW)]).cap_per_ciphersuite(1);
                Answer::Saved(self.pool.save_as(&save, now).await[0])
            }
            Event::SaveReplacing => Answer::Saved(self.pool.replace(vec![one_time(NEW)], now).await[0]),
            Event::SaveInitKey => Answer::Saved(self.pool.admit_one(one_time(NEW).with_key(P), now).await),
            Event::SaveLastResort => Answer::Saved(self.pool.save_one(last_resort(NEW), now).await),
            Event::Withdraw => Answer::WithdrawOutcome(self.pool.withdraw([P], now).await.pop()),
            Event::WithdrawAll => {
                let withdrawn = self.pool.withdraw_as(&Withdrawal::All, now).await;
                let p = withdrawn.into_iter().find(|(named, _)| *named == key_package_ref(P));
                Answer::WithdrawOutcome(p.map(|(_, what)| what))
            }
            Event::RetireUnspent => {
                let others = 1 + u64::from(self.state.earlier() == State::Replaced);
                let retired = self.pool.retire(now, now).await;
                Answer::Count(
                    retired
                        .checked_sub(others)
                        .expect("the spare is retired, and a successor marked"),
                )
            }
            Event::ReleaseExpired => {
                let ended = self.pool.settle(now, 10).await;
                must_be!(self.pool.settle(now, 10).await, 0, "SWEEP-2: there is one pool");
                Answer::Count(ended)
            }
            Event::CleanupExpired => {
                let swept = self.pool.cleanup(now, 10).await;
                must_be!(self.pool.cleanup(now, 10).await, 0, "SWEEP-1: there is one package");
                Answer::Count(swept)
            }
            Event::DeletePool => {
                self.pool.delete().await;
                Answer::Done
            }
            Event::Read => Answer::Seen(self.view(CALL).await.seen()),
        })
    }

    async fn reserve(&self, take: &TakeRequest, now: Timestamp) -> Result<Answer, Rejection> {
        let Reservation { package, lease, .. } = self.pool.reserve(take, now).await?;
        let shared = package.info.role.is_last_resort();
        must_be!(lease.is_none(), shared, "a lease goes with a one-time package");
        let Some(lease) = lease else {
            return Ok(self.handed_out(&package));
        };
        let token = ReservationToken::new(take.pool.clone(), package.info.key_package_ref.clone(), take.id);
        must_be!(lease.token, token);
        Ok(match lease.expires_at {
            _ if package != self.p => self.handed_out(&package),
            end if end == now.after(take.ttl) => Answer::Lease,
            end if end == at(LONG.into()) => Answer::SameLease,
            end => panic!("neither a lease of now, nor the one made before: {end:?}"),
        })
    }

    async fn claim(&self, take: &TakeRequest, asker: Asker, now: Timestamp) -> Result<Answer, Rejection> {
        let package = self.pool.claim(take, Some(&group(asker.group)), now).await?;
        Ok(self.handed_out(&package))
    }

    async fn renew(&self, who: u64, seconds: u32, now: Timestamp) -> Result<Answer, Rejection> {
        let token = self.pool.token(P, who);
        let lease = self.pool.renew(&token, seconds, now).await?;
        must_be!(lease.token, token);
        Ok(match lease.expires_at {
            end if end == at(0).after(ttl(LONG)) => Answer::SameLease,
            end if end == now.after(ttl(seconds)) => Answer::LongerLease,
            end => panic!("the lease ends neither as before nor as asked: {end:?}"),
        })
    }

    fn handed_out(&self, package: &KeyPackage) -> Answer {
        let others = [one_time(SPARE).of(OTHER_SUITE), last_resort(SUCCESSOR)];
        match package {
            p if *p == self.p && p.info.role.is_last_resort() => Answer::LastResort,
            p if *p == self.p => Answer::KeyPackage,
            other if others.contains(other) => Answer::NewRequest,
            other => panic!("{other:?} is no package as it was saved"),
        }
    }

    fn receipt(&self, receipt: &Receipt, now: Timestamp) -> Answer {
        must_be!(receipt.key_package_ref, self.p.info.key_package_ref);
        match receipt.spent_at {
            time if time == now => Answer::Receipt,
            time if time == at(0) => Answer::SameReceipt,
            time => panic!("spent neither now nor before: {time:?}"),
        }
    }

    async fn save(&mut self, package: KeyPackage, now: Timestamp) -> Answer {
        let item = package.clone().with_key(P).supporting(LITTLE);
        let outcome = self.pool.admit_one(item, now).await;
        if outcome == SaveOutcome::Saved {
            self.p = package;
        }
        Answer::Saved(outcome)
    }
}
