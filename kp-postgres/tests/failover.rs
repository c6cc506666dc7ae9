//! A standby takes the place of a primary that was killed under load. Of a synchronous one, nothing answered is lost. Of another,
//! what it had not received is; after `retire_unspent`, nothing of that is handed out again.

mod load;
mod scene;

use kp_core::server::{KeyPackageStore, KeyPackageStoreExt};
use kp_core::{Effect, Error, Rejection};
use kp_postgres::PostgresStore;
use kp_test_support::postgres::Postgres;

use crate::load::{CALLERS, Load, lost};
use crate::scene::{NOW, connect, fill, pool, take, until};

const POOLS: u64 = 10;

/// The address of a server and of the one that takes its place.
fn both(primary: &Postgres, standby: &Postgres) -> String {
    format!(
        "postgres://postgres@127.0.0.1:{},127.0.0.1:{}/postgres?sslmode=disable&target_session_attrs=read-write",
        primary.port(),
        standby.port()
    )
}

const FOLLOWED: &str = "SELECT count(*) FILTER (WHERE replay_lsn = pg_current_wal_lsn()) = 1 FROM pg_stat_replication";
const ALONE: &str = "SELECT count(*) = 0 FROM pg_stat_replication";

async fn pair() -> (Postgres, Postgres, String) {
    let primary = Postgres::start(&[]);
    let store = PostgresStore::connect(primary.url()).await.expect("it connects");
    fill(&store, POOLS, 1_000).await;
    let standby = primary.standby();
    until(&primary, FOLLOWED).await;
    let url = both(&primary, &standby);
    (primary, standby, url)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_synchronous_standby_has_all_that_was_answered() {
    let (primary, standby, url) = pair().await;
    primary.configure("synchronous_standby_names = '*'");
    primary.reload();
    until(
        &primary,
        "SELECT count(*) = 1 FROM pg_stat_replication WHERE sync_state = 'sync'",
    )
    .await;
    let load = Load::start(&url, POOLS).await;
    load.goes_on(20 * CALLERS).await;
    primary.kill();
    standby.promote();
    load.goes_on(2 * CALLERS).await;
    let store = PostgresStore::connect(url).await.expect("it finds the new primary");
    assert!(load.check(&store).await as u64 > 22 * CALLERS);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_standby_that_is_not_waited_for_the_last_answers_may_be_lost() {
    let (primary, standby, url) = pair().await;
    let load = Load::start(&url, POOLS).await;
    load.goes_on(20 * CALLERS).await;
    primary.kill();
    let answered = load.stop().await;
    standby.promote();
    let store = PostgresStore::connect(url).await.expect("it finds the new primary");
    let lost = lost(&answered, &store).await.len();
    println!(
        "{lost} of {} answers were lost with a primary under load",
        answered.len()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_restore_or_a_loss_what_was_retired_is_not_handed_out_again() {
    let (primary, standby, url) = pair().await;
    let load = Load::start(&url, POOLS).await;
    load.goes_on(5 * CALLERS).await;
    let before = load.stop().await;
    until(&primary, FOLLOWED).await;
    // It is cut off, and does not know.
    standby.configure("primary_conninfo = ''");
    standby.reload();
    until(&primary, ALONE).await;
    let load = Load::start_at(&url, POOLS, 1).await;
    load.goes_on(5 * CALLERS).await;
    let after = load.stop().await;
    primary.kill();
    standby.promote();
    let store = PostgresStore::connect(url).await.expect("it finds the new primary");
    assert_eq!(lost(&before, &store).await.len(), 0);
    assert_eq!(lost(&after, &store).await.len(), after.len(), "all of it");
    println!(
        "{} of {} answers were lost with a primary that was cut off",
        after.len(),
        after.len()
    );
    store
        .retire_unspent(NOW.plus(1), NOW, None, u32::MAX)
        .await
        .expect("it retires");
    for n in 0..POOLS {
        let claimed = store.claim_key_package(&take(n, 77), None, NOW).await;
        assert!(
            matches!(claimed, Err(Error::Rejected(Rejection::PoolExhausted))),
            "{claimed:?}"
        );
    }
}

/// ERR-1: the commit took effect on the primary, and maybe nowhere else.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wait_for_a_standby_that_is_cancelled_is_unknown() {
    let primary = Postgres::start(&[]);
    let store = PostgresStore::connect(primary.url()).await.expect("it connects");
    fill(&store, 1, 10).await;
    primary.configure("synchronous_standby_names = 'nobody'");
    primary.reload();
    let waits = "SELECT count(*) = 1 FROM pg_stat_activity WHERE wait_event = 'SyncRep'";
    let cancel = "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep'";
    until(
        &primary,
        "SELECT current_setting('synchronous_standby_names') = 'nobody'",
    )
    .await;
    let take = take(0, 1);
    let cancelled = async {
        until(&primary, waits).await;
        connect(&primary).await.query(cancel, &[]).await.expect("it answers");
    };
    let (claimed, ()) = tokio::join!(store.claim_key_package(&take, None, NOW), cancelled);
    let Err(Error::Backend(failure)) = claimed else {
        panic!("the claim is on no standby")
    };
    assert_eq!(failure.effect(), Effect::Unknown, "{failure}");
    let again = store
        .claim_key_package(&take, None, NOW)
        .await
        .expect("the same id finds out");
    let counts = store.count_by_status(&pool(0), NOW).await.expect("it answers");
    assert_eq!(
        counts.ciphersuites.values().map(|counts| counts.spent).sum::<u32>(),
        1,
        "{again:?}"
    );
}
