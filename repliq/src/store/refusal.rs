//! Why the store does not take one arrival or one record. A refusal is data,
//! not an error: the others of the same submission and batch go on, and nothing
//! of what was refused is left behind.

use super::record::MAX_NAME_BYTES;
use repliq_core::{DecodeError, Millis, ReplicaId};
use std::sync::Arc;

/// What became of one change.
#[derive(Clone, PartialEq, Eq, Debug)]
#[must_use]
pub(crate) enum Verdict {
    /// It is logged, with this number in the feed.
    Applied(super::FeedNumber),
    /// The very same change was logged before.
    Duplicate,
    /// It is kept aside, durably, until its time comes.
    Held,
    /// It was not taken.
    Refused(Refusal),
}

/// Why something was not taken.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum Refusal {
    /// A name is out of its limits.
    #[error("the name of a {what} has {bytes} bytes; it may have 1 to {MAX_NAME_BYTES}")]
    Name {
        /// Which name.
        what: &'static str,
        /// Its length in bytes.
        bytes: usize,
    },
    /// The change does not decode, or contradicts itself.
    #[error("the change is malformed: {0}")]
    Malformed(DecodeError),
    /// The document holds another type.
    #[error("the document holds a {held}: open it as that, or choose another name")]
    WrongKind {
        /// The kind it was created with.
        held: Arc<str>,
    },
    /// Two different changes claim the same slots: somebody runs on a copy of
    /// a store, or on a restored backup.
    #[error("{replica} has two histories: one of the two must go on under a new replica id")]
    Fork {
        /// Whose history parts.
        replica: ReplicaId,
    },
    /// Changes that come before it are missing.
    #[error("changes of {replica} from {expected} on are missing: send those first")]
    Gap {
        /// Whose changes are missing.
        replica: ReplicaId,
        /// The first slot that is missing.
        expected: u64,
    },
    /// Its timestamp is more than `MAX_CLOCK_SKEW` ahead.
    #[error("the change is stamped more than a day ahead of {}: set the clock", now.0)]
    FutureStamp {
        /// The time here.
        now: Millis,
    },
    /// It would have to be held, and too much is held already.
    #[error("too many changes wait for their time: set the clock of the device that made them")]
    HeldFull,
    /// Nothing was ever stored in that space.
    #[error("the store has no such space")]
    UnknownSpace,
    /// Nothing was ever stored in that document.
    #[error("the space has no such document")]
    UnknownDocument,
    /// A snapshot covers changes that the store does not hold.
    #[error("the snapshot is ahead of the log: store the changes it covers first")]
    SnapshotAhead,
    /// A snapshot is larger than 64 GiB.
    #[error("the snapshot has {bytes} bytes; it may have 64 GiB: split the document")]
    SnapshotTooLarge {
        /// Its size in bytes.
        bytes: u64,
    },
    /// What the store holds of the document is damaged.
    #[error("{0}")]
    Damaged(Arc<str>),
}
