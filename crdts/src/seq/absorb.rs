//! Merging two sequences: every element that one lacks gets its place, as if its
//! op had come.

use super::{Elements, NONE, Run, Seq};
use repliq_core::Dot;

/// Elements of another sequence that are new here, with consecutive handles in
/// both.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Absorbed {
    /// The first of them, in the other sequence.
    pub(crate) there: u32,
    /// What they are here.
    pub(crate) here: Elements,
}

/// Elements of the other sequence that are not here.
#[derive(Clone, Copy)]
struct Piece {
    dot: Dot,
    there: u32,
    len: u32,
    left: u32,
    right: u32,
}

impl Seq {
    /// Takes in every element that only `other` has; all of them are dead at first.
    /// O(n log n) in the runs of `other`.
    pub(crate) fn absorb(&mut self, other: &Self) -> Vec<Absorbed> {
        let mut pieces = self.missing(other);
        // Handles ascend with the pieces, so that a piece is found by a handle in it.
        pieces.sort_unstable_by_key(|piece| piece.dot);
        let mut absorbed = Vec::with_capacity(pieces.len());
        pieces.retain(|piece| {
            let here = self.add(piece.dot, piece.len);
            let here = here.map(|here| absorbed.push(Absorbed { there: piece.there, here }));
            here.is_ok()
        });
        self.place_all(&pieces, &absorbed, other);
        absorbed
    }

    /// Places every piece after the pieces its origins are in.
    fn place_all(&mut self, pieces: &[Piece], absorbed: &[Absorbed], other: &Self) {
        let mut begun = vec![false; pieces.len()];
        let mut waiting = Vec::new();
        for number in 0..pieces.len() {
            waiting.push(number);
            while let Some(&number) = waiting.last() {
                let (Some(piece), Some(held)) = (pieces.get(number), absorbed.get(number)) else {
                    break;
                };
                if self.is_placed(held.here.first) {
                    waiting.pop();
                    continue;
                }
                let [left, right] = [piece.left, piece.right].map(|origin| {
                    if origin == NONE {
                        return NONE;
                    }
                    self.find(other.dot(origin)).unwrap_or(NONE)
                });
                let before = waiting.len();
                if begun.get_mut(number).is_some_and(|begun| !std::mem::replace(begun, true)) {
                    for origin in [left, right] {
                        if origin != NONE && !self.is_placed(origin) {
                            let held = absorbed.partition_point(|held| held.here.first <= origin);
                            waiting.extend(held.checked_sub(1));
                        }
                    }
                }
                if waiting.len() == before {
                    waiting.pop();
                    self.place_dead(held.here, left, right);
                }
            }
        }
    }

    fn place_dead(&mut self, elements: Elements, left: u32, right: u32) {
        // Only a damaged state has origins that cannot be: they count as the edges.
        let [left, right] =
            [left, right].map(|origin| if self.is_placed(origin) { origin } else { NONE });
        let right = if self.are_in_order(left, right) { right } else { NONE };
        self.put(elements, left, right, true);
    }

    /// The elements of `there` that are not here.
    fn missing(&self, there: &Self) -> Vec<Piece> {
        let mut missing = Vec::new();
        for run in there.runs() {
            there.for_each_stretch(run, |dot, part| {
                let mut done = 0;
                while done < part.len() {
                    let dot = Dot { seq: dot.seq + u64::from(done), ..dot };
                    let left = part.len() - done;
                    if let Some(found) = self.find_run(dot, u64::from(left)) {
                        done += found.len;
                        continue;
                    }
                    let len = self.gap(dot, left).max(1);
                    missing.push(Piece {
                        dot,
                        there: part.first() + done,
                        len,
                        left: part.left_at(done),
                        right: part.right(),
                    });
                    done += len;
                }
            });
        }
        missing
    }

    /// The parts of a run with consecutive dots, each with the first of its dots.
    fn for_each_stretch(&self, run: Run, mut each: impl FnMut(Dot, Run)) {
        let mut from = 0;
        while from < run.len() {
            let (dot, len) = self.stretch_at(run.first() + from);
            let to = run.len().min(from.saturating_add(len));
            each(dot, run.part(from, to));
            from = to;
        }
    }
}
