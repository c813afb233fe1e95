//! A struct with `#[derive(Crdt)]`: each field is judged by the rule of its type.

use super::{Type, comes, exactly};
use repliq::prelude::*;
use std::collections::BTreeSet;

/// A note, as an app would have it.
#[derive(Debug, Crdt)]
#[crdt(kind = "matrix-note/1")]
pub struct SyncedNote {
    #[crdt(tag = 1)]
    title: LwwRegister<String>,
    #[crdt(tag = 2)]
    tags: OrSet<String>,
    #[crdt(tag = 3)]
    likes: PnCounter,
    #[crdt(unknown)]
    unknown: UnknownFields,
}

/// An edit of every field. A tag is taken away only by who has added it.
#[derive(Debug)]
pub struct NoteEdit {
    title: String,
    added: String,
    removed: Option<String>,
    likes: i64,
}

/// A struct with `#[derive(Crdt)]`.
#[derive(Debug)]
pub struct SyncedStruct;

impl Type for SyncedStruct {
    type Crdt = SyncedNote;
    type Done = NoteEdit;

    fn edit(note: &mut Tx<'_, SyncedNote>, who: &'static str, n: usize) -> NoteEdit {
        let likes = if n.is_multiple_of(3) { -2 } else { 5 };
        let removed = (n % 4 == 3).then(|| format!("{who} {}", n - 1));
        let (title, added) = (format!("by {who} {n}"), format!("{who} {n}"));
        note.title().set(title.clone());
        note.tags().add(added.clone());
        removed.iter().for_each(|tag| note.tags().remove(tag.clone()));
        note.likes().add(likes);
        NoteEdit { title, added, removed, likes }
    }

    fn view(note: &SyncedNote) -> Vec<String> {
        let tags = note.tags.iter().map(|tag| format!("tag {tag}"));
        let title = note.title.get().map(|title| format!("title {title}"));
        let likes = Some(note.likes.value()).filter(|likes| *likes != 0);
        let mut view: Vec<String> =
            tags.chain(title).chain(likes.map(|likes| format!("likes {likes}"))).collect();
        view.sort();
        view
    }

    fn patch(view: &mut Vec<String>, event: SyncedNoteEvent) -> Result<(), String> {
        match event {
            SyncedNoteEvent::Title(RegisterEvent::Set { value }) => {
                view.retain(|line| !line.starts_with("title "));
                comes(view, format!("title {value}"))
            }
            SyncedNoteEvent::Likes(PnCounterEvent::Changed { value }) => {
                view.retain(|line| !line.starts_with("likes "));
                if value == 0 { Ok(()) } else { comes(view, format!("likes {value}")) }
            }
            SyncedNoteEvent::Tags(OrSetEvent::Added { element }) => {
                comes(view, format!("tag {element}"))
            }
            SyncedNoteEvent::Tags(OrSetEvent::Removed { element }) => {
                let gone = format!("tag {element}");
                let before = view.len();
                view.retain(|line| *line != gone);
                if view.len() < before { Ok(()) } else { Err(format!("{gone:?} is not there")) }
            }
        }
    }

    fn judge(edits: &[&NoteEdit], view: &[String]) -> Result<(), String> {
        let removed: BTreeSet<&String> =
            edits.iter().filter_map(|edit| edit.removed.as_ref()).collect();
        let tags = edits.iter().map(|edit| &edit.added).filter(|tag| !removed.contains(tag));
        let title = edits.last().map(|edit| format!("title {}", edit.title));
        let likes: i64 = edits.iter().map(|edit| edit.likes).sum();
        let likes = (likes != 0).then(|| format!("likes {likes}"));
        let expected = tags.map(|tag| format!("tag {tag}")).chain(title).chain(likes);
        let expected: BTreeSet<String> = expected.collect();
        exactly(expected, view)
    }
}
