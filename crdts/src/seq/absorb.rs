//! Merging two sequences: every element that one lacks gets its place, as if its
//! op had come.

use super::{Elements, NONE, Run, Seq};
use repliq_core::Dot;

/// Elements of another sequence that are new here, with consecutive handles in
/// both.
#[derive(Clone, Copy)]
pub(crate) struct Adopted {
    /// What they are here.
    pub(crate) here: Elements,
    /// The first of them, in the other sequence.
    pub(crate) there: u32,
    /// Whether they are dead here, as they are there at first.
    pub(crate) dead: bool,
    dot: Dot,
    /// Their origins, in the other sequence.
    left: u32,
    right: u32,
}

impl Seq {
    /// Gives handles to the elements that only `other` has, in ascending order.
    /// Each gets its place by [`Seq::place_adopted`]. O(n log n) in the runs of
    /// `other`.
    pub(crate) fn adopt(&mut self, other: &Self) -> Vec<Adopted> {
        let mut missing = self.missing(other);
        missing.sort_unstable_by_key(|piece| piece.dot);
        // What there is no room for is left out.
        missing.retain_mut(|piece| match self.add(piece.dot, piece.here.len) {
            Ok(here) => {
                piece.here = here;
                true
            }
            Err(_) => false,
        });
        missing
    }

    /// Places all that was adopted, each piece after those its origins are in.
    pub(crate) fn place_adopted(
        &mut self,
        adopted: &[Adopted],
        other: &Self,
        mut placed: impl FnMut(&Self, &Adopted),
    ) {
        let mut begun = vec![false; adopted.len()];
        let mut waiting = Vec::new();
        for number in 0..adopted.len() {
            waiting.push(number);
            while let Some(&number) = waiting.last() {
                let Some(piece) = adopted.get(number) else { break };
                if self.is_placed(piece.here.first) {
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
                            // Pieces got their handles in their own order.
                            let held = adopted.partition_point(|piece| piece.here.first <= origin);
                            waiting.extend(held.checked_sub(1));
                        }
                    }
                }
                if waiting.len() == before {
                    waiting.pop();
                    self.place_one(piece, left, right);
                    placed(self, piece);
                }
            }
        }
    }

    fn place_one(&mut self, piece: &Adopted, left: u32, right: u32) {
        // Only a damaged state has origins that cannot be: they count as the edges.
        let [left, right] =
            [left, right].map(|origin| if self.is_placed(origin) { origin } else { NONE });
        let right = if self.may_have_met(left, right) { right } else { NONE };
        self.put(piece.here, left, right, piece.dead);
    }

    /// The elements of `there` that are not here.
    fn missing(&self, there: &Self) -> Vec<Adopted> {
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
                    missing.push(Adopted {
                        dot,
                        there: part.first() + done,
                        here: Elements { first: NONE, len },
                        left: part.left_at(done),
                        right: part.right(),
                        dead: part.is_dead(),
                    });
                    done += len;
                }
            });
        }
        missing
    }

    /// Those of `there` that are here, of elements with consecutive handles there.
    pub(crate) fn for_each_held(
        &self,
        there: &Self,
        elements: Elements,
        mut each: impl FnMut(Elements),
    ) {
        let mut done = 0;
        while done < elements.len {
            let (dot, len) = there.stretch_at(elements.first + done);
            let left = len.min(elements.len - done);
            match self.find_run(dot, u64::from(left)) {
                Some(found) => {
                    each(found);
                    done += found.len;
                }
                None => done += self.gap(dot, left).max(1),
            }
        }
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
