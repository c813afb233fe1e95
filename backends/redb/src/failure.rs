//! What redb says when something is wrong, as typed errors: its error values and
//! its panics. Damage is always `Corrupt`, a full disk always `Full`. No redb type
//! leaves this crate.

use redb::Error;
use repliq_core::{StorageError, StorageErrorKind};
use std::io::ErrorKind;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

/// Runs a piece of work that may panic on damage: redb trusts its pages once they
/// were verified.
pub(crate) fn caught<T>(work: impl FnOnce() -> Result<T, StorageError>) -> Result<T, StorageError> {
    catch_unwind(AssertUnwindSafe(work))
        .unwrap_or_else(|_| Err(StorageError::new(StorageErrorKind::Corrupt, "redb panicked")))
}

/// What is there is no store of ours.
pub(crate) fn no_store(path: &Path, what: &str) -> StorageError {
    let why = format!("{} is {what}: choose a path where no file is", path.display());
    StorageError::new(StorageErrorKind::Corrupt, why)
}

pub(crate) fn from_redb(error: Error) -> StorageError {
    let kind = match &error {
        Error::DatabaseAlreadyOpen => StorageErrorKind::Locked,
        Error::ValueTooLarge(_) | Error::UpgradeRequired(_) => StorageErrorKind::Unsupported,
        Error::DatabaseClosed => StorageErrorKind::Closed,
        Error::Io(io) => match io.kind() {
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => StorageErrorKind::Full,
            ErrorKind::InvalidData | ErrorKind::UnexpectedEof | ErrorKind::NotADirectory => {
                StorageErrorKind::Corrupt
            }
            _ => StorageErrorKind::Io,
        },
        Error::PreviousIo | Error::Backend(_) => StorageErrorKind::Io,
        _ => StorageErrorKind::Corrupt,
    };
    StorageError::new(kind, error.to_string())
}
