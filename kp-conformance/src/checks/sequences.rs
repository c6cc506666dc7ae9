use std::fmt::Write as _;

use kp_core::PoolId;
use kp_core::rules::Model;

use crate::Context;
use crate::check::checks;
use crate::histories::{Call, Draw, Scale};
use crate::level::seeds;
use crate::packages::{at, key_package_ref};
use crate::pool::Pool;

/// Few packages, ids and moments: everything collides.
const NARROW: Scale = Scale {
    pools: &["bob/phone", "bob/laptop", "carol"],
    packages: 14,
    ids: 6,
    batch: 5,
    moments: 240,
    in_steps: true,
};
/// How many calls a sequence has, before everything is read.
const CALLS: usize = 120;

/// The calls of a seed, and then all that can be read, at two moments.
fn drawn(seed: u64) -> Vec<Call> {
    let mut draw = Draw::new(seed, NARROW);
    let mut calls: Vec<_> = (0..CALLS).map(|_| draw.call()).collect();
    for pool in names() {
        for now in [at(0), at(NARROW.moments / 2)] {
            let get = |n| Call::Get(pool.clone(), key_package_ref(n), now);
            calls.extend((0..NARROW.packages).map(get));
            calls.push(Call::Count(pool.clone(), now));
        }
    }
    calls
}

fn names() -> impl Iterator<Item = PoolId> {
    let name = |name: &&str| PoolId::try_from(*name).expect("a short name is a pool id");
    NARROW.pools.iter().map(name)
}

/// Makes the calls of empty pools, each through the next handle; says what differs first from the answers of the rules.
async fn difference(handles: &[Pool], calls: &[Call]) -> Option<String> {
    for pool in names() {
        crate::pool::works(handles[0].store.delete_pool(&pool).await);
    }
    let mut model = Model::default();
    for (call, handle) in calls.iter().zip(handles.iter().cycle()) {
        let expected = call.answered_by(&mut model);
        match call.ask(&*handle.store).await {
            Ok(reply) if reply == expected => (),
            other => return Some(format!("{call:?}\n  answers {other:?},\n  and the rules {expected:?}")),
        }
    }
    None
}

/// Leaves out ever smaller pieces, as long as something still differs.
async fn minimised(handles: &[Pool], mut calls: Vec<Call>) -> Vec<Call> {
    let mut size = calls.len().div_ceil(2);
    loop {
        let mut from = 0;
        while from < calls.len() {
            let mut fewer = calls.clone();
            fewer.drain(from..calls.len().min(from + size));
            if difference(handles, &fewer).await.is_some() {
                calls = fewer;
            } else {
                from += size;
            }
        }
        if size == 1 {
            return calls;
        }
        size = size.div_ceil(2);
    }
}

checks! {
    /// Random sequences of calls, with time that stands still, jumps, and steps back, are answered as the rules answer
    /// them, call by call. The shortest sequence found that is not is printed, with its seed.
    #[rules("TIME-3", "TIME-2", "SAVE-7", "RES-10", "DEL-2", "SWEEP-2")]
    async fn every_sequence_is_answered_as_by_the_rules(context: &Context) {
        let handles = context.pools(2).await;
        for seed in seeds(25, 1_500) {
            let calls = drawn(seed);
            if difference(&handles, &calls).await.is_none() {
                continue;
            }
            let shortest = minimised(&handles, calls).await;
            let mut told = String::new();
            for call in &shortest {
                let _ = writeln!(told, "{call:?}");
            }
            match difference(&handles, &shortest).await {
                Some(difference) => panic!("seed {seed}, {} calls:\n{told}{difference}", shortest.len()),
                None => panic!("seed {seed}: what was wrong once is right now:\n{told}"),
            }
        }
    }
}
