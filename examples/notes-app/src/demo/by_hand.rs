//! The outcome as one works it out with pencil and paper.
//!
//! It promises to follow the documented rules and nothing else. Of a note's titles
//! the one with the largest (time, replica id) stays. Of its body every line that
//! anybody added stays; two that were added at one place at once stand in the order
//! of replica ids. A tag stays that somebody added whom no removal of it knew. A
//! note stays if there is an edit of it that no removal knew. It never looks at a
//! CRDT.

use crate::error::AppError;
use crate::note::Content;
use repliq::{Millis, ReplicaId};
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

/// How long the system clock may stand still, or be set back, before we give up.
const STANDSTILL: Duration = Duration::from_secs(5);

/// Everything that was done, by whom and when.
#[derive(Debug, Default)]
pub(crate) struct ByHand {
    /// When the last edit was finished.
    last: Millis,
    done: Vec<Done>,
    /// How often the devices have met so far.
    meetings: usize,
}

/// An edit of a note.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Edit {
    /// It was made, with all that is in it.
    Made(Content),
    Renamed(String),
    /// Something was added at the end of the body.
    Added(String),
    Tagged(String),
    Untagged(String),
    Removed,
}

#[derive(Debug)]
struct Done {
    at: Millis,
    replica: ReplicaId,
    id: String,
    edit: Edit,
    /// Its place among all edits.
    number: usize,
    meetings: usize,
}

impl Done {
    /// Whether who did this knew of the other edit.
    fn knew(&self, other: &Self) -> bool {
        other.meetings < self.meetings
            || (other.replica == self.replica && other.number < self.number)
    }
}

impl ByHand {
    /// A time for the next write that is later than all writes before it. Waits
    /// for it, a millisecond at most unless the clock was set back.
    pub(crate) async fn next_time(&self) -> Result<Millis, AppError> {
        let began = Instant::now();
        loop {
            let now = Millis::now();
            if now > self.last {
                return Ok(now);
            }
            if began.elapsed() > STANDSTILL {
                return Err(AppError::Check("the system clock stands still".to_owned()));
            }
            tokio::task::yield_now().await;
        }
    }

    /// Notes down an edit that has just been made.
    pub(crate) fn did(&mut self, at: Millis, replica: ReplicaId, id: String, edit: Edit) {
        let (number, meetings) = (self.done.len(), self.meetings);
        self.done.push(Done { at, replica, id, edit, number, meetings });
        self.last = Millis::now().max(at);
    }

    /// From now on everybody knows everything.
    pub(crate) fn met(&mut self) {
        self.meetings += 1;
    }

    /// What every device has to hold in the end.
    pub(crate) fn outcome(&self) -> BTreeMap<String, Content> {
        let ids: BTreeSet<&String> = self.done.iter().map(|done| &done.id).collect();
        let note = |id: &String| {
            let done: Vec<&Done> = self.done.iter().filter(|done| done.id == *id).collect();
            is_there(&done).then(|| (id.clone(), content(&done)))
        };
        ids.into_iter().filter_map(note).collect()
    }
}

/// Whether one of these edits of a note was known to no removal.
fn is_there(done: &[&Done]) -> bool {
    let (removals, edits): (Vec<&Done>, Vec<&Done>) =
        done.iter().partition(|done| done.edit == Edit::Removed);
    edits.iter().any(|edit| !removals.iter().any(|removal| removal.knew(edit)))
}

fn content(done: &[&Done]) -> Content {
    let made = done.iter().find_map(|done| match &done.edit {
        Edit::Made(content) => Some(content.clone()),
        _ => None,
    });
    let mut content = made.unwrap_or_default();
    let title = |done: &&Done| match &done.edit {
        Edit::Made(Content { title, .. }) | Edit::Renamed(title) => {
            Some(((done.at, done.replica, done.number), title.clone()))
        }
        _ => None,
    };
    if let Some((_, title)) = done.iter().filter_map(title).max() {
        content.title = title;
    }
    let mut in_order = done.to_vec();
    in_order.sort_by_key(|done| (done.meetings, done.replica, done.number));
    for edit in in_order {
        match &edit.edit {
            Edit::Added(text) => content.body.push_str(text),
            Edit::Tagged(tag) => {
                let takes_it = |done: &&Done| done.edit == Edit::Untagged(tag.clone());
                if !done.iter().any(|done| takes_it(done) && done.knew(edit)) {
                    content.tags.insert(tag.clone());
                }
            }
            _ => {}
        }
    }
    content
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    const LOW: ReplicaId = ReplicaId::from_bytes([1; 16]);
    const HIGH: ReplicaId = ReplicaId::from_bytes([2; 16]);

    /// What becomes of one note that was made before all this.
    fn outcome(edits: &[(u64, ReplicaId, Edit)]) -> Option<Content> {
        let mut by_hand = ByHand::default();
        let made = Edit::Made(Content::new("T", "body\n"));
        by_hand.did(Millis(1), LOW, "id".into(), made);
        by_hand.did(Millis(1), LOW, "id".into(), Edit::Tagged("old".into()));
        by_hand.met();
        for (at, replica, edit) in edits {
            by_hand.did(Millis(*at), *replica, "id".into(), edit.clone());
        }
        by_hand.outcome().remove("id")
    }

    #[test]
    fn the_later_title_stays_whatever_order_they_are_noted_down_in() {
        let renamed = |to: &str| Edit::Renamed(to.into());
        let title = |edits: &[_]| outcome(edits).unwrap().title;
        assert_eq!(title(&[(5, LOW, renamed("later")), (4, HIGH, renamed("earlier"))]), "later");
        assert_eq!(title(&[(7, HIGH, renamed("high")), (7, LOW, renamed("low"))]), "high");
        assert_eq!(title(&[(8, LOW, renamed("first")), (8, LOW, renamed("second"))]), "second");
    }

    #[test]
    fn everything_that_was_added_to_a_body_stays() {
        let added = |text: &str| Edit::Added(text.into());
        let edits = [(9, HIGH, added("high")), (2, LOW, added("low")), (3, LOW, added("er"))];
        assert_eq!(outcome(&edits).unwrap().body, "body\nlowerhigh");
    }

    #[test]
    fn an_addition_that_a_removal_did_not_know_stays() {
        let (tag, untag) = (|| Edit::Tagged("old".into()), || Edit::Untagged("old".into()));
        assert!(outcome(&[(9, HIGH, untag())]).unwrap().tags.is_empty());
        assert_eq!(outcome(&[(9, HIGH, untag()), (2, LOW, tag())]).unwrap().tags.len(), 1);
        assert!(outcome(&[(2, LOW, tag()), (9, LOW, untag())]).unwrap().tags.is_empty());
    }

    #[test]
    fn a_note_stays_if_somebody_edited_it_while_it_was_removed() {
        let added = || Edit::Added("!".into());
        assert_eq!(outcome(&[(9, HIGH, Edit::Removed)]), None);
        assert_eq!(outcome(&[(2, HIGH, added()), (9, HIGH, Edit::Removed)]), None);
        for removed_at in [1, 9] {
            let kept = outcome(&[(removed_at, HIGH, Edit::Removed), (5, LOW, added())]);
            assert_eq!(kept.unwrap().body, "body\n!");
        }
    }
}
