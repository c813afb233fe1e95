//! The vocabulary of Repliq: identifiers, the hybrid logical clock, versions,
//! changes, and the three traits that everything else implements
//! ([`Crdt`], [`StorageBackend`], [`Transport`]).
//!
//! This crate knows no other crate of the workspace. It does no I/O, reads the
//! wall clock in one place only ([`Millis::now`]), and spawns nothing: time is
//! passed in, bytes are passed in, errors are typed.

mod backend;
mod bounded;
mod change;
mod clock;
mod codec;
mod crdt;
#[doc(hidden)]
pub mod derive;
mod endpoint;
pub mod erased;
mod framing;
mod id;
mod nested;
mod payload;
mod reopening;
mod saved;
mod standalone;
mod transport;
mod tx;
mod unknown;
mod version;

pub use backend::{Batch, Durability, Pair, StorageBackend, StorageError, StorageErrorKind};
pub use change::{Chain, Change, ChangeHeader, KeyId, MAX_CHANGE_BYTES, MAX_CHANGE_SLOTS};
pub use clock::{Clock, Hlc, MAX_CLOCK_SKEW, Millis};
pub use codec::{
    DecodeError, MAX_NESTING, decode, decode_state, decodes_at_rest, encode, encode_into,
    try_encode_into,
};
pub use crdt::{Crdt, CrdtError, EditError, Effects};
pub use endpoint::{DEFAULT_SPACE, Endpoint};
pub use id::{Dot, ReplicaId, Stamp};
pub use payload::{OpReader, OpWriter, apply_payload};
pub use reopening::Reopening;
pub use saved::{LoadError, Loaded, Saved, Stored};
pub use standalone::{ApplyError, Standalone};
pub use transport::{
    Connection, FrameReceiver, FrameSender, Listener, MAX_FRAME_BYTES, Peer, Transport,
    TransportError, TransportErrorKind,
};
pub use tx::{AsTx, Author, Cursor, Extent, Transaction, TransactionLog, Tx};
pub use unknown::{UnknownFields, UnknownOp, UnknownUndo};
pub use version::{Cut, Version};
