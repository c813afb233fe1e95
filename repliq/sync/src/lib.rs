//! The sync protocol of Repliq, sans-IO: messages, their encoding, and a
//! [`Session`] that turns events into effects.
//!
//! It promises that two stores whose sessions exchange frames end up holding the
//! same changes, and that losing, repeating or reordering any frame costs a
//! reconnect and nothing else. It has no tokio, no clock and no randomness: the
//! driver passes in frames, time and what its store answers, and carries out the
//! effects.

mod contract;
mod error;
mod goals;
mod incoming;
mod message;
mod outgoing;
mod output;
mod reconcile;
mod session;
mod wire;

pub use contract::{Arrival, Config, DocumentName, Effect, Identified, Phase, Role, Verdict};
pub use error::{Farewell, SessionError};
pub use message::{
    Entry, Hello, MAX_MESSAGE_BYTES, Message, PROTOCOL_NEWEST, PROTOCOL_OLDEST, Position, Refusal,
    RefusedChange,
};
pub use outgoing::OutgoingChange;
pub use reconcile::{DocumentSummary, Fingerprint, ListedDocument, Prefix, RangeReply, Summary};
pub use session::Session;
pub use wire::{Frame, decode_frame, decode_hello, encode_frame, encode_hello};
