//! Merging two states: every element that one lacks is inserted as if its op
//! came, and what one has deleted is deleted.

use super::{History, Text, TextEvent, TextUndo};
use crate::seq::{Elements, NONE, Run, Seq};
use repliq_core::{Dot, Effects};

/// Elements of the other state that are not here.
struct Missing {
    dot: Dot,
    /// The first of them, in the other state.
    there: u32,
    len: u32,
    left: u32,
    right: u32,
    dead: bool,
    /// The first of them, here.
    here: u32,
}

impl History {
    /// Takes over what `other` has. O(n log n) in the runs of `other`.
    pub(super) fn take_over(&mut self, other: &Self, fx: &mut Effects<Text>) {
        let before = self.seq.elements();
        let mut missing = missing(&self.seq, &other.seq);
        if !missing.is_empty() {
            missing.retain_mut(|piece| self.add(piece, other));
            fx.undo(|| TextUndo::inserted(before));
            self.place(&missing, other, fx);
        }
        for run in other.seq.runs().filter(|run| run.is_dead()) {
            for_each_stretch(&other.seq, run, |dot, part| {
                let mut done = 0;
                while done < part.len() {
                    let dot = Dot { seq: dot.seq + u64::from(done), ..dot };
                    let left = part.len() - done;
                    match self.seq.find_run(dot, u64::from(left)) {
                        Some(found) => {
                            self.delete(found, fx);
                            done += found.len;
                        }
                        None => done += self.seq.gap(dot, left).max(1),
                    }
                }
            });
        }
    }

    /// Gives a piece handles here. `false` if there is no room for it.
    fn add(&mut self, piece: &mut Missing, other: &Self) -> bool {
        let Ok(added) = self.seq.add(piece.dot, piece.len) else { return false };
        piece.here = added.first;
        self.scalars.push(other.scalars.get(piece.there, piece.len), piece.len);
        true
    }

    /// Places every piece after the pieces its origins are in.
    fn place(&mut self, missing: &[Missing], other: &Self, fx: &mut Effects<Text>) {
        let mut begun = vec![false; missing.len()];
        let mut waiting = Vec::new();
        for number in 0..missing.len() {
            waiting.push(number);
            while let Some(&number) = waiting.last() {
                let Some(piece) = missing.get(number) else { break };
                if self.seq.is_placed(piece.here) {
                    waiting.pop();
                    continue;
                }
                let [left, right] = [piece.left, piece.right].map(|origin| {
                    if origin == NONE {
                        return NONE;
                    }
                    self.seq.find(other.seq.dot(origin)).unwrap_or(NONE)
                });
                let first_time =
                    begun.get_mut(number).is_some_and(|begun| !std::mem::replace(begun, true));
                let before = waiting.len();
                if first_time {
                    for origin in [left, right] {
                        if origin != NONE && !self.seq.is_placed(origin) {
                            // Pieces got their handles in their own order.
                            let held = missing.partition_point(|piece| piece.here <= origin);
                            waiting.extend(held.checked_sub(1));
                        }
                    }
                }
                if waiting.len() == before {
                    waiting.pop();
                    self.put(piece, left, right, fx);
                }
            }
        }
    }

    fn put(&mut self, piece: &Missing, left: u32, right: u32, fx: &mut Effects<Text>) {
        // Only a damaged state has origins that cannot be: they count as the edges.
        let [left, right] =
            [left, right].map(|origin| if self.seq.is_placed(origin) { origin } else { NONE });
        let right = if self.seq.are_in_order(left, right) { right } else { NONE };
        let elements = Elements { first: piece.here, len: piece.len };
        self.seq.put(elements, left, right, piece.dead);
        if !piece.dead {
            fx.event(|| TextEvent::Inserted {
                index: self.seq.index(elements.first) as usize,
                text: self.scalars.get(elements.first, elements.len).to_owned(),
            });
        }
    }
}

/// The pieces of `there` that are not `here`, in the order of their dots.
fn missing(here: &Seq, there: &Seq) -> Vec<Missing> {
    let mut missing = Vec::new();
    for run in there.runs() {
        for_each_stretch(there, run, |dot, part| {
            let mut done = 0;
            while done < part.len() {
                let dot = Dot { seq: dot.seq + u64::from(done), ..dot };
                let left = part.len() - done;
                if let Some(found) = here.find_run(dot, u64::from(left)) {
                    done += found.len;
                    continue;
                }
                let len = here.gap(dot, left).max(1);
                missing.push(Missing {
                    dot,
                    there: part.first() + done,
                    len,
                    left: part.left_at(done),
                    right: part.right(),
                    dead: part.is_dead(),
                    here: NONE,
                });
                done += len;
            }
        });
    }
    missing.sort_unstable_by_key(|piece| piece.dot);
    missing
}

/// The parts of a run with consecutive dots, each with the first of its dots.
fn for_each_stretch(seq: &Seq, run: Run, mut each: impl FnMut(Dot, Run)) {
    let mut from = 0;
    while from < run.len() {
        let (dot, len) = seq.stretch_at(run.first() + from);
        let to = run.len().min(from.saturating_add(len));
        each(dot, run.part(from, to));
        from = to;
    }
}
