//! Calls on many items: one script run for each pool that they name, and an answer to each item.

use std::collections::HashMap;

use futures::future::join_all;
use kp_core::server::Answers;
use kp_core::{BackendError, Effect, Error, PoolId, Result, Timestamp};
use redis::Value;

use crate::link::error::{Unreadable, failed, malformed};
use crate::link::script::Script;
use crate::pools::replies::{self, Fields, Item, Read};
use crate::pools::requests::{Arguments, BatchItem};
use crate::pools::runner::Runner;

/// The most items of a call that one script run takes: the server runs nothing else meanwhile.
pub(crate) const CHUNK: usize = 256;

/// A script, and the arguments that all items of a call share.
pub(crate) struct Batch {
    pub(crate) script: &'static Script,
    pub(crate) now: Timestamp,
    pub(crate) head: Arguments,
}

impl Batch {
    /// Runs the script on each pool that items name, with the items of that pool in their order. All pools are asked at
    /// once, so the call is one round trip a node. A batch of too many items is refused, and no script runs (COST-1).
    pub(crate) async fn run<I: BatchItem, T: Send>(
        self,
        runner: &Runner,
        items: &[I],
        decode: impl Fn(&I, Fields) -> Read<T> + Sync,
    ) -> Answers<T> {
        if let Err(rejection) = I::bounded(items) {
            return Answers::all_failed(items.len(), &rejection.into());
        }
        let mut pools: HashMap<&PoolId, Vec<usize>> = HashMap::new();
        for (place, item) in items.iter().enumerate() {
            pools.entry(item.pool()).or_default().push(place);
        }
        // All runs are one call, with one time-out.
        let deadline = runner.deadline();
        let answers = join_all(pools.into_iter().map(async |(pool, places)| {
            let mut answers = Vec::with_capacity(places.len());
            for chunk in places.chunks(CHUNK) {
                let mut arguments = self.head.clone();
                arguments.extend(chunk.iter().flat_map(|place| items[*place].encode()));
                let reply = runner.run_until(deadline, self.script, pool, self.now, arguments).await;
                let decode = |place: usize, fields| decode(&items[place], fields);
                answers.extend(answer_each(self.script, chunk, reply, decode));
            }
            answers
        }))
        .await;
        let mut answers: Vec<_> = answers.into_iter().flatten().collect();
        answers.sort_by_key(|(place, _)| *place);
        answers.into_iter().map(|(_, answer)| answer).collect()
    }
}

/// Reads the answers to the items of one script run, and puts each beside its place in the call.
fn answer_each<T>(
    script: &'static Script,
    places: &[usize],
    reply: Result<Value, BackendError>,
    decode: impl Fn(usize, Fields) -> Read<T>,
) -> Vec<(usize, Result<T>)> {
    let mut fields = match reply {
        Ok(reply) => Fields::of(reply).map_err(|source| malformed(script, source)),
        Err(error) => Err(error),
    };
    places
        .iter()
        .map(|place| {
            let answer = match &mut fields {
                Ok(fields) => answer(script, fields.next().and_then(replies::item), |fields| {
                    decode(*place, fields)
                }),
                Err(error) => Err(error.clone().into()),
            };
            (*place, answer)
        })
        .collect()
}

/// Reads the answers to a call that fails or succeeds as a whole.
pub(crate) fn answer_all<T>(script: &Script, reply: Value, decode: impl Fn(Fields) -> Read<T>) -> Result<Vec<T>> {
    let fields = Fields::of(reply).map_err(|source| malformed(script, source))?;
    fields
        .rest()
        .map(|value| answer(script, replies::item(value), &decode))
        .collect()
}

/// Reads the answers to refs, of which some may not exist.
pub(crate) fn answer_found<T>(
    script: &Script,
    reply: Value,
    decode: impl Fn(Fields) -> Read<T>,
) -> Result<Vec<Option<T>>> {
    let fields = Fields::of(reply).map_err(|source| malformed(script, source))?;
    fields
        .rest()
        .map(|value| match value {
            Value::Nil => Ok(None),
            value => answer(script, replies::item(value), &decode).map(Some),
        })
        .collect()
}

fn answer<T>(script: &Script, item: Read<Item>, decode: impl FnOnce(Fields) -> Read<T>) -> Result<T> {
    match item {
        Ok(Item::Ok(fields)) => decode(fields).map_err(|source| malformed(script, source).into()),
        Ok(Item::Rejected(rejection)) => Err(Error::Rejected(rejection)),
        Ok(Item::Unreadable) => Err(failed(script.operation, Effect::NotApplied, Unreadable).into()),
        Err(source) => Err(malformed(script, source).into()),
    }
}
