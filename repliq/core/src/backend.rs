//! The contract of a storage backend.

use std::error::Error;
use std::fmt;
use std::io;

/// A key and its value.
pub type Pair = (Vec<u8>, Vec<u8>);

/// An ordered key-value store: where a replica or a relay keeps its data.
///
/// Each sentence is held by a case of `repliq-conformance`; run that suite on
/// your own backend. Keys and values are arbitrary bytes, empty ones included.
/// Keys sort by their raw bytes. Calls may come from many threads at once. A
/// new store is empty, and stores do not see each other.
pub trait StorageBackend: Send + Sync + 'static {
    /// The value of a key, or `None` if it has none.
    ///
    /// # Errors
    /// [`StorageError`]. Damage is [`StorageErrorKind::Corrupt`], never `None`.
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StorageError>;

    /// The first `limit` pairs, in the order of their keys, whose keys start
    /// with `prefix` and come after `after` (exclusive). One call sees one
    /// committed state. A `limit` of 0 gives nothing.
    ///
    /// # Errors
    /// [`StorageError`]. Damage is [`StorageErrorKind::Corrupt`], never an
    /// incomplete answer.
    fn scan(
        &self,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<Pair>, StorageError>;

    /// Carries out a batch: all of it, or nothing. `Ok` means durable at the
    /// level that [`StorageBackend::durability`] declares.
    ///
    /// # Errors
    /// [`StorageError`]: the batch is then wholly applied or not at all, and the
    /// caller may not assume which.
    fn commit(&self, batch: Batch) -> Result<(), StorageError>;

    /// What `Ok` from [`StorageBackend::commit`] survives.
    fn durability(&self) -> Durability {
        Durability::Volatile
    }
}

/// What a committed batch survives. Larger includes smaller.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[non_exhaustive]
pub enum Durability {
    /// Nothing: it is gone when the process ends.
    Volatile,
    /// The end of the process, `kill -9` included.
    Process,
    /// A power cut, on hardware that honours fsync.
    PowerCut,
}

impl fmt::Display for Durability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Volatile => "volatile",
            Self::Process => "process",
            Self::PowerCut => "powercut",
        })
    }
}

/// An ordered list of puts and deletes; the last on a key wins.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[must_use = "a batch does nothing until it is committed"]
pub struct Batch {
    writes: Vec<(Vec<u8>, Option<Vec<u8>>)>,
    bytes: usize,
}

impl Batch {
    /// An empty batch.
    pub const fn new() -> Self {
        Self { writes: Vec::new(), bytes: 0 }
    }

    /// Sets the value of a key.
    pub fn put(&mut self, key: impl Into<Vec<u8>>, value: impl Into<Vec<u8>>) {
        self.push(key.into(), Some(value.into()));
    }

    /// Removes a key; it need not exist.
    pub fn delete(&mut self, key: impl Into<Vec<u8>>) {
        self.push(key.into(), None);
    }

    fn push(&mut self, key: Vec<u8>, value: Option<Vec<u8>>) {
        self.bytes += key.len() + value.as_ref().map_or(0, Vec::len);
        self.writes.push((key, value));
    }

    /// The writes in order: a key with its new value, or `None` for a removal.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&[u8], Option<&[u8]>)> + '_ {
        self.writes.iter().map(|(key, value)| (key.as_slice(), value.as_deref()))
    }

    /// How many writes there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.writes.len()
    }

    /// Whether there is nothing to do.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.writes.is_empty()
    }

    /// The bytes of all keys and values together.
    #[must_use]
    pub const fn bytes(&self) -> usize {
        self.bytes
    }
}

impl IntoIterator for Batch {
    type Item = (Vec<u8>, Option<Vec<u8>>);
    type IntoIter = std::vec::IntoIter<Self::Item>;

    /// The writes in order, by value.
    fn into_iter(self) -> Self::IntoIter {
        self.writes.into_iter()
    }
}

/// What went wrong in a backend.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum StorageErrorKind {
    /// Reading or writing failed.
    Io,
    /// What is stored is damaged, or is not a store.
    Corrupt,
    /// There is no space left.
    Full,
    /// Another process, or another handle, has the store open.
    Locked,
    /// The store was closed.
    Closed,
    /// The store cannot do this, or was written by a newer format.
    Unsupported,
}

/// An error of a backend: its kind, and what the engine underneath said.
#[derive(Debug)]
pub struct StorageError {
    /// What went wrong.
    pub kind: StorageErrorKind,
    /// The cause.
    pub source: Option<Box<dyn Error + Send + Sync>>,
}

impl StorageError {
    /// An error with its cause.
    pub fn new(kind: StorageErrorKind, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self { kind, source: Some(source.into()) }
    }
}

impl From<StorageErrorKind> for StorageError {
    fn from(kind: StorageErrorKind) -> Self {
        Self { kind, source: None }
    }
}

impl From<io::Error> for StorageError {
    fn from(error: io::Error) -> Self {
        let kind = match error.kind() {
            io::ErrorKind::StorageFull
            | io::ErrorKind::QuotaExceeded
            | io::ErrorKind::FileTooLarge => StorageErrorKind::Full,
            io::ErrorKind::InvalidData => StorageErrorKind::Corrupt,
            _ => StorageErrorKind::Io,
        };
        Self::new(kind, error)
    }
}

impl fmt::Display for StorageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.kind {
            StorageErrorKind::Io => "reading or writing the store failed",
            StorageErrorKind::Corrupt => {
                "the store is damaged, or is none: restore it from a backup or a peer, or choose another place"
            }
            StorageErrorKind::Full => "the disk is full: free some space and try again",
            StorageErrorKind::Locked => {
                "the store is in use: close the other process or handle that has it open"
            }
            StorageErrorKind::Closed => "the store is closed",
            StorageErrorKind::Unsupported => "the store does not support this",
        })?;
        match &self.source {
            Some(source) => write!(f, " ({source})"),
            None => Ok(()),
        }
    }
}

impl Error for StorageError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}
