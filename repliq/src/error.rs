//! What can go wrong, as users see it.

use crate::store::StoreError;
use repliq_core::{CrdtError, DecodeError, LoadError, StorageError, TransportError};
use repliq_sync::{RefusedChange, SessionError};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

/// Why something does not open, start or load.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The store failed, is damaged, or is no store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The store of a running relay failed for good.
    #[error("the store failed: {0}")]
    Failed(Arc<StoreError>),
    /// The transport failed.
    #[error(transparent)]
    Transport(#[from] TransportError),
    /// A document was opened as another type than it was written as.
    #[error(
        "the document {name:?} holds a {found}, not a {expected}: open it as that type, or choose another name"
    )]
    WrongKind {
        /// The document.
        name: String,
        /// The [`repliq_core::Crdt::KIND`] it was written with.
        found: String,
        /// The kind asked for.
        expected: &'static str,
    },
    /// A document is open as a type of the same kind with other parameters.
    #[error(
        "the document {name:?} is open as {open}, so it cannot be opened as {expected}: use one \
         type for it everywhere"
    )]
    OtherParameters {
        /// The document.
        name: String,
        /// The type it is open as.
        open: &'static str,
        /// The type asked for.
        expected: &'static str,
    },
    /// A document holds changes that are sealed under a key that is not here.
    #[error("the document {name:?} holds sealed changes: open the replica with key {key}")]
    Sealed {
        /// The document.
        name: String,
        /// The id of the key.
        key: u32,
    },
    /// A value could not be read again if it were saved, so it was not.
    #[error("the value {name:?} was not saved: {source}")]
    Save {
        /// Its name.
        name: String,
        /// What is wrong with it.
        source: DecodeError,
    },
    /// A saved value is of another type, or damaged.
    #[error("the saved value {name:?} does not load: {source}")]
    Load {
        /// Its name.
        name: String,
        /// What is wrong with it.
        source: LoadError,
    },
    /// The log of a document does not read as the type it was opened as. The
    /// store is untouched.
    #[error("the document {name:?} was not opened, and nothing of it is lost: {why}")]
    Unreadable {
        /// The document.
        name: String,
        /// Why.
        why: Unusable,
    },
    /// The snapshot of a document does not decode as the type it was opened as.
    #[error(
        "the document {name:?} does not read as this type ({source}): open it as the very type it \
         was written as, parameters included; if it was that, it is damaged: sync a new store from \
         a peer"
    )]
    Damaged {
        /// The document.
        name: String,
        /// What is wrong with it.
        source: DecodeError,
    },
    /// A commit that opening needed failed.
    #[error(transparent)]
    Commit(#[from] CommitError),
    /// The peer does not keep to the protocol.
    #[error(transparent)]
    Session(SessionError),
    /// A name is longer than 255 bytes, or is an empty name of a space.
    #[error("the name {0:?} is empty or longer than 255 bytes: choose another")]
    Name(String),
    /// A thread could not be started.
    #[error("the storage thread could not be started: {0}")]
    Thread(#[source] std::io::Error),
    /// The operating system gives no random numbers.
    #[error("the operating system gives no random numbers")]
    Randomness,
    /// The replica or relay was closed.
    #[error("it is closed: open the replica again")]
    Closed,
}

impl From<StorageError> for Error {
    fn from(error: StorageError) -> Self {
        Self::Store(StoreError::Storage(error))
    }
}

/// Why changes did not become durable. They are undone in memory as well, but for
/// those of which it is [unknown](CommitError::Unknown).
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum CommitError {
    /// The store could not commit them.
    #[error("the change could not be made durable and was undone: {0}")]
    Store(Arc<StoreError>),
    /// A change made before it could not be made durable.
    #[error("a change before it could not be made durable, so it was undone: try again")]
    Earlier,
    /// The store does not answer ([`StoreError::Stalled`]): the change stays visible
    /// and is undone if the store fails in the end. Or the store lost track
    /// ([`StoreError::Broken`]): the change is undone, and is there again if it turns
    /// out to be durable. Look before you make it a second time.
    #[error("it is not known whether the change is durable: {0}")]
    Unknown(Arc<StoreError>),
    /// The store does not take it.
    #[error("the store did not take the change: {0}")]
    Refused(String),
    /// The replica was closed.
    #[error("the replica is closed: nothing was changed")]
    Closed,
}

/// Why an update did not happen. Whatever the reason, nothing has changed, except
/// after [`CommitError::Unknown`].
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum UpdateError<E = Infallible> {
    /// The closure returned an error.
    #[error("the update was given up: {0}")]
    Aborted(E),
    /// The type refused an op.
    #[error(transparent)]
    Refused(CrdtError),
    /// All ops together are larger than [`repliq_core::MAX_CHANGE_BYTES`].
    #[error(
        "the update takes {bytes} bytes or more, at most 16 MiB fit: make several updates of it"
    )]
    TooLarge {
        /// Its size as far as it was put together.
        bytes: usize,
    },
    /// It was called inside a closure of `read` or `update`.
    #[error("update was called inside a closure of read or update: call it after the closure")]
    Reentrant,
    /// It did not become durable.
    #[error(transparent)]
    Commit(#[from] CommitError),
    /// The document cannot be used any more.
    #[error(transparent)]
    Unusable(#[from] Unusable),
}

/// Why a read did not happen.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// It was called inside a closure of `update`, which has the transaction to
    /// read from.
    #[error("read was called inside a closure of update: read from the transaction instead")]
    Reentrant,
    /// The replica was closed.
    #[error("the replica is closed: open it again")]
    Closed,
    /// The document cannot be used any more.
    #[error(transparent)]
    Unusable(#[from] Unusable),
}

/// Why an open document cannot be used any more.
#[derive(Debug, Clone, thiserror::Error)]
#[error("the document cannot be used: {0}")]
pub struct Unusable(pub(crate) Arc<str>);

/// Why a link cannot bring both sides to hold the same.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum SyncError {
    /// Changes were not taken by the other side, or by this one. The others are
    /// synced.
    #[error("{count} changes were not taken; the first, of document {document:?}: {why}",
        document = first.document, why = first.why)]
    Refused {
        /// How many.
        count: usize,
        /// The first of them.
        first: Box<RefusedChange>,
    },
    /// Changes of this device were refused because they are stamped too far ahead,
    /// and not its clock is wrong but its store: timestamps go on after the last, and
    /// the clock was far ahead once. What is synced already is not concerned.
    #[error(
        "the changes of this device are stamped {} days ahead since its clock was wrong once, and \
         are refused until then: its clock is right now, so export the data and import it into a \
         new store",
        by.as_secs().div_ceil(24 * 60 * 60)
    )]
    StampedAhead {
        /// How far the timestamps of the store are ahead of its clock.
        by: Duration,
        /// The first of the changes that were refused.
        first: Box<RefusedChange>,
    },
    /// The peers cannot sync with each other at all.
    #[error(transparent)]
    Session(SessionError),
    /// The peer cannot be connected to at that URL, or one side does not trust the
    /// other's certificate. The link goes on trying, should that change.
    #[error(transparent)]
    Transport(Arc<TransportError>),
    /// The link was closed.
    #[error("the link is closed")]
    Closed,
}
