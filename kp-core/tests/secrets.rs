//! Prints every public type, and finds no package bytes, reservation ids, tokens, parties, groups, identities or init keys
//! in the text (ERR-4, PRIV-1).
//!
//! One function for each public module prints the types of the module, with secrets inside. The test compares the types
//! printed with the types that the crate exports: a new type fails the test until the type is printed here.

use std::any::type_name;
use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::fmt::{Debug, Display};
use std::fs;

use kp_core::client::{
    Alone, Budget, Fence, JoinMark, KeyPackageMetadata, LeaseHolder, LeaseName, Lifecycle, MetadataChanges,
    MetadataRejection, PoolRecord, StorageLease, Wait,
};
use kp_core::contract::ALL;
use kp_core::key_package::{
    CodePoints, CredentialType, ExtensionType, KeyAlgorithms, ProposalType, ProtocolVersion, UnreadableKeyPackage,
    UnverifiedKeyPackage,
};
use kp_core::protocol::{
    CiphersuiteStatus, Health, HeldKeyPackage, KeyFault, LeafFault, PoolStatus, PublicKeyField, Refusal, Requirement,
    SyncReport, TransportError, UploadOutcome,
};
use kp_core::rules::{
    Column, Extent, Interrupted, LeaseColumns, LeaseRecord, Limits, LoadedPool, LookUp, Model, Recall, Record,
    RecordColumns, Spent, State, Window, claim, save,
};
use kp_core::server::{
    AdmissionPolicy, Admitted, Answers, Cursor, InitKeyFingerprint, InvalidCursor, InvalidToken, LastResort, OnLapse,
    Page, ReadyKeyPackage, Receipt, Requirements, ReservationToken, Save, SaveMode, SaveOutcome, Spend,
    StoredKeyPackage, Support, TakeOptions, TakeRequest, TooManyKeyPackages, TooManyTypes, Uploader, WithdrawOutcome,
    Withdrawal,
};
use kp_core::{
    BackendError, Cause, Ciphersuite, Counts, CredentialHash, Effect, GroupId, InvalidId, InvalidKeyPackageBytes,
    InvalidLifetime, InvalidTimestamp, InvalidTtl, KeyPackage, KeyPackageBytes, KeyPackageInfo, KeyPackageRef,
    Lifetime, ManualClock, OpenError, Party, PoolCounts, PoolId, Rejection, ReservationId, Role, Slot, Status,
    Timestamp, Ttl,
};

type Outcome<T = ()> = Result<T, Box<dyn Error>>;

/// Each secret, a byte sixteen times over: printed in whatever way, it shows.
const BYTES: u8 = 0xA1;
const ID: u8 = 0xB2;
const PARTY: u8 = 0xC3;
const GROUP: u8 = 0xD4;
const IDENTITY: u8 = 0xE5;
const INIT_KEY: u8 = 0xF6;
const SECRETS: [u8; 6] = [BYTES, ID, PARTY, GROUP, IDENTITY, INIT_KEY];

/// Names the files that say what the crate exports.
const EXPORTS: [&str; 7] = [
    "lib.rs",
    "client/mod.rs",
    "contract/mod.rs",
    "key_package/mod.rs",
    "protocol/mod.rs",
    "rules/mod.rs",
    "server/mod.rs",
];

/// Names what the crate exports and is no type: traits and aliases.
const NO_TYPES: [&str; 14] = [
    "Admission",
    "Answer",
    "BoxError",
    "Clock",
    "KeyPackageStore",
    "KeyPackageStoreExt",
    "KeyPackageTransport",
    "KeyVault",
    "MetadataResult",
    "PoolMetadataStore",
    "PoolMetadataStoreExt",
    "PoolRecords",
    "ReadColumns",
    "Result",
];

/// Fails when a secret shows in a text: as numbers, in hexadecimal or as characters.
#[track_caller]
fn shows_none(text: &str) {
    let text = text.to_lowercase();
    for secret in SECRETS {
        let shown = [
            format!("{secret:02x}{secret:02x}"),
            format!("{secret:02x}, "),
            format!("{secret:02x},\n"),
            format!("{secret}, "),
            format!("{secret},\n"),
            format!("\\x{secret:02x}"),
            char::from(secret).to_string(),
        ];
        for shown in shown {
            assert!(!text.contains(&shown), "{shown:?} shows in {text}");
        }
    }
}

/// Fails when `Debug`, in any of its forms, shows a secret.
#[track_caller]
fn hides(what: &(impl Debug + ?Sized)) {
    shows_none(&format!("{what:?}"));
    shows_none(&format!("{what:#?}"));
    shows_none(&format!("{what:x?}"));
    shows_none(&format!("{what:X?}"));
}

/// Collects the names of the types that were printed.
#[derive(Default)]
struct Printed(BTreeSet<String>);

impl Printed {
    #[track_caller]
    fn hides<T: Debug>(&mut self, what: &T) {
        hides(what);
        let path = type_name::<T>().split('<').next().unwrap_or_default();
        self.0.insert(path.rsplit("::").next().unwrap_or_default().to_owned());
    }

    #[track_caller]
    fn error_hides<T: Debug + Display>(&mut self, what: &T) {
        self.hides(what);
        shows_none(&what.to_string());
    }
}

fn key_package_ref() -> Outcome<KeyPackageRef> {
    Ok(KeyPackageRef::try_from("ref")?)
}

fn group() -> Outcome<GroupId> {
    Ok(GroupId::try_from(vec![GROUP; 16])?)
}

fn party() -> Outcome<Party> {
    Ok(Party::try_from(vec![PARTY; 16])?)
}

fn package() -> Outcome<KeyPackage> {
    Ok(KeyPackage::new(
        KeyPackageInfo::new(
            key_package_ref()?,
            Ciphersuite(1),
            Lifetime::new(Timestamp::MIN, Timestamp::MAX)?,
            CredentialHash([0; 32]),
        ),
        KeyPackageBytes::try_from(vec![BYTES; 16])?,
    ))
}

fn take() -> Outcome<TakeRequest> {
    let take = TakeRequest::new(
        PoolId::try_from("bob")?,
        ReservationId::from_bytes([ID; 16]),
        Ttl::try_from(60)?,
    );
    Ok(take.options(TakeOptions::new().by(party()?)))
}

/// Prints the types of the crate's root.
fn types(printed: &mut Printed) -> Outcome {
    let package = package()?;
    printed.hides(&PoolId::try_from("bob")?);
    printed.hides(&package.info.key_package_ref);
    printed.hides(&group()?);
    printed.hides(&party()?);
    printed.hides(&ReservationId::from_bytes([ID; 16]));
    printed.hides(&package.info.ciphersuite);
    printed.hides(&package.info.credential);
    printed.hides(&package.info.lifetime);
    printed.hides(&package.info.role);
    printed.hides(&package.info);
    printed.hides(&package.bytes);
    printed.hides(&package);
    printed.hides(&Timestamp::MIN);
    printed.hides(&Ttl::try_from(60)?);
    printed.hides(&ManualClock::at(Timestamp::MIN));
    printed.hides(&Status::Available);
    printed.hides(&Cause::Used);
    printed.hides(&Counts::default());
    printed.hides(&PoolCounts::default());
    printed.hides(&Slot::Used);
    printed.hides(&Role::LastResort);
    printed.hides(&Effect::Unknown);
    let failure = BackendError::new("memory", "save_key_packages", Effect::Unknown, "the disk is full");
    printed.error_hides(&failure);
    printed.error_hides(&kp_core::Error::<Rejection>::from(failure));
    printed.error_hides(&Rejection::NotFound);
    printed.error_hides(&OpenError::TooOld("5".to_owned()));
    printed.error_hides::<InvalidId>(&refused(GroupId::try_from(vec![GROUP; 300]))?);
    printed.error_hides::<InvalidId>(&refused(Party::try_from(vec![PARTY; 100]))?);
    printed.error_hides::<InvalidKeyPackageBytes>(&refused(KeyPackageBytes::try_from(vec![BYTES; 70_000]))?);
    printed.error_hides::<InvalidTimestamp>(&refused(Timestamp::try_from(-1))?);
    printed.error_hides::<InvalidTtl>(&refused(Ttl::try_from(0))?);
    printed.error_hides::<InvalidLifetime>(&refused(Lifetime::new(Timestamp::MAX, Timestamp::MIN))?);
    Ok(())
}

/// Returns the error of a call that must not succeed.
fn refused<T, E>(result: Result<T, E>) -> Outcome<E> {
    result.err().ok_or_else(|| "what is wrong was taken".into())
}

fn server(printed: &mut Printed) -> Outcome {
    let take = take()?;
    let (pool, now) = (take.pool.clone(), Timestamp::MIN);
    let token = ReservationToken::new(pool.clone(), key_package_ref()?, take.id);
    let spend = Spend::new().group(group()?).by(party()?);
    printed.hides(&take);
    printed.hides(&take.options);
    printed.hides(&take.options.by);
    printed.hides(&LastResort::Only);
    printed.hides(&OnLapse::Retire);
    printed.hides(&token);
    printed.hides(&spend);
    printed.hides(&spend.group);
    printed.hides(&Receipt::new(key_package_ref()?, now));
    printed.hides(&Save::one(pool.clone(), package()?));
    printed.hides(&SaveMode::Replace);
    printed.hides(&SaveOutcome::Saved);
    printed.error_hides::<TooManyKeyPackages>(&refused(Save::new(pool.clone(), vec![package()?; 1_001]))?);
    printed.hides(&Withdrawal::Refs(vec![key_package_ref()?]));
    printed.hides(&WithdrawOutcome::Withdrawn);
    printed.hides(&ReadyKeyPackage::new(package()?.info, Timestamp::MIN));
    printed.hides(&StoredKeyPackage::new(
        package()?.info,
        Status::Available,
        Some(package()?.bytes),
    ));
    printed.hides(&Page::new(vec![package()?], Some(Cursor::after_pool(pool.clone()))));
    printed.hides(&Cursor::after_pool(pool));
    printed.error_hides::<InvalidCursor>(&refused("b2".repeat(16).parse::<Cursor>())?);
    let text = format!("626f62.01.{}.", "b2".repeat(16));
    printed.error_hides::<InvalidToken>(&refused(ReservationToken::parse(&text))?);
    // The fingerprint of a key is no secret, and neither is what a client supports.
    let fingerprint = InitKeyFingerprint::of_sha256([1; 32]);
    let support = Support::new([ExtensionType(9)], [], []).ok_or("one type is not too many")?;
    printed.hides(&fingerprint);
    printed.hides(&support);
    printed.hides(&Requirements::new().extensions([ExtensionType(9)])?);
    printed.error_hides::<TooManyTypes>(&refused(Requirements::new().extensions((100..200).map(ExtensionType)))?);
    printed.hides(&Admitted::new(package()?).fingerprint(fingerprint).support(support));
    for uploader in [
        Uploader::identity(vec![IDENTITY; 16]),
        Uploader::signature_key(vec![IDENTITY; 16]),
        Uploader::unchecked(),
    ] {
        printed.hides(&uploader);
    }
    let own = vec![IDENTITY; 16];
    printed.hides(&AdmissionPolicy::new().credential(move |leaf, _| leaf.signature_key() == own));

    let mut model = Model::default();
    model.save(&Save::one(take.pool.clone(), package()?), now);
    let reserved = model.reserve(&take, OnLapse::Return, now)?;
    printed.hides(&Answers::from(vec![Ok(reserved.clone())]));
    printed.hides(&reserved);
    printed.hides(&reserved.lease.ok_or("a one-time package has a lease")?);
    Ok(())
}

fn client(printed: &mut Printed) -> Outcome {
    let now = Timestamp::MIN;
    let superseded = Lifecycle::Superseded { delete_at: now };
    printed.hides(&KeyPackageMetadata::created(&package()?.info, now));
    printed.hides(&superseded);
    printed.hides(&JoinMark {
        holder: LeaseHolder::from_bytes([9; 16]),
        until: now,
    });
    printed.hides(&MetadataChanges::new().create([KeyPackageMetadata::created(&package()?.info, now)]));
    let holder = LeaseHolder::from_bytes([9; 16]);
    let lease = StorageLease::grant(None, holder, Ttl::try_from(60)?, now)?;
    printed.hides(&holder);
    printed.hides(&lease);
    printed.hides(&LeaseName::ROUND);
    printed.hides(&Fence::new(LeaseName::ROUND, lease.fence));
    printed.hides(&PoolRecord::default());
    printed.hides(&Wait::new(now, 60));
    printed.hides(&Alone::new(now, now));
    printed.hides(&Budget::new(64, now));
    printed.error_hides::<MetadataRejection>(&refused(Lifecycle::Spent.step(superseded))?);
    Ok(())
}

fn protocol(printed: &mut Printed) -> Outcome {
    let status = CiphersuiteStatus::new(Health::Good, Counts::default(), 1, 0);
    let pool = PoolStatus::new(BTreeMap::from([(Ciphersuite(1), status)]), 9);
    printed.hides(&Health::Unknown);
    printed.hides(&status);
    printed.hides(&pool);
    let held = HeldKeyPackage::new(key_package_ref()?, Role::LastResort, Timestamp::MIN);
    printed.hides(&held);
    printed.hides(&SyncReport::new(vec![None], vec![held], pool));
    printed.hides(&UploadOutcome::Unknown);
    printed.error_hides(&Refusal::Other("not today"));
    printed.error_hides(&LeafFault::Source(2));
    printed.error_hides(&Requirement::ExtensionSupport(ExtensionType(0xF123)));
    printed.error_hides(&KeyFault::Unusable(PublicKeyField::InitKey));
    printed.hides(&PublicKeyField::InitKey);
    printed.error_hides(&TransportError::new("a lost connection"));
    Ok(())
}

fn key_package(printed: &mut Printed) -> Outcome {
    let opaque = |secret: u8| [&[16], [secret; 16].as_slice()].concat();
    let extensions = [&[19, 0xF1, 0x23], opaque(BYTES).as_slice()].concat();
    let uploaded = [
        vec![0, 1, 0, 1],
        opaque(INIT_KEY),
        opaque(INIT_KEY),
        opaque(BYTES),
        vec![0, 1],
        opaque(IDENTITY),
        vec![0, 0, 0, 0, 2, 0, 1, 1],
        vec![0; 16],
        extensions.clone(),
        opaque(BYTES),
        extensions,
        opaque(BYTES),
    ]
    .concat();
    printed.hides(&KeyAlgorithms::new(0x0020, 0x0807));
    let package = UnverifiedKeyPackage::read(&uploaded)?;
    let leaf = package.leaf_node();
    printed.hides(&package);
    printed.hides(leaf);
    printed.hides(&leaf.credential());
    printed.hides(leaf.capabilities());
    printed.hides(&leaf.signed());
    printed.hides(&leaf.extensions());
    printed.hides(&leaf.extensions().iter().next().ok_or("an extension")?);
    let listed: CodePoints<'_, CredentialType> = leaf.capabilities().credentials();
    printed.hides(&listed);
    printed.hides(&CredentialType::BASIC);
    printed.hides(&ExtensionType::LAST_RESORT);
    printed.hides(&ProposalType(1));
    printed.hides(&ProtocolVersion::MLS10);
    printed.error_hides(&UnreadableKeyPackage::Truncated);
    Ok(())
}

fn rules(printed: &mut Printed) -> Outcome {
    let TakeRequest { id, options, .. } = take()?;
    let now = Timestamp::MIN;
    let window = Window {
        expires_at: now,
        reserver: options.by.clone(),
        replayable: true,
    };
    let lease = LeaseRecord {
        id,
        by: options.by.clone(),
        expires_at: now,
        on_lapse: OnLapse::Return,
        recalled: Some(Recall::Withdrawn),
    };
    let spent = Spent {
        at: now,
        id,
        bound: true,
        group: Some(group()?),
        by: options.by,
        window: Some(window.clone()),
    };
    printed.hides(&window);
    printed.hides(&lease);
    printed.hides(&spent);
    printed.hides(&Recall::Retired);
    printed.hides(&Column::LeaseId);
    let past = State::Used(Spent {
        window: None,
        ..spent.clone()
    });
    printed.hides(&RecordColumns::of(&package()?.info, &past));
    printed.hides(&Limits::default());
    for state in [State::Reserved(lease), State::Used(spent)] {
        printed.hides(&state);
        printed.hides(&RecordColumns::of(&package()?.info, &state));
        printed.hides(&LeaseColumns::of(&state).ok_or("a lease or a window")?);
        printed.hides(&Record {
            info: package()?.info,
            sequence: 0,
            saved_at: now,
            state,
        });
    }

    let take = take()?;
    let mut model = Model::default();
    model.save(&Save::one(take.pool.clone(), package()?), now);
    model.claim(&take, Some(&group()?), now)?;
    let pool = model.pool(&take.pool).ok_or("the pool holds a package")?;
    printed.hides(pool);
    printed.hides(&pool.records[0].1);
    printed.hides(&model);

    let mut loaded = LoadedPool::empty();
    save(
        &mut loaded,
        &Save::one(take.pool.clone(), package()?),
        Limits::default(),
        now,
    )?;
    printed.hides(&loaded.changes().next().ok_or("a package is stored")?);
    claim(&mut loaded, &take, Some(&group()?), now)??;
    printed.hides(&loaded);
    for look_up in LookUp::of_take(&take, now) {
        printed.hides(&look_up);
        printed.error_hides(&Interrupted::Missing(look_up));
    }
    printed.hides(&Extent::All);
    Ok(())
}

fn contract(printed: &mut Printed) -> Outcome {
    ALL.iter().for_each(|rule| printed.hides(rule));
    Ok(())
}

/// Returns the names that the crate exports, but for functions and constants.
fn exported() -> Outcome<BTreeSet<String>> {
    let is_name = |name: &&str| name.starts_with(char::is_uppercase) && name.contains(char::is_lowercase);
    let mut names = BTreeSet::new();
    for file in EXPORTS {
        let source = fs::read_to_string(format!("{}/src/{file}", env!("CARGO_MANIFEST_DIR")))?;
        let lists = source
            .split("pub use ")
            .skip(1)
            .filter_map(|rest| rest.split(';').next());
        for list in lists {
            names.extend(
                list.split(|c: char| !c.is_alphanumeric() && c != '_')
                    .filter(is_name)
                    .map(str::to_owned),
            );
        }
    }
    Ok(names)
}

#[test]
fn the_test_would_see_them() {
    for bytes in SECRETS {
        let shown = std::panic::catch_unwind(|| hides(&[bytes; 16]));
        assert!(shown.is_err());
    }
}

#[test]
fn every_public_type_hides_them() -> Outcome {
    let mut printed = Printed::default();
    for module in [types, server, client, protocol, key_package, rules, contract] {
        module(&mut printed)?;
    }
    let mut exported = exported()?;
    for name in NO_TYPES {
        assert!(exported.remove(name), "{name} is not exported any more");
    }
    let missing: Vec<_> = exported.difference(&printed.0).collect();
    assert!(
        missing.is_empty(),
        "print these types too, with secrets inside: {missing:?}"
    );
    Ok(())
}
