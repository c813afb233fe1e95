//! What sled says when something is wrong, as typed errors. No sled type leaves
//! this crate.

use repliq_core::{StorageError, StorageErrorKind};
use std::error::Error;
use std::io::ErrorKind;

/// What is stored is damaged.
pub(crate) fn damaged(why: impl Into<Box<dyn Error + Send + Sync>>) -> StorageError {
    StorageError::new(StorageErrorKind::Corrupt, why)
}

pub(crate) fn from_sled(error: sled::Error) -> StorageError {
    match error {
        // Sled names no missing file of its own accord: a blob that its log points
        // to, or the end of a file that it knows to be longer.
        sled::Error::Io(io)
            if matches!(io.kind(), ErrorKind::NotFound | ErrorKind::UnexpectedEof) =>
        {
            damaged(io)
        }
        sled::Error::Io(io) => io.into(),
        sled::Error::Unsupported(why) => StorageError::new(StorageErrorKind::Unsupported, why),
        error => damaged(error),
    }
}
