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
//!
//! While sled opens a store it renames a new index into place and removes the old one,
//! and syncs neither name. Where the removal survives a power cut and the rename does
//! not, the log alone is no store any more: its first segments are long written over.
//! So `kept.snap.…` is a synced copy of the index while sled opens the store.

use crate::failure::damaged;
use repliq_core::{StorageError, StorageErrorKind};
use std::fs::{self, DirEntry, File, TryLockError};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::thread;
use std::time::{Duration, Instant};

const MARKER: &str = "repliq-sled";
/// What the name of an index begins with.
const INDEX: &str = "snap.";
/// What the name of its copy has before that.
const KEPT: &str = "kept.";
/// What the name of an index ends with that is not yet whole.
const UNFINISHED: &str = ".generating";
const MAGIC: &[u8; 12] = b"repliq sled\n";
const FORMAT: u32 = 1;
const HEADER: u64 = 16;

/// How long a store may take to close. Sled gives its lock back from a thread of
/// its own, some time after the last handle (spacejam/sled#1234).
const CLOSING: Duration = Duration::from_secs(5);

/// A store's directory, locked for this handle until it is dropped.
#[derive(Debug)]
pub(crate) struct Directory {
    path: PathBuf,
    marker: File,
    acknowledged: AtomicU64,
    /// How many directories have names that may not be durable: its own, the one
    /// around it, and those around the ones that were made for it.
    unsynced: usize,
}

impl Directory {
    /// Locks the store at `path`, or makes an empty one if nothing is there.
    pub(crate) fn enter(path: &Path) -> Result<Self, StorageError> {
        refuse_foreign(path)?;
        // The last ancestor of a relative path is empty: the current directory.
        let missing = |at: &&Path| !at.as_os_str().is_empty() && !at.exists();
        let unsynced = 2 + path.ancestors().take_while(missing).count();
        fs::create_dir_all(path)?;
        let path = path.canonicalize()?;
        let mut marker = File::options();
        let marker = marker.read(true).write(true).create(true).truncate(false);
        let mut marker = marker.open(path.join(MARKER))?;
        match marker.try_lock() {
            Err(TryLockError::WouldBlock) => return Err(locked(&path)),
            Err(TryLockError::Error(error)) => return Err(error.into()),
            Ok(()) => {}
        }
        let mut bytes = Vec::new();
        (&marker).take(64).read_to_end(&mut bytes)?;
        if bytes.is_empty() {
            if fs::read_dir(&path)?.count() > 1 {
                return Err(damaged(format!("{} is empty", path.join(MARKER).display())));
            }
            bytes = [MAGIC.as_slice(), &FORMAT.to_be_bytes(), &number_bytes(0)].concat();
            marker.write_all(&bytes)?;
            marker.sync_all()?;
            sync_directory(&path)?;
        }
        let acknowledged = parse(&bytes)?.into();
        Ok(Self { path, marker, acknowledged, unsynced })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The last commit known to have been acknowledged.
    pub(crate) fn acknowledged(&self) -> u64 {
        self.acknowledged.load(SeqCst)
    }

    /// Notes that a commit is durable and about to be acknowledged.
    pub(crate) fn acknowledge(&self, number: u64) -> io::Result<()> {
        let mut marker = &self.marker;
        marker.seek(SeekFrom::Start(HEADER))?;
        marker.write_all(&number_bytes(number))?;
        if self.acknowledged.swap(number, SeqCst) == 0 { marker.sync_data() } else { Ok(()) }
    }

    /// Makes sure that sled may open its files: no handle of it is open any more,
    /// what was never acknowledged is gone, and so are indexes of which the writing
    /// was cut short (`snap.….generating`), which sled would take for damage. The index
    /// has a copy, or is made anew from the one it had.
    pub(crate) fn prepare(&self) -> Result<(), StorageError> {
        self.await_sled()?;
        let is_new = self.acknowledged() == 0;
        for name in self.names()? {
            let is_index = name.starts_with(INDEX) || name.starts_with(KEPT);
            if is_index && name.ends_with(UNFINISHED)
                || is_new && (is_index || name == "db" || name == "conf")
            {
                fs::remove_file(self.path.join(name))?;
            }
        }
        let newest = |prefix| Ok::<_, io::Error>(self.named(prefix)?.into_iter().max());
        match (newest(INDEX)?, newest(KEPT)?) {
            (Some(index), _) => {
                self.copy(&index, &[KEPT, &index].concat())?;
                sync_directory(&self.path)?;
            }
            (None, Some(kept)) => {
                let index = kept.strip_prefix(KEPT).unwrap_or(&kept);
                let unfinished = [index, UNFINISHED].concat();
                self.copy(&kept, &unfinished)?;
                fs::rename(self.path.join(unfinished), self.path.join(index))?;
            }
            (None, None) => {}
        }
        Ok(())
    }

    fn names(&self) -> io::Result<Vec<String>> {
        let name = |entry: io::Result<DirEntry>| Ok(entry?.file_name().into_string().ok());
        fs::read_dir(&self.path)?.filter_map(|entry| name(entry).transpose()).collect()
    }

    fn named(&self, prefix: &str) -> io::Result<Vec<String>> {
        let mut names = self.names()?;
        names.retain(|name| name.starts_with(prefix));
        Ok(names)
    }

    /// Makes a durable copy, but for its name.
    fn copy(&self, from: &str, to: &str) -> io::Result<()> {
        let bytes = fs::read(self.path.join(from))?;
        let mut file = File::create(self.path.join(to))?;
        file.write_all(&bytes)?;
        file.sync_all()
    }

    /// Makes the files that sled has just opened or made durable, names included, so
    /// that no copy of the index is needed any more.
    /// Gives a handle of sled's log, for fsync.
    pub(crate) fn sync_files(&self) -> io::Result<File> {
        let open = |name| File::options().write(true).open(self.path.join(name));
        open("conf")?.sync_all()?;
        let log = open("db")?;
        log.sync_all()?;
        self.path.ancestors().take(self.unsynced).try_for_each(sync_directory)?;
        self.named(KEPT)?.into_iter().try_for_each(|name| fs::remove_file(self.path.join(name)))?;
        Ok(log)
    }

    fn await_sled(&self) -> Result<(), StorageError> {
        let log = match File::options().write(true).open(self.path.join("db")) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            opened => opened?,
        };
        let patience = Instant::now() + CLOSING;
        while let Err(error) = log.try_lock() {
            match error {
                TryLockError::Error(error) => return Err(error.into()),
                TryLockError::WouldBlock if Instant::now() > patience => {
                    return Err(locked(&self.path));
                }
                TryLockError::WouldBlock => thread::sleep(Duration::from_millis(1)),
            }
        }
        Ok(log.unlock()?)
    }
}

impl Drop for Directory {
    /// Whoever opens the store next finds it closed.
    fn drop(&mut self) {
        let _ = self.await_sled();
    }
}

/// A path is ours if nothing is there, or an empty directory, or a store.
fn refuse_foreign(path: &Path) -> Result<(), StorageError> {
    let foreign = match fs::read_dir(path).map(|mut entries| entries.next().is_some()) {
        Ok(is_filled) if is_filled && !path.join(MARKER).is_file() => {
            "holds files that are no store"
        }
        Err(error) if error.kind() == ErrorKind::NotADirectory => "is a file",
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error.into()),
        _ => return Ok(()),
    };
    let path = path.display();
    Err(damaged(format!("{path} {foreign}: choose a store, or a new or empty directory")))
}

fn locked(path: &Path) -> StorageError {
    StorageError::new(StorageErrorKind::Locked, path.display().to_string())
}

fn number_bytes(number: u64) -> [u8; 16] {
    ((u128::from(number) << 64) | u128::from(!number)).to_be_bytes()
}

/// The number in a marker.
fn parse(bytes: &[u8]) -> Result<u64, StorageError> {
    let rest = bytes.strip_prefix(MAGIC).and_then(<[u8]>::split_first_chunk);
    let format = rest.map(|(format, _)| u32::from_be_bytes(*format));
    if let Some(newer) = format.filter(|format| *format > FORMAT) {
        let why = format!("the store has format {newer}, this program knows {FORMAT}: update it");
        return Err(StorageError::new(StorageErrorKind::Unsupported, why));
    }
    let number = rest.filter(|_| format == Some(FORMAT)).and_then(|(_, bytes)| {
        let number = u64::from_be_bytes(*bytes.first_chunk()?);
        (bytes == number_bytes(number)).then_some(number)
    });
    number.ok_or_else(|| damaged(format!("{MARKER} is damaged, or not of a store")))
}

/// Makes the names in a directory durable. Elsewhere than on Unix a directory
/// cannot be synced, and need not be.
#[cfg_attr(not(unix), allow(unused_variables, clippy::unnecessary_wraps))]
fn sync_directory(path: &Path) -> io::Result<()> {
    #[cfg(unix)]
    File::open(path)?.sync_all()?;
    Ok(())
}
