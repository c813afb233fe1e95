//! How a session ends early.

use serde::{Deserialize, Serialize};

/// Why a session ended before it was closed. After each of these the driver
/// drops the connection; what was acknowledged stays acknowledged.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SessionError {
    /// A frame does not decode, or says something impossible.
    #[error("the peer broke the protocol: {0}")]
    Malformed(&'static str),
    /// A frame is missing: the connection lost or reordered it.
    #[error("frame {expected} was expected and {found} came: the connection loses frames")]
    Gap {
        /// The number that was due.
        expected: u64,
        /// The number that came.
        found: u64,
    },
    /// The peer speaks no version of the protocol that we do.
    #[error(
        "the peer speaks versions {their_oldest} to {their_newest} of the protocol, \
         we speak {} to {}: update the older side",
        crate::PROTOCOL_OLDEST,
        crate::PROTOCOL_NEWEST
    )]
    Version {
        /// The oldest version the peer speaks.
        their_oldest: u16,
        /// The newest version the peer speaks.
        their_newest: u16,
    },
    /// The peer is not a Repliq peer at all.
    #[error("the other side is not a Repliq peer")]
    NotRepliq,
    /// The peer has our own replica id: it is this very store, or a copy of it.
    #[error(
        "the peer has the same replica id as this store: it is this store, or a copy of its \
         data directory; start the copy with an empty directory and sync instead"
    )]
    SameReplica,
    /// The peer did not answer in time.
    #[error("the peer did not answer in time ({0})")]
    Stalled(&'static str),
    /// The peer ended the session.
    #[error("the peer ended the session: {0}")]
    Farewell(Farewell),
    /// Our own store failed.
    #[error("the own store failed: {0}")]
    Store(String),
}

/// Why a side says goodbye; the last message it sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[non_exhaustive]
pub enum Farewell {
    /// It is done, or shuts down.
    #[error("it is done")]
    Done,
    /// It could not make sense of a frame.
    #[error("it could not make sense of a frame")]
    Malformed,
    /// It missed a frame.
    #[error("it missed a frame")]
    Gap,
    /// It waited too long.
    #[error("it waited too long")]
    Stalled,
    /// Its store failed.
    #[error("its store takes nothing now: look there whether its disk is full")]
    Store,
    /// It has the same replica id.
    #[error("it has the same replica id")]
    SameReplica,
    /// It has too many connections.
    #[error("it has too many connections, try again later")]
    Busy,
    /// The space may not be used there.
    #[error("the space may not be used there")]
    Space,
}

impl SessionError {
    /// What to tell the peer before hanging up.
    #[must_use]
    pub const fn farewell(&self) -> Farewell {
        match self {
            Self::Gap { .. } => Farewell::Gap,
            Self::Stalled(_) => Farewell::Stalled,
            Self::Store(_) => Farewell::Store,
            Self::SameReplica => Farewell::SameReplica,
            Self::Farewell(_) => Farewell::Done,
            Self::Malformed(_) | Self::Version { .. } | Self::NotRepliq => Farewell::Malformed,
        }
    }
}
