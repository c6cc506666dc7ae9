//! What a client came to, and the bounds of it.

use std::collections::BTreeMap;

use kp_client::Sizes;
use kp_core::client::Lifecycle;
use kp_core::server::KeyPackageStore as _;
use kp_core::{Counts, Role, Timestamp};

use crate::client::{Client, Use};
use crate::device::Device;
use crate::plain::{DAY, SUITE};
use crate::transport::Sent;
use crate::{Scale, World};

// POOL-1.
const SIZES: Sizes = Sizes::new(32, 8, 64);
const TARGET: u32 = SIZES.target;
pub(crate) const LOW: u32 = SIZES.low;
pub(crate) const CAP: u32 = SIZES.cap;

// POOL-10.
const BUDGET_AT_ONCE: u32 = 2 * CAP;
const BUDGET_A_DAY: u32 = 100;

/// POOL-11.
const SPENT_ROWS: usize = 1_000;

#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) rounds: u32,
    /// Rounds that uploaded or withdrew something.
    pub(crate) busy_rounds: u32,
    /// When one-time packages were handed out.
    pub(crate) claimed: Vec<Timestamp>,
    /// Of these, when those were to which no Welcome will come.
    pub(crate) unjoined: Vec<Timestamp>,
    pub(crate) joined: Vec<Timestamp>,
    /// When processes died while they joined.
    pub(crate) died_joining: Vec<Timestamp>,
    pub(crate) withdrawn: Vec<Timestamp>,
    /// What the server refused: it was full, and may take them later.
    pub(crate) refused: usize,
    /// Welcomes whose key went with a device, or was not in a backup.
    pub(crate) lost: u32,
    pub(crate) restores: u32,
    /// Rounds that said that the budget was spent, and that there is another installation.
    pub(crate) budget_spent: u32,
    pub(crate) strangers: u32,
    most_keys: usize,
    most_rows: usize,
    most_held: u32,
    most_records: u32,
}

/// How many of these moments, which are in order, lie within so many days before now.
fn within(days: u64, moments: &[Timestamp], now: Timestamp) -> usize {
    let before = moments.partition_point(|at| at.plus(days * DAY) < now);
    moments.len() - before
}

/// The most of these moments that lie within so many days.
fn most_within(days: u64, moments: &[Timestamp]) -> u32 {
    let upto = |last: usize| within(days, &moments[..=last], moments[last]);
    (0..moments.len()).map(upto).max().unwrap_or_default() as u32
}

impl Client {
    fn all_devices(&self) -> impl Iterator<Item = &Device> {
        self.devices.iter().chain(&self.gone)
    }

    /// When packages of this role were made, in order.
    fn made(&self, role: Role) -> Vec<Timestamp> {
        let mut made = Vec::new();
        for device in self.all_devices() {
            let all = device.vault.made();
            made.extend(all.iter().filter(|made| made.1 == role).map(|made| made.0));
        }
        made.sort();
        made
    }

    fn sent(&self, count: fn(&Sent) -> u32) -> u32 {
        self.all_devices()
            .map(|device| count(&device.sent.lock().unwrap()))
            .sum()
    }

    pub(crate) async fn counts(&self, world: &World) -> Counts {
        let counts = world.store.count_by_status(&self.pool_id, world.now()).await;
        counts.unwrap().of(SUITE)
    }

    fn expect(&self, what: &str, found: usize, most: usize) {
        assert!(found <= most, "{}, {what}: {found}, and {most} at most", self.name);
    }

    /// Counts, and checks what holds whenever no process runs.
    pub(crate) async fn look(&mut self, world: &World, is_restored: bool) {
        let (now, lifetime, tally) = (world.now(), world.scale.lifetime + 1, &self.tally);
        let (one_time, last_resorts) = (self.made(Role::OneTime), self.made(Role::LastResort));
        let is_faulty = self.used == Use::Restarted;

        // What is up, or may be; what is kept for a grace period; what is out.
        let replaced = within(world.scale.grace() + 1, &last_resorts, now) + tally.restores as usize;
        let out = match self.used {
            // What was used comes back with the backup, or is on the other device.
            Use::Restored | Use::Twins => within(lifetime, &tally.claimed, now) + tally.withdrawn.len(),
            // The key of a join that died may stay (POOL-6).
            _ => within(lifetime, &tally.unjoined, now) + within(lifetime, &tally.died_joining, now),
        };
        let keys = CAP as usize + 2 + replaced + self.under_way() + out;
        let joined = within(lifetime, &tally.joined, now).min(SPENT_ROWS);
        let (mut most_keys, mut most_rows) = (tally.most_keys, tally.most_rows);
        for device in &self.devices {
            let (found, rows) = (device.vault.count(), device.rows().await);
            self.expect("keys", found, keys);
            let mut held = 0;
            let (mut slots, mut spent, mut keyless) = (0, 0, 0);
            for row in &rows {
                let has_key = device.vault.has_key(&row.key_package_ref);
                let (is_last_resort, is_held) = (
                    row.role.is_last_resort(),
                    matches!(row.lifecycle, Lifecycle::Created | Lifecycle::Available),
                );
                held += usize::from(is_held && has_key && !is_last_resort);
                slots += usize::from(is_last_resort && (is_held || row.lifecycle == Lifecycle::Reserved));
                spent += usize::from(row.lifecycle == Lifecycle::Spent);
                keyless += usize::from(row.lifecycle != Lifecycle::Spent && !has_key);
            }
            self.expect("one-time packages that are up or will be", held, CAP as usize);
            self.expect("last resorts in the slot", slots, if is_faulty { 3 } else { 1 });
            self.expect("rows of used packages", spent, joined);
            // A process may have died before it stored the keys: the next round that comes to its end drops the rows.
            let dropped = if self.has_refreshed {
                0
            } else {
                2 * (TARGET as usize + 1)
            };
            self.expect("rows without a key", keyless, dropped);
            let rowless = rows.len() - keyless - spent;
            assert!(rowless <= found, "{}", self.name);
            (most_keys, most_rows) = (most_keys.max(found), most_rows.max(rows.len()));
        }

        let counts = self.counts(world).await;
        let held = counts.available + counts.not_yet_valid + counts.reserved;
        self.expect(
            "one-time packages on the server",
            held as usize,
            self.devices.len() * CAP as usize,
        );
        let made = within(lifetime, &one_time, now) + within(lifetime, &last_resorts, now);
        self.expect("records on the server", counts.total() as usize, made);
        // Put back from a backup, it lacks what it made since, until its next round.
        let ready = world.store.list_ready(&self.pool_id, now).await.unwrap();
        for ready in ready.iter().filter(|_| !is_restored) {
            let named = &ready.info.key_package_ref;
            let is_kept = self.has_key(named) || self.used == Use::Twins && self.forgotten.contains(named);
            assert!(is_kept, "{}: up without a key", self.name);
        }
        let tally = &mut self.tally;
        (tally.most_keys, tally.most_rows) = (most_keys, most_rows);
        (tally.most_held, tally.most_records) = (tally.most_held.max(held), tally.most_records.max(counts.total()));
    }

    /// Checks what the whole time came to.
    pub(crate) fn check_bounds(&self, world: &World) {
        let (scale, tally) = (world.scale, &self.tally);
        let (one_time, last_resorts) = (self.made(Role::OneTime), self.made(Role::LastResort));
        let (lives, devices) = (1 + tally.restores, if self.used == Use::Twins { 2 } else { 1 });
        // POOL-10, whoever drains. A backup brings its budget back, and a second device has one of its own.
        for days in [1, 7, 30, scale.days] {
            let in_days = days as u32;
            let budget = lives * BUDGET_AT_ONCE + devices * BUDGET_A_DAY * in_days;
            self.expect(
                "one-time packages made in some days",
                most_within(days, &one_time) as usize,
                budget as usize,
            );
            let paced = devices * (in_days + 1) + tally.restores;
            self.expect(
                "last resorts made in some days",
                most_within(days, &last_resorts) as usize,
                paced as usize,
            );
        }
        // What was handed out, or went stale in its last tenth, is made anew, and what was withdrawn.
        let renewals = scale.days * 10 / (scale.lifetime * 9) + 1;
        let renewed = tally.claimed.len() + lives as usize * CAP as usize * renewals as usize + tally.withdrawn.len();
        self.expect("one-time packages made", one_time.len(), renewed);

        let (calls, named) = (self.sent(|sent| sent.calls), self.sent(|sent| sent.named));
        let again = named - self.sent(|sent| sent.distinct.len() as u32);
        // What lost its answer goes up again, and what the server had no room for.
        let anew = match self.used {
            Use::Restarted => (self.sent(|sent| sent.lost_uploads) + tally.rounds / 3) as usize * (TARGET as usize + 1),
            _ => tally.refused,
        };
        self.expect("uploads of one package again", again as usize, anew);
        let made = one_time.len() + last_resorts.len();
        self.expect("uploaded packages", (named - again) as usize, made);
        // A sync names a thousand rows a call (POOL-11).
        let syncs = tally.rounds * (1 + tally.most_rows as u32 / 1_000);
        self.expect("calls", calls as usize, (syncs + 4 * tally.busy_rounds) as usize);

        let withdrawn = match self.used {
            // Until each has noticed the other, in two rounds with something new, and when the person says that it is gone.
            Use::Twins => 10 * (TARGET + 1),
            Use::Restored => tally.restores * (CAP + 1),
            _ => 0,
        };
        // Only two devices may be more than the server takes.
        let refused = if self.used == Use::Twins { tally.refused } else { 0 };
        self.expect("refused", tally.refused, refused);
        self.expect("withdrawn", tally.withdrawn.len(), withdrawn as usize);
        let lost = match self.used {
            // Claimed within the ten days that a restore takes back, and the Welcomes under way to a device that is gone.
            Use::Restored | Use::Twins => tally.restores * 30,
            _ => 0,
        };
        self.expect("Welcomes lost with a backup", tally.lost as usize, lost as usize);
        assert_eq!(
            tally.strangers > 0,
            self.used == Use::Twins,
            "{}: other installations",
            self.name
        );
        assert_eq!(
            tally.budget_spent > 0,
            self.used == Use::Drained,
            "{}: the budget",
            self.name
        );
        if self.used == Use::Drained {
            // It is held back, and not stopped.
            let days = scale.days as usize - 1;
            assert!(
                BUDGET_A_DAY as usize * days <= one_time.len() && days <= last_resorts.len() + 1,
                "{}",
                self.name
            );
        }
    }

    /// A lifetime later, there is what is up, and nothing else.
    pub(crate) async fn has_left_nothing(&self, world: &World) {
        let most = CAP as usize + 3;
        for device in &self.devices {
            self.expect("keys in the end", device.vault.count(), most);
            self.expect("rows in the end", device.rows().await.len(), most);
        }
        // The record of a last resort that was replaced stays for its lifetime, three times as long as a rotation.
        let records = self.counts(world).await.total();
        self.expect("records in the end", records as usize, most + 2);
    }
}

/// The worst of the clients of each kind.
pub(crate) fn print(scale: Scale, clients: &[Client]) {
    let mut kinds: BTreeMap<Use, Vec<&Client>> = BTreeMap::new();
    for client in clients {
        kinds.entry(client.used).or_default().push(client);
    }
    println!(
        "{} days, lifetimes of {} days; the most of a client of each kind\n\
         used            rounds  calls  claimed  one-time  last resorts  sent  withdrawn  joined  lost  held  keys  rows  records",
        scale.days, scale.lifetime
    );
    for (used, clients) in kinds {
        let most =
            |count: &dyn Fn(&Client) -> usize| clients.iter().map(|client| count(client)).max().unwrap_or_default();
        println!(
            "{:<14} {:>7} {:>6} {:>8} {:>9} {:>13} {:>5} {:>10} {:>7} {:>5} {:>5} {:>5} {:>5} {:>8}",
            format!("{used:?}"),
            most(&|client| client.tally.rounds as usize),
            most(&|client| client.sent(|sent| sent.calls) as usize),
            most(&|client| client.tally.claimed.len()),
            most(&|client| client.made(Role::OneTime).len()),
            most(&|client| client.made(Role::LastResort).len()),
            most(&|client| client.sent(|sent| sent.named) as usize),
            most(&|client| client.tally.withdrawn.len()),
            most(&|client| client.tally.joined.len()),
            most(&|client| client.tally.lost as usize),
            most(&|client| client.tally.most_held as usize),
            most(&|client| client.tally.most_keys),
            most(&|client| client.tally.most_rows),
            most(&|client| client.tally.most_records as usize),
        );
    }
}
