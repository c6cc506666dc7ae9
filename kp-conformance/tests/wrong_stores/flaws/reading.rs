use kp_conformance::Method;
use kp_core::rules::State;
use kp_core::server::Cursor;
use kp_core::{Counts, PoolId, Slot, Status};

use crate::flaw::Torn;
use crate::wrong_store::wrong_stores;

wrong_stores! {
    /// A last resort counts as available.
    #[breaks("LAST-2", the_last_resort_is_handed_out_when_nothing_is_left)]
    fn counts_last_resort_as_available(flaw: &mut Flaw) {
        flaw.counts = |counts| counts.available += u32::from(counts.last_resort != Slot::Empty);
    }

    /// A handle remembers its counts until it changes something itself.
    #[breaks("LIN-1", an_answer_is_seen_at_once_through_every_handle)]
    fn remembers_counts(flaw: &mut Flaw) {
        flaw.remembers = &[Method::Count];
    }

    /// A handle remembers what became of each ref until it changes something itself.
    #[breaks("LIN-1", an_answer_is_seen_at_once_through_every_handle)]
    fn remembers_statuses(flaw: &mut Flaw) {
        flaw.remembers = &[Method::Get, Method::Statuses];
    }

    /// A handle remembers its listings until it changes something itself.
    #[breaks("LIN-1", an_answer_is_seen_at_once_through_every_handle)]
    fn remembers_listings(flaw: &mut Flaw) {
        flaw.remembers = &[Method::ListAvailable, Method::ListReady, Method::ListPools];
    }

    /// A read of many statuses is two reads.
    #[breaks("LIN-1", statuses_are_those_of_one_moment)]
    fn reads_statuses_in_halves(flaw: &mut Flaw) {
        flaw.torn = Some(Torn::ReadsInHalves);
    }

    /// A listing of pools ends with the two thousandth.
    #[breaks("READ-5", thousands_of_pools_are_listed)]
    fn lists_two_thousand_pools(flaw: &mut Flaw) {
        flaw.pools = |page| {
            if page.items.len() > 2_000 {
                page.items.truncate(2_000);
                page.next = None;
            }
        };
    }

    /// A read ends what has lapsed, for good.
    #[breaks("READ-1", what_is_no_call_on_the_pool_settles_nothing)]
    fn reads_end_leases(flaw: &mut Flaw) {
        flaw.read = |records, now| _ = records.settle(now);
    }

    /// The list is in the order of refs.
    #[breaks("READ-2", the_list_is_what_reserve_could_hand_out)]
    fn lists_by_ref(flaw: &mut Flaw) {
        flaw.listed = |page| page.items.sort_by(|a, b| a.key_package_ref.cmp(&b.key_package_ref));
    }

    /// A page passes over a package.
    #[breaks("READ-2", pages_show_each_package_once)]
    fn a_page_passes_over_a_package(flaw: &mut Flaw) {
        flaw.listed = |page| {
            if page.next.is_some() {
                page.items.pop();
            }
        };
    }

    /// Each page shows all packages whose leases have lapsed and are not settled, wherever it begins.
    #[breaks("READ-2", pages_show_each_package_once)]
    fn each_page_shows_what_has_lapsed(flaw: &mut Flaw) {
        flaw.next_page = |records, now, page| {
            let all = records.pool.records.iter();
            let lapsed = all.filter(|(record, _)| match &record.state {
                State::Reserved(lease) => lease.expires_at <= now,
                _ => false,
            });
            page.items.splice(..0, lapsed.map(|(record, _)| record.info.clone()));
        };
    }

    /// The cursor of a page leads to the same page.
    #[breaks("READ-2", pages_show_each_package_once)]
    fn a_page_leads_to_itself(flaw: &mut Flaw) {
        flaw.listed = |page| page.next = page.next.is_some().then(|| Cursor::after_sequence(0));
    }

    /// The last page names a next one, which is empty.
    #[breaks("READ-2", pages_show_each_package_once)]
    fn a_full_last_page_has_a_next(flaw: &mut Flaw) {
        flaw.listed = |page| {
            if page.next.is_none() && !page.items.is_empty() {
                page.next = Some(Cursor::after_sequence(1_000_000));
            }
        };
    }

    /// A page of packages is longer than was asked for.
    #[breaks("READ-2", pages_show_each_package_once)]
    fn a_page_is_longer_than_its_limit(flaw: &mut Flaw) {
        flaw.page_limit = |limit| limit.saturating_add(1);
    }

    /// A page of pools is longer than was asked for.
    #[breaks("READ-5", every_pool_that_holds_anything_is_listed_once)]
    fn a_page_of_pools_is_longer_than_its_limit(flaw: &mut Flaw) {
        flaw.page_limit = |limit| limit.saturating_add(7);
    }

    /// The last page of pools names a next one, which is empty.
    #[breaks("READ-5", every_pool_that_holds_anything_is_listed_once)]
    fn a_full_last_page_of_pools_has_a_next(flaw: &mut Flaw) {
        flaw.pools = |page| {
            if let (None, Some(last)) = (&page.next, page.items.iter().max()) {
                page.next = Some(Cursor::after_pool(last.clone()));
            }
        };
    }

    /// An owner does not see its last resorts among what could be handed out.
    #[breaks("LAST-2", what_is_ready_is_what_is_available_and_the_slots)]
    fn hides_the_slots(flaw: &mut Flaw) {
        flaw.ready = |ready| ready.retain(|package| !package.info.role.is_last_resort());
    }

    /// Reserved packages are counted as available too.
    #[breaks("READ-3", counts_add_up)]
    fn counts_reserved_packages_twice(flaw: &mut Flaw) {
        flaw.counts = |counts| counts.available += counts.reserved;
    }

    /// Recalled packages are counted among those that return.
    #[breaks("READ-3", counts_add_up)]
    fn counts_no_recalled_packages(flaw: &mut Flaw) {
        flaw.counts = |counts| counts.recalled = 0;
    }

    /// Last-resort packages take room from one-time packages.
    #[breaks("READ-3", last_resorts_have_a_memory_of_their_own)]
    fn last_resorts_take_room(flaw: &mut Flaw) {
        flaw.room = |counts| {
            let last_resorts = |counts: &Counts| {
                counts.spent_last_resorts + u32::from(counts.last_resort != Slot::Empty)
            };
            let taken = counts.ciphersuites.values().map(last_resorts).sum();
            counts.room = counts.room.saturating_sub(taken);
        };
    }

    /// Expired records are left out of the counts.
    #[breaks("READ-3", counts_add_up)]
    fn leaves_expired_records_out(flaw: &mut Flaw) {
        flaw.counts = |counts| counts.expired = 0;
    }

    /// The statuses leave out what is not known, and so come out of order.
    #[breaks("READ-4", statuses_say_what_became_of_each_ref)]
    fn passes_over_unknown_refs(flaw: &mut Flaw) {
        flaw.statuses = |statuses| {
            let asked = statuses.len();
            statuses.retain(Option::is_some);
            statuses.resize(asked, None);
        };
    }

    /// A package that is leased shows no bytes.
    #[breaks("READ-4", a_withdrawal_recalls_a_live_reservation)]
    fn shows_no_bytes_of_leased_packages(flaw: &mut Flaw) {
        flaw.stored = |stored| {
            if let Some(stored) = stored
                && matches!(stored.status, Status::Reserved { .. })
            {
                stored.bytes = None;
            }
        };
    }

    /// After the last page of pools comes an empty one, for ever.
    #[breaks("READ-5", every_pool_that_holds_anything_is_listed_once)]
    fn pages_of_pools_never_end(flaw: &mut Flaw) {
        flaw.pools = |page| {
            if let Ok(last) = PoolId::try_from([0xFF; 255].as_slice()) {
                page.next = Some(page.next.take().unwrap_or_else(|| Cursor::after_pool(last)));
            }
        };
    }

    /// A page passes over a pool.
    #[breaks("READ-5", every_pool_that_holds_anything_is_listed_once)]
    fn a_page_passes_over_a_pool(flaw: &mut Flaw) {
        flaw.pools = |page| {
            if page.next.is_some() {
                page.items.pop();
            }
        };
    }
}
