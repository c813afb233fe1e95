//! A small right backend, a map behind a mutex with a file that replays it, and
//! the faults it can be given. Only the tests of the suite know it.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::cast_possible_truncation)]

use repliq_conformance::backend::{BackendHarness, Shows, Stores};
use repliq_core::{Batch, Durability, Pair, StorageBackend, StorageError, StorageErrorKind};
use std::collections::BTreeMap;
use std::env;
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, ThreadId};
use std::time::Duration;
use tempfile::TempDir;

/// Where a child process finds its store, and which fault it has.
pub(crate) const STORE: &str = "REPLIQ_TWIN_STORE";
const FAULT: &str = "REPLIQ_TWIN_FAULT";

/// How a backend is broken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Fault {
    None,
    SharedByAll,
    AbsentIsTheNext,
    ValuesCutAt(usize),
    FirstPutStays,
    DeleteEmpties,
    DeletingAbsentFails,
    NoEmptyKey,
    EmptyValueIsAbsent,
    ZeroEndsValues,
    TrailingZeroDropped,
    KeysCutAt(usize),
    LastWriteLost,
    FirstWriteOfABatchWins,
    DeletesGoFirst,
    DeletesGoLast,
    EmptyBatchFails,
    BatchCutAt(usize),
    DeletesCutAt(usize),
    ScanMixesValues,
    SignedOrder,
    ShorterFirst,
    NoUpperBound,
    PrefixExclusive,
    UpperBoundWithoutCarry,
    UnknownPrefixGivesNext,
    AfterInclusive,
    AfterMustExist,
    EmptyAfterIsNone,
    AfterReplacesPrefix,
    ForeignAfterIgnored,
    NoLimitIsZero,
    LastPairs,
    LimitMustBeReached,
    LimitOverflows,
    DeletedCount,
    LongPagesLoseOne,
    RarePairForgotten,
    ForgetsValues,
    ForgetsDeletes,
    ForgetsTheLastBatch,
    ForgetsLargeValues,
    /// As one that writes the length of a key into one byte.
    ForgetsLongKeys,
    /// Writes what it keeps and what it shows each under a lock of its own.
    KeepsAnotherOrder,
    NeedsDataToReopen,
    ForgetsAfterReopens(usize),
    DurabilityFalls,
    ForgetsEmptyValues,
    WritesOneByOne,
    ScansInPages,
    LostUpdates,
    SeenByItsThreadOnly,
    TornValues,
    AcksBeforeWriting,
    WritesFramesOneByOne,
    CaseInsensitiveKeys,
    PutOfSameValueDeletes,
    DeleteTakesExtensions,
    DescendingScan,
    ScanWithoutValues,
    LimitOneTooMany,
    Utf8Only,
    DeletesComeBack,
    ReopenDropsTheFirst,
    ScanHasAPageLimit(usize),
}

type Map = BTreeMap<Vec<u8>, Vec<u8>>;

#[derive(Default)]
struct State {
    pairs: Map,
    /// What the store held before its last commit.
    before: Map,
    /// What is kept, where that is not what is shown.
    kept: Map,
    deleted: Map,
    opened: usize,
    commits: usize,
    unseen: Vec<(ThreadId, Batch)>,
}

/// A right backend, but for its fault.
#[derive(Clone)]
pub(crate) struct Model {
    fault: Fault,
    state: Arc<Mutex<State>>,
    log: Option<Arc<Mutex<Log>>>,
}

/// The file of a store on disk: one frame for each batch, and how many are held
/// back.
struct Log {
    file: File,
    held: Vec<u8>,
    frames: usize,
}

/// One store: in memory, kept by the harness, or on disk for killed processes.
pub(crate) struct Harness {
    fault: Fault,
    model: Option<Model>,
    home: TempDir,
}

impl Harness {
    pub(crate) fn new(fault: Fault) -> Self {
        Self { fault, model: None, home: TempDir::new().unwrap() }
    }

    pub(crate) fn in_memory(fault: Fault) -> Self {
        let state = match fault {
            Fault::SharedByAll => {
                static SHARED: Mutex<Option<Arc<Mutex<State>>>> = Mutex::new(None);
                Arc::clone(SHARED.lock().unwrap().get_or_insert_default())
            }
            _ => Arc::default(),
        };
        Self { model: Some(Model { fault, state, log: None }), ..Self::new(fault) }
    }

    /// What a case runs on.
    pub(crate) fn stores(fault: Fault) -> Stores<Self> {
        let make = match fault {
            Fault::AcksBeforeWriting | Fault::WritesFramesOneByOne => Self::new,
            _ => Self::in_memory,
        };
        Stores { harness: make(fault), other: make(fault) }
    }

    fn path(&self) -> PathBuf {
        self.home.path().join("log")
    }
}

impl BackendHarness for Harness {
    type Backend = Model;

    fn open(&self) -> Result<Model, StorageError> {
        let Some(model) = &self.model else { return open_log(&self.path(), self.fault) };
        model.reopened()?;
        Ok(model.clone())
    }

    fn shows(&self) -> Shows {
        if self.model.is_some() { Shows::Reopen } else { Shows::Sigkill }
    }

    fn child(&self) -> Option<Command> {
        let mut command = Command::new(env::current_exe().unwrap());
        command.args(["--exact", "sigkill_child_of_a_twin"]);
        command.env(STORE, self.path()).env(FAULT, format!("{:?}", self.fault));
        Some(command)
    }
}

/// The store of a child process.
pub(crate) fn on_disk(path: &Path) -> Result<Model, StorageError> {
    let fault = match env::var(FAULT).as_deref() {
        Ok("AcksBeforeWriting") => Fault::AcksBeforeWriting,
        Ok("WritesFramesOneByOne") => Fault::WritesFramesOneByOne,
        _ => Fault::None,
    };
    open_log(path, fault)
}

fn open_log(path: &Path, fault: Fault) -> Result<Model, StorageError> {
    let io = |error| StorageError::new(StorageErrorKind::Io, error);
    let file = OpenOptions::new().append(true).create(true).open(path).map_err(io)?;
    file.try_lock().map_err(|_| StorageErrorKind::Locked)?;
    let mut pairs = Map::new();
    let bytes = fs::read(path).map_err(io)?;
    let (mut rest, mut whole) = (bytes.as_slice(), 0);
    while let Some((frame, after)) = split_frame(rest) {
        let mut writes = frame;
        while let Some((key, after)) = split_frame(writes) {
            let (value, after) = split_frame(after).unwrap();
            match value.split_first() {
                Some((_, value)) => pairs.insert(key.to_vec(), value.to_vec()),
                None => pairs.remove(key),
            };
            writes = after;
        }
        whole = bytes.len() - after.len();
        rest = after;
    }
    file.set_len(whole as u64).map_err(io)?;
    let log = Log { file, held: Vec::new(), frames: 0 };
    let state = State { pairs, ..State::default() };
    Ok(Model { fault, state: Arc::new(Mutex::new(state)), log: Some(Arc::new(Mutex::new(log))) })
}

/// Makes the moment in which a store is in a wrong state wide enough for another
/// thread, or a kill, to fall into it.
fn linger() {
    thread::sleep(Duration::from_micros(100));
}

fn split_frame(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    rest.split_at_checked(u32::from_be_bytes(*length) as usize)
}

fn frame(content: &[u8]) -> Vec<u8> {
    [(content.len() as u32).to_be_bytes().as_slice(), content].concat()
}

impl Log {
    fn append(&mut self, batch: &Batch, fault: Fault) {
        let write = |(key, value): (&[u8], Option<&[u8]>)| {
            let value = value.map_or_else(Vec::new, |value| [&[1], value].concat());
            [frame(key), frame(&value)].concat()
        };
        self.frames += 1;
        if fault == Fault::WritesFramesOneByOne {
            for one in batch.iter() {
                self.file.write_all(&frame(&write(one))).unwrap();
                linger();
            }
            return;
        }
        self.held.extend(frame(&batch.iter().flat_map(write).collect::<Vec<_>>()));
        if fault != Fault::AcksBeforeWriting || self.frames.is_multiple_of(64) {
            self.file.write_all(&self.held).unwrap();
            self.held.clear();
        }
    }
}

impl Model {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What a reopen does to a store that does not keep its data well.
    fn reopened(&self) -> Result<(), StorageError> {
        let mut state = self.state();
        state.opened += 1;
        if state.opened == 1 {
            return Ok(());
        }
        match self.fault {
            Fault::ForgetsValues => state.pairs.values_mut().for_each(Vec::clear),
            Fault::ForgetsDeletes => {
                let deleted = std::mem::take(&mut state.deleted);
                state.pairs.extend(deleted);
            }
            Fault::ForgetsTheLastBatch => state.pairs = state.before.clone(),
            Fault::ForgetsLargeValues => state.pairs.retain(|_, value| value.len() <= 1 << 16),
            Fault::ForgetsLongKeys => state.pairs.retain(|key, _| key.len() < 256),
            Fault::KeepsAnotherOrder => state.pairs = state.kept.clone(),
            Fault::NeedsDataToReopen if state.pairs.is_empty() => {
                return Err(StorageErrorKind::Corrupt.into());
            }
            Fault::ForgetsAfterReopens(most) if state.opened > most => state.pairs.clear(),
            Fault::ForgetsEmptyValues => state.pairs.retain(|_, value| !value.is_empty()),
            Fault::ReopenDropsTheFirst => drop(state.pairs.pop_first()),
            _ => {}
        }
        Ok(())
    }

    fn stored_key(&self, key: &[u8]) -> Vec<u8> {
        match self.fault {
            Fault::KeysCutAt(most) => key[..key.len().min(most)].to_vec(),
            Fault::CaseInsensitiveKeys => key.to_ascii_lowercase(),
            Fault::Utf8Only => String::from_utf8_lossy(key).into_owned().into_bytes(),
            Fault::TrailingZeroDropped if key.len() > 1 => {
                key.strip_suffix(&[0]).unwrap_or(key).to_vec()
            }
            _ => key.to_vec(),
        }
    }

    fn stored_value(&self, value: &[u8]) -> Vec<u8> {
        match self.fault {
            Fault::ValuesCutAt(most) => value[..value.len().min(most)].to_vec(),
            Fault::ZeroEndsValues => value.split(|byte| *byte == 0).next().unwrap().to_vec(),
            _ => value.to_vec(),
        }
    }

    /// The writes of a batch, as this backend understands it.
    fn writes(&self, batch: Batch) -> Vec<(Vec<u8>, Option<Vec<u8>>)> {
        let mut writes: Vec<_> = batch.into_iter().collect();
        match self.fault {
            Fault::LastWriteLost if writes.len() > 1 => drop(writes.pop()),
            Fault::FirstWriteOfABatchWins => writes.reverse(),
            Fault::DeletesGoFirst => writes.sort_by_key(|(_, value)| value.is_some()),
            Fault::DeletesGoLast => writes.sort_by_key(|(_, value)| value.is_none()),
            Fault::BatchCutAt(most) => writes.truncate(most),
            Fault::DeletesCutAt(most) if writes.iter().all(|(_, value)| value.is_none()) => {
                writes.truncate(most);
            }
            Fault::NoEmptyKey => writes.retain(|(key, _)| !key.is_empty()),
            _ => {}
        }
        writes
    }

    fn write(&self, state: &mut State, key: &[u8], value: Option<&[u8]>) {
        let key = self.stored_key(key);
        let old = state.pairs.get(&key).cloned();
        match (self.fault, value) {
            (Fault::FirstPutStays, Some(_)) if old.is_some() => {}
            (Fault::PutOfSameValueDeletes, Some(value)) if old.as_deref() == Some(value) => {
                state.pairs.remove(&key);
            }
            (Fault::EmptyValueIsAbsent, Some(b"")) => drop(state.pairs.remove(&key)),
            (_, Some(value)) => drop(state.pairs.insert(key, self.stored_value(value))),
            (Fault::DeleteEmpties, None) => drop(state.pairs.insert(key, Vec::new())),
            (Fault::DeleteTakesExtensions, None) => {
                state.pairs.retain(|other, _| !other.starts_with(&key));
            }
            (_, None) => {
                state.pairs.remove(&key);
                if let Some(old) = old {
                    state.deleted.insert(key, old);
                }
            }
        }
    }

    /// Looks at what this thread sees.
    fn look<T>(&self, look: impl FnOnce(&Map) -> T) -> T {
        let state = self.state();
        if state.unseen.is_empty() {
            return look(&state.pairs);
        }
        let mut seen = state.pairs.clone();
        for (thread, batch) in &state.unseen {
            if *thread == thread::current().id() {
                for (key, value) in batch.clone() {
                    match value {
                        Some(value) => seen.insert(key, value),
                        None => seen.remove(&key),
                    };
                }
            }
        }
        look(&seen)
    }

    fn in_bounds(&self, pairs: &Map, key: &[u8], prefix: &[u8], after: Option<&[u8]>) -> bool {
        let past = match (self.fault, after) {
            (_, None) | (Fault::EmptyAfterIsNone, Some(b"")) => true,
            (Fault::AfterInclusive, Some(after)) => key >= after,
            (Fault::AfterMustExist, Some(after)) => pairs.contains_key(after) && key > after,
            (Fault::ForeignAfterIgnored, Some(after)) if !after.starts_with(prefix) => true,
            (_, Some(after)) => key > after,
        };
        let upper = || {
            let (last, head) = prefix.split_last()?;
            Some([head, &[last.wrapping_add(1)]].concat())
        };
        let inside = match self.fault {
            Fault::NoUpperBound => key >= prefix,
            Fault::AfterReplacesPrefix if after.is_some() => true,
            Fault::PrefixExclusive => key.starts_with(prefix) && key != prefix,
            Fault::UpperBoundWithoutCarry => {
                key >= prefix && upper().is_none_or(|upper| key < upper.as_slice())
            }
            Fault::UnknownPrefixGivesNext => {
                key.starts_with(prefix)
                    || (key > prefix && !pairs.keys().any(|key| key.starts_with(prefix)))
            }
            _ => key.starts_with(prefix),
        };
        past && inside
    }

    fn order(&self, pairs: &mut [Pair]) {
        match self.fault {
            Fault::SignedOrder => pairs.sort_by_key(|(key, _)| {
                key.iter().map(|byte| byte.cast_signed()).collect::<Vec<_>>()
            }),
            Fault::ShorterFirst => {
                pairs.sort_by(|(a, _), (b, _)| a.len().cmp(&b.len()).then(a.cmp(b)));
            }
            Fault::DescendingScan => pairs.reverse(),
            _ => {}
        }
    }

    fn cut(&self, mut pairs: Vec<Pair>, limit: usize) -> Result<Vec<Pair>, StorageError> {
        match self.fault {
            Fault::NoLimitIsZero if limit == 0 => {}
            Fault::LastPairs => drop(pairs.drain(..pairs.len().saturating_sub(limit))),
            Fault::LimitMustBeReached if pairs.len() < limit && limit < usize::MAX => pairs.clear(),
            Fault::LimitOverflows => {
                let buffer = limit.checked_add(1).ok_or(StorageErrorKind::Unsupported)?;
                pairs.truncate(buffer - 1);
            }
            Fault::DeletedCount => {
                let deleted = self.state().deleted.len();
                pairs.truncate(limit.saturating_sub(deleted));
            }
            Fault::LimitOneTooMany => pairs.truncate(limit.saturating_add(1)),
            Fault::ScanHasAPageLimit(most) => pairs.truncate(limit.min(most)),
            Fault::LongPagesLoseOne => {
                pairs.truncate(limit);
                if (100..usize::MAX).contains(&limit) && pairs.len() == limit {
                    pairs.remove(limit / 2);
                }
            }
            _ => pairs.truncate(limit),
        }
        Ok(pairs)
    }

    fn commit_without_a_lock(&self, batch: Batch) {
        match self.fault {
            Fault::LostUpdates => {
                let mut copy = self.state().pairs.clone();
                linger();
                for (key, value) in batch {
                    match value {
                        Some(value) => copy.insert(key, value),
                        None => copy.remove(&key),
                    };
                }
                self.state().pairs = copy;
            }
            Fault::KeepsAnotherOrder => {
                let mut state = self.state();
                let kept =
                    batch.iter().filter_map(|(key, value)| Some((key.to_vec(), value?.to_vec())));
                state.kept.extend(kept);
                state.commits += 1;
                let overtaken = !state.commits.is_multiple_of(2);
                drop(state);
                if overtaken {
                    linger();
                }
                let mut state = self.state();
                for (key, value) in batch {
                    self.write(&mut state, &key, value.as_deref());
                }
            }
            _ => {
                for (key, value) in batch {
                    let half = value.as_ref().map(|value| value[..value.len() / 2].to_vec());
                    if let (Fault::TornValues, Some(half)) = (self.fault, half) {
                        self.write(&mut self.state(), &key, Some(&half));
                        linger();
                    }
                    self.write(&mut self.state(), &key, value.as_deref());
                    linger();
                }
            }
        }
    }
}

impl StorageBackend for Model {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StorageError> {
        let found = self.look(|pairs| match self.fault {
            Fault::AbsentIsTheNext => pairs.range(key.to_vec()..).next().map(|(_, v)| v.clone()),
            _ => pairs.get(&self.stored_key(key)).cloned(),
        });
        Ok(match self.fault {
            Fault::RarePairForgotten => found.filter(|value| value.len() != 13),
            Fault::DeletesComeBack if found.is_none() && self.state().commits > 40 => {
                self.state().deleted.get(key).cloned()
            }
            _ => found,
        })
    }

    fn scan(
        &self,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<Pair>, StorageError> {
        if self.fault == Fault::ScansInPages && limit > 50 {
            let mut pairs = Vec::new();
            let mut after = after.map(<[u8]>::to_vec);
            while pairs.len() < limit {
                let page = self.scan(prefix, after.as_deref(), 50)?;
                let Some((last, _)) = page.last() else { break };
                after = Some(last.clone());
                pairs.extend(page);
                linger();
            }
            pairs.truncate(limit);
            return Ok(pairs);
        }
        let mut pairs: Vec<Pair> = self.look(|all| {
            all.iter()
                .filter(|(key, _)| self.in_bounds(all, key, prefix, after))
                .map(|(key, value)| (key.clone(), value.clone()))
                .collect()
        });
        self.order(&mut pairs);
        let mut pairs = self.cut(pairs, limit)?;
        match self.fault {
            Fault::ScanMixesValues if pairs.len() > 100 => {
                let first = pairs[0].1.clone();
                pairs[70].1 = first;
            }
            Fault::ScanWithoutValues => pairs.iter_mut().for_each(|(_, value)| value.clear()),
            _ => {}
        }
        Ok(pairs)
    }

    fn commit(&self, batch: Batch) -> Result<(), StorageError> {
        match self.fault {
            Fault::EmptyBatchFails if batch.is_empty() => {
                return Err(StorageErrorKind::Unsupported.into());
            }
            Fault::DeletingAbsentFails => {
                let state = self.state();
                let absent = |(key, value): (&[u8], Option<&[u8]>)| {
                    value.is_none() && !state.pairs.contains_key(key)
                };
                if batch.len() == 1 && batch.iter().any(absent) {
                    return Err(StorageErrorKind::Io.into());
                }
            }
            Fault::WritesOneByOne
            | Fault::TornValues
            | Fault::LostUpdates
            | Fault::KeepsAnotherOrder => {
                self.commit_without_a_lock(batch);
                return Ok(());
            }
            Fault::SeenByItsThreadOnly => {
                self.state().unseen.push((thread::current().id(), batch));
                return Ok(());
            }
            _ => {}
        }
        let mut state = self.state();
        if let Some(log) = &self.log {
            log.lock().unwrap().append(&batch, self.fault);
        }
        if self.fault == Fault::ForgetsTheLastBatch {
            state.before = state.pairs.clone();
        }
        state.commits += 1;
        for (key, value) in self.writes(batch) {
            self.write(&mut state, &key, value.as_deref());
        }
        Ok(())
    }

    fn durability(&self) -> Durability {
        let falls = self.fault == Fault::DurabilityFalls && self.state().opened > 2;
        if falls { Durability::Volatile } else { Durability::Process }
    }
}
