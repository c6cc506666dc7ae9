use keypackage_pool::{BackendError, Effect, Rejection, Result};

use answer::{ApiError, items};

#[path = "../../answer.rs"]
#[allow(dead_code, reason = "the server uses all of it")]
mod answer;

fn failed(effect: Effect) -> Result<u8> {
    Err(BackendError::transient("sqlite", "spend_key_packages", effect, "the disk is full").into())
}

#[test]
fn a_batch_of_which_a_part_was_done_is_not_said_to_be_undone() {
    let effect = |answers: Vec<Result<u8>>| match items(answers.into(), |done| done) {
        Err(ApiError::Unavailable(effect)) => effect,
        _ => panic!("a failure fails the request"),
    };
    assert_eq!(effect(vec![Ok(1), failed(Effect::NotApplied)]), Effect::Unknown);
    assert_eq!(
        effect(vec![failed(Effect::NotApplied), failed(Effect::Unknown)]),
        Effect::Unknown
    );
    let refused = Err(Rejection::NotFound.into());
    assert_eq!(effect(vec![refused, failed(Effect::NotApplied)]), Effect::NotApplied);
}
