//! What a note is.
//!
//! It promises that a file becomes a note and a file again without losing a byte.
//! It never touches the disk.

use serde::{Deserialize, Serialize};

/// The largest body that is imported, in bytes: what one change carries, less
/// room for title and name.
pub(crate) const MAX_BODY_BYTES: usize = repliq::MAX_CHANGE_BYTES - (64 << 10);

/// A note. Titles may repeat: what tells notes apart is their key, a UUID.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Note {
    pub(crate) title: String,
    pub(crate) body: String,
    /// Where it was imported from, if it was.
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
    /// A note that was written here.
    pub(crate) fn new(title: &str, body: &str) -> Self {
        Self { title: title.to_owned(), body: body.to_owned(), source: None }
    }

    /// A note made of a file.
    pub(crate) fn imported(source: Source, body: String) -> Self {
        Self { title: title_of(&source.path, &body), body, source: Some(source) }
    }

    /// Whether a text is in the title or the body, whatever its case.
    pub(crate) fn mentions(&self, text: &str) -> bool {
        let text = text.to_lowercase();
        self.title.to_lowercase().contains(&text) || self.body.to_lowercase().contains(&text)
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
mod tests {
    use super::*;

    #[test]
    fn the_title_is_the_first_heading_or_else_the_file_name() {
        assert_eq!(title_of("a/b.md", "text\r\n## Soup \r\n# Later"), "Soup");
        assert_eq!(title_of("a/b.c.md", "#tag\n####### seven\n# \n"), "b.c");
        assert_eq!(title_of("b", ""), "b");
    }

    #[test]
    fn a_search_looks_at_title_and_body_whatever_the_case() {
        let note = Note::new("Größe", "Leek and POTATO");
        for text in ["GRÖ", "potato", ""] {
            assert!(note.mentions(text), "{text}");
        }
        assert!(!note.mentions("onion"));
    }
}
