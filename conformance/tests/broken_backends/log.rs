//! Broken stores in a file: a log of batches, replayed when it is opened, with
//! one mistake each.
//!
//! They were written from the contract alone, without a look at the cases.

use super::shelf::{Map, apply, linger, pairs};
use repliq_conformance::backend::{BackendHarness, Damage, Shows};
use repliq_core::{Batch, Durability, Pair, StorageBackend, StorageError, StorageErrorKind};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, RwLock};

type Answer<T> = Result<T, StorageError>;
type Entry = (Vec<u8>, Option<Vec<u8>>);

/// The one thing that is wrong with a log.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Flaw {
    /// Nothing.
    None,
    /// Opening creates the file anew.
    StartsOver,
    /// Opening reads the file, but then writes from its start.
    WritesFromTheStart,
    /// A delete happens in memory only.
    DeletesAreNotLogged,
    /// A delete is logged as an empty value.
    DeleteIsAnEmptyValue,
    /// A delete is logged only if the key was put since the store was opened.
    DeletesOnlyItsOwn,
    /// The newest record is replayed first, so the oldest value wins.
    NewestReplayedFirst,
    /// Commits are written eight at a time, and never at the end.
    WrittenByTheEighth,
    /// Commits are written when the handle is dropped.
    WrittenAtTheEnd,
    /// Every write of a batch is a record of its own.
    RecordPerWrite,
    /// A large batch is written in records of a thousand writes.
    RecordPerThousand,
    /// A torn record at the end stays there, and later ones come after it.
    TornEndStays,
    /// One file for each time it was opened, replayed in the order of their names.
    FilesSortAsText,
    /// Opening drops what has no value.
    EmptyValuesVanishAtOpen,
    /// An empty key ends the list of writes of a record.
    EmptyKeyEndsARecord,
    /// The length of a value is written in two bytes.
    LengthInTwoBytes,
    /// Only the first mebibyte is read at open.
    ReadsOneMebibyte,
    /// The lock on the file stays when the handle is dropped.
    LockStays,
    /// There is no lock: each handle has a memory of its own.
    TwoHandlesTwoStores,
    /// No checksum is looked at.
    NoChecksum,
    /// Replaying ends in silence at the first damaged record.
    DamageIsTheEnd,
    /// A store that cannot be read is begun anew.
    DamageBeginsAnew,
}

pub(crate) struct Log {
    flaw: Flaw,
    map: RwLock<Map>,
    file: Mutex<File>,
    waiting: Mutex<Vec<Vec<u8>>>,
    own: Mutex<Map>,
}

fn io_error(error: io::Error) -> StorageError {
    StorageError::new(StorageErrorKind::Io, error)
}

impl Log {
    pub(crate) fn open(folder: &Path, flaw: Flaw) -> Answer<Self> {
        let path = Self::file_for_writing(folder, flaw)?;
        let mut file = OpenOptions::new()
            .create(true)
            .read(true)
            .write(true)
            .truncate(flaw == Flaw::StartsOver)
            .open(&path)
            .map_err(io_error)?;
        if flaw != Flaw::TwoHandlesTwoStores {
            file.try_lock()
                .map_err(|error| StorageError::new(StorageErrorKind::Locked, error.to_string()))?;
        }
        let mut map = Map::new();
        for path in Self::files(folder, flaw)? {
            let mut bytes = Vec::new();
            let mut reader = File::open(path).map_err(io_error)?;
            match flaw {
                Flaw::ReadsOneMebibyte => reader.take(1 << 20).read_to_end(&mut bytes),
                _ => reader.read_to_end(&mut bytes),
            }
            .map_err(io_error)?;
            let read = replay(&bytes, flaw);
            let (batches, whole) = match read {
                Err(_) if flaw == Flaw::DamageBeginsAnew => (Vec::new(), 0),
                read => read?,
            };
            for batch in batches {
                apply(&mut map, batch);
            }
            if !matches!(flaw, Flaw::TornEndStays | Flaw::FilesSortAsText) {
                file.set_len(whole).map_err(io_error)?;
            }
        }
        if flaw == Flaw::EmptyValuesVanishAtOpen {
            map.retain(|_, value| !value.is_empty());
        }
        let start =
            if flaw == Flaw::WritesFromTheStart { SeekFrom::Start(0) } else { SeekFrom::End(0) };
        file.seek(start).map_err(io_error)?;
        if flaw == Flaw::LockStays {
            std::mem::forget(file.try_clone().map_err(io_error)?);
        }
        let (map, file) = (RwLock::new(map), Mutex::new(file));
        Ok(Self { flaw, map, file, waiting: Mutex::default(), own: Mutex::default() })
    }

    fn files(folder: &Path, flaw: Flaw) -> Answer<Vec<PathBuf>> {
        let found = fs::read_dir(folder).map_err(io_error)?;
        let mut files: Vec<_> = found.flatten().map(|entry| entry.path()).collect();
        files.retain(|file| flaw == Flaw::FilesSortAsText || file.ends_with("log"));
        files.sort();
        Ok(files)
    }

    fn file_for_writing(folder: &Path, flaw: Flaw) -> Answer<PathBuf> {
        Ok(match flaw {
            Flaw::FilesSortAsText => {
                folder.join(format!("log-{}", Self::files(folder, flaw)?.len()))
            }
            _ => folder.join("log"),
        })
    }

    fn write(&self, record: Vec<u8>) -> Answer<()> {
        match self.flaw {
            Flaw::WrittenByTheEighth | Flaw::WrittenAtTheEnd => {
                let mut waiting = self.waiting.lock().unwrap();
                waiting.push(record);
                if waiting.len() < 8 || self.flaw == Flaw::WrittenAtTheEnd {
                    return Ok(());
                }
                let all = waiting.drain(..).collect::<Vec<_>>().concat();
                self.file.lock().unwrap().write_all(&all).map_err(io_error)
            }
            Flaw::TornEndStays => {
                let mut file = self.file.lock().unwrap();
                let (head, rest) = record.split_at(8);
                file.write_all(head).and_then(|()| file.write_all(rest)).map_err(io_error)
            }
            _ => self.file.lock().unwrap().write_all(&record).map_err(io_error),
        }
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        if self.flaw == Flaw::WrittenAtTheEnd {
            let all = self.waiting.lock().unwrap().concat();
            let _ = self.file.lock().unwrap().write_all(&all);
        }
    }
}

impl StorageBackend for Log {
    fn get(&self, key: &[u8]) -> Answer<Option<Vec<u8>>> {
        Ok(self.map.read().unwrap().get(key).cloned())
    }

    fn scan(&self, prefix: &[u8], after: Option<&[u8]>, limit: usize) -> Answer<Vec<Pair>> {
        Ok(pairs(&self.map.read().unwrap(), prefix, after, limit))
    }

    fn commit(&self, batch: Batch) -> Answer<()> {
        let mut writes: Vec<Entry> = batch.clone().into_iter().collect();
        match self.flaw {
            Flaw::DeletesAreNotLogged => writes.retain(|(_, value)| value.is_some()),
            Flaw::DeleteIsAnEmptyValue => {
                for (_, value) in &mut writes {
                    value.get_or_insert_default();
                }
            }
            Flaw::DeletesOnlyItsOwn => {
                let mut own = self.own.lock().unwrap();
                writes.retain(|(key, value)| match value {
                    Some(_) => {
                        own.insert(key.clone(), Vec::new());
                        true
                    }
                    None => own.remove(key).is_some(),
                });
            }
            _ => {}
        }
        let mut map = self.map.write().unwrap();
        match self.flaw {
            Flaw::RecordPerWrite | Flaw::RecordPerThousand => {
                let most = if self.flaw == Flaw::RecordPerWrite { 1 } else { 1000 };
                for portion in writes.chunks(most) {
                    self.write(record(portion, self.flaw))?;
                    linger();
                }
            }
            _ => self.write(record(&writes, self.flaw))?,
        }
        apply(&mut map, batch);
        Ok(())
    }

    fn durability(&self) -> Durability {
        Durability::Process
    }
}

/// Length and checksum of the content, then for each write its key and value.
fn record(writes: &[Entry], flaw: Flaw) -> Vec<u8> {
    let mut content = Vec::new();
    for (key, value) in writes {
        content.extend((key.len() as u32).to_le_bytes());
        content.extend(key);
        content.push(u8::from(value.is_some()));
        let mut value = value.as_deref().unwrap_or_default();
        if flaw == Flaw::LengthInTwoBytes {
            value = &value[..value.len() as u16 as usize];
        }
        content.extend((value.len() as u32).to_le_bytes());
        content.extend(value);
    }
    let mut record = (content.len() as u32).to_le_bytes().to_vec();
    record.extend(checksum(&content).to_le_bytes());
    record.extend(content);
    record
}

fn checksum(bytes: &[u8]) -> u32 {
    bytes.iter().fold(17, |sum: u32, byte| sum.wrapping_mul(31).wrapping_add(u32::from(*byte)))
}

/// The batches of a file and how many bytes of it are whole records.
fn replay(bytes: &[u8], flaw: Flaw) -> Answer<(Vec<Vec<Entry>>, u64)> {
    let mut batches = Vec::new();
    let mut rest = bytes;
    while let Some((content, sum, after)) = split(rest) {
        if checksum(content) != sum && flaw != Flaw::NoChecksum {
            match flaw {
                Flaw::DamageIsTheEnd | Flaw::TornEndStays => break,
                _ if after.is_empty() => break,
                _ => return Err(StorageErrorKind::Corrupt.into()),
            }
        }
        batches.push(writes(content, flaw).ok_or(StorageErrorKind::Corrupt)?);
        rest = after;
    }
    if flaw == Flaw::NewestReplayedFirst {
        batches.reverse();
    }
    Ok((batches, (bytes.len() - rest.len()) as u64))
}

fn split(bytes: &[u8]) -> Option<(&[u8], u32, &[u8])> {
    let (len, rest) = bytes.split_first_chunk::<4>()?;
    let (sum, rest) = rest.split_first_chunk::<4>()?;
    let (content, rest) = rest.split_at_checked(u32::from_le_bytes(*len) as usize)?;
    Some((content, u32::from_le_bytes(*sum), rest))
}

fn writes(mut content: &[u8], flaw: Flaw) -> Option<Vec<Entry>> {
    let mut writes = Vec::new();
    while !content.is_empty() {
        let key = sized(&mut content)?;
        if flaw == Flaw::EmptyKeyEndsARecord && key.is_empty() {
            break;
        }
        let (is_put, rest) = content.split_first()?;
        content = rest;
        let value = sized(&mut content)?;
        writes.push((key.to_vec(), (*is_put == 1).then(|| value.to_vec())));
    }
    Some(writes)
}

fn sized<'a>(content: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (len, rest) = content.split_first_chunk::<4>()?;
    let (bytes, rest) = rest.split_at_checked(u32::from_le_bytes(*len) as usize)?;
    *content = rest;
    Some(bytes)
}

/// A log in a folder of its own, which goes with the harness.
pub(crate) struct Folder {
    folder: tempfile::TempDir,
    flaw: Flaw,
}

/// Where a child process of a sigkill case finds its store, and its flaw.
const STORE: &str = "REPLIQ_BROKEN_STORE";
const FLAW: &str = "REPLIQ_BROKEN_FLAW";

impl Folder {
    pub(crate) fn new(flaw: Flaw) -> Self {
        Self { folder: tempfile::tempdir().unwrap(), flaw }
    }
}

impl BackendHarness for Folder {
    type Backend = Log;

    fn open(&self) -> Answer<Log> {
        Log::open(self.folder.path(), self.flaw)
    }

    fn damage(&self, how: Damage) -> bool {
        let path = self.folder.path().join("log");
        let Ok(mut bytes) = fs::read(&path) else { return false };
        match how {
            Damage::Changed => {
                let middle = bytes.len() / 2 + 200;
                bytes[middle] ^= 1;
            }
            Damage::Torn => bytes.truncate(bytes.len() - 3),
            _ => return false,
        }
        fs::write(path, bytes).unwrap();
        true
    }

    fn shows(&self) -> Shows {
        Shows::Sigkill
    }

    fn child(&self) -> Option<Command> {
        let mut command = Command::new(std::env::current_exe().ok()?);
        command
            .args(["--exact", "broken_backends::sigkill_child"])
            .env(STORE, self.folder.path())
            .env(FLAW, format!("{:?}", self.flaw));
        Some(command)
    }
}

/// What a child process does.
pub(crate) fn write_until_killed() {
    if let (Some(folder), Ok(name)) = (std::env::var_os(STORE), std::env::var(FLAW)) {
        let flaw = [
            Flaw::None,
            Flaw::WrittenAtTheEnd,
            Flaw::RecordPerWrite,
            Flaw::RecordPerThousand,
            Flaw::TornEndStays,
        ]
        .into_iter()
        .find(|flaw| format!("{flaw:?}") == name)
        .unwrap();
        let log = Log::open(Path::new(&folder), flaw).unwrap();
        repliq_conformance::backend::sigkill_child(&log).unwrap();
    }
}
