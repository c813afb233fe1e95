//! Merging two states: every element that one lacks is inserted as if its op
//! came, and what one has deleted is deleted.

use super::{History, Text, TextEvent, TextUndo};
use crate::seq::Elements;
use repliq_core::Effects;

impl History {
    /// Takes over what `other` has. O(n log n) in the runs of `other`.
    pub(super) fn take_over(&mut self, other: &Self, fx: &mut Effects<Text>) {
        let before = self.seq.elements();
        let adopted = self.seq.adopt(&other.seq);
        if !adopted.is_empty() {
            fx.undo(|| TextUndo::inserted(before));
        }
        for piece in &adopted {
            let len = piece.here.len;
            let mut letters = String::new();
            other.scalars.copy(piece.there, len, &mut letters);
            self.scalars.push(&letters, len);
        }
        let scalars = &self.scalars;
        self.seq.place_adopted(&adopted, &other.seq, |seq, piece| {
            if !piece.dead {
                fx.event(|| TextEvent::Inserted {
                    index: seq.index(piece.here.first) as usize,
                    text: scalars.get(piece.here.first, piece.here.len).to_owned(),
                });
            }
        });
        for run in other.seq.runs().filter(|run| run.is_dead()) {
            let mut held = Vec::new();
            let dead = Elements { first: run.first(), len: run.len() };
            self.seq.for_each_held(&other.seq, dead, |found| held.push(found));
            held.into_iter().for_each(|found| self.delete(found, fx, None));
        }
    }
}
