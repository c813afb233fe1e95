//! What sled says when something is wrong, as typed errors: its error values and
//! its panics. Damage is always `Corrupt`, a full disk always `Full`, and every
//! message says what to do. No sled type leaves this crate.

use repliq_core::{StorageError, StorageErrorKind};
use std::any::Any;
use std::error::Error;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Runs a piece of work that may panic on damage.
pub(crate) fn caught<T>(work: impl FnOnce() -> Result<T, StorageError>) -> Result<T, StorageError> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| Err(damaged(panic_text(&*panic))))
}

/// What is stored is damaged.
pub(crate) fn damaged(why: impl Into<Box<dyn Error + Send + Sync>>) -> StorageError {
    StorageError::new(StorageErrorKind::Corrupt, why)
}

pub(crate) fn from_sled(error: sled::Error) -> StorageError {
    let kind = match &error {
        sled::Error::Io(io) => match io.kind() {
            // Sled names no missing file of its own accord: a blob that its log
            // points to, or the end of a file that it knows to be longer.
            io::ErrorKind::NotFound | io::ErrorKind::UnexpectedEof => StorageErrorKind::Corrupt,
            _ => kind_of(io),
        },
        sled::Error::Unsupported(_) => StorageErrorKind::Unsupported,
        sled::Error::Corruption { .. }
        | sled::Error::CollectionNotFound(_)
        | sled::Error::ReportableBug(_) => StorageErrorKind::Corrupt,
    };
    StorageError::new(kind, error.to_string())
}

pub(crate) fn from_io(error: io::Error) -> StorageError {
    StorageError::new(kind_of(&error), error)
}

fn kind_of(error: &io::Error) -> StorageErrorKind {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => StorageErrorKind::Full,
        io::ErrorKind::InvalidData => StorageErrorKind::Corrupt,
        _ => StorageErrorKind::Io,
    }
}

fn panic_text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .map_or_else(|| "sled panicked".to_owned(), |text| format!("sled panicked: {text}"))
}
