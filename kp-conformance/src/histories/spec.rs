use kp_core::rules::Model;
use stateright::semantics::SequentialSpec;

use super::{Call, Reply};

/// The model, as what every history has to be explained by (`LIN-1`).
#[derive(Debug, Clone, Default)]
pub(crate) struct Spec(Model);

impl SequentialSpec for Spec {
    type Op = Call;
    type Ret = Reply;

    fn invoke(&mut self, call: &Call) -> Reply {
        call.answered_by(&mut self.0)
    }

    /// A call that certainly was not applied is explained by doing nothing (`ERR-1`).
    fn is_valid_step(&mut self, call: &Call, reply: &Reply) -> bool {
        *reply == Reply::NotApplied || self.invoke(call) == *reply
    }
}
