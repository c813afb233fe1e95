//! What can go wrong. Every message says what to do, or names the file.

use crate::commands::count;
use repliq::{EditError, Error, ReadError, SyncError, UpdateError};
use std::io;
use std::path::{Path, PathBuf};

/// Why a command did not do what it was asked to.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AppError {
    #[error(transparent)]
    Replica(#[from] Error),
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error("the notes could not be changed: {0}")]
    Update(Box<dyn std::error::Error + Send + Sync>),
    #[error("the note could not be changed: {0}")]
    Edit(#[from] EditError),
    #[error("no note has an id that starts with {0:?}: `list` shows the ids")]
    NoSuchNote(String),
    #[error("{count} notes have an id that starts with {prefix:?}: write more of the id")]
    Ambiguous { prefix: String, count: usize },
    #[error(
        "{} holds other things than this app's data: choose a new or an empty directory with --data-dir",
        .0.display()
    )]
    ForeignDirectory(PathBuf),
    #[error("{}: {source}", path.display())]
    File { path: PathBuf, source: io::Error },
    #[error("{} is not UTF-8 text: convert it, or move it away", .0.display())]
    NotText(PathBuf),
    #[error("the name of {} is not UTF-8: rename it", .0.display())]
    NameNotText(PathBuf),
    #[error("{} has {bytes} bytes, a note at most {most}: split it, or move it away", path.display())]
    TooLarge { path: PathBuf, bytes: u64, most: u64 },
    #[error("{} could not be imported; the others were", count(*.0, "file"))]
    NotAllImported(usize),
    #[error("stopped after {done} of {}; run the command again for the rest", count(*.total, "file"))]
    Interrupted { done: usize, total: usize },
    #[error(
        "{} is there already with other contents: nothing was exported; choose another directory, or add --overwrite",
        .0.display()
    )]
    WouldOverwrite(PathBuf),
    #[error("not in sync with {url} after {seconds} s of trying: {why}")]
    NobodyAnswers { url: String, seconds: f64, why: String },
    #[error("syncing with {url} failed: {source}")]
    Sync { url: String, source: SyncError },
    #[error("input or output failed: {0}")]
    Io(#[from] io::Error),
    #[error("check failed: {0}")]
    Check(String),
    #[error("{error}; everything is left in {}", place.display())]
    Demo { error: Box<AppError>, place: PathBuf },
}

impl AppError {
    pub(crate) fn file(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::File { path, source }
    }
}

impl From<UpdateError> for AppError {
    fn from(error: UpdateError) -> Self {
        Self::Update(error.into())
    }
}

impl From<UpdateError<Self>> for AppError {
    fn from(error: UpdateError<Self>) -> Self {
        match error {
            UpdateError::Aborted(error) => error,
            other => Self::Update(other.to_string().into()),
        }
    }
}
