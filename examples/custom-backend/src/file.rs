//! Opening the file of a store, or making it.
//!
//! A new store is made under another name and moved to its place when it is whole,
//! so a file at the place of a store is a store, and an empty one is damaged. It
//! never opens that file other than through SQLite: closing it would drop the locks
//! that this process holds on it.

use crate::failure::Failure;
use repliq_core::{StorageError, StorageErrorKind};
use rusqlite::{Connection, OpenFlags, config::DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE};
use std::path::{Path, absolute};
use std::{fs, io::ErrorKind, time::Duration};

/// Marks a database as a store: "Rplq".
const APPLICATION: i32 = 0x5270_6c71;
/// The version of the table.
const FORMAT: i32 = 1;
/// With a WAL, FULL and EXTRA sync it at every commit, NORMAL does not. On macOS
/// fsync alone leaves the data in the drive.
const DURABLE: &str =
    "PRAGMA synchronous = EXTRA; PRAGMA fullfsync = ON; PRAGMA checkpoint_fullfsync = ON;";

pub(crate) fn open(path: &Path) -> Result<Connection, Failure> {
    // SQLite takes some relative names for something else than a file.
    let path = absolute(path)?;
    let no_store =
        |what| Err(format!("{} is {what}: choose a path where no file is", path.display()));
    match fs::metadata(&path) {
        Err(error) if error.kind() == ErrorKind::NotFound => make(&path)?,
        Ok(found) if !found.is_file() || found.len() == 0 => no_store("empty, or no file")?,
        found => found.map(|_| ())?,
    }
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(&path, flags)?;
    // Until it is known to be a store, nothing is changed, not even on closing.
    connection.set_db_config(SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    connection.busy_timeout(Duration::ZERO)?;
    // The first read takes the lock.
    connection.pragma_update(None, "locking_mode", "EXCLUSIVE")?;
    let number = |name| connection.pragma_query_value(None, name, |row| row.get::<_, i32>(0));
    match (number("application_id")?, number("user_version")?) {
        (APPLICATION, FORMAT) => {}
        (APPLICATION, _) => Err(StorageError::from(StorageErrorKind::Unsupported))?,
        _ => no_store("a database of another program")?,
    }
    connection.set_db_config(SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, false)?;
    connection.execute_batch(&format!("{DURABLE} PRAGMA journal_mode = WAL;"))?;
    let found: String = connection.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))?;
    if found == "ok" { Ok(connection) } else { Err(found.into()) }
}

fn make(path: &Path) -> Result<(), Failure> {
    let directory = path.parent().unwrap_or(path);
    fs::create_dir_all(directory)?;
    let unfinished = tempfile::NamedTempFile::new_in(directory)?.into_temp_path();
    Connection::open(&unfinished)?.execute_batch(&format!(
        "{DURABLE} BEGIN; PRAGMA application_id = {APPLICATION}; PRAGMA user_version = {FORMAT};
         CREATE TABLE pairs (key BLOB PRIMARY KEY NOT NULL, value BLOB, checksum INTEGER); COMMIT;"
    ))?;
    let moved = unfinished.persist_noclobber(path);
    // Somebody else may have made it meanwhile.
    if !path.exists() {
        moved?;
    }
    // The new name has to be durable too; elsewhere than on Unix it is by itself.
    #[cfg(unix)]
    fs::File::open(directory)?.sync_all()?;
    Ok(())
}
