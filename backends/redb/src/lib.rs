//! The redb storage backend for Repliq: one file, safe against power cuts.
//!
//! It promises that a commit survives a power cut once it returns, and that a
//! damaged file is [`Corrupt`](StorageErrorKind::Corrupt), never an empty store. It
//! never writes into a file that is not a store, never panics, and never makes a
//! redb type public.
//!
//! The pairs lie in one redb table, `repliq/1`; the number is that of the format.
//! Opening verifies the checksum of every page, so it reads the whole file.
//!
//! # Errors
//! The first error other than a refused batch closes the store: every later call
//! reports it. Opening the store again gives what is durable.

mod failure;
mod file;

use redb::{Database, ReadableDatabase, TableDefinition};
use repliq_core::{Batch, Durability, Pair, StorageBackend, StorageError, StorageErrorKind};
use std::ops::Bound;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// Where the pairs are.
const PAIRS: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("repliq/1");

/// A store in a file, open once at a time.
///
/// With n keys stored, `get` costs O(log n), `scan` O(log n + limit), and `commit`
/// O(log n) for each write and one fsync. Keys and values have up to 3 GiB.
pub struct RedbBackend {
    db: Database,
    path: PathBuf,
    failed: OnceLock<(StorageErrorKind, String)>,
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
        let path = path.as_ref().to_owned();
        let db = failure::caught(|| file::open(&path))?;
        Ok(Self { db, path, failed: OnceLock::new() })
    }

    fn call<T>(
        &self,
        work: impl FnOnce(&Database) -> Result<T, redb::Error>,
    ) -> Result<T, StorageError> {
        if let Some((kind, why)) = self.failed.get() {
            return Err(StorageError::new(*kind, format!("{why}; open the store again")));
        }
        let done = failure::caught(|| work(&self.db).map_err(failure::from_redb));
        done.inspect_err(|error| {
            if error.kind != StorageErrorKind::Unsupported {
                let why = error.source.as_ref().map_or_else(String::new, ToString::to_string);
                let _ = self.failed.set((error.kind, why));
            }
        })
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
            for found in
                reading.open_table(PAIRS)?.range::<&[u8]>((start, Bound::Unbounded))?.take(limit)
            {
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

impl std::fmt::Debug for RedbBackend {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RedbBackend").field("path", &self.path).finish_non_exhaustive()
    }
}
