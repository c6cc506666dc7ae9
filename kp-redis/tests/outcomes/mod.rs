//! Calls with a short time-out, on a machine that may be starved: a call may end before it is sent, or before its answer comes.
#![allow(dead_code)] // Each test takes what it needs of it.

use std::fmt::Debug;

use kp_core::{BackendError, Effect, Error, OpenError};

/// More often than any machine needs.
const TRIES: usize = 200;

/// Opens a store, as often as it takes.
pub(crate) async fn opened<S>(open: impl AsyncFn() -> Result<S, OpenError>) -> S {
    for _ in 0..TRIES {
        if let Ok(store) = open().await {
            return store;
        }
    }
    panic!("no store is opened")
}

/// Makes a call until it is sent, and returns how it failed.
pub(crate) async fn failed<T: Debug, R: Debug>(mut call: impl AsyncFnMut() -> Result<T, Error<R>>) -> BackendError {
    for _ in 0..TRIES {
        match call().await {
            Err(Error::Backend(failure)) if failure.effect() == Effect::NotApplied => {}
            Err(Error::Backend(failure)) => return failure,
            other => panic!("{other:?}"),
        }
    }
    panic!("no call is sent")
}

/// Makes a call until its outcome is known.
pub(crate) async fn known<T, R>(mut call: impl AsyncFnMut() -> Result<T, Error<R>>) -> Result<T, Error<R>> {
    for _ in 0..TRIES {
        match call().await {
            Err(Error::Backend(_)) => {}
            answer => return answer,
        }
    }
    panic!("no outcome is known")
}
