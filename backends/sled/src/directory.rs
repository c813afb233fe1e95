//! The directory of a store: whose it is, who has it open, and which of its
//! commits were acknowledged. It promises that a foreign directory is left
//! untouched, that a store is open once, and that a store which came back older
//! or empty is found out. It never looks into sled's own files.
//!
//! The file `repliq-sled` makes a directory a store. It holds 32 bytes: the magic
//! `"repliq sled\n"`, the format as 4 bytes, the number of the last acknowledged
//! commit as 8 bytes and the complement of that number, big-endian. It is fsynced
//! before sled writes anything, and its number is overwritten after each fsync of
//! the log, the first time with an fsync of its own: it may lag after a power cut,
//! never lead, and while it is 0 nothing was ever acknowledged. What sled has
//! written until then may be cut short anywhere and is made anew.

use crate::failure::{damaged, from_io};
use repliq_core::{StorageError, StorageErrorKind};
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

const MARKER: &str = "repliq-sled";
const MAGIC: &[u8; 12] = b"repliq sled\n";
const FORMAT: u32 = 1;
const HEADER: usize = 16;

/// How long a store may take to close. Sled gives its lock back from a thread of
/// its own, some time after the last handle (spacejam/sled#1234).
const CLOSING: Duration = Duration::from_secs(5);

/// A store's directory, locked for this handle until it is dropped.
#[derive(Debug)]
pub(crate) struct Directory {
    path: PathBuf,
    marker: File,
    acknowledged: u64,
    untouched: AtomicBool,
}

impl Directory {
    /// Locks the store at `path`, or makes an empty one if nothing is there.
    pub(crate) fn enter(path: &Path) -> Result<Self, StorageError> {
        refuse_foreign(path)?;
        // The last ancestor of a relative path is empty: the current directory.
        let missing = |at: &&Path| !at.as_os_str().is_empty() && !at.exists();
        let made: Vec<_> = path.ancestors().take_while(missing).collect();
        fs::create_dir_all(path).map_err(from_io)?;
        let path = path.canonicalize().map_err(from_io)?;
        let marker = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path.join(MARKER))
            .map_err(from_io)?;
        match marker.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(locked(&path)),
            Err(TryLockError::Error(error)) => return Err(from_io(error)),
        }
        let untouched = AtomicBool::new(false);
        let mut directory = Self { path, marker, acknowledged: 0, untouched };
        directory.read_or_write_marker().map_err(from_io)??;
        for made in made {
            if let Some(parent) = made.canonicalize().map_err(from_io)?.parent() {
                sync_directory(parent).map_err(from_io)?;
            }
        }
        directory.await_sled()?;
        if directory.acknowledged == 0 {
            directory.untouched = AtomicBool::new(true);
            directory.remove(|name| name == "db" || name == "conf" || name.starts_with("snap."))?;
        }
        // Sled takes a snapshot that was cut short while it was written for its
        // newest and refuses to open: it writes `.generating`, but leaves out
        // `.in___motion` when it looks (0.34.7, `get_snapshot_files`).
        directory.remove(|name| name.starts_with("snap.") && name.ends_with(".generating"))?;
        Ok(directory)
    }

    /// Removes files that sled makes anew.
    fn remove(&self, which: impl Fn(&str) -> bool) -> Result<(), StorageError> {
        for entry in fs::read_dir(&self.path).map_err(from_io)? {
            let entry = entry.map_err(from_io)?;
            if which(&entry.file_name().to_string_lossy()) {
                fs::remove_file(entry.path()).map_err(from_io)?;
            }
        }
        Ok(())
    }

    fn read_or_write_marker(&mut self) -> io::Result<Result<(), StorageError>> {
        let mut bytes = Vec::new();
        (&self.marker).take(64).read_to_end(&mut bytes)?;
        if !bytes.is_empty() {
            return Ok(parse(&bytes).map(|number| self.acknowledged = number));
        }
        if fs::read_dir(&self.path)?.count() > 1 {
            return Ok(Err(damaged(format!("{} is empty", self.path.join(MARKER).display()))));
        }
        let header = [MAGIC.as_slice(), &FORMAT.to_be_bytes(), &number_bytes(0)].concat();
        (&self.marker).write_all(&header)?;
        self.marker.sync_all()?;
        sync_directory(&self.path)?;
        Ok(Ok(()))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The last commit known to have been acknowledged when the store was opened.
    pub(crate) fn acknowledged(&self) -> u64 {
        self.acknowledged
    }

    /// Notes that a commit is durable and about to be acknowledged.
    pub(crate) fn acknowledge(&self, number: u64) -> Result<(), StorageError> {
        let mut marker = &self.marker;
        marker
            .seek(SeekFrom::Start(HEADER as u64))
            .and_then(|_| marker.write_all(&number_bytes(number)))
            .and_then(|()| {
                let first = self.untouched.swap(false, Ordering::Relaxed);
                if first { marker.sync_data() } else { Ok(()) }
            })
            .map_err(from_io)
    }

    /// Makes the files that sled has just opened or made durable, names included.
    /// Gives a handle of sled's log, for fsync.
    pub(crate) fn sync_files(&self) -> Result<File, StorageError> {
        let sync = || {
            let log = OpenOptions::new().write(true).open(self.path.join("db"))?;
            log.sync_all()?;
            OpenOptions::new().write(true).open(self.path.join("conf"))?.sync_all()?;
            sync_directory(&self.path)?;
            self.path.parent().map_or(Ok(()), sync_directory)?;
            Ok(log)
        };
        sync().map_err(from_io)
    }

    /// Waits until no handle of sled is open any more.
    pub(crate) fn await_sled(&self) -> Result<(), StorageError> {
        let log = match OpenOptions::new().write(true).open(self.path.join("db")) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            opened => opened.map_err(from_io)?,
        };
        let began = Instant::now();
        loop {
            match log.try_lock() {
                Ok(()) => return log.unlock().map_err(from_io),
                Err(TryLockError::Error(error)) => return Err(from_io(error)),
                Err(TryLockError::WouldBlock) if began.elapsed() > CLOSING => {
                    return Err(locked(&self.path));
                }
                Err(TryLockError::WouldBlock) => thread::sleep(Duration::from_millis(1)),
            }
        }
    }
}

/// A path is ours if nothing is there, or an empty directory, or a store.
fn refuse_foreign(path: &Path) -> Result<(), StorageError> {
    let mut entries = match fs::read_dir(path) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => {
            return Err(no_store(path, "is a file"));
        }
        Err(error) => return Err(from_io(error)),
    };
    if entries.next().is_some() && !path.join(MARKER).is_file() {
        return Err(no_store(path, "holds files that are no store"));
    }
    Ok(())
}

fn no_store(path: &Path, why: &str) -> StorageError {
    damaged(format!("{} {why}: choose a store, or a new or empty directory", path.display()))
}

fn locked(path: &Path) -> StorageError {
    StorageError::new(StorageErrorKind::Locked, path.display().to_string())
}

fn number_bytes(number: u64) -> [u8; 16] {
    ((u128::from(number) << 64) | u128::from(!number)).to_be_bytes()
}

fn parse(bytes: &[u8]) -> Result<u64, StorageError> {
    let parts = bytes.split_first_chunk::<12>().and_then(|(magic, rest)| {
        let (format, rest) = rest.split_first_chunk::<4>()?;
        let (number, rest) = rest.split_first_chunk::<8>()?;
        let complement: [u8; 8] = rest.try_into().ok()?;
        Some((magic, u32::from_be_bytes(*format), number, u64::from_be_bytes(complement)))
    });
    match parts {
        Some((MAGIC, format, _, _)) if format > FORMAT => Err(StorageError::new(
            StorageErrorKind::Unsupported,
            format!("the store has format {format}, this program knows {FORMAT}: update it"),
        )),
        Some((MAGIC, FORMAT, number, complement)) if u64::from_be_bytes(*number) == !complement => {
            Ok(u64::from_be_bytes(*number))
        }
        _ => Err(damaged(format!("{MARKER} is damaged, or not of a store"))),
    }
}

/// Makes the names in a directory durable. Elsewhere than on Unix a directory
/// cannot be synced, and need not be.
#[cfg_attr(not(unix), allow(unused_variables, clippy::unnecessary_wraps))]
fn sync_directory(path: &Path) -> io::Result<()> {
    #[cfg(unix)]
    File::open(path)?.sync_all()?;
    Ok(())
}
