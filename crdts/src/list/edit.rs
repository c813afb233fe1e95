//! Editing a list: from positions to ops.

use super::{Inserted, List, ListOp};
use crate::bounds::Value;
use crate::seq::Seq;
use crate::text::Target;
use repliq_core::{Author, Dot, EditError};
use std::ops::{Bound, Range, RangeBounds};

/// The edits of a [`List`], wherever ops can be authored: in a transaction, or on
/// a [`Standalone`](repliq_core::Standalone).
///
/// # Errors
/// Each gives [`EditError::OutOfRange`] for a position that is not there, and
/// [`EditError::Refused`] if a limit is reached; nothing has changed then.
pub trait ListMut<T: Value>: Author<List<T>> {
    /// Inserts a value before the element at `index`, or at the end. O(log n),
    /// O(1) next to the latest edit.
    ///
    /// # Errors
    /// See [`ListMut`].
    fn insert(&mut self, index: usize, value: T) -> Result<(), EditError> {
        insert(self, index, Inserted::one(value))
    }

    /// Adds a value at the end.
    ///
    /// # Errors
    /// [`EditError::Refused`] if a limit is reached.
    fn append(&mut self, value: T) -> Result<(), EditError> {
        self.insert(self.current().len(), value)
    }

    /// Inserts values before the element at `index`, or at the end; nobody else's
    /// come between them. As one op this is far smaller than one insertion each.
    ///
    /// # Errors
    /// See [`ListMut`].
    fn insert_each(
        &mut self,
        index: usize,
        values: impl IntoIterator<Item = T>,
    ) -> Result<(), EditError> {
        insert(self, index, values.into_iter().collect::<Vec<T>>().into())
    }

    /// Gives the element at `index` another value. It stays the same element.
    ///
    /// # Errors
    /// See [`ListMut`].
    fn set(&mut self, index: usize, value: T) -> Result<(), EditError> {
        let element = self.current().say_element(index, self.next())?;
        Ok(self.author(ListOp::Set { element, value })?)
    }

    /// Moves the element at index `from`, so that it is at index `to` afterwards.
    ///
    /// # Errors
    /// See [`ListMut`].
    fn move_to(&mut self, from: usize, to: usize) -> Result<(), EditError> {
        let next = self.next();
        let element = self.current().say_element(from, next)?;
        let place = self.current().position(to, self.current().len())?;
        if from == to {
            return Ok(());
        }
        let (left, right) = self.current().seq.say_origins(place + u32::from(to > from), next);
        Ok(self.author(ListOp::Move { element, left, right })?)
    }

    /// Deletes the elements in a range of indexes. Linear in them.
    ///
    /// # Errors
    /// See [`ListMut`]; a range that ends before it starts is out of range.
    fn delete(&mut self, range: impl RangeBounds<usize>) -> Result<(), EditError> {
        let dots = self.current().dots(range)?;
        if dots.is_empty() {
            return Ok(());
        }
        Ok(self.author(ListOp::Delete(Seq::say_stretches(&dots, self.next())))?)
    }
}

impl<T: Value, A: Author<List<T>> + ?Sized> ListMut<T> for A {}

fn insert<T: Value>(
    author: &mut (impl Author<List<T>> + ?Sized),
    index: usize,
    values: Inserted<T>,
) -> Result<(), EditError> {
    let (list, next) = author.current_and_next();
    let place = list.position(index, list.len() + 1)?;
    if values.is_empty() {
        return Ok(());
    }
    let (left, right) = list.seq.say_origins(place, next);
    Ok(author.author(ListOp::Insert { left, right, values })?)
}

impl<T: Value> List<T> {
    /// A position below `end`.
    fn position(&self, index: usize, end: usize) -> Result<u32, EditError> {
        let position = u32::try_from(index).ok().filter(|_| index < end);
        position.ok_or(EditError::OutOfRange { index, len: self.len() })
    }

    /// The element at an index, as an op names it.
    fn say_element(&self, index: usize, next: Option<Dot>) -> Result<Target, EditError> {
        let missing = EditError::OutOfRange { index, len: self.len() };
        let position = self.position(index, self.len())?;
        let run = self.seq.living_from(position).next().ok_or(missing)?;
        let element = self.homes.element(run.first());
        Ok(Target::of(self.seq.dot(element), next, None))
    }

    /// The dots of the elements in a range of indexes.
    fn dots(&self, range: impl RangeBounds<usize>) -> Result<Vec<(Dot, u64)>, EditError> {
        let len = self.len();
        let range = bounds(range, len).ok_or(EditError::OutOfRange { index: len, len })?;
        if range.end > len {
            return Err(EditError::OutOfRange { index: range.end, len });
        }
        let start = self.position(range.start, len + 1)?;
        let mut left = range.len();
        let mut dots: Vec<(Dot, u64)> = Vec::new();
        let places = self.seq.living_from(start).flat_map(|run| run.first()..run.end());
        for place in places {
            if left == 0 {
                break;
            }
            left -= 1;
            let dot = self.seq.dot(self.homes.element(place));
            match dots.last_mut() {
                Some((first, held)) if Dot { seq: first.seq + *held, ..*first } == dot => {
                    *held += 1;
                }
                _ => dots.push((dot, 1)),
            }
        }
        Ok(dots)
    }
}

/// The bounds of a range; `None` if it ends before it starts or overflows.
fn bounds(range: impl RangeBounds<usize>, len: usize) -> Option<Range<usize>> {
    let start = match range.start_bound() {
        Bound::Included(start) => *start,
        Bound::Excluded(before) => before.checked_add(1)?,
        Bound::Unbounded => 0,
    };
    let end = match range.end_bound() {
        Bound::Included(last) => last.checked_add(1)?,
        Bound::Excluded(end) => *end,
        Bound::Unbounded => len,
    };
    (start <= end).then_some(start..end)
}
