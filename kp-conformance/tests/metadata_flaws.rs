//! The suite of metadata is itself tested: a store that is wrong in one way must fail the checks of that, and no others.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use kp_conformance::{Facets, Factory, Space, metadata_checks};
use kp_core::client::MetadataRejection::{Exists, NotFound};
use kp_core::client::{KeyPackageMetadata, Lifecycle, MetadataRejection, MetadataResult, PoolMetadataStore};
use kp_core::rules::CLIENT_CATALOGUE;
use kp_core::{KeyPackageRef, OpenError, Timestamp};

/// What is wrong with a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Flaw {
    Nothing,
    /// The row that is there is replaced, without a word.
    CreatesAgain,
    /// A batch that is refused leaves the rows before the one that was.
    CreatesHalf,
    /// The rows of a batch are compared with those stored, and not with each other.
    OverlooksTwins,
    /// Whatever the state given, the row begins its life.
    CreatesAnew,
    /// A batch that is refused leaves the steps before the one that was.
    StepsHalf,
    /// Each step of a batch is judged by what was stored before it.
    StepsAside,
    /// Any step will do.
    HasNoTable,
    /// An unknown package is passed over.
    PassesOver,
    /// The times are not written.
    KeepsNoTimes,
    /// Reads, lets others in, and writes what it read back.
    LetsOthersIn,
    /// By ref alone.
    ListsByRef,
    /// What is not there is counted as deleted.
    CountsRefs,
    /// What is not there cannot be deleted.
    MissesRows,
    /// Every handle has rows of its own.
    KeepsToItself,
    /// The last handle takes the rows with it.
    Forgets,
}

type Rows = BTreeMap<KeyPackageRef, KeyPackageMetadata>;

impl Flaw {
    fn create(self, rows: &mut Rows, given: &[KeyPackageMetadata]) -> Result<(), MetadataRejection> {
        let before = rows.clone();
        for row in given {
            let seen = if self == Self::OverlooksTwins { &before } else { &*rows };
            if seen.contains_key(&row.key_package_ref) && self != Self::CreatesAgain {
                if self != Self::CreatesHalf {
                    *rows = before;
                }
                return Err(Exists);
            }
            let mut row = row.clone();
            if self == Self::CreatesAnew {
                row.lifecycle = Lifecycle::Created;
            }
            rows.insert(row.key_package_ref.clone(), row);
        }
        Ok(())
    }

    fn step(
        self,
        rows: &mut Rows,
        steps: &[(KeyPackageRef, Lifecycle)],
        now: Timestamp,
    ) -> Result<(), MetadataRejection> {
        let before = rows.clone();
        for (named, to) in steps {
            let seen = if self == Self::StepsAside { &before } else { &*rows };
            let stepped = match seen.get(named) {
                None if self == Self::PassesOver => continue,
                None => Err(NotFound),
                Some(row) if self == Self::HasNoTable => row.clone().forced(*to, now),
                Some(row) => row.step(*to, now),
            };
            match stepped {
                Ok(row) if self == Self::KeepsNoTimes => {
                    let lifecycle = row.lifecycle;
                    rows.entry(named.clone()).and_modify(|row| row.lifecycle = lifecycle);
                }
                Ok(row) => {
                    rows.insert(named.clone(), row);
                }
                Err(rejection) => {
                    if self != Self::StepsHalf {
                        *rows = before;
                    }
                    return Err(rejection);
                }
            }
        }
        Ok(())
    }
}

/// A step that the table may not have, with the times as if it had.
trait Forced: Sized {
    fn forced(self, to: Lifecycle, now: Timestamp) -> Result<Self, MetadataRejection>;
}

impl Forced for KeyPackageMetadata {
    fn forced(self, to: Lifecycle, now: Timestamp) -> Result<Self, MetadataRejection> {
        let lifecycle = if self.lifecycle.may_become(to) {
            self.lifecycle
        } else {
            Lifecycle::Created
        };
        Self { lifecycle, ..self }.step(to, now)
    }
}

/// A store of metadata with one flaw.
#[derive(Debug)]
struct Flawed {
    flaw: Flaw,
    rows: Arc<Mutex<Rows>>,
}

impl Flawed {
    fn rows(&self) -> MutexGuard<'_, Rows> {
        lock(&self.rows)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[async_trait]
impl PoolMetadataStore for Flawed {
    async fn create_pool_metadata(&self, rows: &[KeyPackageMetadata]) -> MetadataResult<()> {
        Ok(self.flaw.create(&mut self.rows(), rows)?)
    }

    async fn update_pool_status(&self, steps: &[(KeyPackageRef, Lifecycle)], now: Timestamp) -> MetadataResult<()> {
        if self.flaw != Flaw::LetsOthersIn {
            return Ok(self.flaw.step(&mut self.rows(), steps, now)?);
        }
        let mut read = self.rows().clone();
        tokio::task::yield_now().await;
        self.flaw.step(&mut read, steps, now)?;
        *self.rows() = read;
        Ok(())
    }

    async fn get(&self, key_package_ref: &KeyPackageRef) -> MetadataResult<Option<KeyPackageMetadata>> {
        Ok(self.rows().get(key_package_ref).cloned())
    }

    async fn list(&self) -> MetadataResult<Vec<KeyPackageMetadata>> {
        let mut rows: Vec<_> = self.rows().values().cloned().collect();
        if self.flaw != Flaw::ListsByRef {
            rows.sort_by_key(|row| row.created_at);
        }
        Ok(rows)
    }

    async fn delete_pool_metadata(&self, refs: &[KeyPackageRef]) -> MetadataResult<u64> {
        let mut rows = self.rows();
        let deleted = refs.iter().filter(|named| rows.remove(*named).is_some()).count();
        match self.flaw {
            Flaw::CountsRefs => Ok(refs.len() as u64),
            Flaw::MissesRows if deleted < refs.len() => Err(NotFound.into()),
            _ => Ok(deleted as u64),
        }
    }
}

struct Backend {
    flaw: Flaw,
    spaces: Mutex<HashMap<String, Arc<Mutex<Rows>>>>,
}

#[async_trait]
impl Factory<dyn PoolMetadataStore> for Backend {
    fn name(&self) -> &str {
        "flawed"
    }

    fn facets(&self) -> Facets {
        Facets::NONE.handles().reopens()
    }

    async fn open(&self, space: &Space) -> Result<Arc<dyn PoolMetadataStore>, OpenError> {
        let mut spaces = lock(&self.spaces);
        let rows = spaces.entry(space.name().to_owned()).or_default();
        let forgets = self.flaw == Flaw::Forgets && Arc::strong_count(rows) == 1;
        if forgets || self.flaw == Flaw::KeepsToItself {
            *rows = Arc::default();
        }
        Ok(Arc::new(Flawed {
            flaw: self.flaw,
            rows: Arc::clone(rows),
        }))
    }

    async fn destroy(&self, space: &Space) {
        lock(&self.spaces).remove(space.name());
    }
}

/// The checks that a store with this flaw fails.
fn failing(flaw: Flaw) -> BTreeSet<&'static str> {
    let backend = Backend {
        flaw,
        spaces: Mutex::default(),
    };
    let backend: Arc<dyn Factory<dyn PoolMetadataStore>> = Arc::new(backend);
    let failed = metadata_checks().filter(|check| check.run(&backend).is_err());
    failed.map(|check| check.name()).collect()
}

/// Which checks a flaw fails: all of them, and no others.
#[track_caller]
fn must_fail(flaw: Flaw, expected: &[&str]) {
    assert_eq!(failing(flaw), expected.iter().copied().collect(), "{flaw:?}");
}

#[test]
fn a_correct_store_fails_nothing() {
    must_fail(Flaw::Nothing, &[]);
}

#[test]
fn flaws_of_creation_are_found() {
    let batches = [
        "a_batch_creates_all_its_rows_or_none",
        "one_creation_wins",
        "a_row_is_created_once_in_every_state",
    ];
    must_fail(Flaw::CreatesAgain, &batches);
    must_fail(Flaw::CreatesHalf, &batches[..2]);
    must_fail(Flaw::OverlooksTwins, &batches[..1]);
    let anew = [
        "a_batch_with_a_step_that_is_refused_takes_none",
        "a_row_is_created_once_in_every_state",
        "counts_by_status_add_up",
        "the_available_are_counted_by_ciphersuite",
        "the_bounds_of_every_field_are_kept",
    ];
    must_fail(Flaw::CreatesAnew, &anew);
}

#[test]
fn flaws_of_steps_are_found() {
    let half = [
        "a_step_sees_the_ones_before_in_its_batch",
        "a_batch_with_a_step_that_is_refused_takes_none",
    ];
    must_fail(Flaw::StepsHalf, &half);
    must_fail(Flaw::StepsAside, &half[..1]);
    must_fail(Flaw::HasNoTable, &[half[0], half[1], "one_final_step_wins"]);
    must_fail(Flaw::PassesOver, &half[1..]);
    let times = [
        "a_batch_takes_all_its_steps",
        "a_step_sees_the_ones_before_in_its_batch",
        "a_whole_life_leaves_its_times",
        "any_time_will_do",
        "what_was_answered_outlives_the_handle",
    ];
    let mut without_times = failing(Flaw::KeepsNoTimes);
    // It fails where `Spent` wins, and which step wins is a matter of the scheduler.
    without_times.remove("one_final_step_wins");
    assert_eq!(without_times, BTreeSet::from(times));
}

#[test]
fn flaws_of_reading_and_deleting_are_found() {
    must_fail(
        Flaw::ListsByRef,
        &[
            "a_thousand_rows_are_created_at_once",
            "rows_are_listed_by_age_then_by_ref",
        ],
    );
    let deleting = [
        "a_row_is_deleted_once",
        "nothing_is_there_at_first",
        "what_is_not_there_can_be_deleted",
    ];
    must_fail(Flaw::CountsRefs, &deleting);
    must_fail(Flaw::MissesRows, &deleting);
    must_fail(Flaw::Forgets, &["what_was_answered_outlives_the_handle"]);
}

/// How many of the races are lost is a matter of the scheduler; that the first is, is not: all tasks read, and then all
/// write.
#[test]
fn flaws_of_concurrency_are_found() {
    let failing = failing(Flaw::LetsOthersIn);
    let races = ["one_final_step_wins", "no_step_is_lost", "a_deleted_row_stays_deleted"];
    assert!(failing.contains("one_final_step_wins"), "{failing:?}");
    assert!(failing.iter().all(|check| races.contains(check)), "{failing:?}");
    let apart = self::failing(Flaw::KeepsToItself);
    assert!(apart.contains("another_handle_sees_what_was_answered"), "{apart:?}");
}

/// Every rule of the client's catalogue is the business of a check.
#[test]
fn every_rule_is_checked() {
    for rule in CLIENT_CATALOGUE {
        // META-4 is measured, in a line of its own, and is a matter of types otherwise.
        let named = metadata_checks().any(|check| check.rules().contains(&rule.id));
        assert!(named || rule.id == "META-4", "no check names {}", rule.id);
    }
}
