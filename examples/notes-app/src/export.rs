//! Notes become Markdown files.
//!
//! It promises the bytes and the file names that were imported, and that it
//! overwrites nothing unless it was told to. It never writes outside the folder,
//! whatever name a note from another device claims to have come with.

use crate::error::AppError;
use crate::folder::is_markdown;
use crate::note::Content;
use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::io::{ErrorKind, Write};
use std::path::{Component, Path};

/// The longest file name that is made of a title, in characters.
const LONGEST_NAME: usize = 60;

/// What an export did.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Exported {
    pub(crate) written: usize,
    pub(crate) unchanged: usize,
}

/// Writes notes to files in a folder, which is made if it is not there.
pub(crate) fn export(
    notes: &BTreeMap<String, Content>,
    folder: &Path,
    overwrite: bool,
) -> Result<Exported, AppError> {
    let mut to_write = Vec::new();
    for (name, body) in file_names(notes) {
        let path = folder.join(name);
        match fs::read(&path) {
            Ok(there) if there == body.as_bytes() => {}
            Ok(_) if !overwrite => return Err(AppError::WouldOverwrite(path)),
            Ok(_) => to_write.push((path, body)),
            Err(error) if error.kind() == ErrorKind::NotFound => to_write.push((path, body)),
            Err(error) => return Err(AppError::file(&path)(error)),
        }
    }
    let exported = Exported { written: to_write.len(), unchanged: notes.len() - to_write.len() };
    fs::create_dir_all(folder).map_err(AppError::file(folder))?;
    for (path, body) in to_write {
        write(&path, body, overwrite).map_err(AppError::file(&path))?;
    }
    Ok(exported)
}

fn write(path: &Path, body: &str, overwrite: bool) -> std::io::Result<()> {
    path.parent().map_or(Ok(()), fs::create_dir_all)?;
    let mut open = fs::OpenOptions::new();
    // Where names differ in case only, a file may have come up since we looked.
    let open = if overwrite { open.create(true).truncate(true) } else { open.create_new(true) };
    open.write(true).open(path)?.write_all(body.as_bytes())
}

/// The file each note goes to. Notes that would share one go to files of their own.
fn file_names(notes: &BTreeMap<String, Content>) -> Vec<(String, &str)> {
    let mut taken = HashSet::new();
    let mut named = Vec::with_capacity(notes.len());
    let (imported, written): (Vec<_>, Vec<_>) =
        notes.values().partition(|note| source_path(note).is_some());
    for note in imported.into_iter().chain(written) {
        let wanted = source_path(note).map_or_else(|| name_of(&note.title), ToOwned::to_owned);
        let (stem, ending) = wanted.rsplit_once('.').unwrap_or((&wanted, "md"));
        let mut name = wanted.clone();
        let mut number = 1_u64;
        while !taken.insert(name.clone()) {
            number += 1;
            name = format!("{stem} ({number}).{ending}");
        }
        named.push((name, note.body.as_str()));
    }
    named
}

/// The file name a note was imported with, unless it is one that no import takes:
/// another device may claim anything.
fn source_path(note: &Content) -> Option<&str> {
    let path = note.source.as_ref()?.path.as_str();
    let plain = |part: Component<'_>| match part {
        Component::Normal(name) => !name.as_encoded_bytes().starts_with(b"."),
        _ => false,
    };
    let safe = !path.contains('\0') && Path::new(path).components().all(plain);
    (safe && is_markdown(Path::new(path))).then_some(path)
}

fn name_of(title: &str) -> String {
    let plain = |c: char| if c.is_alphanumeric() || " -_".contains(c) { c } else { '-' };
    let name: String = title.chars().map(plain).take(LONGEST_NAME).collect();
    let name = name.trim_matches([' ', '-']);
    format!("{}.md", if name.is_empty() { "note" } else { name })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::note::{Digest, Source};

    fn imported(path: &str, body: &str) -> Content {
        let source =
            Source { folder: Digest::of(b""), path: path.into(), content: Digest::of(b"") };
        Content { source: Some(source), ..Content::new("Title", body) }
    }

    fn notes(notes: impl IntoIterator<Item = Content>) -> BTreeMap<String, Content> {
        (0..).map(|n: u32| format!("{n:04}")).zip(notes).collect()
    }

    fn names(of: impl IntoIterator<Item = Content>) -> Vec<String> {
        file_names(&notes(of)).into_iter().map(|(name, _)| name).collect()
    }

    #[test]
    fn every_note_gets_a_file_of_its_own_and_imported_ones_keep_their_names() {
        let written = Content::new("a", "");
        let all = [written.clone(), imported("a.md", ""), written, imported("a.md", "")];
        assert_eq!(names(all), ["a.md", "a (2).md", "a (3).md", "a (4).md"]);
        assert_eq!(names([imported("x/a b.Markdown", "")]), ["x/a b.Markdown"]);
    }

    #[test]
    fn a_name_from_another_device_never_leads_out_of_the_folder() {
        for path in ["../a.md", "/etc/a.md", "a/../../b.md", ".ssh/a.md", "a.sh", "", "a\0.md"] {
            assert_eq!(names([imported(path, "")]), ["Title.md"], "{path}");
        }
    }

    #[test]
    fn any_title_makes_a_file_name() {
        let titles = ["../..", "", "a/b\\c:d", "…", "Ein Ähre", &"long ".repeat(100)];
        for title in titles {
            let name = name_of(title);
            assert!(name.len() <= 4 * LONGEST_NAME + 3, "{name}");
            assert!(!name.contains(['/', '\\', ':', '\0']) && !name.starts_with('.'), "{name}");
        }
        assert_eq!(name_of("My First Content!"), "My First Content.md");
    }

    #[test]
    fn nothing_is_overwritten_unless_it_was_asked_for() {
        let folder = tempfile::tempdir().unwrap();
        let before = notes([imported("a.md", "old"), imported("b.md", "b")]);
        let written = |written, unchanged| Exported { written, unchanged };
        assert_eq!(export(&before, folder.path(), false).unwrap(), written(2, 0));
        assert_eq!(export(&before, folder.path(), false).unwrap(), written(0, 2));

        let after = notes([imported("0.md", "0"), imported("a.md", "new")]);
        let error = export(&after, folder.path(), false).unwrap_err();
        assert!(matches!(error, AppError::WouldOverwrite(path) if path.ends_with("a.md")));
        assert!(!folder.path().join("0.md").exists());
        assert_eq!(export(&after, folder.path(), true).unwrap(), written(2, 0));
        assert_eq!(fs::read(folder.path().join("a.md")).unwrap(), b"new");
    }
}
