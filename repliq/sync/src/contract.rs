//! What a session and its driver say to each other: the session's settings, its
//! effects, and the answers of the driver's store.
//!
//! It promises that a driver needs no other knowledge of the protocol. It holds
//! no logic and never does I/O.

use crate::error::SessionError;
use crate::message::{Position, Refusal, RefusedChange};
use bytes::Bytes;
use repliq_core::{Change, ReplicaId, Version};
use std::sync::Arc;
use std::time::Duration;

/// Which side opened the connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Role {
    /// We did. We say hello first.
    Initiator {
        /// How far we hold the feed of whoever was at that address last time.
        cursor: Option<Position>,
    },
    /// The peer did.
    Acceptor,
}

/// What a session needs to know from the start.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Config {
    /// The replica id of our store.
    pub replica: ReplicaId,
    /// The space to sync: what we ask for as initiator. An acceptor takes the
    /// space of the peer's hello, see [`Effect::Identify`].
    pub space: String,
    /// Which side opened the connection.
    pub role: Role,
    /// Our store is volatile; acks say so.
    pub volatile: bool,
    /// How long the peer may take to answer before the session ends.
    pub patience: Duration,
}

/// A document's name and the kind of its type.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct DocumentName {
    /// The name, unique in its space.
    pub name: Arc<str>,
    /// [`repliq_core::Crdt::KIND`] of its type.
    pub kind: Arc<str>,
}

/// A change that came from the peer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Arrival {
    /// Which document it belongs to.
    pub document: DocumentName,
    /// The change.
    pub change: Change,
}

/// What our store knows about a peer: the answer to [`Effect::Identify`].
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Identified {
    /// Where our feed of this space ends.
    pub head: Position,
    /// How far we hold the peer's feed. Only an acceptor need say.
    pub cursor: Option<Position>,
    /// The peer's claim names a place in our feed.
    pub claim_valid: bool,
}

/// What our store made of an arrival.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// It is durable here; it may have been before, or wait for its time.
    Taken,
    /// It was not taken.
    Refused(Refusal),
}

/// How far a session has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Phase {
    /// The peers exchange what they have.
    Syncing,
    /// Both hold the same; new changes pass as they are made.
    Live,
}

/// What the driver has to do.
#[derive(Debug)]
#[non_exhaustive]
pub enum Effect {
    /// Send a frame, in order.
    Send(Bytes),
    /// Look the peer up; answer with [`Session::identified`] before passing in
    /// another frame.
    Identify {
        /// The replica id of the peer's store.
        peer: ReplicaId,
        /// The space the peer names.
        space: String,
        /// How far the peer says it holds our feed.
        claim: Option<Position>,
    },
    /// Read our feed after this number; answer with [`Session::feed`].
    ReadFeed {
        /// The number of the last entry that is not wanted.
        after: u64,
        /// About how many bytes to read.
        max_bytes: usize,
    },
    /// Sum up what we hold; answer with [`Session::summarized`].
    Summarize,
    /// Read what a version lacks of a document, in causal order; answer with
    /// [`Session::document_changes`].
    ReadDocument {
        /// The name of the document.
        document: Arc<str>,
        /// What is held by the peer: `Some` starts, `None` goes on.
        after: Option<Version>,
        /// About how many bytes to read.
        max_bytes: usize,
    },
    /// Make the arrivals durable, and the cursor with them unless one is
    /// refused; answer with [`Session::committed`].
    Commit {
        /// The changes, in order.
        arrivals: Vec<Arrival>,
        /// How far this brings us in the peer's feed.
        cursor: Option<Position>,
    },
    /// Keep the cursor; there is no hurry and no answer.
    SaveCursor(Position),
    /// The session has come this far.
    Phase(Phase),
    /// Changes were not taken.
    Refused {
        /// The peer did not take ours, or we did not take the peer's.
        by_peer: bool,
        /// Which, and why.
        changes: Vec<RefusedChange>,
    },
    /// What [`Session::synced`] asked for with this id has come to be.
    Synced(u64),
    /// The session is over: nothing follows.
    End(Result<(), SessionError>),
}
