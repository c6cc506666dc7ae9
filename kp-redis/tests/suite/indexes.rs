//! Holds every key of a space against every other: no entry leads nowhere, and none is missing.

use std::collections::{BTreeMap, BTreeSet};

use redis::Connection;

type Bytes = Vec<u8>;
type Hash = BTreeMap<Bytes, Bytes>;
type Scores = BTreeMap<Bytes, f64>;

/// Reads a number that begins at this byte.
fn number(bytes: &[u8], at: usize, length: usize) -> u64 {
    bytes[at..at + length]
        .iter()
        .fold(0, |number, byte| number << 8 | u64::from(*byte))
}

/// What a record, and what took its package, say of the indexes.
#[derive(Debug)]
struct Record {
    state: u8,
    not_after: u64,
    /// When its lease or window lapses.
    lapses_at: Option<u64>,
    /// The id that is bound to it.
    id: Option<Bytes>,
    fingerprint: Option<Bytes>,
}

impl Record {
    /// Reads a record and its entry of `t`: see pool.lua.
    fn read(value: &[u8], taken: Option<&Bytes>) -> Self {
        let (state, mark) = (value[0], value[1]);
        let has_fingerprint = mark & 8 > 0;
        let rest = if has_fingerprint { 58 } else { 50 };
        let mut record = Self {
            state,
            not_after: number(value, 11, 7),
            lapses_at: None,
            id: None,
            fingerprint: has_fingerprint.then(|| value[50..58].to_vec()),
        };
        if let Some(taken) = taken {
            assert_eq!(state, b'F', "what took a package whose record is not kept");
            record.state = taken[0];
            record.lapses_at = Some(number(taken, 2, 7));
            record.id = (taken[0] == b'R' || taken[1] & 1 > 0).then(|| taken[9..25].to_vec());
        } else if state == b'U' {
            record.id = (mark & 1 > 0).then(|| value[rest + 7..rest + 23].to_vec());
            let group = rest + 23;
            let by = group + 1 + usize::from(value[group]);
            let window = by + 1 + usize::from(value[by]);
            record.lapses_at = (mark & 6 > 0).then(|| number(value, window, 7));
        }
        record
    }
}

/// The keys of a space, read as what they are.
struct Keys<'a> {
    connection: &'a mut Connection,
    found: BTreeSet<Bytes>,
}

impl Keys<'_> {
    fn read<T: redis::FromRedisValue>(&mut self, command: &[&str], key: &[u8]) -> T {
        self.found.remove(key);
        let mut cmd = redis::cmd(command[0]);
        cmd.arg(key).arg(&command[1..]);
        cmd.query(self.connection).expect("it has its type")
    }

    fn hash(&mut self, key: &[u8]) -> Hash {
        self.read(&["HGETALL"], key)
    }

    fn scores(&mut self, key: &[u8]) -> Scores {
        let pairs: Vec<(Bytes, f64)> = self.read(&["ZRANGE", "0", "-1", "WITHSCORES"], key);
        pairs.into_iter().collect()
    }
}

/// Panics where an index of this space and what it leads to differ.
pub(crate) fn check(connection: &mut Connection, space: &str) {
    let pattern = format!("{space}:*");
    let keys: Vec<Bytes> = redis::cmd("KEYS")
        .arg(pattern)
        .query(connection)
        .expect("the server answers");
    let mut keys = Keys {
        connection,
        found: keys.into_iter().collect(),
    };
    // Few buckets: those that the suite opens a store with.
    for bucket in 0..2 {
        let key = |name: &str| format!("{space}:{{{bucket}}}:{name}").into_bytes();
        let pools = keys.scores(&key("pools"));
        let mut expiry = keys.scores(&key("expiry"));
        let mut lapse = keys.scores(&key("lapse"));
        for pool in pools.keys() {
            let own = |kind: &str| [key(kind), b":".to_vec(), pool.clone()].concat();
            let earliest = check_pool(&mut keys, own);
            let due = expiry.remove(pool).expect("a pool is in the index of ends");
            assert!(due <= earliest.0, "a pool is swept too late");
            let due = lapse.remove(pool);
            assert!(
                earliest.1.is_infinite() || due.is_some_and(|due| due <= earliest.1),
                "a pool is settled too late"
            );
        }
        assert!(expiry.is_empty() && lapse.is_empty(), "an index leads to no pool");
    }
    keys.found.retain(|key| {
        let beside = [":m:", ":s:", "}:heartbeat", "{schema}"];
        let name = String::from_utf8_lossy(key);
        !beside.iter().any(|beside| name.contains(beside))
    });
    assert!(keys.found.is_empty(), "keys of no pool: {:?}", keys.found);
}

/// Returns the earliest end of a package of the pool, and the earliest lapse.
fn check_pool(keys: &mut Keys<'_>, own: impl Fn(&str) -> Bytes) -> (f64, f64) {
    let mut records = keys.hash(&own("r"));
    let mut taken = keys.hash(&own("t"));
    let (mut queue, mut lapses) = (keys.scores(&own("q")), keys.scores(&own("l")));
    let (mut ids, fingerprints) = (keys.hash(&own("i")), keys.hash(&own("f")));
    let last: f64 = match records.remove(b"".as_slice()) {
        Some(last) => String::from_utf8_lossy(&last).parse().expect("a sequence"),
        None => 0.0,
    };
    ids.remove(b"".as_slice());
    let (mut end, mut lapse) = (f64::INFINITY, f64::INFINITY);
    let mut known = Vec::new();
    assert!(!records.is_empty(), "a pool without records is listed");
    for (named, value) in records {
        let record = Record::read(&value, taken.remove(&named).as_ref());
        end = end.min(record.not_after as f64);
        let place = queue.remove(&named);
        let placed = place.is_some_and(|place| place.abs() <= last && (place < 0.0) == (record.state == b'S'));
        assert_eq!(placed, place.is_some(), "{record:?} at {place:?}");
        assert_eq!(placed, b"FS".contains(&record.state), "{record:?} at {place:?}");
        let lapses_at = record.lapses_at.map(|at| at as f64);
        assert_eq!(lapses.remove(&named), lapses_at, "{record:?}");
        lapse = lapse.min(lapses_at.unwrap_or(f64::INFINITY));
        if let Some(id) = &record.id {
            assert_eq!(ids.remove(id), Some(named), "{record:?}");
        }
        if let Some(fingerprint) = record.fingerprint {
            known.push([fingerprint, record.not_after.to_be_bytes()[1..].to_vec()].concat());
        }
    }
    assert!(queue.is_empty() && lapses.is_empty(), "{queue:?}, {lapses:?}");
    assert!(ids.is_empty() && taken.is_empty(), "{ids:?}, {taken:?}");
    let mut listed: Vec<Bytes> = Vec::new();
    for (bucket, entries) in fingerprints {
        assert!(
            !entries.is_empty() && entries.len() % 15 == 0,
            "a bucket of half an entry"
        );
        for entry in entries.chunks(15) {
            assert_eq!(entry[0] % 128, bucket[0], "an entry in the wrong bucket");
            listed.push(entry.to_vec());
        }
    }
    listed.sort();
    known.sort();
    assert_eq!(listed, known, "fingerprints");
    (end, lapse)
}
