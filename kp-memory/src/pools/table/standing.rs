use kp_core::rules::{LeaseRecord, Recall, Spent, State, Window};
use kp_core::server::OnLapse;
use kp_core::{GroupId, Party, ReservationId, Timestamp};

/// Holds a [`State`] in half its room: who used a KeyPackage and for which group lies apart, where it is known.
#[derive(Debug)]
pub(crate) enum Standing {
    Free,
    Reserved {
        id: ReservationId,
        by: Option<Party>,
        expires_at: Timestamp,
        on_lapse: OnLapse,
        recalled: Option<Recall>,
    },
    Used {
        at: Timestamp,
        id: ReservationId,
        bound: bool,
        /// Of the window; whether it is replayable. Without a window, the end means nothing.
        ends_at: Timestamp,
        window: Option<bool>,
        parties: Option<Box<Parties>>,
    },
    Retired {
        at: Timestamp,
    },
    Withdrawn {
        at: Timestamp,
    },
    Replaced {
        at: Timestamp,
    },
    Slot {
        used: bool,
    },
}

/// Holds who used a KeyPackage.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Parties {
    group: Option<GroupId>,
    by: Option<Party>,
    reserver: Option<Party>,
}

impl Standing {
    #[inline]
    pub(crate) fn state(&self) -> State {
        match self {
            Self::Free => State::Free,
            Self::Reserved {
                id,
                by,
                expires_at,
                on_lapse,
                recalled,
            } => State::Reserved(LeaseRecord {
                id: *id,
                by: by.clone(),
                expires_at: *expires_at,
                on_lapse: *on_lapse,
                recalled: *recalled,
            }),
            Self::Used {
                at,
                id,
                bound,
                ends_at,
                window,
                parties,
            } => State::Used(Spent {
                at: *at,
                id: *id,
                bound: *bound,
                group: parties.as_ref().and_then(|parties| parties.group.clone()),
                by: parties.as_ref().and_then(|parties| parties.by.clone()),
                window: window.map(|replayable| Window {
                    expires_at: *ends_at,
                    reserver: parties.as_ref().and_then(|parties| parties.reserver.clone()),
                    replayable,
                }),
            }),
            Self::Retired { at } => State::Retired { at: *at },
            Self::Withdrawn { at } => State::Withdrawn { at: *at },
            Self::Replaced { at } => State::Replaced { at: *at },
            Self::Slot { used } => State::Slot { used: *used },
        }
    }

    /// As [`State::bound_id`].
    pub(crate) fn bound_id(&self) -> Option<&ReservationId> {
        match self {
            Self::Reserved { id, .. } | Self::Used { id, bound: true, .. } => Some(id),
            _ => None,
        }
    }

    /// As [`State::lapses_at`].
    pub(crate) fn lapses_at(&self) -> Option<Timestamp> {
        match self {
            Self::Reserved { expires_at: at, .. }
            | Self::Used {
                ends_at: at,
                window: Some(_),
                ..
            } => Some(*at),
            _ => None,
        }
    }
}

impl From<State> for Standing {
    fn from(state: State) -> Self {
        match state {
            State::Free => Self::Free,
            State::Reserved(LeaseRecord {
                id,
                by,
                expires_at,
                on_lapse,
                recalled,
            }) => Self::Reserved {
                id,
                by,
                expires_at,
                on_lapse,
                recalled,
            },
            State::Used(spent) => {
                let replayable = spent.window.as_ref().map(|window| window.replayable);
                let ends_at = spent.window.as_ref().map_or(Timestamp::MIN, |window| window.expires_at);
                let parties = Parties {
                    group: spent.group,
                    by: spent.by,
                    reserver: spent.window.and_then(|window| window.reserver),
                };
                Self::Used {
                    at: spent.at,
                    id: spent.id,
                    bound: spent.bound,
                    ends_at,
                    window: replayable,
                    parties: (parties != Parties::default()).then(|| parties.into()),
                }
            }
            State::Retired { at } => Self::Retired { at },
            State::Withdrawn { at } => Self::Withdrawn { at },
            State::Replaced { at } => Self::Replaced { at },
            State::Slot { used } => Self::Slot { used },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All states, with every part there and missing.
    fn states() -> Vec<State> {
        let at = |seconds| Timestamp::new(seconds).unwrap();
        let (group, party) = (GroupId::try_from("group").unwrap(), Party::try_from("party").unwrap());
        let other = Party::try_from("other").unwrap();
        let id = ReservationId::from_bytes([7; 16]);
        let mut states = vec![
            State::Free,
            State::Retired { at: at(1) },
            State::Withdrawn { at: at(2) },
            State::Replaced { at: at(3) },
            State::Slot { used: false },
            State::Slot { used: true },
        ];
        for by in [None, Some(party)] {
            for (on_lapse, recalled) in [
                (OnLapse::Return, None),
                (OnLapse::Retire, Some(Recall::Retired)),
                (OnLapse::Return, Some(Recall::Withdrawn)),
            ] {
                states.push(State::Reserved(LeaseRecord {
                    id,
                    by: by.clone(),
                    expires_at: at(4),
                    on_lapse,
                    recalled,
                }));
            }
            for group in [None, Some(group.clone())] {
                let window = |reserver, replayable| Window {
                    expires_at: at(5),
                    reserver,
                    replayable,
                };
                for window in [None, Some(window(None, true)), Some(window(Some(other.clone()), false))] {
                    for bound in [false, true] {
                        states.push(State::Used(Spent {
                            at: at(6),
                            id,
                            bound,
                            group: group.clone(),
                            by: by.clone(),
                            window: window.clone(),
                        }));
                    }
                }
            }
        }
        states
    }

    #[test]
    fn a_state_comes_back_as_it_was() {
        for state in states() {
            let standing = Standing::from(state.clone());
            assert_eq!(standing.bound_id(), state.bound_id(), "{state:?}");
            assert_eq!(standing.lapses_at(), state.lapses_at(), "{state:?}");
            assert_eq!(standing.state(), state);
        }
    }
}
