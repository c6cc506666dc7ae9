/// Returns the answer of the rules, or the refusal.
pub type Answer<T, R = crate::Rejection> = Result<T, R>;
