//! Opening the file of a store, or making it.
//!
//! A new store is made under another name beside its place and moved there when
//! it is whole, so a file at the place of a store is a store, and one that is
//! empty or cut short is damaged. A file that is no store of ours is not written to.

use crate::PAIRS;
use crate::failure::from_redb;
use redb::{Builder, Database, Error, ReadableDatabase, TableHandle};
use repliq_core::{StorageError, StorageErrorKind};
use std::fs::{self, File};
use std::io;
use std::path::Path;

/// What redb keeps in memory at most, beside what it is writing.
const CACHE_BYTES: usize = 16 << 20;

/// Opens the store; makes it if it is not there and `may_make` says so.
pub(crate) fn open(path: &Path, may_make: bool) -> Result<Database, StorageError> {
    let is_there = path.try_exists().map_err(|error| from_redb(error.into()))?;
    if is_there || !may_make { open_store(path) } else { make(path) }
}

/// Redb verifies checksums only when it is asked to.
fn builder() -> Builder {
    let mut builder = Database::builder();
    builder.set_cache_size(CACHE_BYTES).set_check_integrity_on_open(true);
    builder
}

fn open_store(path: &Path) -> Result<Database, StorageError> {
    let open = || -> Result<(Database, Vec<String>), Error> {
        let db = builder().open(path)?;
        let reading = db.begin_read()?;
        let tables = reading.list_tables()?.map(|table| table.name().to_owned()).collect();
        Ok((db, tables))
    };
    let (db, tables) = open().map_err(from_redb)?;
    if tables.iter().any(|name| name == PAIRS.name()) {
        return Ok(db);
    }
    let (kind, why) = match tables.iter().find(|name| name.starts_with("repliq/")) {
        None => (StorageErrorKind::Corrupt, "it is a database of another program".to_owned()),
        Some(newer) => {
            (StorageErrorKind::Unsupported, format!("its format is {newer:?}: update this program"))
        }
    };
    Err(StorageError::new(kind, why))
}

fn make(path: &Path) -> Result<Database, StorageError> {
    match place(path).map_err(from_redb)? {
        Some(db) => Ok(db),
        None => open_store(path),
    }
}

/// Makes a store and moves it to its place; `None` if somebody else has put one there.
fn place(path: &Path) -> Result<Option<Database>, Error> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    let parent = parent.unwrap_or(Path::new("."));
    make_directory(parent)?;
    let unfinished = path.with_added_extension("unfinished");
    let db = match builder().create(&unfinished) {
        Ok(db) => db,
        Err(redb::DatabaseError::DatabaseAlreadyOpen) => return Err(Error::DatabaseAlreadyOpen),
        // What a process left that ended while it made a store.
        Err(_) => fs::remove_file(&unfinished).map(|()| builder().create(&unfinished))??,
    };
    let transaction = db.begin_write()?;
    transaction.open_table(PAIRS)?;
    transaction.commit()?;
    // Redb's lock holds: whoever comes second finds it, or the store in its place.
    if path.exists() {
        let _ = fs::remove_file(&unfinished);
        return Ok(None);
    }
    fs::rename(&unfinished, path)?;
    sync_directory(parent)?;
    Ok(Some(db))
}

/// Makes a directory and what is missing above it, so that a power cut leaves them.
fn make_directory(path: &Path) -> io::Result<()> {
    let missing: Vec<_> = path.ancestors().take_while(|above| !above.exists()).collect();
    fs::create_dir_all(path)?;
    for made in missing {
        let above = made.parent().filter(|above| !above.as_os_str().is_empty());
        sync_directory(above.unwrap_or(Path::new(".")))?;
    }
    Ok(())
}

/// Makes a new name in a directory durable; elsewhere than on Unix a directory
/// cannot be synced, and need not be.
fn sync_directory(path: &Path) -> io::Result<()> {
    #[cfg(unix)]
    File::open(path)?.sync_all()?;
    let _ = path;
    Ok(())
}
