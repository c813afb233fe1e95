//! What can go wrong with a store as a whole. Every error says what to do.
//! What is wrong with one submission is a [`Refusal`](super::Refusal) instead:
//! it never fails the batch it came in.

use super::key::Family;
use repliq_core::{StorageError, StorageErrorKind};
use std::time::Duration;

/// Why a store does not open, read or commit.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The backend failed, or what it holds is damaged.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// The backend holds data that no Repliq store wrote. Nothing was changed.
    #[error("the data is not a Repliq store: choose an empty place, or the store's own")]
    NotAStore,
    /// The store was written by a later version of Repliq. Nothing was changed.
    #[error("the store has format {found}, this program knows up to {supported}: upgrade it")]
    NewerFormat {
        /// The format it was written in.
        found: u16,
        /// The newest format this program knows.
        supported: u16,
    },
    /// A commit may or may not have become durable. The store tries to find out with
    /// every further commit, and every few seconds.
    #[error(
        "the store lost track of what is durable: if the disk is full, free some space, and it \
         goes on; if it does not, close the store and open it again"
    )]
    Broken,
    /// The backend has not answered for so long.
    #[error(
        "the store has not answered for {} ms: look after its disk; it goes on when it answers",
        .0.as_millis()
    )]
    Stalled(Duration),
}

/// [`StorageErrorKind::Corrupt`] with the family of keys where it was found.
pub(super) fn damaged(family: Family, what: &str) -> StorageError {
    let text = format!(
        "family {:02x} ({family:?}): {what}; restore a backup, or sync a new store from a peer",
        family as u8
    );
    StorageError::new(StorageErrorKind::Corrupt, text)
}
