use std::cmp::Ordering;
use std::hash::{Hash, Hasher};
use std::ops::Deref;
use std::sync::Arc;

/// The most bytes that lie in place: a KeyPackage ref fits, and a UUID as text. An id then takes 40 bytes.
const IN_PLACE: usize = 38;

/// Holds the bytes of an id, few bytes in place: to compare or clone a short id fetches no other memory.
#[derive(Clone, PartialEq, Eq)]
#[cfg_attr(test, derive(Debug))]
pub(crate) enum IdBytes {
    /// The first `len` bytes count; zeroes follow.
    Short {
        len: u8,
        bytes: [u8; IN_PLACE],
    },
    Long(Arc<[u8]>),
}

impl From<&[u8]> for IdBytes {
    fn from(from: &[u8]) -> Self {
        let mut bytes = [0; IN_PLACE];
        match bytes.get_mut(..from.len()) {
            Some(place) => {
                place.copy_from_slice(from);
                let len = from.len() as u8;
                Self::Short { len, bytes }
            }
            None => Self::Long(from.into()),
        }
    }
}

impl Deref for IdBytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::Short { len, bytes } => &bytes[..usize::from(*len)],
            Self::Long(bytes) => bytes,
        }
    }
}

impl PartialOrd for IdBytes {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for IdBytes {
    fn cmp(&self, other: &Self) -> Ordering {
        (**self).cmp(&**other)
    }
}

impl Hash for IdBytes {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (**self).hash(state);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn in_place_or_not_they_are_compared_as_their_bytes() {
        let lengths = [1, 2, IN_PLACE - 1, IN_PLACE, IN_PLACE + 1, 255];
        // Zeroes at the end, like the zeroes that fill the place.
        let of_length = |length| {
            [
                vec![1; length],
                vec![0; length],
                [vec![2; length - 1], vec![0]].concat(),
            ]
        };
        let all: Vec<Vec<u8>> = lengths.into_iter().flat_map(of_length).collect();
        for one in &all {
            let id = IdBytes::from(one.as_slice());
            assert_eq!(*id, **one);
            for other in &all {
                let other_id = IdBytes::from(other.as_slice());
                assert_eq!(id == other_id, one == other, "{one:?}, {other:?}");
                assert_eq!(id.cmp(&other_id), one.cmp(other), "{one:?}, {other:?}");
            }
        }
        let different: HashSet<_> = all.iter().collect();
        let ids: HashSet<_> = all
            .iter()
            .chain(&all)
            .map(|one| IdBytes::from(one.as_slice()))
            .collect();
        assert_eq!(ids.len(), different.len());
    }

    #[test]
    fn none_of_them_takes_no_more_room() {
        assert_eq!(size_of::<Option<IdBytes>>(), 40);
    }
}
