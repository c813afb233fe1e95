//! What a note is.
//!
//! It promises that a file becomes a note and a file again without losing a byte,
//! and that writing a note says only what is new in it, so that what somebody else
//! writes at the same time stays. It never touches the disk.

use repliq::EditError;
use repliq::prelude::*;
use serde::{Deserialize, Serialize};
use similar::{ChangeTag, DiffTag, TextDiff};
use std::collections::BTreeSet;
use std::time::Duration;

/// The largest body that is imported, in bytes: what one change carries, less
/// room for title and name.
pub(crate) const MAX_BODY_BYTES: usize = repliq::MAX_CHANGE_BYTES - (64 << 10);
/// How long to look for the smallest difference of two bodies.
const DIFF_TIME: Duration = Duration::from_millis(500);

/// A note as devices share it. Titles may repeat: what tells notes apart is their
/// key, a UUID.
#[derive(Debug, Crdt)]
#[crdt(kind = "note/1")]
pub(crate) struct Note {
    /// The last one wins.
    #[crdt(tag = 1)]
    pub(crate) title: LwwRegister<String>,
    /// What several people write stays, all of it.
    #[crdt(tag = 2)]
    pub(crate) body: Text,
    /// Who adds one wins over who removes it.
    #[crdt(tag = 3)]
    pub(crate) tags: OrSet<String>,
    /// Where it was imported from, if it was.
    #[crdt(tag = 4)]
    pub(crate) source: LwwRegister<Source>,
    #[crdt(unknown)]
    unknown: UnknownFields,
}

/// What is in a note, as plain values.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub(crate) struct Content {
    pub(crate) title: String,
    pub(crate) body: String,
    pub(crate) tags: BTreeSet<String>,
    /// Where it was imported from, if it was.
    pub(crate) source: Option<Source>,
}

/// What to change in a note: what is `None` or not named stays.
#[derive(Clone, Default, Debug)]
pub(crate) struct Changes {
    pub(crate) title: Option<String>,
    pub(crate) body: Option<String>,
    pub(crate) tag: Vec<String>,
    pub(crate) untag: Vec<String>,
    pub(crate) source: Option<Source>,
}

/// The file a note was imported from, so that it is recognised when it comes again.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Source {
    /// A digest of the imported folder's path: where somebody keeps their files
    /// is nobody else's business.
    pub(crate) folder: Digest,
    /// The path of the file within the folder, with slashes.
    pub(crate) path: String,
    /// A digest of the file's bytes when it was last imported.
    pub(crate) content: Digest,
}

/// The first 16 bytes of a BLAKE3 hash.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub(crate) struct Digest([u8; 16]);

impl Digest {
    pub(crate) fn of(bytes: &[u8]) -> Self {
        let mut digest = [0; 16];
        blake3::Hasher::new().update(bytes).finalize_xof().fill(&mut digest);
        Self(digest)
    }
}

impl Note {
    /// What is in it.
    pub(crate) fn content(&self) -> Content {
        Content {
            title: self.title.get().cloned().unwrap_or_default(),
            body: self.body.to_string(),
            tags: self.tags.iter().cloned().collect(),
            source: self.source.get().cloned(),
        }
    }

    /// Makes changes. What is as it should be is not written again.
    pub(crate) fn change(note: &mut Tx<'_, Self>, changes: Changes) -> Result<(), EditError> {
        let Changes { title, body, tag, untag, source } = changes;
        if let Some(title) = title.filter(|title| note.title.get() != Some(title)) {
            note.title().set(title);
        }
        if let Some(body) = body {
            rewrite(&mut note.body(), &body)?;
        }
        tag.into_iter().for_each(|tag| note.tags().add(tag));
        untag.into_iter().for_each(|tag| note.tags().remove(tag));
        if let Some(source) = source.filter(|source| note.source.get() != Some(source)) {
            note.source().set(source);
        }
        Ok(())
    }
}

/// Makes a text read `new`, word by word where it reads otherwise.
fn rewrite(text: &mut Tx<'_, Text>, new: &str) -> Result<(), EditError> {
    let old = text.to_string();
    let (old, new) = (words(&old), words(new));
    let diff = TextDiff::configure().timeout(DIFF_TIME).diff_slices(&old, &new);
    let mut at = 0;
    for op in diff.ops() {
        let before = diff.iter_changes(op).filter(|change| change.tag() != ChangeTag::Insert);
        let before: usize = before.map(|change| change.value().chars().count()).sum();
        let after = diff.iter_changes(op).filter(|change| change.tag() != ChangeTag::Delete);
        let after: String = after.map(|change| change.value()).collect();
        if op.tag() != DiffTag::Equal {
            text.replace(at..at + before, &after)?;
        }
        at += after.chars().count();
    }
    Ok(())
}

/// The words of a text, and every character between them.
fn words(text: &str) -> Vec<&str> {
    let mut words = Vec::new();
    for part in text.split_inclusive(|c: char| !c.is_alphanumeric()) {
        let end = part.char_indices().last().filter(|(_, c)| !c.is_alphanumeric());
        let (word, between) = part.split_at(end.map_or(part.len(), |(at, _)| at));
        words.extend([word, between].into_iter().filter(|part| !part.is_empty()));
    }
    words
}

impl Content {
    /// A note that is written here.
    pub(crate) fn new(title: &str, body: &str) -> Self {
        Self { title: title.to_owned(), body: body.to_owned(), ..Self::default() }
    }

    /// A note made of a file.
    pub(crate) fn imported(source: Source, body: String) -> Self {
        let title = title_of(&source.path, &body);
        Self { title, body, source: Some(source), ..Self::default() }
    }

    /// What makes a note this one. Tags that it has besides stay.
    pub(crate) fn into_changes(self) -> Changes {
        let Self { title, body, tags, source } = self;
        let tag = tags.into_iter().collect();
        Changes { title: Some(title), body: Some(body), tag, untag: Vec::new(), source }
    }

    /// Whether a text is in the title, the body or a tag, whatever its case.
    pub(crate) fn mentions(&self, text: &str) -> bool {
        let text = text.to_lowercase();
        let places = [&self.title, &self.body];
        places.into_iter().chain(&self.tags).any(|place| place.to_lowercase().contains(&text))
    }
}

/// The first heading of a Markdown text, or else the file's name without its end.
fn title_of(path: &str, body: &str) -> String {
    let heading = body.lines().find_map(|line| {
        let text = line.trim_start_matches('#');
        let level = line.len() - text.len();
        let text = text.strip_prefix(' ')?.trim();
        ((1..=6).contains(&level) && !text.is_empty()).then_some(text)
    });
    let name = path.rsplit('/').next().unwrap_or(path);
    let stem = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
    heading.unwrap_or(stem).to_owned()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn the_title_is_the_first_heading_or_else_the_file_name() {
        assert_eq!(title_of("a/b.md", "text\r\n## Soup \r\n# Later"), "Soup");
        assert_eq!(title_of("a/b.c.md", "#tag\n####### seven\n# \n"), "b.c");
        assert_eq!(title_of("b", ""), "b");
    }

    #[test]
    fn a_search_looks_at_title_body_and_tags_whatever_the_case() {
        let mut note = Content::new("Größe", "Leek and POTATO");
        note.tags.insert("Food".to_owned());
        for text in ["GRÖ", "potato", "fOO", ""] {
            assert!(note.mentions(text), "{text}");
        }
        assert!(!note.mentions("onion"));
    }

    fn changed(note: &mut Standalone<Note>, changes: Changes) -> usize {
        let before = note.version().get(note.replica());
        note.edit(|note| Note::change(note, changes)).unwrap().unwrap();
        (note.version().get(note.replica()) - before).try_into().unwrap()
    }

    fn body(text: &str) -> Changes {
        Changes { body: Some(text.to_owned()), ..Changes::default() }
    }

    #[test]
    fn a_new_body_is_written_as_what_is_new_in_it() {
        let texts = [
            "",
            "Leek and potato soup",
            "Leek, potato and soup\r\n",
            "Ein Ähre 木漏れ日 👩‍👩‍👧‍👦 soup",
            "木漏れ日 soup\n\nEin Ähre",
            "Leek and potato soup",
            "",
        ];
        let mut note = Standalone::<Note>::new(ReplicaId::new());
        for text in texts {
            changed(&mut note, body(text));
            assert_eq!(note.body.to_string(), text);
            assert_eq!(changed(&mut note, body(text)), 0, "the same again is no change");
        }
        changed(&mut note, body(&"one two three\n".repeat(1000)));
        let text = format!("{}four five\n{0}", "one two three\n".repeat(500));
        assert!(changed(&mut note, body(&text)) < 12);
        assert_eq!(note.body.to_string(), text);
    }

    #[test]
    fn what_two_people_change_in_one_body_is_there_in_the_end() {
        let mut one = Standalone::<Note>::new(ReplicaId::new());
        changed(&mut one, body("Cut the leek. Boil it. Eat."));
        let mut other = Standalone::<Note>::new(ReplicaId::new());
        other.merge(read_again(&one)).unwrap();
        changed(&mut one, body("Wash and cut the leek. Boil it. Eat."));
        changed(&mut other, body("Cut the leek. Boil it for an hour. Eat slowly."));
        one.merge(other).unwrap();
        assert_eq!(one.body.to_string(), "Wash and cut the leek. Boil it for an hour. Eat slowly.");
    }

    fn read_again(note: &Standalone<Note>) -> Standalone<Note> {
        use repliq::{Loaded, Stored};
        let saved = Saved::from_bytes(&note.to_bytes().unwrap()).unwrap();
        Standalone::resume(saved, ReplicaId::new())
    }
}
