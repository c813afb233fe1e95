//! What peers say to each other. PROTOCOL.md has every message byte by byte.

use crate::error::Farewell;
use crate::reconcile::{Fingerprint, Prefix, RangeReply};
use repliq_core::{Dot, MAX_CHANGE_BYTES, Millis, ReplicaId};
use serde::de::{Error, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use std::fmt;
use std::marker::PhantomData;

/// The newest version of the protocol that this crate speaks.
pub const PROTOCOL_NEWEST: u16 = 1;
/// The oldest version of the protocol that this crate speaks.
pub const PROTOCOL_OLDEST: u16 = 1;

/// The largest message, in bytes, once its fragments are put together.
pub const MAX_MESSAGE_BYTES: usize = MAX_CHANGE_BYTES + (1 << 20);

/// The most changes, and the most new names, in one message.
pub(crate) const MAX_ENTRIES: usize = 4096;
/// The most ranges that are asked about at once.
pub(crate) const MAX_RANGES: usize = 256;
/// The most refused changes in one message.
pub(crate) const MAX_REFUSED: usize = 256;
/// The most extensions in a hello.
const MAX_EXTENSIONS: usize = 64;

/// A place in a store's feed: the number of an entry and the epoch it was
/// numbered in. Number 0 is the place before the first entry.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
pub struct Position {
    /// The run of the store in which the entry was numbered. A store that lost
    /// entries numbers their successors in another epoch.
    #[serde(with = "fixed")]
    pub epoch: u64,
    /// The number of the entry.
    pub number: u64,
}

/// The first frame of each side.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Hello {
    /// The replica id of the sender's store.
    pub replica: ReplicaId,
    /// The space this session is about; both sides must name the same.
    pub space: String,
    /// Where the sender's feed ends.
    pub head: Position,
    /// How far the sender holds the receiver's feed, if it knows.
    pub cursor: Option<Position>,
    /// The largest frame the sender takes, in bytes.
    pub max_frame: u32,
    /// Room for what later versions add; unknown ones are skipped.
    #[serde(deserialize_with = "at_most::<_, _, MAX_EXTENSIONS>")]
    pub extensions: Vec<(u32, Vec<u8>)>,
}

/// Every message after the hello.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Message<'a> {
    /// Changes, in causal order.
    Changes {
        /// Documents mentioned for the first time, as (name, kind): they take
        /// the next free places in the session's table.
        #[serde(borrow, deserialize_with = "at_most::<_, _, MAX_ENTRIES>")]
        documents: Vec<(&'a str, &'a str)>,
        /// Replicas mentioned for the first time.
        #[serde(deserialize_with = "at_most::<_, _, MAX_ENTRIES>")]
        replicas: Vec<ReplicaId>,
        /// By how many feed entries this message moves the receiver's cursor.
        advance: u64,
        /// The changes.
        #[serde(borrow, deserialize_with = "at_most::<_, _, MAX_ENTRIES>")]
        entries: Vec<Entry<'a>>,
    },
    /// Everything up to this frame is durable at the sender of the ack.
    Ack {
        /// The number of the frame.
        frame: u64,
        /// The store of the sender is volatile: durable means in memory there.
        volatile: bool,
    },
    /// From here on `Changes` count from this place in the sender's feed.
    Start(Position),
    /// The tables of documents and replicas start anew.
    Forget,
    /// These changes were not taken.
    Refuse(#[serde(deserialize_with = "at_most::<_, _, MAX_REFUSED>")] Vec<RefusedChange>),
    /// Asks for a reply once everything the peer has now was sent.
    Probe(u64),
    /// The reply, behind everything the prober asked for.
    Reply(u64),
    /// Asks what the peer holds in these ranges of documents.
    Compare(#[serde(deserialize_with = "at_most::<_, _, MAX_RANGES>")] Vec<(Prefix, Fingerprint)>),
    /// What is held there, one reply a range, in order.
    Compared(#[serde(deserialize_with = "at_most::<_, _, MAX_RANGES>")] Vec<RangeReply>),
    /// A part of a message that is larger than a frame.
    Fragment {
        /// Whether it is the last part.
        last: bool,
        /// The bytes.
        bytes: &'a [u8],
    },
    /// The session ends.
    Goodbye(Farewell),
}

/// One change in a [`Message::Changes`].
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Entry<'a> {
    /// Follows the previous entry: same document, same replica, next slot.
    Next(&'a [u8]),
    /// Same document and replica as the previous entry, at this slot.
    At(u64, &'a [u8]),
    /// Any document and replica, by their places in the tables.
    Any {
        /// The document.
        document: u32,
        /// The replica that made the change.
        replica: u32,
        /// Its first slot.
        seq: u64,
        /// Header and payload.
        body: &'a [u8],
    },
}

/// A change that was not taken.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct RefusedChange {
    /// The name of its document.
    pub document: String,
    /// Which change.
    pub dot: Dot,
    /// Why.
    pub why: Refusal,
}

/// Why a store does not take a change.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// The change is stamped more than a day ahead of the receiver's clock.
    #[error(
        "it is stamped more than 24 hours ahead of the receiver's clock ({} ms since 1970): \
         set the clock of the device that made it",
        now.0
    )]
    FutureStamp {
        /// What the receiver's clock says.
        now: Millis,
    },
    /// The receiver holds the document as another type.
    #[error("the document is held there as a {held}: use another name for one of the two")]
    WrongKind {
        /// The kind it is held as.
        held: String,
    },
    /// Two stores made different changes under the same replica id.
    #[error(
        "another change was made under the same replica id: a data directory was copied; \
         start the copy with an empty directory"
    )]
    Fork,
    /// Changes before it are missing.
    #[error("changes before it are missing: slot {expected} is due")]
    Gap {
        /// The next slot the receiver can take of that replica.
        expected: u64,
    },
    /// Its causal past is not there.
    #[error("changes it builds on are missing")]
    MissingDependency,
    /// Too much is held back already.
    #[error("too many changes are held back there because of their stamps")]
    HeldFull,
    /// A name or a size is over its limit.
    #[error("over a limit: {0}")]
    Limit(String),
    /// It does not decode.
    #[error("it does not decode")]
    Malformed,
}

/// Reads a list of at most `MAX` values, and no further: what a peer sends costs
/// no more memory than the message could rightly take.
pub(crate) fn at_most<'de, D, T, const MAX: usize>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    struct List<T, const MAX: usize>(PhantomData<T>);
    impl<'de, T: Deserialize<'de>, const MAX: usize> Visitor<'de> for List<T, MAX> {
        type Value = Vec<T>;

        fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(formatter, "a list of at most {MAX} values")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Vec<T>, A::Error> {
            let mut values = Vec::new();
            while let Some(value) = list.next_element()? {
                if values.len() == MAX {
                    return Err(A::Error::custom("a list over its limit"));
                }
                values.push(value);
            }
            Ok(values)
        }
    }
    deserializer.deserialize_seq(List::<T, MAX>(PhantomData))
}

mod fixed {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(super) fn serialize<S: Serializer>(value: &u64, serializer: S) -> Result<S::Ok, S::Error> {
        value.to_be_bytes().serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
        <[u8; 8]>::deserialize(deserializer).map(u64::from_be_bytes)
    }
}
