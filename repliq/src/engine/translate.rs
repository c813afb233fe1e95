//! The same things in the words of the store and of the protocol.

use crate::store;
use repliq_sync::{Position, Refusal};

impl From<store::Position> for Position {
    fn from(place: store::Position) -> Self {
        Self { epoch: place.epoch.0, number: place.n.0 }
    }
}

impl From<Position> for store::Position {
    fn from(place: Position) -> Self {
        Self { epoch: store::Epoch(place.epoch), n: store::FeedNumber(place.number) }
    }
}

impl From<store::Refusal> for Refusal {
    fn from(refusal: store::Refusal) -> Self {
        match refusal {
            store::Refusal::FutureStamp { now } => Self::FutureStamp { now },
            store::Refusal::WrongKind { held } => Self::WrongKind { held: held.to_string() },
            store::Refusal::Fork { .. } => Self::Fork,
            store::Refusal::Gap { expected, .. } => Self::Gap { expected },
            store::Refusal::HeldFull => Self::HeldFull,
            store::Refusal::Malformed(_) => Self::Malformed,
            other => Self::Limit(other.to_string()),
        }
    }
}
