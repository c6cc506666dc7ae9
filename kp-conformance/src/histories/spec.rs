use kp_core::Timestamp;
use kp_core::rules::Model;
use stateright::semantics::SequentialSpec;

use super::{Call, Reply};

/// What happens at one moment of a history (`LIN-1`).
#[derive(Debug, Clone)]
pub(crate) enum Step {
    /// The whole of a call.
    Call(Call),
    /// A part of a clean-up: it removes any one package that has expired (`Swept(1)`), or finds none (`Swept(0)`).
    CleanUpOne(Timestamp),
}

impl Step {
    /// All that may come of it.
    fn outcomes(&self, model: &Model) -> Vec<(Model, Reply)> {
        match self {
            Self::Call(call) => {
                let mut after = model.clone();
                let reply = call.answered_by(&mut after);
                vec![(after, reply)]
            }
            Self::CleanUpOne(now) => {
                let mut outcomes = Vec::new();
                for name in model.list_pools() {
                    let records = model.pool(name).into_iter().flat_map(|pool| &pool.records);
                    for (place, (record, _)) in records.enumerate() {
                        if record.is_expired(*now) {
                            let mut after = model.clone();
                            after.step(name, |pool| {
                                pool.records.remove(place);
                                Ok(())
                            });
                            outcomes.push((after, Reply::Swept(1)));
                        }
                    }
                }
                if outcomes.is_empty() {
                    outcomes.push((model.clone(), Reply::Swept(0)));
                }
                outcomes
            }
        }
    }
}

/// The rules, as what every history has to be explained by: all the states that the store may be in.
///
/// There is more than one where the rules leave open what a sweep removes first.
#[derive(Debug, Clone)]
pub(crate) struct Spec(Vec<Model>);

impl Default for Spec {
    fn default() -> Self {
        Self(vec![Model::default()])
    }
}

impl SequentialSpec for Spec {
    type Op = Step;
    type Ret = Option<Reply>;

    /// A step that nobody was told of.
    fn invoke(&mut self, step: &Step) -> Option<Reply> {
        let outcomes = self.0.iter().flat_map(|model| step.outcomes(model));
        self.0 = distinct(outcomes.map(|(after, _)| after));
        None
    }

    fn is_valid_step(&mut self, step: &Step, reply: &Option<Reply>) -> bool {
        let outcomes = self.0.iter().flat_map(|model| step.outcomes(model));
        let told = outcomes.filter(|(_, said)| Some(said) == reply.as_ref());
        self.0 = distinct(told.map(|(after, _)| after));
        !self.0.is_empty()
    }
}

fn distinct(models: impl Iterator<Item = Model>) -> Vec<Model> {
    let mut all = Vec::new();
    for model in models {
        if !all.contains(&model) {
            all.push(model);
        }
    }
    all
}
