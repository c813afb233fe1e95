//! The sled storage backend for Repliq: sled 0.34, made durable and suspicious.
//!
//! It promises that a commit survives a power cut once it returns, that damage
//! is a typed error but for one case below, and that a store lost, cut short or
//! rolled back is [`Corrupt`](StorageErrorKind::Corrupt), never an empty one. It never
//! writes into a directory that is not a store, never panics, and never makes a
//! sled type public.
//!
//! # Durability
//! Sled's `flush` is `sync_file_range`, not fsync (spacejam/sled#1452), so each
//! commit also fsyncs sled's log (`fdatasync`) before it returns; commits that wait together
//! share one. Opening fsyncs sled's files and the directories. Values over 64 KiB
//! are split (see the module `record`), because sled's blob files are not fsynced
//! and are deleted before what replaces them is durable.
//!
//! # Errors
//! The first error other than a refused batch closes the store: every later call
//! reports it, because what sled holds in memory may then differ from the disk.
//! Opening the store again gives what is durable.
//!
//! # What sled does not notice
//! Each commit carries a number; the number of the last acknowledged one lies
//! beside the log, so a log that lost its end is noticed. The log that was
//! written since the store was last opened is read by sled as far as its first
//! damaged segment of 8 MiB allows: bytes that rot in the *middle* of such a
//! log, before its last segment, can be skipped silently, and older values come
//! back. Of 900 damages spread over two such logs of 46 and 62 MiB, 6 gave older
//! or missing values without an error. What was written before the last opening
//! is checksummed and reads back as `Corrupt`.

mod directory;
mod failure;
mod record;

use directory::Directory;
use parking_lot::{Mutex, RwLock};
use repliq_core::{Batch, Durability, Pair, StorageBackend, StorageError, StorageErrorKind};
use std::fs::File;
use std::ops::Bound;
use std::path::Path;
use std::sync::OnceLock;

/// What sled keeps in memory at most, beside what it is writing.
const CACHE_BYTES: u64 = 16 << 20;
/// Large, so that nothing we store becomes a blob file.
const SEGMENT_BYTES: usize = 8 << 20;

/// A store in a directory, open once at a time. Keys have up to 4 KiB.
///
/// With n keys stored, `get` costs O(log n), `scan` O(log n + limit), and
/// `commit` O(log n) for each write and one fsync. Dropping it closes the store
/// before it returns.
pub struct SledBackend {
    db: Option<sled::Db>,
    log: File,
    directory: Directory,
    committed: RwLock<Committed>,
    durable: Mutex<u64>,
    failed: OnceLock<(StorageErrorKind, String)>,
}

/// What readers may see; locked for writing while a batch is applied.
struct Committed {
    number: u64,
    has_chunks: bool,
}

impl SledBackend {
    /// Opens the store in a directory, or makes one if nothing is there or the
    /// directory is empty. Takes time in proportion to what was written since the
    /// store was last opened.
    ///
    /// # Errors
    /// `Locked` when another handle or process has it open; `Corrupt` when it is
    /// damaged, or the path is something else than a store, which is then left
    /// untouched; `Unsupported` when a newer program wrote it; `Full` when not even
    /// 8 MiB are free; `Io`.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, StorageError> {
        let directory = Directory::enter(path.as_ref())?;
        failure::caught(|| {
            let db = sled::Config::new()
                .path(directory.path())
                .mode(sled::Mode::HighThroughput)
                .cache_capacity(CACHE_BYTES)
                .segment_size(SEGMENT_BYTES)
                .flush_every_ms(None)
                .open()
                .map_err(failure::from_sled)?;
            let number = record::last_commit(&db)?;
            let acknowledged = directory.acknowledged();
            if number < acknowledged {
                let why = format!("commit {acknowledged} was acknowledged, {number} is the last");
                return Err(failure::damaged(why));
            }
            let committed = Committed { number, has_chunks: record::has_chunks(&db)? };
            db.flush().map_err(failure::from_sled)?;
            Ok(Self {
                log: directory.sync_files()?,
                db: Some(db),
                directory,
                committed: RwLock::new(committed),
                durable: Mutex::new(number),
                failed: OnceLock::new(),
            })
        })
    }

    fn call<T>(
        &self,
        work: impl FnOnce(&sled::Db) -> Result<T, StorageError>,
    ) -> Result<T, StorageError> {
        if let Some((kind, why)) = self.failed.get() {
            return Err(StorageError::new(*kind, format!("{why}; open the store again")));
        }
        let db = self.db.as_ref().ok_or(StorageErrorKind::Closed)?;
        failure::caught(|| work(db)).inspect_err(|error| {
            let why = error.source.as_ref().map_or_else(String::new, ToString::to_string);
            let _ = self.failed.set((error.kind, why));
        })
    }
}

impl StorageBackend for SledBackend {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StorageError> {
        let _committed = self.committed.read();
        self.call(|db| {
            let found = db.get(record::pair_key(key)).map_err(failure::from_sled)?;
            found.map(|record| record::value(db, &record)).transpose()
        })
    }

    fn scan(
        &self,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<Pair>, StorageError> {
        let start = match after {
            Some(after) if after >= prefix => Bound::Excluded(record::pair_key(after)),
            _ => Bound::Included(record::pair_key(prefix)),
        };
        let _committed = self.committed.read();
        self.call(|db| {
            let mut pairs = Vec::new();
            for found in db.range((start, Bound::Unbounded)).take(limit) {
                let (key, record) = found.map_err(failure::from_sled)?;
                match key.strip_prefix(&[record::PAIR]) {
                    Some(key) if key.starts_with(prefix) => {
                        pairs.push((key.to_vec(), record::value(db, &record)?));
                    }
                    _ => break,
                }
            }
            Ok(pairs)
        })
    }

    fn commit(&self, batch: Batch) -> Result<(), StorageError> {
        record::check(&batch)?;
        if batch.is_empty() {
            return self.call(|_| Ok(()));
        }
        let mut committed = self.committed.write();
        let number = committed.number + 1;
        self.call(|db| {
            let records = record::records(db, number, batch, &mut committed.has_chunks)?;
            db.apply_batch(records).map_err(failure::from_sled)
        })?;
        committed.number = number;
        drop(committed);
        self.sync(number)
    }

    fn durability(&self) -> Durability {
        Durability::PowerCut
    }
}

impl SledBackend {
    /// Returns when this commit is durable. Whoever comes first syncs for all
    /// that are waiting.
    fn sync(&self, number: u64) -> Result<(), StorageError> {
        let mut durable = self.durable.lock();
        if *durable >= number {
            return Ok(());
        }
        let newest = self.committed.read().number;
        self.call(|db| {
            db.flush().map_err(failure::from_sled)?;
            self.log.sync_data().map_err(failure::from_io)?;
            self.directory.acknowledge(newest)
        })?;
        *durable = newest;
        Ok(())
    }
}

impl Drop for SledBackend {
    fn drop(&mut self) {
        let db = self.db.take();
        let _ = failure::caught(|| {
            drop(db);
            self.directory.await_sled()
        });
    }
}

impl std::fmt::Debug for SledBackend {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SledBackend").field("path", &self.directory.path()).finish_non_exhaustive()
    }
}
