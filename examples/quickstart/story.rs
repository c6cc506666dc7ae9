//! What is printed, and checked: a promise that is not kept ends the story.

use std::fmt::{self, Display, Formatter};

use keypackage_pool::Rejection;

/// A promise that was not kept.
#[derive(Debug)]
pub(crate) struct Broken(String);

impl Display for Broken {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "not as promised: {}", self.0)
    }
}

impl std::error::Error for Broken {}

pub(crate) fn chapter(title: &str) {
    println!("\n{title}");
}

/// Prints what was promised and what was seen, when it was kept.
pub(crate) fn promise(what: &str, kept: bool, seen: impl Display) -> Result<(), Broken> {
    if !kept {
        return Err(Broken(format!("{what} ({seen})")));
    }
    println!("  ✓ {what:<52} {seen}");
    Ok(())
}

/// The rules say no, and this is what they say.
pub(crate) fn refused<T>(what: &str, answer: keypackage_pool::Result<T>, why: Rejection) -> Result<(), Broken> {
    match answer {
        Ok(_) => promise(what, false, "accepted"),
        Err(error) => promise(what, error.rejection() == Some(&why), error),
    }
}
