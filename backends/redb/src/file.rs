//! Opening the file of a store, or making it.
//!
//! A new store is made under another name beside its place and moved there when
//! it is whole, so a file at the place of a store is a store, and one that is
//! empty or cut short is damaged. It never lets redb write into a file that does
//! not begin as redb's do.

use crate::{PAIRS, failure};
use redb::{Builder, Database, ReadableDatabase, TableHandle};
use repliq_core::{StorageError, StorageErrorKind};
use std::fs::{self, File};
use std::io::{self, ErrorKind, Read};
use std::path::Path;

/// What redb keeps in memory at most, beside what it is writing.
const CACHE_BYTES: usize = 16 << 20;
/// What every redb file begins with.
const MAGIC: &[u8] = b"redb\x1A\x0A\xA9\x0D\x0A";

pub(crate) fn open(path: &Path) -> Result<Database, StorageError> {
    let mut start = Vec::new();
    let begin = |file: File| file.take(MAGIC.len() as u64).read_to_end(&mut start);
    match File::open(path).and_then(begin) {
        Ok(_) if start == MAGIC => open_store(path),
        Ok(_) => Err(failure::no_store(path, "something else than a store")),
        Err(error) if error.kind() == ErrorKind::NotFound => make(path),
        Err(error) if error.kind() == ErrorKind::IsADirectory => {
            Err(failure::no_store(path, "a directory"))
        }
        Err(error) => Err(failure::from_redb(error.into())),
    }
}

/// Redb verifies checksums only when it is asked to.
fn builder() -> Builder {
    let mut builder = Database::builder();
    builder.set_cache_size(CACHE_BYTES).set_check_integrity_on_open(true);
    builder
}

fn open_store(path: &Path) -> Result<Database, StorageError> {
    let open = || -> Result<(Database, Vec<String>), redb::Error> {
        let db = builder().open(path)?;
        let reading = db.begin_read()?;
        let tables = reading.list_tables()?.map(|table| table.name().to_owned()).collect();
        Ok((db, tables))
    };
    let (db, tables) = open().map_err(failure::from_redb)?;
    if tables.iter().any(|name| name == PAIRS.name()) {
        return Ok(db);
    }
    match tables.iter().find(|name| name.starts_with("repliq/")) {
        None => Err(failure::no_store(path, "a database of another program")),
        Some(newer) => {
            let why = format!("its format is {newer:?}: update the program that opens it");
            Err(StorageError::new(StorageErrorKind::Unsupported, why))
        }
    }
}

fn make(path: &Path) -> Result<Database, StorageError> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    let parent = parent.unwrap_or(Path::new("."));
    let unfinished = path.with_added_extension("unfinished");
    let place = || -> Result<Option<Database>, redb::Error> {
        make_directory(parent)?;
        let db = match builder().create(&unfinished) {
            Err(redb::DatabaseError::DatabaseAlreadyOpen) => {
                return Err(redb::Error::DatabaseAlreadyOpen);
            }
            // What a process left that ended while it made a store.
            Err(_) => fs::remove_file(&unfinished).map(|()| builder().create(&unfinished))??,
            Ok(db) => db,
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
    };
    match place().map_err(failure::from_redb)? {
        Some(db) => Ok(db),
        None => open_store(path),
    }
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
