//! The sled storage backend for Repliq: sled 0.34, made durable and suspicious.
//!
//! It promises that a commit survives a power cut once it returns, that damage
//! is a typed error but for one case below, and that a store lost, cut short or
//! rolled back is [`Corrupt`](repliq_core::StorageErrorKind::Corrupt), never an empty one. It never
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
//! After an error other than a refused batch sled is opened again, because what it
//! holds in memory may then differ from the disk: the next call finds what is
//! durable, or reports why it cannot, and all goes on once there is space again.
//! Damage stays reported.
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
use failure::from_sled;
use parking_lot::{Mutex, RwLock};
use repliq_core::{Batch, Durability, Pair, Reopening, StorageBackend, StorageError};
use std::fmt;
use std::fs::File;
use std::ops::Bound;
use std::path::{Path, PathBuf};
use std::sync::Arc;

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
    store: Reopening<Store>,
    path: PathBuf,
}

/// A store in sled, until its first error.
struct Store {
    db: sled::Db,
    log: File,
    directory: Arc<Directory>,
    committed: RwLock<Committed>,
    durable: Mutex<u64>,
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
        let directory = Arc::new(Directory::enter(path.as_ref())?);
        let path = directory.path().to_owned();
        let store = Reopening::open(move || Store::open(Arc::clone(&directory)))?;
        Ok(Self { store, path })
    }
}

impl StorageBackend for SledBackend {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StorageError> {
        self.store.call(|store| store.get(key))
    }

    fn scan(
        &self,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<Pair>, StorageError> {
        self.store.call(|store| store.scan(prefix, after, limit))
    }

    fn commit(&self, batch: Batch) -> Result<(), StorageError> {
        self.store.call(|store| store.commit(batch))
    }

    fn durability(&self) -> Durability {
        Durability::PowerCut
    }
}

impl Store {
    fn open(directory: Arc<Directory>) -> Result<Self, StorageError> {
        directory.prepare()?;
        let config = sled::Config::new()
            .path(directory.path())
            .mode(sled::Mode::HighThroughput)
            .cache_capacity(CACHE_BYTES)
            .segment_size(SEGMENT_BYTES)
            .flush_every_ms(None);
        let db = config.open().map_err(from_sled)?;
        let (number, acknowledged) = (record::last_commit(&db)?, directory.acknowledged());
        if number < acknowledged {
            let why = format!("commit {acknowledged} was acknowledged, {number} is the last");
            return Err(failure::damaged(why));
        }
        let committed = RwLock::new(Committed { number, has_chunks: record::has_chunks(&db)? });
        db.flush().map_err(from_sled)?;
        let log = directory.sync_files()?;
        Ok(Self { db, log, directory, committed, durable: Mutex::new(number) })
    }

    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StorageError> {
        let _committed = self.committed.read();
        let found = self.db.get(record::pair_key(key)).map_err(from_sled)?;
        found.map(|record| record::value(&self.db, &record)).transpose()
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
        let mut pairs = Vec::new();
        for found in self.db.range((start, Bound::Unbounded)).take(limit) {
            let (key, record) = found.map_err(from_sled)?;
            match key.strip_prefix(&[record::PAIR]) {
                Some(key) if key.starts_with(prefix) => {
                    pairs.push((key.to_vec(), record::value(&self.db, &record)?));
                }
                _ => break,
            }
        }
        Ok(pairs)
    }

    /// Applies a batch, and returns when it is durable. Whoever comes first syncs
    /// for all that are waiting.
    fn commit(&self, batch: Batch) -> Result<(), StorageError> {
        record::check(&batch)?;
        if batch.is_empty() {
            return Ok(());
        }
        let mut committed = self.committed.write();
        let number = committed.number + 1;
        let records = record::records(&self.db, number, batch, &mut committed.has_chunks)?;
        self.db.apply_batch(records).map_err(from_sled)?;
        committed.number = number;
        drop(committed);
        let mut durable = self.durable.lock();
        if *durable < number {
            let newest = self.committed.read().number;
            self.db.flush().map_err(from_sled)?;
            self.log.sync_data()?;
            self.directory.acknowledge(newest)?;
            *durable = newest;
        }
        Ok(())
    }
}

impl fmt::Debug for SledBackend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SledBackend").field("path", &self.path).finish_non_exhaustive()
    }
}
