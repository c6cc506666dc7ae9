//! `upload` (DIR-1), and what of ADM-2 and ADM-3 is the directory's part.

#![allow(clippy::unwrap_used, reason = "what a test stands on may panic")]

mod world;

use kp_core::ManualClock;
use kp_core::protocol::Refusal;
use kp_core::protocol::UploadOutcome;
use kp_core::server::Uploader;
use kp_memory::MemoryStore;
use kp_server::{KeyPackageDirectory, Take, Upload, UploadError};
use world::{Clamped, Made, OTHER_SUITE, World, bob, made, retry_key, start, to_bob};

const SAVED: UploadOutcome = UploadOutcome::Saved;
const ALREADY_STORED: UploadOutcome = UploadOutcome::AlreadyStored;
const MALFORMED: UploadOutcome = UploadOutcome::Refused(Refusal::Malformed);

async fn available(world: &World) -> u32 {
    let status = world.directory.status(&bob()).await.unwrap();
    status.ciphersuites.values().map(|suite| suite.counts.available).sum()
}

/// DIR-1: a verdict for each, in order; what is refused does not stop the others.
#[tokio::test]
async fn each_package_has_its_verdict() {
    let world = World::new();
    let mut packages = made(2);
    packages.insert(1, b"nonsense".to_vec());
    assert_eq!(world.upload(packages.clone()).await, [SAVED, MALFORMED, SAVED]);
    let again: [UploadOutcome; 3] = world.upload(packages).await.try_into().unwrap();
    assert_eq!(again, [ALREADY_STORED, MALFORMED, ALREADY_STORED]);
    assert_eq!(again.each_ref().map(UploadOutcome::is_held), [true, false, true]);
    assert_eq!(available(&world).await, 2);
}

/// SAVE-5: the same bytes are the same package, although the end that would be stored is another one by now.
#[tokio::test]
async fn a_clamped_package_is_known_again_later() {
    let clock = ManualClock::at(start());
    let builder = KeyPackageDirectory::builder(MemoryStore::new(), Clamped).clock(clock.clone());
    let directory = builder.build().unwrap();
    assert_eq!(directory.upload(to_bob(made(2))).await.unwrap(), [SAVED, SAVED]);
    clock.advance(1);
    let mut packages = made(3);
    let mut other = Made::new("package-0");
    other.init_key = "another".into();
    packages[0] = other.bytes();
    let outcomes = directory.upload(to_bob(packages)).await.unwrap();
    assert_eq!(outcomes, [UploadOutcome::RefConflict, ALREADY_STORED, SAVED]);
}

/// DIR-1: all or nothing on request.
#[tokio::test]
async fn all_admitted_stores_nothing_when_one_is_refused() {
    let world = World::new();
    let mut packages = made(2);
    packages.push(b"nonsense".to_vec());
    let upload = to_bob(packages.clone()).all_admitted();
    let verdicts = world.directory.upload(upload).await.unwrap();
    assert_eq!(verdicts, [UploadOutcome::NotTried, UploadOutcome::NotTried, MALFORMED]);
    assert_eq!(available(&world).await, 0);

    packages.pop();
    let upload = to_bob(packages).all_admitted();
    assert_eq!(world.directory.upload(upload).await.unwrap(), [SAVED, SAVED]);
}

/// DIR-1, SAVE-8: replace validates all, then swaps; when one is refused, nothing is withdrawn.
#[tokio::test]
async fn replace_swaps_all_admitted() {
    let world = World::new();
    world.upload(made(3)).await;
    let new = Made::new("new").bytes();

    let with_nonsense = to_bob(vec![new.clone(), b"nonsense".to_vec()]).replace();
    let verdicts = world.directory.upload(with_nonsense).await.unwrap();
    assert_eq!(verdicts, [UploadOutcome::NotTried, MALFORMED]);
    assert_eq!(available(&world).await, 3);

    let verdicts = world.directory.upload(to_bob(vec![new]).replace()).await.unwrap();
    assert_eq!(verdicts, [SAVED]);
    assert_eq!(available(&world).await, 1);
}

/// DIR-1: an empty upload is no way to clear a pool.
#[tokio::test]
async fn an_empty_upload_does_nothing() {
    let world = World::new();
    world.upload(made(3)).await;
    assert_eq!(world.upload(vec![]).await, []);
    assert_eq!(world.directory.upload(to_bob(vec![]).replace()).await.unwrap(), []);
    assert_eq!(available(&world).await, 3);
}

/// DIR-1: a largest batch, by number; one too many is refused as a whole.
#[tokio::test]
async fn too_many_packages_are_refused_as_a_whole() {
    let world = World::with(|policy| policy.max_upload(3));
    let too_many = world.directory.upload(to_bob(made(4))).await.unwrap_err();
    assert!(matches!(
        too_many,
        UploadError::TooManyKeyPackages { found: 4, most: 3 }
    ));
    assert_eq!(available(&world).await, 0);
    assert_eq!(world.upload(made(3)).await, [SAVED; 3]);
}

/// DIR-2: the cap is 100 for each ciphersuite by default, and the store's answer for the one too many.
#[tokio::test]
async fn the_cap_is_the_directorys() {
    let world = World::new();
    let verdicts = world.upload(made(101)).await;
    assert_eq!(verdicts[..100], [SAVED; 100]);
    assert_eq!(verdicts[100], UploadOutcome::PoolFull);
    let mut other = Made::new("of another suite");
    other.name = "other-suite".to_owned();
    other.init_key = "its-key".to_owned();
    other.suite = OTHER_SUITE;
    assert_eq!(world.upload(vec![other.bytes()]).await, [SAVED]);
}

/// ADM-2: one init key in two packages of a batch; the first stands. The same package twice is no second use.
#[tokio::test]
async fn an_init_key_is_used_once_in_a_batch() {
    let world = World::new();
    let (first, mut second) = (Made::new("first"), Made::new("second"));
    second.init_key = first.init_key.clone();
    let verdicts = world.upload(vec![first.bytes(), second.bytes(), first.bytes()]).await;
    let reused = UploadOutcome::Refused(Refusal::InitKeyReused);
    assert_eq!(verdicts, [SAVED, reused, ALREADY_STORED]);
}

/// ADM-2: after a restore, what was made before it is refused.
#[tokio::test]
async fn a_package_made_before_the_restore_point_is_refused() {
    let world = World::with(|policy| policy.restore_point(start()));
    let (mut before, at) = (Made::new("before"), Made::new("at"));
    before.not_before = start().minus(1);
    let refused = UploadOutcome::Refused(Refusal::BeforeRestorePoint);
    assert_eq!(world.upload(vec![before.bytes(), at.bytes()]).await, [refused, SAVED]);
}

/// ADM-2: who uploads is handed to the admission.
#[tokio::test]
async fn the_uploader_is_judged() {
    let world = World::new();
    let upload = Upload::new(bob(), Uploader::identity("mallory"), made(1));
    let mismatch = UploadOutcome::Refused(Refusal::CredentialMismatch);
    assert_eq!(world.directory.upload(upload).await.unwrap(), [mismatch]);
}

/// ADM-1: the moment of the directory's clock is the one that the admission judges by.
#[tokio::test]
async fn expiry_is_judged_by_the_clock() {
    let world = World::new();
    world.clock.set(Made::new("any").not_after);
    assert_eq!(world.upload(made(1)).await, [UploadOutcome::Refused(Refusal::Expired)]);
}

/// ADM-3: an admission that panics costs its own upload only.
#[tokio::test]
async fn a_panic_of_the_admission_is_an_error() {
    let world = World::new();
    let upload = to_bob(vec![made(1).remove(0), b"panic".to_vec()]);
    let error = world.directory.upload(upload).await.unwrap_err();
    assert!(matches!(error, UploadError::AdmissionPanicked));
    assert_eq!(available(&world).await, 0);
    assert_eq!(world.upload(made(1)).await, [SAVED]);
}

/// ADM-3: packages are judged off the async threads: with the only one of them busy waiting for the answer, it comes.
#[test]
fn packages_are_judged_off_the_async_threads() {
    use kp_core::Timestamp;
    use kp_core::server::{Admission, Admitted};
    use std::sync::Arc;

    struct WhichThread;
    impl Admission for WhichThread {
        fn admit(&self, uploaded: &[u8], _: &Uploader, _: Timestamp) -> Result<Admitted, Refusal> {
            let here = format!("{:?}", std::thread::current().id());
            if here.as_bytes() == uploaded {
                Err(Refusal::Other("on an async thread"))
            } else {
                Err(Refusal::Other("elsewhere"))
            }
        }
    }
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let async_thread = format!("{:?}", std::thread::current().id()).into_bytes();
    let store = Arc::new(kp_memory::MemoryStore::new());
    let directory = kp_server::KeyPackageDirectory::builder(store, WhichThread)
        .build()
        .unwrap();
    let verdicts = runtime.block_on(directory.upload(to_bob(vec![async_thread]))).unwrap();
    assert_eq!(verdicts, [UploadOutcome::Refused(Refusal::Other("elsewhere"))]);
}

/// DIR-1, SAVE-3: a spent package that is uploaded again is told so, and never handed out again.
#[tokio::test]
async fn a_spent_package_is_not_taken_again() {
    let world = World::new();
    world.upload(made(1)).await;
    world
        .directory
        .claim(&bob(), &Take::new().id(retry_key(1)))
        .await
        .unwrap();
    let spent = UploadOutcome::AlreadySpent;
    assert_eq!(world.upload(made(1)).await, [spent]);
}

/// Every verdict has a code of its own, but the two that mean the same.
#[test]
fn verdicts_have_codes() {
    assert_eq!(SAVED.code(), "saved");
    assert_eq!(MALFORMED.code(), "malformed");
    assert_eq!(UploadOutcome::NotTried.code(), "not_tried");
    let by_store = UploadOutcome::Refused(Refusal::Expired);
    assert_eq!(by_store.code(), UploadOutcome::Refused(Refusal::Expired).code());
}
