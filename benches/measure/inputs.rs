//! Packages as OpenMLS makes them: a ref of 32 bytes; in pools of 100.

use std::ops::Range;
use std::time::{SystemTime, UNIX_EPOCH};

use kp_core::key_package::CredentialType;
use kp_core::server::*;
use kp_core::*;

use super::Fallible;

/// When everything happens, where no service reads its own clock.
pub(crate) const NOW: Timestamp = match Timestamp::new(1_700_000_000) {
    Some(now) => now,
    None => Timestamp::MAX,
};

/// What a package's bytes weigh, with a basic credential: ciphersuite 1; X-Wing with Ed25519 (`0x004d`); ML-KEM-1024 with
/// ML-DSA-87 (`0x0907`), the largest there are.
pub(crate) const PAYLOADS: [usize; 3] = [PAYLOAD, X_WING, 15_032];
pub(crate) const PAYLOAD: usize = 295;
pub(crate) const X_WING: usize = 2_641;

/// The packages of a pool.
pub(crate) const PER_POOL: u32 = 100;

/// How packages are made.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Kind {
    pub(crate) payload: usize,
    pub(crate) lifetime: Lifetime,
}

impl Kind {
    /// Valid now, and for a day.
    pub(crate) fn of(payload: usize) -> Fallible<Self> {
        let lifetime = Lifetime::new(NOW, NOW.plus(86_400))?;
        Ok(Self { payload, lifetime })
    }

    /// Valid by the clock, and for a day.
    pub(crate) fn by_the_clock() -> Fallible<Self> {
        let now = now_by_the_clock()?;
        let lifetime = Lifetime::new(now.minus(3_600), now.plus(86_400))?;
        Ok(Self {
            payload: PAYLOAD,
            lifetime,
        })
    }

    /// Of ciphersuite 1.
    pub(crate) fn usual() -> Fallible<Self> {
        Self::of(PAYLOAD)
    }
}

/// As a service's clock has it.
#[expect(clippy::disallowed_methods, reason = "what is measured has a clock of its own")]
pub(crate) fn now_by_the_clock() -> Fallible<Timestamp> {
    let since = SystemTime::now().duration_since(UNIX_EPOCH)?;
    Ok(Timestamp::try_from(i64::try_from(since.as_secs())?)?)
}

pub(crate) fn pool_id(number: u32) -> Fallible<PoolId> {
    Ok(PoolId::try_from(format!("user-{number:08}/phone").as_str())?)
}

/// A request of its own for a package of this pool.
pub(crate) fn take(pool: u32, serial: u64) -> Fallible<TakeRequest> {
    let id = ReservationId::from_bytes(spread(serial, 0)[..16].try_into()?);
    Ok(TakeRequest::new(pool_id(pool)?, id, Ttl::try_from(60)?))
}

pub(crate) fn save(pool: u32, numbers: Range<u32>, kind: Kind) -> Fallible<Save> {
    let items = numbers.map(|number| item(pool, number, kind));
    let items: Vec<_> = items.collect::<Fallible<_>>()?;
    Ok(Save::new(pool_id(pool)?, items)?)
}

/// A package with what OpenMLS's admission reads: an init key of its own, and a credential type among the capabilities.
fn item(pool: u32, number: u32, kind: Kind) -> Fallible<Admitted> {
    let hash = spread(u64::from(number), u64::from(pool)).as_slice().try_into()?;
    Ok(Admitted::new(package(pool, number, kind)?)
        .fingerprint(InitKeyFingerprint::of_sha256(hash))
        .support(Support::new([], [], [CredentialType::BASIC])))
}

pub(crate) fn package(pool: u32, number: u32, kind: Kind) -> Fallible<KeyPackage> {
    let hash = spread(u64::from(pool), u64::from(number));
    let bytes: Vec<u8> = hash.iter().copied().cycle().take(kind.payload).collect();
    Ok(KeyPackage::new(
        KeyPackageInfo::new(
            KeyPackageRef::try_from(hash.as_slice())?,
            Ciphersuite(1),
            kind.lifetime,
            CredentialHash([7; 32]),
        ),
        KeyPackageBytes::try_from(bytes)?,
    ))
}

pub(crate) fn last_resort(pool: u32, kind: Kind) -> Fallible<KeyPackage> {
    let mut package = package(pool, u32::MAX, kind)?;
    package.info.role = Role::LastResort;
    Ok(package)
}

/// 32 bytes as long as a hash, and as spread.
fn spread(high: u64, low: u64) -> Vec<u8> {
    let mut state = high.rotate_left(32) ^ low;
    let words = std::array::from_fn::<_, 4, _>(|_| {
        // SplitMix64.
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)).to_be_bytes()
    });
    words.concat()
}
