use kp_core::PoolId;

/// Names the keys. Each key of a pool, and of an index that leads to the pool, carries the hash tag of the pool's
/// bucket.
///
/// The tag is a bucket and not the pool's id, for two reasons. No id can break the tag. And the indexes of a bucket lie
/// in the same slot as its pools, so that one script updates both.
#[derive(Debug)]
pub(crate) struct Keys {
    prefix: String,
    buckets: u16,
}

/// The kinds of the keys of a pool.
const OF_POOL: [&str; 6] = ["r", "q", "l", "i", "t", "f"];

/// An index of a bucket's pools.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Index {
    /// All pools.
    Pools,
    /// All pools, by their earliest `not_after`.
    Expiry,
    /// The pools with leases or windows, by their earliest `expires_at`.
    Lapse,
}

impl Keys {
    pub(crate) fn new(prefix: String, buckets: u16) -> Self {
        Self { prefix, buckets }
    }

    pub(crate) fn buckets(&self) -> u16 {
        self.buckets
    }

    /// Returns the bucket of a pool.
    pub(crate) fn bucket(&self, pool: &PoolId) -> u16 {
        let bucket = fnv1a(pool.as_bytes()) % u64::from(self.buckets);
        u16::try_from(bucket).unwrap_or_default()
    }

    /// Returns the KEYS of a script on a pool, in the order of `pool.lua`: all of them for a script that adds or forgets records,
    /// or those that every other one takes.
    pub(crate) fn of_pool(&self, pool: &PoolId, all: bool) -> Vec<Vec<u8>> {
        let bucket = self.bucket(pool);
        let mut keys = Vec::from(["r", "q", "l", "i", "t"].map(|kind| self.named(pool, kind)));
        keys.push(self.index(bucket, Index::Lapse));
        if all {
            keys.extend([Index::Pools, Index::Expiry].map(|index| self.index(bucket, index)));
            keys.push(self.named(pool, "f"));
        }
        keys
    }

    /// Returns the pool that a key is of, if it is a pool's: the reverse of [`of_pool`](Self::of_pool).
    pub(crate) fn pool_of(&self, key: &[u8]) -> Option<PoolId> {
        let rest = key.strip_prefix(self.prefix.as_bytes())?;
        let end = rest.iter().position(|byte| *byte == b'}')?;
        let [b':', kind, b':', pool @ ..] = rest.get(end + 1..)? else {
            return None;
        };
        let kind = OF_POOL.iter().find(|of_pool| of_pool.as_bytes() == [*kind])?;
        let pool = PoolId::try_from(pool).ok()?;
        (self.named(&pool, kind) == key).then_some(pool)
    }

    /// Returns the keys of a client's metadata: of the rows, and of the record and the leases.
    pub(crate) fn metadata(&self, client: &PoolId) -> [Vec<u8>; 2] {
        ["m", "s"].map(|kind| self.named(client, kind))
    }

    /// Returns the key of an index of a bucket.
    pub(crate) fn index(&self, bucket: u16, index: Index) -> Vec<u8> {
        let name = match index {
            Index::Pools => "pools",
            Index::Expiry => "expiry",
            Index::Lapse => "lapse",
        };
        self.key(bucket, name)
    }

    /// Returns the key that is written before `WAIT`: see [`Link`](crate::link::calls::Link).
    pub(crate) fn heartbeat(&self, pool: &PoolId) -> Vec<u8> {
        self.key(self.bucket(pool), "heartbeat")
    }

    /// Returns a key that is never there but while the server is probed.
    pub(crate) fn probe(&self, bucket: u16) -> Vec<u8> {
        self.key(bucket, "probe")
    }

    /// Returns the key that holds the version of the layout.
    pub(crate) fn schema(&self) -> Vec<u8> {
        format!("{}{{schema}}", self.prefix).into_bytes()
    }

    fn named(&self, pool: &PoolId, kind: &str) -> Vec<u8> {
        let mut key = self.key(self.bucket(pool), kind);
        key.push(b':');
        key.extend_from_slice(pool.as_bytes());
        key
    }

    fn key(&self, bucket: u16, name: &str) -> Vec<u8> {
        format!("{}{{{bucket:x}}}:{name}", self.prefix).into_bytes()
    }
}

/// Hashes by FNV-1a, 64 bits. The hash only spreads pools over buckets.
fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_pool_id_can_break_the_tag() {
        let keys = Keys::new("kp:".to_owned(), 1024);
        let hostile = PoolId::try_from(b"}{a}\r\n\0*".as_slice()).unwrap();
        for key in keys.of_pool(&hostile, true).into_iter().chain(keys.metadata(&hostile)) {
            let open = key.iter().position(|byte| *byte == b'{').unwrap();
            let close = key.iter().position(|byte| *byte == b'}').unwrap();
            let tag = std::str::from_utf8(&key[open + 1..close]).unwrap();
            assert_eq!(u16::from_str_radix(tag, 16).unwrap(), keys.bucket(&hostile));
        }
    }

    #[test]
    fn a_key_tells_its_pool() {
        let keys = Keys::new("kp:".to_owned(), 1024);
        let pool = PoolId::try_from(b"}{a}:r:\0*".as_slice()).unwrap();
        let of_pool = keys.of_pool(&pool, true);
        let told = of_pool.iter().filter(|key| keys.pool_of(key).as_ref() == Some(&pool));
        assert_eq!(told.count(), of_pool.len() - 3, "all but the indexes of the bucket");
        let others = [
            keys.heartbeat(&pool),
            keys.schema(),
            keys.index(7, Index::Pools),
            b"kp:{0}:r:bob".to_vec(),
        ];
        for other in others.into_iter().chain(keys.metadata(&pool)) {
            assert_eq!(keys.pool_of(&other), None, "{other:?}");
        }
    }

    #[test]
    fn pools_spread_over_the_buckets() {
        let keys = Keys::new(String::new(), 64);
        let mut pools = [0_u32; 64];
        for number in 0..6_400 {
            let pool = PoolId::try_from(format!("user-{number}").as_str()).unwrap();
            pools[usize::from(keys.bucket(&pool))] += 1;
        }
        assert!(pools.iter().all(|count| (50..=160).contains(count)), "{pools:?}");
    }
}
