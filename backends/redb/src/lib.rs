//! The redb storage backend for Repliq: one file, safe against power cuts.
//!
//! It promises that a commit survives a power cut once it returns, and that a
//! damaged file is [`Corrupt`](repliq_core::StorageErrorKind::Corrupt), never an empty store. It
//! never writes into a file that is not a store, never panics, and never makes a
//! redb type public.
//!
//! The pairs lie in one redb table, `repliq/1`; the number is that of the format.
//! Opening verifies the checksum of every page, so it reads the whole file.
//!
//! # Errors
//! After an error other than a refused batch redb is opened again: the next call
//! finds what is durable, or reports why it cannot, and all goes on once there is
//! space again. Damage stays reported.

mod failure;
mod file;

use failure::from_redb;
use redb::{Database, Error, ReadableDatabase, TableDefinition};
use repliq_core::{Batch, Durability, Pair, Reopening, StorageBackend, StorageError};
use std::ops::Bound;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

/// Where the pairs are.
const PAIRS: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("repliq/1");

/// A store in a file, open once at a time.
///
/// With n keys stored, `get` costs O(log n), `scan` O(log n + limit), and `commit`
/// O(log n) for each write and one fsync. Keys and values have up to 3 GiB.
#[derive(Debug)]
pub struct RedbBackend {
    db: Reopening<Database>,
}

impl RedbBackend {
    /// Opens the store in a file, or makes one if there is no such file. Takes time
    /// in proportion to the size of the file.
    ///
    /// # Errors
    /// `Locked` when another handle or process has it open; `Corrupt` when it is
    /// damaged, or the file is something else than a store, which is then left
    /// untouched; `Unsupported` when a newer program wrote it; `Full`; `Io`.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, StorageError> {
        // A store that vanished is not made anew behind the back of who has it open.
        let (path, is_first) = (path.as_ref().to_owned(), AtomicBool::new(true));
        let open = move || file::open(&path, is_first.swap(false, Ordering::SeqCst));
        Ok(Self { db: Reopening::open(open)? })
    }

    fn call<T>(&self, work: impl FnOnce(&Database) -> Result<T, Error>) -> Result<T, StorageError> {
        self.db.call(|db| work(db).map_err(from_redb))
    }
}

impl StorageBackend for RedbBackend {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StorageError> {
        self.call(|db| {
            // What is found does not keep the transaction alive that keeps its pages.
            let reading = db.begin_read()?;
            let found = reading.open_table(PAIRS)?.get(key)?;
            Ok(found.map(|value| value.value().to_vec()))
        })
    }

    fn scan(
        &self,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<Pair>, StorageError> {
        let start = match after {
            Some(after) if after >= prefix => Bound::Excluded(after),
            _ => Bound::Included(prefix),
        };
        self.call(|db| {
            let mut pairs = Vec::new();
            let reading = db.begin_read()?;
            let range = (start, Bound::Unbounded);
            for found in reading.open_table(PAIRS)?.range::<&[u8]>(range)?.take(limit) {
                let (key, value) = found?;
                if !key.value().starts_with(prefix) {
                    break;
                }
                pairs.push((key.value().to_vec(), value.value().to_vec()));
            }
            Ok(pairs)
        })
    }

    fn commit(&self, batch: Batch) -> Result<(), StorageError> {
        self.call(|db| {
            if batch.is_empty() {
                return Ok(());
            }
            let mut transaction = db.begin_write()?;
            transaction.set_durability(redb::Durability::Immediate)?;
            let mut table = transaction.open_table(PAIRS)?;
            for (key, value) in batch.iter() {
                match value {
                    Some(value) => table.insert(key, value)?,
                    None => table.remove(key)?,
                };
            }
            drop(table);
            Ok(transaction.commit()?)
        })
    }

    fn durability(&self) -> Durability {
        Durability::PowerCut
    }
}
