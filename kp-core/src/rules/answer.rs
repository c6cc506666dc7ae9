/// Returns the answer of the rules, or the refusal.
pub type Answer<T> = Result<T, crate::Rejection>;
