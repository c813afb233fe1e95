//! The contract of a storage backend.

use std::error::Error;
use std::fmt;
use std::io;

/// A key and its value.
pub type Pair = (Vec<u8>, Vec<u8>);

/// An ordered key-value store: where a replica or a relay keeps its data.
///
/// Run `repliq-conformance` on your own backend: behind each sentence stand the cases
/// that hold it.
///
/// # Contract
/// - A new store is empty, and stores do not see each other (`opens_empty_and_isolated`).
/// - Keys and values are arbitrary bytes, empty ones included
///   (`keys_and_values_are_any_bytes`, `the_empty_key_is_a_key`,
///   `an_empty_value_is_a_value`).
/// - A key may have 1 KiB at least, a value 1 MiB at least and better 16 MiB
///   (`keys_of_1_kib_differ_in_their_last_byte`, `a_value_of_1_mib_reads_back`,
///   `a_value_of_16_mib_reads_back`).
/// - A key is no other key, its own extensions included
///   (`keys_that_extend_each_other_differ`).
/// - `get` gives the value that was put last, unless the key was deleted since
///   (`a_value_reads_back`, `a_put_replaces_the_value`, `an_absent_key_has_no_value`,
///   `a_deleted_key_has_no_value`), however often
///   (`a_key_put_many_times_keeps_its_last_value`).
/// - `scan` gives pairs in the order of the unsigned bytes of their keys, a key before
///   its extensions (`a_scan_gives_every_pair_with_its_value`,
///   `keys_sort_by_unsigned_bytes`, `a_shorter_key_sorts_before_its_extensions`).
/// - It gives those whose keys start with `prefix`, which is itself such a key
///   (`a_prefix_bounds_the_scan`, `a_prefix_is_itself_a_key`,
///   `a_prefix_of_ff_bytes_bounds_the_scan`, `an_unknown_prefix_gives_nothing`); no byte
///   of it stands for others (`a_prefix_is_no_pattern`).
/// - Of those it gives the ones that come after `after`, which is not given itself, and
///   need neither be there nor start with `prefix` (`after_is_exclusive`,
///   `after_an_absent_key_the_next_one_comes`, `after_the_empty_key_comes_everything_else`,
///   `after_a_key_before_the_prefix_gives_all`,
///   `after_a_key_past_the_prefix_gives_nothing`, `paging_sees_each_key_once`).
/// - Of those it gives the first `limit`: none if it is 0, all if it is larger than their
///   number, whatever that is (`a_limit_of_0_gives_nothing`, `a_limit_gives_the_first_pairs`,
///   `a_limit_counts_only_what_is_there`, `a_limit_larger_than_the_store_gives_all`,
///   `the_largest_limit_is_no_error`, `a_limit_may_be_any_number`).
/// - `commit` carries out every write of a batch in its order, so the last on a key wins
///   (`a_batch_applies_every_write`, `the_last_put_of_a_key_wins`,
///   `a_delete_after_a_put_wins`, `a_put_after_a_delete_wins`).
/// - To commit no write, or to delete an absent key, is no error
///   (`an_empty_batch_changes_nothing`, `deleting_an_absent_key_is_no_error`).
/// - A batch may have 10,000 writes (`a_batch_of_10_000_keys_lands`,
///   `a_batch_of_10_000_deletes_lands`).
/// - After any sequence of calls a store holds what a sorted map would hold
///   (`random_operations_match_a_sorted_map`,
///   `random_operations_with_reopens_match_a_sorted_map`).
/// - Calls may come from many threads at once: commits apply one after the other and none
///   is lost (`concurrent_commits_all_land`, `concurrent_commits_to_a_full_store_all_land`,
///   `concurrent_batches_apply_one_after_the_other`).
/// - What was committed is seen by every later call on every thread
///   (`another_thread_sees_what_was_committed`).
/// - One call sees one committed state: all of a batch, or nothing of it
///   (`a_scan_sees_all_of_a_batch_or_nothing`,
///   `a_scan_sees_all_of_a_large_batch_or_nothing`, `a_scan_sees_one_committed_state`,
///   `a_read_during_writes_gives_a_committed_value`, `an_overwritten_key_is_never_absent`).
/// - What was committed is there when the store is opened again, and nothing else
///   (`values_survive_a_reopen`, `deletes_survive_a_reopen`,
///   `the_last_batch_survives_a_drop_at_once`, `large_values_survive_a_reopen`,
///   `long_keys_survive_a_reopen`, `concurrent_commits_survive_a_reopen`,
///   `an_empty_store_reopens_empty`, `many_reopens_lose_nothing`).
/// - A store declares the same durability as long as it lives
///   (`the_declared_durability_stays`).
/// - To open a store that is open gives [`StorageErrorKind::Locked`], or a handle that
///   shares it (`a_second_handle_is_refused_or_shares_the_store`).
/// - Damage is [`StorageErrorKind::Corrupt`], never an absent key or a shorter scan
///   (`damage_is_told_and_never_taken_for_absence`); what a crash left half written is
///   none, and does not harm what comes after it (`a_torn_end_is_left_behind`).
/// - From [`Durability::Process`] on, a killed process loses nothing for which `commit`
///   gave `Ok`, and leaves no part of a batch (`a_killed_process_loses_nothing_acked`,
///   `a_killed_process_leaves_batches_whole`,
///   `a_killed_process_leaves_large_batches_whole`).
/// - At [`Durability::PowerCut`] a power cut loses nothing for which `commit` gave `Ok`
///   and leaves no part of a batch, whether the file system is cut off as it is
///   (`a_cut_file_system_loses_nothing_acked`, `a_cut_file_system_leaves_batches_whole`)
///   or keeps no more than was synced (`a_rebuilt_disk_loses_nothing_acked`,
///   `a_rebuilt_disk_leaves_batches_whole`).
///
/// # What no case shows
/// Only the backend's own tests can fill its disk or open it from a second process, and
/// only its author knows what it waits for:
/// - A full disk is [`StorageErrorKind::Full`], and the store can be read on.
/// - A second process gets [`StorageErrorKind::Locked`], unless processes share the store.
/// - A store whose commits may wait says so: [`StorageBackend::commits_at_once`] is `false`.
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

    /// Whether [`StorageBackend::commit`] comes back at once: it waits for no disk,
    /// no network, and no other thread that does. An update is then committed on
    /// the thread that makes it, if nobody else is committing; with `false`, which
    /// is always right, a thread of the engine does it.
    fn commits_at_once(&self) -> bool {
        false
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
