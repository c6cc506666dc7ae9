use std::future::Future;
use std::ops::Range;

/// How often a sequence that fails is tried with something left out.
const ATTEMPTS: u32 = 500;

/// Leaves out ever smaller pieces of what fails, as long as what is left still fails. `without` leaves a piece out, as `size`
/// measures; `fails` says what is left, if it still fails.
pub(crate) async fn shrunk<T, F: Future<Output = Option<T>>>(
    mut found: T,
    size: impl Fn(&T) -> usize,
    without: impl Fn(&T, Range<usize>) -> T,
    fails: impl Fn(T) -> F,
) -> T {
    let mut attempts = 0;
    let mut piece = size(&found);
    while piece > 1 {
        piece = piece.div_ceil(2);
        let mut from = 0;
        while from < size(&found) && attempts < ATTEMPTS {
            attempts += 1;
            match fails(without(&found, from..from + piece)).await {
                Some(shorter) => found = shorter,
                None => from += piece,
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;

    use super::*;

    #[test]
    fn what_is_needed_is_left() {
        let without = |all: &Vec<u32>, piece: Range<usize>| {
            let left = all.iter().enumerate().filter(|(place, _)| !piece.contains(place));
            left.map(|(_, item)| *item).collect()
        };
        let fails = |left: Vec<u32>| async { (left.contains(&7) && left.contains(&93)).then_some(left) };
        let shrunk = shrunk((0..100).collect(), Vec::len, without, fails);
        assert_eq!(shrunk.now_or_never(), Some(vec![7, 93]));
    }
}
