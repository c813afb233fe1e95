//! What SQLite and the system say when something is wrong, as typed errors. Damage
//! is always `Corrupt`, a full disk always `Full`. No SQLite type leaves this crate.

use repliq_core::{StorageError, StorageErrorKind as Kind};
use rusqlite::ErrorCode as Code;
use std::io::{self, ErrorKind};

/// Any error, before it has a kind. A mere text tells of damage.
pub(crate) type Failure = Box<dyn std::error::Error + Send + Sync>;

pub(crate) fn typed(failure: Failure) -> StorageError {
    let code = failure.downcast_ref().and_then(rusqlite::Error::sqlite_error_code);
    let kind = match (code, failure.downcast_ref().map(io::Error::kind)) {
        (Some(Code::DatabaseBusy | Code::DatabaseLocked), _) => Kind::Locked,
        (Some(Code::TooBig), _) => Kind::Unsupported,
        (Some(Code::DiskFull), _) => Kind::Full,
        (_, Some(ErrorKind::StorageFull | ErrorKind::QuotaExceeded)) => Kind::Full,
        // Unknown: a table or a column is missing.
        (Some(Code::DatabaseCorrupt | Code::NotADatabase | Code::Unknown), _) => Kind::Corrupt,
        (None, Some(ErrorKind::NotADirectory) | None) => Kind::Corrupt,
        _ => Kind::Io,
    };
    failure.downcast().map_or_else(|failure| StorageError::new(kind, failure), |typed| *typed)
}
