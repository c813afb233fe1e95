//! Saying an own edit again, under new dots, on a list that has moved on.
//!
//! What the op names may have been said again itself and so have other dots now,
//! or may not be there at all. An element that is gone is found by what it was
//! beside: the nearest one that is still there, and from it on the elements that
//! are new here and have the same value.

use super::{List, ListMut, ListOp, Value};
use crate::seq::{NONE, Seq};
use crate::text::LeftOrigin;
use repliq_core::{Author, CrdtError, Dot, EditError, Stamp, Tx, encode};

pub(super) fn reauthor<T: Value>(
    op: ListOp<T>,
    at: Stamp,
    before: &List<T>,
    tx: &mut Tx<'_, List<T>>,
) -> Result<(), CrdtError> {
    let edited = match op {
        ListOp::Insert { left, values, .. } => {
            let index = index_after(left, at, before, tx)?;
            tx.insert_each(index, values.into_vec())
        }
        ListOp::Set { element, value } => {
            let element = before.named(element, at)?;
            match living(before, tx, element) {
                Some(index) => tx.set(index, value),
                None => return Ok(()),
            }
        }
        ListOp::Move { element, left, .. } => {
            let element = before.named(element, at)?;
            let Some(from) = living(before, tx, element) else { return Ok(()) };
            let to = index_after(left, at, before, tx)?;
            // It leaves a place free before the one it goes to.
            tx.move_to(from, to - usize::from(to > from))
        }
        ListOp::Delete(stretches) => {
            let mut dots: Vec<(Dot, u64)> = Vec::new();
            for found in before.named_each(&stretches, at)? {
                let found = found.first..found.first + found.len;
                let there = found.filter_map(|element| counterpart(before, tx, element));
                dots.extend(there.map(|there| (tx.seq.dot(there), 1)));
            }
            if dots.is_empty() {
                return Ok(());
            }
            let next = Author::next(tx);
            return tx.push(ListOp::Delete(Seq::say_stretches(&dots, next)));
        }
    };
    edited.map_err(|error| match error {
        EditError::Refused(refused) => refused,
        _ => CrdtError::Invalid("an edit has no place any more"),
    })
}

/// The index of what an element is here, if it is alive.
fn living<T: Value>(before: &List<T>, now: &List<T>, element: u32) -> Option<usize> {
    let here = counterpart(before, now, element)?;
    now.value(here).map(|_| now.index_of(here))
}

/// Where something goes that went after `left`.
fn index_after<T: Value>(
    left: LeftOrigin,
    at: Stamp,
    before: &List<T>,
    now: &List<T>,
) -> Result<usize, CrdtError> {
    let mut place = before.seq.find_left(left, at)?;
    while place != NONE {
        let own = !before.homes.is_guest(place);
        let found = now.seq.find(before.seq.dot(place));
        let found = found.or_else(|| if own { counterpart(before, now, place) } else { None });
        if let Some(found) = found {
            return Ok((now.seq.index(found) + u32::from(now.seq.is_living(found))) as usize);
        }
        place = before.seq.before(place);
    }
    Ok(0)
}

/// The element here that is, or was said again for, one of before.
fn counterpart<T: Value>(before: &List<T>, now: &List<T>, element: u32) -> Option<u32> {
    if let Some(found) = now.seq.find(before.seq.dot(element)) {
        return Some(found);
    }
    let mut lost = vec![encode(before.value(element)?)];
    let mut place = before.seq.before(element);
    let anchor = loop {
        if place == NONE {
            break NONE;
        }
        if let Some(found) = now.seq.find(before.seq.dot(place)) {
            break found;
        }
        lost.extend(before.value(place).map(encode));
        place = before.seq.before(place);
    };
    let mut wanted = lost.pop()?;
    let here = now.seq.runs_after(anchor).flat_map(|run| run.first()..run.end());
    for found in here {
        if before.seq.find(now.seq.dot(found)).is_some() {
            return None;
        }
        if now.value(found).is_some_and(|value| encode(value) == wanted) {
            match lost.pop() {
                Some(next) => wanted = next,
                None => return Some(found),
            }
        }
    }
    None
}
