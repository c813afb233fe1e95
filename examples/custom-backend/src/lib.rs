#![doc = include_str!("../README.md")]

mod failure;
mod file;

use failure::typed;
use repliq_core::{Batch, Durability, Pair, StorageBackend, StorageError};
use rusqlite::{Connection, Error, OptionalExtension, Row, types::Type};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

/// A store in an SQLite database, open once at a time.
///
/// With n keys stored, `get` costs O(log n), `scan` O(log n + limit), and `commit`
/// O(log n) for each write and one fsync. A key and its value together have up to
/// 10^9 bytes.
#[derive(Debug)]
pub struct SqliteBackend {
    /// One connection for all threads: it holds the lock on the file.
    connection: Mutex<Connection>,
}

impl SqliteBackend {
    /// Opens the store in a file, or makes one if there is no such file. Reads all
    /// of it to verify it, so it takes time in proportion to its size.
    ///
    /// # Errors
    /// `Locked` when another handle or process has it open; `Corrupt` when it is
    /// damaged or is no store, which is then left as it is; `Unsupported` when a
    /// newer program wrote it; `Full`; `Io`.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, StorageError> {
        let store = Self { connection: Mutex::new(file::open(path.as_ref()).map_err(typed)?) };
        let mut after: Option<Vec<u8>> = None;
        while let Some((last, _)) = store.scan(b"", after.as_deref(), 64)?.pop() {
            after = Some(last);
        }
        Ok(store)
    }

    /// A panic elsewhere leaves no transaction half done, so the connection is used on.
    fn call<T>(
        &self,
        work: impl FnOnce(&mut Connection) -> rusqlite::Result<T>,
    ) -> Result<T, StorageError> {
        let mut connection = self.connection.lock().unwrap_or_else(PoisonError::into_inner);
        work(&mut connection).map_err(|error| typed(error.into()))
    }
}

impl StorageBackend for SqliteBackend {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StorageError> {
        self.call(|connection| {
            let mut select = connection.prepare_cached("SELECT * FROM pairs WHERE key = ?1")?;
            Ok(select.query_row([key], verified).optional()?.map(|(_, value)| value))
        })
    }

    fn scan(
        &self,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<Pair>, StorageError> {
        // The very next key after `after` is the same with a zero byte behind it.
        let next = after.map(|after| [after, &[0]].concat()).unwrap_or_default();
        self.call(|connection| {
            let select = "SELECT * FROM pairs WHERE key >= ?1 ORDER BY key";
            let mut select = connection.prepare_cached(select)?;
            // Ends where the prefix does. No upper bound would: 0xff has none.
            let found = select.query_map([prefix.max(&next)], verified)?;
            let inside = |(key, _): &Pair| key.starts_with(prefix);
            found.take(limit).take_while(|pair| pair.as_ref().map_or(true, inside)).collect()
        })
    }

    fn commit(&self, batch: Batch) -> Result<(), StorageError> {
        self.call(|connection| {
            let transaction = connection.transaction()?;
            let mut put = transaction.prepare_cached("REPLACE INTO pairs VALUES (?1, ?2, ?3)")?;
            let mut delete = transaction.prepare_cached("DELETE FROM pairs WHERE key = ?1")?;
            for (key, value) in batch.iter() {
                match value {
                    Some(value) => put.execute((key, value, checksum(key, value)))?,
                    None => delete.execute([key])?,
                };
            }
            drop((put, delete));
            transaction.commit()
        })
    }

    fn durability(&self) -> Durability {
        Durability::PowerCut
    }
}

/// The pair in a row. SQLite has no checksums of its own in the database file.
fn verified(row: &Row<'_>) -> rusqlite::Result<Pair> {
    let pair: Pair = (row.get(0)?, row.get(1)?);
    if row.get::<_, i64>(2)? != checksum(&pair.0, &pair.1) {
        return Err(Error::FromSqlConversionFailure(2, Type::Integer, "wrong checksum".into()));
    }
    Ok(pair)
}

fn checksum(key: &[u8], value: &[u8]) -> i64 {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&(key.len() as u64).to_le_bytes()).update(key).update(value);
    hasher.finalize().as_bytes().first_chunk().map_or(0, |bytes| i64::from_le_bytes(*bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use repliq_core::StorageErrorKind;

    #[test]
    fn a_full_disk_is_told_and_hurts_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let store = SqliteBackend::open(directory.path().join("store.sqlite")).unwrap();
        let room = |pages| {
            let room = |connection: &mut Connection| {
                connection.query_row(&format!("PRAGMA max_page_count = {pages}"), [], |_| Ok(()))
            };
            store.call(room).unwrap();
        };
        let put = |key: &str, length| {
            let mut batch = Batch::new();
            batch.put(key, vec![7; length]);
            store.commit(batch)
        };
        put("kept", 10).unwrap();
        room(8);
        assert_eq!(put("large", 100_000).unwrap_err().kind, StorageErrorKind::Full);
        assert_eq!(store.scan(b"", None, 9).unwrap(), [(b"kept".to_vec(), vec![7; 10])]);
        put("small", 10).unwrap();
        room(1000);
        put("large", 100_000).unwrap();
        assert_eq!(store.scan(b"", None, 9).unwrap().len(), 3);
    }
}
