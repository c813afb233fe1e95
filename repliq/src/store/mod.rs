//! The store of a replica or a relay: its identity, spaces, documents, logs,
//! feeds and cursors, in one backend. One writer turns submissions into batches
//! and checks every change that comes in; readers on any thread see what is
//! durable. It has no thread, no clock, no randomness and no type of any
//! document; what it writes is in `docs/STORAGE.md`, byte by byte.

mod accept;
mod cache;
mod causal;
mod changes;
mod error;
mod heads;
mod held;
mod key;
mod open;
mod reader;
mod record;
mod refusal;
mod ring;
mod shared;
mod snapshot;
mod stage;
mod submission;
#[cfg(test)]
mod tests;
mod writer;

/// Fast, and seeded at random: names and replica ids come from peers, who must
/// not be able to choose ones that collide.
type HashMap<K, V> = std::collections::HashMap<K, V, foldhash::fast::RandomState>;

pub(crate) use changes::ChangeReader;
pub use error::StoreError;
pub(crate) use heads::Heads;
pub(crate) use key::named_value as named_value_key;
pub(crate) use open::claim_for_named_values;
pub(crate) use reader::StoreReader;
pub(crate) use record::{
    DocumentInfo, DocumentNum, Epoch, FeedNumber, LeaseRecord, MAX_NAME_BYTES, Position, SpaceNum,
};
pub(crate) use refusal::{Refusal, Verdict};
pub(crate) use submission::{
    Arrival, Cursor, FeedEntry, Outcome, Remote, Skew, Snapshot, Submission,
};
pub(crate) use writer::Store;
