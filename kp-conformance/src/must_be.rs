//! What a check says when it fails: what was seen, and what the rule wants.

use std::collections::HashMap;
use std::fmt::{Debug, Write as _};
use std::hash::Hash;
use std::panic::Location;

use similar::{ChangeTag, TextDiff};

/// Two values that are longer than this are told by where they differ.
const SHORT: usize = 100;
/// How many lines of a difference are told of each side.
const LINES: usize = 12;

/// Fails the check unless what was seen is what the rule wants. Both are told, with the call that was made, and with a
/// sentence, where there is one.
macro_rules! must_be {
    ($seen:expr, $wanted:expr $(,)?) => {
        $crate::must_be::must_be!(@ $seen, $wanted, "")
    };
    ($seen:expr, $wanted:expr, $($sentence:tt)+) => {
        $crate::must_be::must_be!(@ $seen, $wanted, &format!($($sentence)+))
    };
    (@ $seen:expr, $wanted:expr, $sentence:expr) => {
        match (&$seen, &$wanted) {
            (seen, wanted) => {
                if !(*seen == *wanted) {
                    $crate::must_be::differ($sentence, stringify!($seen), seen, wanted)
                }
            }
        }
    };
}
pub(crate) use must_be;

/// Fails the check with what was seen and what the rule wants.
#[track_caller]
pub(crate) fn differ(sentence: &str, call: &str, seen: &(impl Debug + ?Sized), wanted: &(impl Debug + ?Sized)) -> ! {
    panic!("{}", told(sentence, call, &seen, &wanted, Location::caller()))
}

fn told(sentence: &str, call: &str, seen: &dyn Debug, wanted: &dyn Debug, place: &Location<'_>) -> String {
    let place = format!("{}:{}", place.file(), place.line());
    let (short_seen, short_wanted) = (format!("{seen:?}"), format!("{wanted:?}"));
    // A sentence that holds a request comes last: what was seen is to be read first.
    let (subject, call) = match sentence {
        "" => (call, call),
        _ if sentence.len() > SHORT => (call, sentence),
        _ => (sentence, call),
    };
    let of = if subject == call {
        format!("  at {place}")
    } else {
        format!("  of {call} ({place})")
    };
    if short_seen.len().max(short_wanted.len()) <= SHORT {
        return format!("{subject}: seen {short_seen}, where the rule wants {short_wanted}\n{of}");
    }
    let mut told = format!("{subject}: seen (-) is not what the rule wants (+)\n");
    let (seen, wanted) = (format!("{seen:#?}"), format!("{wanted:#?}"));
    let difference = TextDiff::from_lines(&seen, &wanted);
    let changes = difference
        .iter_all_changes()
        .filter(|change| change.tag() != ChangeTag::Equal);
    let (mut lines, mut more) = ([0, 0], 0);
    for change in changes {
        let of_side = &mut lines[usize::from(change.tag() == ChangeTag::Insert)];
        *of_side += 1;
        if *of_side > LINES {
            more += 1;
            continue;
        }
        let place = change.old_index().or(change.new_index()).unwrap_or_default() + 1;
        let _ = writeln!(told, "  {} line {place}: {}", change.tag(), change.value().trim());
    }
    if more > 0 {
        let _ = writeln!(told, "  and {more} lines more");
    }
    told + &of
}

/// Each of so many requests has got a package of its own.
#[track_caller]
pub(crate) fn must_be_distinct<T: Hash + Eq + Debug>(taken: impl IntoIterator<Item = T>, requests: u64) {
    let (mut times, mut answers) = (HashMap::<T, u64>::new(), 0);
    for package in taken {
        *times.entry(package).or_default() += 1;
        answers += 1;
    }
    let twice: Vec<_> = times.iter().filter(|(_, times)| **times > 1).collect();
    let (distinct, shown) = (times.len(), twice.iter().take(4).collect::<Vec<_>>());
    assert!(
        twice.is_empty(),
        "{} of {distinct} packages were handed out twice or more, to {requests} requests, each of which must get its own: \
         {shown:?}",
        twice.len()
    );
    assert!(
        answers == requests,
        "{requests} requests must get a package each, and got {answers}"
    );
}

/// So many of these, and no others, are as said.
#[track_caller]
pub(crate) fn must_number<T: Debug>(all: &[T], wanted: usize, are: &str, which: impl Fn(&T) -> bool) {
    let seen = all.iter().filter(|item| which(item)).count();
    let (of, shown) = (all.len(), &all[..all.len().min(8)]);
    assert!(seen == wanted, "{seen} of {of} {are}, and {wanted} must: {shown:?}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_tells_both_sides() {
        let told = told(
            "the first is free",
            "pool.status(1)",
            &Some(1),
            &None::<i32>,
            Location::caller(),
        );
        assert!(
            told.starts_with("the first is free: seen Some(1), where the rule wants None\n  of pool.status(1) ("),
            "{told}"
        );
    }

    #[test]
    fn a_long_difference_tells_where() {
        let wanted: Vec<_> = (1_000..1_160).collect();
        let mut seen = wanted.clone();
        seen[3] = 7;
        let told = told("", "pool.available()", &seen, &wanted, Location::caller());
        assert!(
            told.contains(
                "pool.available(): seen (-) is not what the rule wants (+)\n  - line 5: 7,\n  + line 5: 1003,\n"
            ),
            "{told}"
        );
        assert!(told.lines().count() < 6, "{told}");
    }

    #[test]
    #[should_panic(expected = "2 of 4 packages were handed out twice or more, to 6 requests")]
    fn packages_handed_out_twice_are_counted() {
        must_be_distinct(["a", "b", "c", "d", "a", "b"], 6);
    }
}
