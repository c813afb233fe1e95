//! A device's notes: the replica, the document in it, and what can be done to
//! them.
//!
//! It promises that a change is durable when its method returns. It never prints.

use crate::error::AppError;
use crate::note::{Changes, Content, Note};
use repliq::prelude::*;
use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// The document all notes are in.
const DOCUMENT: &str = "notes";
/// The part of a data directory that is the device's store.
pub(crate) const DEVICE: &str = "notes";
/// The part of a data directory that is the relay's store.
pub(crate) const RELAY: &str = "relay";

/// Notes by id.
pub(crate) type Notes = CrdtMap<String, Note>;

/// The notes of one device.
pub(crate) struct Notebook<T = WebSocket> {
    pub(crate) replica: Replica<SledBackend, T>,
    pub(crate) notes: Document<Notes>,
}

impl Notebook {
    /// Opens the notes in a data directory, or makes an empty one.
    pub(crate) async fn open(data_dir: &Path) -> Result<Self, AppError> {
        Self::open_with(data_dir, WebSocket::new()).await
    }
}

impl<T: Transport> Notebook<T> {
    /// As [`Notebook::open`], reaching peers over another transport.
    pub(crate) async fn open_with(data_dir: &Path, transport: T) -> Result<Self, AppError> {
        let backend = open_store(data_dir, DEVICE)?;
        let replica = Replica::builder().storage(backend).transport(transport).build().await?;
        let notes = replica.document(DOCUMENT).await?;
        Ok(Self { replica, notes })
    }
}

impl<T> Notebook<T> {
    /// Makes durable what is under way and lets go of the data directory.
    pub(crate) async fn close(self) {
        self.replica.close().await;
    }

    /// What is in all notes, by id.
    pub(crate) fn all(&self) -> Result<BTreeMap<String, Content>, AppError> {
        let copy =
            |notes: &Notes| notes.iter().map(|(id, note)| (id.clone(), note.content())).collect();
        Ok(self.notes.read(copy)?)
    }

    /// What is in the note whose id starts so.
    pub(crate) fn find(&self, prefix: &str) -> Result<(String, Content), AppError> {
        self.notes.read(|notes| {
            let id = resolve(notes, prefix)?;
            let note = notes.get(&id).map(Note::content);
            note.map(|note| (id, note)).ok_or_else(|| AppError::NoSuchNote(prefix.to_owned()))
        })?
    }

    /// The title of a note, if it is there.
    pub(crate) fn title(&self, id: &str) -> Result<Option<String>, AppError> {
        Ok(self
            .notes
            .read(|notes| Some(notes.get(id)?.title.get().cloned().unwrap_or_default()))?)
    }

    /// Adds a note; gives its id.
    pub(crate) async fn add(&self, note: Content) -> Result<String, AppError> {
        let id = new_id();
        self.put(vec![(id.clone(), note)]).await?;
        Ok(id)
    }

    /// Makes notes what is given, in one change.
    pub(crate) async fn put(&self, batch: Vec<(String, Content)>) -> Result<(), AppError> {
        let write = |notes: &mut Tx<'_, Notes>| {
            for (id, note) in batch {
                Note::change(&mut notes.entry(id), note.into_changes())?;
            }
            Ok::<_, AppError>(())
        };
        Ok(self.notes.try_update(write).await?)
    }

    /// Changes the note whose id starts so; gives its id.
    pub(crate) async fn edit(&self, prefix: &str, changes: Changes) -> Result<String, AppError> {
        let edited = self.notes.try_update(|notes| {
            let id = resolve(notes, prefix)?;
            Note::change(&mut notes.entry(id.clone()), changes)?;
            Ok::<_, AppError>(id)
        });
        Ok(edited.await?)
    }

    /// Removes the note whose id starts so; gives its id and what it was.
    pub(crate) async fn remove(&self, prefix: &str) -> Result<String, AppError> {
        let removed = self.notes.try_update(|notes| {
            let id = resolve(notes, prefix)?;
            notes.remove(id.clone());
            Ok::<_, AppError>(id)
        });
        Ok(removed.await?)
    }
}

/// An id for a new note.
pub(crate) fn new_id() -> String {
    uuid::Uuid::new_v4().to_string()
}

/// The id that starts so, if it is exactly one.
fn resolve(notes: &Notes, prefix: &str) -> Result<String, AppError> {
    let prefix = prefix.to_lowercase();
    if notes.contains_key(&prefix) {
        return Ok(prefix);
    }
    let mut matches = notes.keys().filter(|id| !prefix.is_empty() && id.starts_with(&prefix));
    match (matches.next(), matches.count()) {
        (Some(id), 0) => Ok(id.clone()),
        (Some(_), more) => Err(AppError::Ambiguous { prefix, count: more + 1 }),
        (None, _) => Err(AppError::NoSuchNote(prefix)),
    }
}

/// Opens one of the stores in a data directory.
pub(crate) fn open_store(data_dir: &Path, part: &str) -> Result<SledBackend, AppError> {
    refuse_foreign(data_dir)?;
    Ok(SledBackend::open(data_dir.join(part)).map_err(repliq::Error::from)?)
}

/// Where the device's store of a data directory is, if there is one.
pub(crate) fn device_store(data_dir: &Path) -> Option<PathBuf> {
    Some(data_dir.join(DEVICE)).filter(|store| store.is_dir())
}

/// A data directory is ours if nothing is there, or it is empty, or has a store.
fn refuse_foreign(data_dir: &Path) -> Result<(), AppError> {
    let foreign = || AppError::ForeignDirectory(data_dir.to_owned());
    let mut entries = match std::fs::read_dir(data_dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) if error.kind() == ErrorKind::NotADirectory => return Err(foreign()),
        Err(error) => return Err(AppError::file(data_dir)(error)),
    };
    let has_store = [DEVICE, RELAY].iter().any(|part| data_dir.join(part).is_dir());
    if has_store || entries.next().is_none() { Ok(()) } else { Err(foreign()) }
}
