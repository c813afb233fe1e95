//! What redb says when something is wrong, as typed errors. No redb type leaves
//! this crate.

use redb::Error;
use repliq_core::{StorageError, StorageErrorKind};
use std::io::ErrorKind;

pub(crate) fn from_redb(error: Error) -> StorageError {
    let kind = match error {
        Error::Io(io) => match io.kind() {
            ErrorKind::UnexpectedEof | ErrorKind::NotADirectory | ErrorKind::IsADirectory => {
                return StorageError::new(StorageErrorKind::Corrupt, io);
            }
            _ => return io.into(),
        },
        Error::DatabaseAlreadyOpen => StorageErrorKind::Locked,
        Error::ValueTooLarge(_) | Error::UpgradeRequired(_) => StorageErrorKind::Unsupported,
        Error::DatabaseClosed => StorageErrorKind::Closed,
        Error::PreviousIo | Error::Backend(_) => StorageErrorKind::Io,
        _ => StorageErrorKind::Corrupt,
    };
    StorageError::new(kind, error.to_string())
}
