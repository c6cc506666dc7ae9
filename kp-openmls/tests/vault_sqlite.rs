//! The keys of a client in OpenMLS's SQLite storage, with a JSON codec and with a binary one: POOL-3, POOL-4 and POOL-6.
//!
//! The codec encodes the name under which a key is stored: with a ref type other than OpenMLS's own, deleting would
//! delete nothing in one of them.

#![allow(clippy::unwrap_used, reason = "what a test stands on may panic")]

mod keys;

use keys::keeps_what_it_promises;
use kp_openmls::LockedProvider;
use kp_test_support::sqlite_provider::{Json, SqliteProvider};
use openmls_sqlite_storage::{Codec, Connection};
use serde::Serialize;
use serde::de::DeserializeOwned;

#[derive(Default)]
struct Binary;

impl Codec for Binary {
    type Error = postcard::Error;

    fn to_vec<T: Serialize>(value: &T) -> Result<Vec<u8>, postcard::Error> {
        postcard::to_allocvec(value)
    }

    fn from_slice<T: DeserializeOwned>(slice: &[u8]) -> Result<T, postcard::Error> {
        postcard::from_bytes(slice)
    }
}

fn it_keeps_what_it_promises<C: Codec + Send + 'static>() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("openmls.db");
    let provider = LockedProvider::new(SqliteProvider::<C>::open(&path));
    let reader = Connection::open(&path).unwrap();
    keeps_what_it_promises(provider, || {
        let count = "SELECT count(*) FROM openmls_key_packages";
        reader.query_row(count, [], |row| row.get::<_, usize>(0)).unwrap()
    });
}

#[test]
fn it_keeps_what_it_promises_with_a_json_codec() {
    it_keeps_what_it_promises::<Json>();
}

#[test]
fn it_keeps_what_it_promises_with_a_binary_codec() {
    it_keeps_what_it_promises::<Binary>();
}
