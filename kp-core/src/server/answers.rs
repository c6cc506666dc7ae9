use std::ops::Deref;
use std::{slice, vec};

use crate::{BackendError, Effect, Error, Rejection, Result};

/// Holds the answers of a batch: one for each item of the call, in order.
///
/// `Answers` dereferences to a slice, and is iterated over like a `Vec`.
///
/// ```
/// use kp_core::Rejection;
/// use kp_core::server::Answers;
///
/// let answers: Answers<u8> = [Ok(1), Err(Rejection::PoolExhausted.into())].into_iter().collect();
/// assert_eq!(answers.len(), 2);
/// assert!(answers.all().is_err());
/// ```
#[derive(Debug, Clone)]
#[must_use = "each item of a batch has an answer of its own, and some may be failures"]
pub struct Answers<T>(Held<T>);

/// Most calls have one item: its answer lies in place.
#[derive(Debug, Clone)]
enum Held<T> {
    One([Result<T>; 1]),
    Many(Vec<Result<T>>),
}

impl<T> Answers<T> {
    /// Returns all answers, or the first error.
    ///
    /// # Errors
    ///
    /// The first error. The items before and after it may have succeeded.
    pub fn all(self) -> Result<Vec<T>> {
        self.into_iter().collect()
    }

    /// Returns the answer of a batch of one item.
    ///
    /// # Errors
    ///
    /// The error of the item; a failure of unknown effect when the store did not give exactly one answer.
    #[inline]
    pub fn only(self) -> Result<T> {
        match self.0 {
            Held::One([answer]) => answer,
            Held::Many(answers) => match <[_; 1]>::try_from(answers) {
                Ok([answer]) => answer,
                Err(_) => Err(no_answer()),
            },
        }
    }

    /// Answers each item of a batch; or all of them with the refusal of the batch, which has too many
    /// ([COST-1](crate::contract::COST_1)).
    #[inline]
    pub fn each<'a, I>(
        items: &'a [I],
        bounded: Result<(), Rejection>,
        mut answer: impl FnMut(&'a I) -> Result<T>,
    ) -> Self {
        match (bounded, items) {
            (Ok(()), [item]) => Self(Held::One([answer(item)])),
            (Ok(()), items) => items.iter().map(answer).collect(),
            (Err(rejection), items) => Self::all_failed(items.len(), &rejection.into()),
        }
    }

    /// Answers every one of `count` items with this error: an outage, for example.
    pub fn all_failed(count: usize, error: &Error) -> Self {
        (0..count).map(|_| Err(error.clone())).collect()
    }

    /// Returns the answers as a `Vec`.
    #[must_use]
    pub fn into_vec(self) -> Vec<Result<T>> {
        match self.0 {
            Held::One(answer) => answer.into(),
            Held::Many(answers) => answers,
        }
    }
}

impl<T> Deref for Answers<T> {
    type Target = [Result<T>];

    fn deref(&self) -> &[Result<T>] {
        match &self.0 {
            Held::One(answer) => answer,
            Held::Many(answers) => answers,
        }
    }
}

impl<T> From<Vec<Result<T>>> for Answers<T> {
    fn from(answers: Vec<Result<T>>) -> Self {
        Self(Held::Many(answers))
    }
}

impl<T> FromIterator<Result<T>> for Answers<T> {
    fn from_iter<I: IntoIterator<Item = Result<T>>>(answers: I) -> Self {
        Self(Held::Many(answers.into_iter().collect()))
    }
}

impl<T> IntoIterator for Answers<T> {
    type Item = Result<T>;
    type IntoIter = vec::IntoIter<Result<T>>;

    fn into_iter(self) -> Self::IntoIter {
        self.into_vec().into_iter()
    }
}

impl<'a, T> IntoIterator for &'a Answers<T> {
    type Item = &'a Result<T>;
    type IntoIter = slice::Iter<'a, Result<T>>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// Returns the failure of a broken store, which gives no answer for an item. A broken store is no reason to panic.
pub(super) fn no_answer() -> Error {
    BackendError::new(
        "store",
        "batch",
        Effect::Unknown,
        "the store gave no answer for the item",
    )
    .into()
}
