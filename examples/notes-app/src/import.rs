//! Markdown files become notes.
//!
//! It promises that what it reports is durable, that importing again duplicates
//! nothing, however it was interrupted, and that one file that cannot be
//! imported keeps no other from being. It never changes a note whose file is as
//! it was when it was last imported.

use crate::error::AppError;
use crate::folder::{Folder, MarkdownFile};
use crate::note::{Content, Digest, Source};
use crate::notebook::{Notebook, new_id};
use std::collections::HashMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

/// How many notes go into one change.
const BATCH_NOTES: usize = 16;
/// How many bytes of text go into one change, save for one longer note.
const BATCH_BYTES: usize = 1 << 20;

/// What an import did.
#[derive(Debug, Default)]
pub(crate) struct Imported {
    pub(crate) added: usize,
    pub(crate) updated: usize,
    pub(crate) unchanged: usize,
    /// Files that are no Markdown.
    pub(crate) others: usize,
    /// How many changes it took.
    pub(crate) changes: usize,
    /// The files that were not imported.
    pub(crate) problems: Vec<AppError>,
}

/// Imports the Markdown files of a folder. Reports how many of how many files
/// are done, each time that more are.
pub(crate) async fn import<T>(
    book: &Notebook<T>,
    folder: &Path,
    stop: &AtomicBool,
    mut report: impl FnMut(usize, usize) -> Result<(), AppError> + Send,
) -> Result<Imported, AppError> {
    let Folder { digest, files, problems, others } = Folder::open(folder)?;
    let known = known_files(book, digest)?;
    let mut imported = Imported { others, problems, ..Imported::default() };
    let (total, mut done) = (files.len(), 0);
    let mut files = files.iter().peekable();
    while files.peek().is_some() {
        if stop.load(Ordering::Relaxed) {
            return Err(AppError::Interrupted { done, total });
        }
        let (mut batch, mut bytes) = (Vec::new(), 0);
        while batch.len() < BATCH_NOTES && bytes < BATCH_BYTES {
            let Some(file) = files.next() else { break };
            done += 1;
            if let Some(note) = imported.take(file, digest, &known) {
                bytes += note.1.body.len();
                batch.push(note);
            }
        }
        if !batch.is_empty() {
            book.put(batch).await?;
            imported.changes += 1;
        }
        report(done, total)?;
    }
    Ok(imported)
}

impl Imported {
    /// What is to be written for a file, if anything is.
    fn take(
        &mut self,
        file: &MarkdownFile,
        folder: Digest,
        known: &HashMap<String, (String, Content)>,
    ) -> Option<(String, Content)> {
        let body = match file.read() {
            Ok(body) => body,
            Err(problem) => {
                self.problems.push(problem);
                return None;
            }
        };
        let content = Digest::of(body.as_bytes());
        let source = Source { folder, path: file.name.clone(), content };
        match known.get(&file.name) {
            Some((_, note)) if note.source.as_ref() == Some(&source) => {
                self.unchanged += 1;
                None
            }
            Some((id, _)) => {
                self.updated += 1;
                Some((id.clone(), Content::imported(source, body)))
            }
            None => {
                self.added += 1;
                Some((new_id(), Content::imported(source, body)))
            }
        }
    }
}

/// The notes that came from this folder, by file name. Two devices may each have
/// imported a file: the smallest id is then the one that is updated, on both.
fn known_files<T>(
    book: &Notebook<T>,
    folder: Digest,
) -> Result<HashMap<String, (String, Content)>, AppError> {
    let mut known = HashMap::new();
    for (id, note) in book.all()? {
        if let Some(source) = note.source.as_ref().filter(|source| source.folder == folder) {
            known.entry(source.path.clone()).or_insert((id, note));
        }
    }
    Ok(known)
}
