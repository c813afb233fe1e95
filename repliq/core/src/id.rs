//! Who made an edit and which one it was.

use crate::Hlc;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// The identity of one replica: a random UUID (version 4), 16 bytes on the
/// wire and on disk.
///
/// Two stores must never share one: a data directory that was copied is a
/// *fork* and is detected by the chain that every [`Change`](crate::Change)
/// carries.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct ReplicaId(uuid::Uuid);

impl ReplicaId {
    /// A new random identity.
    #[allow(clippy::new_without_default, reason = "the default is the nil id, `new` is random")]
    #[must_use]
    pub fn new() -> Self {
        Self(uuid::Uuid::new_v4())
    }

    /// The identity with exactly these 16 bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(uuid::Uuid::from_bytes(bytes))
    }

    /// The 16 bytes of this identity; they sort as the identity does.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        self.0.as_bytes()
    }
}

impl fmt::Display for ReplicaId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for ReplicaId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for ReplicaId {
    type Err = uuid::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self)
    }
}

impl From<uuid::Uuid> for ReplicaId {
    fn from(uuid: uuid::Uuid) -> Self {
        Self(uuid)
    }
}

impl From<ReplicaId> for uuid::Uuid {
    fn from(replica: ReplicaId) -> Self {
        replica.0
    }
}

impl Serialize for ReplicaId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.as_bytes().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for ReplicaId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        <[u8; 16]>::deserialize(deserializer).map(Self::from_bytes)
    }
}

/// One op slot of one replica in one document: the `seq`-th, counted from 0.
#[derive(
    Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize,
)]
pub struct Dot {
    /// The replica that authored the slot.
    pub replica: ReplicaId,
    /// How many slots of this replica in this document come before it.
    pub seq: u64,
}

/// When and by whom an op was made. Stamps are totally ordered: by time, then
/// by replica, then by sequence number (design section 5).
#[derive(
    Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize,
)]
pub struct Stamp {
    /// The hybrid logical time of the op.
    pub hlc: Hlc,
    /// The op's first slot.
    pub dot: Dot,
}
