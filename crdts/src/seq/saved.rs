//! How a sequence is written and read.
//!
//! The form is the replica ids that occur, ascending, and one packed byte string
//! of columns about the runs of elements in the order of their dots: that order
//! depends on nothing but the elements, so equal sequences give equal bytes. A
//! reader gives every run its place anew, from its origins: so there are no bytes
//! that claim an order which no history has. Reading allocates by the run, never
//! by a claimed length, and takes O(n log n) in the runs whatever they claim.
//!
//! A run is a longest one of consecutive dots, each the left origin of the next,
//! with one right origin, dead or alive. Elements are numbered in the order of
//! their dots. Of a run that is a left child its right origin is said, which says
//! the left one too, of any other its left origin, and its right one only where
//! that is another than the left one's. The columns are: a head byte a run, its
//! length, the sequence numbers left out before it, the distances of left and of
//! right origins that the head does not say, and the lengths of living and dead
//! stretches by turns.

mod numbers;
mod place;
mod read;
mod write;

pub(crate) use numbers::{Packing, pack, unpack, unpacked_len};
pub(crate) use place::Handles;

use crate::seq::Elements;
use repliq_core::ReplicaId;

/// Which child of which origin a run is.
const CHILD: u8 = 0b11;
/// A right child of its left origin, with that one's right origin.
const AFTER: u8 = 0;
/// A left child of its right origin, with that one's left origin.
const BEFORE: u8 = 1;
/// A right child of its left origin, with a right origin of its own.
const BETWEEN: u8 = 2;
/// How the origin is said that it is a child of.
const PARENT: u8 = 0b11 << 2;
const PARENT_EDGE: u8 = 0;
const PARENT_BACK: u8 = 1 << 2;
const PARENT_FORWARD: u8 = 2 << 2;
/// It has the number before that of the run's first element.
const PARENT_PREVIOUS: u8 = 3 << 2;
/// How a right origin of its own is said.
const RIGHT: u8 = 0b11 << 4;
const RIGHT_EDGE: u8 = 0;
const RIGHT_BACK: u8 = 1 << 4;
const RIGHT_FORWARD: u8 = 2 << 4;
/// No sequence number is left out before the run.
const NO_GAP: u8 = 1 << 6;
/// The run is the first of the next replica.
const NEXT_REPLICA: u8 = 1 << 7;

/// A sequence as it is written.
pub(crate) struct Columns {
    pub(crate) replicas: Vec<ReplicaId>,
    pub(crate) pieces: Vec<u8>,
    /// The dead elements, in the order of their dots.
    pub(crate) dead: Vec<Elements>,
}

/// Why bytes are not a sequence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Damage(pub(crate) &'static str);
