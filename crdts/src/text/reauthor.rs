//! Saying an own edit again, under new dots, on a text that has moved on.
//!
//! What the op names may have been said again itself and so have other dots now,
//! or may not be there at all. A character that is gone is found by what it was
//! beside: the nearest one that is still there, and from it on the characters
//! that are new here and read the same.

use super::edit::{add_stretch, delete_op};
use super::op::{LeftOrigin, TextOp};
use super::{History, Stretch, Text, TextMut};
use crate::seq::NONE;
use repliq_core::{CrdtError, Dot, EditError, Stamp, Tx};

pub(super) fn reauthor(
    op: TextOp,
    at: Stamp,
    before: &Text,
    tx: &mut Tx<'_, Text>,
) -> Result<(), CrdtError> {
    match op {
        TextOp::Insert { left, text, .. } => {
            let index = index_after(left, at, before, tx)?;
            let inserted = text.with(|text| TextMut::insert(tx, index, text));
            inserted.map_err(|error| match error {
                EditError::Refused(refused) => refused,
                _ => CrdtError::Invalid("an edit has no place any more"),
            })
        }
        TextOp::Delete(stretch) => delete_again(&[stretch], at, before, tx),
        TextOp::DeleteEach(stretches) => delete_again(&stretches, at, before, tx),
    }
}

/// Where text goes that was inserted after `left`.
fn index_after(left: LeftOrigin, at: Stamp, before: &Text, now: &Text) -> Result<usize, CrdtError> {
    let (before, now) = (before.history()?, now.history()?);
    let element = before.seq.find_left(left, at)?;
    if element == NONE {
        return Ok(0);
    }
    let mut counterparts = Counterparts::new(before, now);
    Ok(match counterparts.of(element) {
        Some(found) => (now.seq.index(found) + u32::from(now.seq.is_living(found))) as usize,
        None => counterparts.index_of_nearest(element),
    })
}

fn delete_again(
    stretches: &[Stretch],
    at: Stamp,
    before: &Text,
    tx: &mut Tx<'_, Text>,
) -> Result<(), CrdtError> {
    let mut dots: Vec<(Dot, u64)> = Vec::new();
    let (before, now) = (before.history()?, tx.history()?);
    let mut counterparts = Counterparts::new(before, now);
    for found in before.seq.find_stretches(stretches, at)? {
        for element in found.first..found.first + found.len {
            if let Some(counterpart) = counterparts.of(element) {
                add_stretch(&mut dots, now.seq.dot(counterpart), 1);
            }
        }
    }
    if dots.is_empty() {
        return Ok(());
    }
    let next = repliq_core::Author::next(tx);
    tx.push(delete_op(&dots, next))
}

/// Finds the characters of one text in another one.
struct Counterparts<'a> {
    before: &'a History,
    now: &'a History,
}

impl<'a> Counterparts<'a> {
    const fn new(before: &'a History, now: &'a History) -> Self {
        Self { before, now }
    }

    /// The character here that is, or was said again for, one of before.
    fn of(&mut self, element: u32) -> Option<u32> {
        if let Some(found) = self.now.seq.find(self.before.seq.dot(element)) {
            return Some(found);
        }
        let (anchor, lost) = self.lost_until(element);
        let mut lost = lost.into_iter();
        let mut wanted = lost.next()?;
        for run in self.now.seq.runs_after(anchor) {
            for found in run.first()..run.first() + run.len() {
                if self.before.seq.find(self.now.seq.dot(found)).is_some() {
                    return None;
                }
                if self.now.scalar(found) == Some(wanted) {
                    match lost.next() {
                        Some(next) => wanted = next,
                        None => return Some(found),
                    }
                }
            }
        }
        None
    }

    /// Right after the nearest character to the left that is still here.
    fn index_of_nearest(&self, element: u32) -> usize {
        match self.lost_until(element).0 {
            NONE => 0,
            anchor => {
                let after = u32::from(self.now.seq.is_living(anchor));
                (self.now.seq.index(anchor) + after) as usize
            }
        }
    }

    /// The nearest character up to `element` that is here, and the scalars of
    /// those between, `element` included.
    fn lost_until(&self, element: u32) -> (u32, Vec<char>) {
        let mut lost = Vec::new();
        let mut place = element;
        while place != NONE {
            if let Some(found) = self.now.seq.find(self.before.seq.dot(place)) {
                lost.reverse();
                return (found, lost);
            }
            lost.extend(self.before.scalar(place));
            place = self.before.seq.before(place);
        }
        lost.reverse();
        (NONE, lost)
    }
}

impl History {
    fn scalar(&self, element: u32) -> Option<char> {
        let mut scalar = String::new();
        self.scalars.copy(element, 1, &mut scalar);
        scalar.chars().next()
    }
}
