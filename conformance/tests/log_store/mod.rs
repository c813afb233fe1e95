//! A small right backend that survives power cuts, a map in memory and a log with
//! checksums, and the faults it can be given. Only the tests of the suite know it.

#![allow(clippy::unwrap_used, clippy::panic)]

use repliq_conformance::backend::{BackendHarness, Shows, Stores};
use repliq_core::{Batch, Durability, Pair, StorageBackend, StorageError, StorageErrorKind};
use std::collections::BTreeMap;
use std::env;
use std::fs::{self, File, OpenOptions};
use std::hash::{DefaultHasher, Hasher};
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tempfile::TempDir;

/// Where a child process finds its store, and which fault it has.
pub(crate) const STORE: &str = "REPLIQ_LOG_STORE";
const FAULT: &str = "REPLIQ_LOG_FAULT";

/// How a backend is broken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Fault {
    None,
    /// Leaves it to the operating system when to write.
    NeverSyncs,
    /// Syncs the log, but not the directory that it made it in.
    NewNameNotSynced,
    /// Replaces a file by a new one, and syncs only the new one.
    RenameNotSynced,
    /// Replaces a file by a new one, and syncs only the directory.
    RenamesUnsyncedFile,
    /// Syncs every eighth commit.
    AcksBeforeSyncing,
    /// Overwrites its header in place, and makes the store anew when the header
    /// does not read.
    EmptyWhenItsHeaderIsTorn,
    /// Panics when the log ends in the middle of a frame.
    PanicsOnATornEnd,
    /// Truncates the file and writes it anew.
    RewritesInPlace,
    /// Appends, and syncs, each write of a batch for itself.
    SyncsWriteByWrite,
    /// Trusts the length of a frame.
    NoChecksums,
    /// Takes up after the torn end of a log without cutting it off.
    AppendsAfterATornEnd,
}

const FAULTS: [Fault; 12] = [
    Fault::None,
    Fault::NeverSyncs,
    Fault::NewNameNotSynced,
    Fault::RenameNotSynced,
    Fault::RenamesUnsyncedFile,
    Fault::AcksBeforeSyncing,
    Fault::EmptyWhenItsHeaderIsTorn,
    Fault::PanicsOnATornEnd,
    Fault::RewritesInPlace,
    Fault::SyncsWriteByWrite,
    Fault::NoChecksums,
    Fault::AppendsAfterATornEnd,
];

type Map = BTreeMap<Vec<u8>, Vec<u8>>;

pub(crate) struct LogStore {
    fault: Fault,
    directory: PathBuf,
    state: Mutex<State>,
}

struct State {
    pairs: Map,
    log: File,
    commits: u64,
}

impl LogStore {
    /// Opens the store in a directory that exists.
    pub(crate) fn open(directory: &Path, fault: Fault) -> Result<Self, StorageError> {
        let path = directory.join("log");
        if fault == Fault::EmptyWhenItsHeaderIsTorn && !header_reads(directory) {
            let _ = fs::remove_file(&path);
        }
        let made = !path.exists();
        let mut log = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(io)?;
        let bytes = fs::read(&path).map_err(io)?;
        let (pairs, whole) = replay(&bytes, fault);
        if fault == Fault::PanicsOnATornEnd {
            assert_eq!(whole, bytes.len(), "the log is damaged");
        }
        if fault == Fault::AppendsAfterATornEnd {
            log.seek(SeekFrom::End(0)).map_err(io)?;
        } else {
            log.set_len(whole as u64).map_err(io)?;
            log.seek(SeekFrom::End(0)).map_err(io)?;
            if fault != Fault::NeverSyncs {
                log.sync_all().map_err(io)?;
            }
        }
        if made && !matches!(fault, Fault::NeverSyncs | Fault::NewNameNotSynced) {
            sync_directory(directory)?;
        }
        let state = Mutex::new(State { pairs, log, commits: 0 });
        Ok(Self { fault, directory: directory.to_owned(), state })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn append(&self, state: &mut State, batch: &Batch) -> Result<(), StorageError> {
        let mut writes: Vec<_> = batch.iter().map(encoded).collect();
        if self.fault != Fault::SyncsWriteByWrite {
            writes = vec![writes.concat()];
        }
        for content in writes {
            state.log.write_all(&frame(&content)).map_err(io)?;
            let waits = self.fault == Fault::AcksBeforeSyncing && !state.commits.is_multiple_of(8);
            if !waits && self.fault != Fault::NeverSyncs {
                state.log.sync_data().map_err(io)?;
            }
        }
        Ok(())
    }

    /// Puts a file with all pairs in the place of the log.
    fn replace(&self, state: &State) -> Result<(), StorageError> {
        let all = state.pairs.iter().map(|(key, value)| encoded((key, Some(value))));
        let all = frame(&all.collect::<Vec<_>>().concat());
        let path = self.directory.join("log");
        if self.fault == Fault::RewritesInPlace {
            let mut log = File::create(&path).map_err(io)?;
            log.write_all(&all).map_err(io)?;
            return log.sync_all().map_err(io);
        }
        let new = self.directory.join("log.new");
        let mut file = File::create(&new).map_err(io)?;
        file.write_all(&all).map_err(io)?;
        if self.fault == Fault::RenameNotSynced {
            file.sync_all().map_err(io)?;
        }
        fs::rename(&new, &path).map_err(io)?;
        match self.fault {
            Fault::RenamesUnsyncedFile => sync_directory(&self.directory),
            _ => Ok(()),
        }
    }

    fn write_header(&self, commits: u64) -> Result<(), StorageError> {
        let content = commits.to_be_bytes().repeat(200);
        let header = [content.as_slice(), &checksum(&content)].concat();
        let path = self.directory.join("header");
        let made = !path.exists();
        let file = OpenOptions::new().write(true).create(true).truncate(false).open(path);
        let mut file = file.map_err(io)?;
        file.write_all(&header).and_then(|()| file.sync_all()).map_err(io)?;
        if made { sync_directory(&self.directory) } else { Ok(()) }
    }
}

impl StorageBackend for LogStore {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StorageError> {
        Ok(self.state().pairs.get(key).cloned())
    }

    fn scan(
        &self,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<Pair>, StorageError> {
        let matches = |key: &[u8]| key.starts_with(prefix) && after.is_none_or(|after| key > after);
        let state = self.state();
        let found = state.pairs.iter().filter(|(key, _)| matches(key)).take(limit);
        Ok(found.map(|(key, value)| (key.clone(), value.clone())).collect())
    }

    fn commit(&self, batch: Batch) -> Result<(), StorageError> {
        let mut state = self.state();
        state.commits += 1;
        let replaces = matches!(
            self.fault,
            Fault::RenameNotSynced | Fault::RenamesUnsyncedFile | Fault::RewritesInPlace
        );
        if !replaces {
            self.append(&mut state, &batch)?;
        }
        if self.fault == Fault::EmptyWhenItsHeaderIsTorn {
            self.write_header(state.commits)?;
        }
        apply(&mut state.pairs, batch);
        if replaces { self.replace(&state) } else { Ok(()) }
    }

    fn durability(&self) -> Durability {
        Durability::PowerCut
    }
}

fn io(error: std::io::Error) -> StorageError {
    StorageError::new(StorageErrorKind::Io, error)
}

fn sync_directory(path: &Path) -> Result<(), StorageError> {
    File::open(path).and_then(|directory| directory.sync_all()).map_err(io)
}

fn apply(pairs: &mut Map, batch: Batch) {
    for (key, value) in batch {
        match value {
            Some(value) => pairs.insert(key, value),
            None => pairs.remove(&key),
        };
    }
}

fn checksum(content: &[u8]) -> [u8; 8] {
    let mut hasher = DefaultHasher::new();
    hasher.write(content);
    hasher.finish().to_be_bytes()
}

fn sized(content: &[u8]) -> Vec<u8> {
    [(content.len() as u64).to_be_bytes().as_slice(), content].concat()
}

fn frame(content: &[u8]) -> Vec<u8> {
    [checksum(content).as_slice(), &sized(content)].concat()
}

fn split(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<8>()?;
    rest.split_at_checked(usize::try_from(u64::from_be_bytes(*length)).ok()?)
}

fn encoded((key, value): (&[u8], Option<&[u8]>)) -> Vec<u8> {
    let value = value.map_or_else(Vec::new, |value| [&[1], value].concat());
    [sized(key), sized(&value)].concat()
}

/// What a log holds, and how long its whole frames are.
fn replay(bytes: &[u8], fault: Fault) -> (Map, usize) {
    let (mut pairs, mut rest) = (Map::new(), bytes);
    while let Some((sum, after)) = rest.split_first_chunk::<8>() {
        let Some((content, after)) = split(after) else { break };
        if fault != Fault::NoChecksums && *sum != checksum(content) {
            break;
        }
        let mut writes = content;
        while let Some((key, after)) = split(writes) {
            let Some((value, after)) = split(after) else { break };
            match value.split_first() {
                Some((_, value)) => pairs.insert(key.to_vec(), value.to_vec()),
                None => pairs.remove(key),
            };
            writes = after;
        }
        rest = after;
    }
    (pairs, bytes.len() - rest.len())
}

fn header_reads(directory: &Path) -> bool {
    let header = fs::read(directory.join("header")).unwrap_or_default();
    header.split_last_chunk::<8>().is_some_and(|(content, sum)| *sum == checksum(content))
}

/// One store in a directory of its own.
pub(crate) struct Harness {
    fault: Fault,
    home: TempDir,
}

impl Harness {
    pub(crate) fn new(fault: Fault) -> Self {
        Self { fault, home: TempDir::new().unwrap() }
    }

    /// What a case runs on.
    pub(crate) fn stores(fault: Fault) -> Stores<Self> {
        Stores { harness: Self::new(fault), other: Self::new(fault) }
    }
}

impl BackendHarness for Harness {
    type Backend = LogStore;

    fn open(&self) -> Result<LogStore, StorageError> {
        LogStore::open(self.home.path(), self.fault)
    }

    fn shows(&self) -> Shows {
        Shows::PowerCut
    }

    fn child(&self) -> Option<Command> {
        self.child_in(self.home.path())
    }

    fn child_in(&self, directory: &Path) -> Option<Command> {
        let mut command = Command::new(env::current_exe().unwrap());
        command.args(["--exact", "child_of_a_twin"]);
        command.env(STORE, directory).env(FAULT, format!("{:?}", self.fault));
        Some(command)
    }
}

/// The store of a child process.
pub(crate) fn of_a_child(directory: &Path) -> Result<LogStore, StorageError> {
    let name = env::var(FAULT).unwrap();
    let fault = FAULTS.into_iter().find(|fault| format!("{fault:?}") == name);
    LogStore::open(directory, fault.unwrap_or_else(|| panic!("no fault is named {name}")))
}
