//! What can be handed to the store, and what comes back. Submissions are plain
//! owned data, so they travel through a queue to the thread that commits them;
//! each has exactly one outcome, in the order of submission.

use super::record::{DocumentInfo, FeedNumber, LeaseRecord, Position};
use super::refusal::{Refusal, Verdict};
use bytes::Bytes;
use repliq_core::{Chain, Change, Hlc, ReplicaId, Version};
use std::sync::Arc;

/// One thing to make durable.
#[derive(Clone, Debug)]
pub(crate) enum Submission {
    /// A change made by this store itself, with the chain after it, which its
    /// author has worked out already.
    Local { space: Arc<str>, document: Arc<str>, kind: Arc<str>, change: Change, chain: Chain },
    /// Changes that came from a peer, in the order of its feed.
    Remote(Remote),
    /// Takes another look at what is held in a space, now that time has passed.
    Release { space: Arc<str> },
    /// Replaces a document's snapshot; the log stays as it is.
    Snapshot { space: Arc<str>, document: Arc<str>, snapshot: Snapshot },
    /// How far into a peer's feed we are.
    Cursor { space: Arc<str>, cursor: Cursor },
    /// When a device was last heard of, and what it acknowledged.
    Lease { space: Arc<str>, replica: ReplicaId, lease: LeaseRecord },
}

/// Changes that came from a peer.
#[derive(Clone, Debug)]
pub(crate) struct Remote {
    pub(crate) space: Arc<str>,
    /// The peer: written into the feed, so that nothing is sent back to it.
    pub(crate) from: ReplicaId,
    pub(crate) arrivals: Vec<Arrival>,
    /// Written if none of the arrivals is refused.
    pub(crate) cursor: Option<Cursor>,
    pub(crate) skew: Skew,
}

/// One change on its way in.
#[derive(Clone, Debug)]
pub(crate) struct Arrival {
    pub(crate) document: Arc<str>,
    pub(crate) kind: Arc<str>,
    pub(crate) change: Change,
}

/// How far we have read the feed of a peer.
#[derive(Clone, Debug)]
pub(crate) struct Cursor {
    /// What names the peer, 1 to 255 bytes.
    pub(crate) peer: Bytes,
    pub(crate) position: Position,
}

/// What to do with a change stamped more than `MAX_CLOCK_SKEW` ahead.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Skew {
    /// As a relay: refuse it.
    Refuse,
    /// As a device: keep it aside, and what depends on it, until its time comes.
    Hold,
}

/// A document's state at some version.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Snapshot {
    /// The changes it covers.
    pub(crate) version: Version,
    /// What came in since this store's own last change: the deps of its next.
    pub(crate) unsaid: Version,
    /// The state, as its author encoded it.
    pub(crate) bytes: Bytes,
}

/// What became of a [`Submission`].
#[derive(Clone, PartialEq, Eq, Debug)]
#[must_use]
pub(crate) enum Outcome {
    Local(Verdict),
    Remote {
        /// One for each arrival.
        verdicts: Vec<Verdict>,
        /// Whether the cursor was written (true too if there was none).
        advanced: bool,
    },
    Released {
        /// What is now logged and numbered, in that order: apply it.
        changes: Vec<FeedEntry>,
        /// Whether more could be released at once: submit another.
        more: bool,
    },
    /// Of a snapshot, a cursor or a lease.
    Recorded(Result<(), Refusal>),
}

/// A change as the feed gives it out.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct FeedEntry {
    pub(crate) n: FeedNumber,
    /// The peer it came from; `None` if it was made here.
    pub(crate) origin: Option<ReplicaId>,
    pub(crate) document: Arc<DocumentInfo>,
    pub(crate) change: Change,
}

/// The last timestamp that a change takes.
pub(super) fn last_stamp(hlc: Hlc, slots: u64) -> Hlc {
    hlc.plus(slots.saturating_sub(1))
}
