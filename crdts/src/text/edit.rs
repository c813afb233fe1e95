//! Editing a text: from positions to ops.

use super::op::{LeftOrigin, RightOrigin, Stretch, Target, TextOp, Typed};
use super::{History, Text};
use crate::seq::Seq;
use repliq_core::{Author, Dot, EditError};
use std::ops::{Range, RangeBounds};

/// The edits of a [`Text`], wherever ops can be authored: in a transaction, or on
/// a [`Standalone`](repliq_core::Standalone). Positions count Unicode scalars.
pub trait TextMut: Author<Text> {
    /// Inserts `text` before the scalar at `index`, or at the end. O(log n) and
    /// linear in `text`; O(1) next to the latest edit.
    ///
    /// # Errors
    /// [`EditError::OutOfRange`] past the end, [`EditError::Refused`] if a limit
    /// is reached.
    fn insert(&mut self, index: usize, text: &str) -> Result<(), EditError> {
        // Taken apart where it is: most letters need no copy of it.
        let current_and_next = self.current_and_next();
        let (current, next) = &current_and_next;
        let history = current.history()?;
        if history.goes_on(index, text, next.as_ref()) {
            let (left, right) = (LeftOrigin::Back(1), RightOrigin::Inherited);
            return Ok(self.author(TextOp::Insert { left, right, text: Typed::from(text) })?);
        }
        match history.insertion(index, text, *next)? {
            Some(op) => Ok(self.author(op)?),
            None => Ok(()),
        }
    }

    /// Deletes the scalars in a range of indexes. O(log n) and linear in the runs
    /// that are deleted.
    ///
    /// # Errors
    /// As [`TextMut::insert`]; a range that ends before it starts is out of range.
    fn delete(&mut self, range: impl RangeBounds<usize>) -> Result<(), EditError>
    where
        Self: Sized,
    {
        let (current, next) = self.current_and_next();
        let range = current.range(range);
        match current.history()?.deletion(range, next)? {
            Some(op) => Ok(self.author(op)?),
            None => Ok(()),
        }
    }

    /// Deletes the scalars in a range of indexes and inserts `text` there.
    ///
    /// # Errors
    /// As [`TextMut::delete`]; nothing has changed then, unless a limit is reached.
    fn replace(&mut self, range: impl RangeBounds<usize>, text: &str) -> Result<(), EditError>
    where
        Self: Sized,
    {
        let len = self.current().len();
        let Some(range) = self.current().range(range) else {
            return Err(EditError::OutOfRange { index: len, len });
        };
        let start = range.start;
        self.delete(range)?;
        self.insert(start, text)
    }
}

impl<A: Author<Text> + ?Sized> TextMut for A {}

impl History {
    /// Whether text is inserted where the latest insertion ended, by the same
    /// author and with nothing between: most insertions are.
    #[inline]
    fn goes_on(&self, index: usize, text: &str, next: Option<&Dot>) -> bool {
        let place = u32::try_from(index).unwrap_or(u32::MAX);
        !text.is_empty() && next.is_some_and(|next| self.seq.goes_on(place, next))
    }

    fn insertion(
        &self,
        index: usize,
        text: &str,
        next: Option<Dot>,
    ) -> Result<Option<TextOp>, EditError> {
        let len = self.seq.visible() as usize;
        let place = u32::try_from(index).ok().filter(|_| index <= len);
        let place = place.ok_or(EditError::OutOfRange { index, len })?;
        if text.is_empty() {
            return Ok(None);
        }
        let (left, right) = self.seq.say_origins(place, next);
        Ok(Some(TextOp::Insert { left, right, text: Typed::from(text) }))
    }

    fn deletion(
        &self,
        range: Option<Range<usize>>,
        next: Option<Dot>,
    ) -> Result<Option<TextOp>, EditError> {
        let len = self.seq.visible() as usize;
        let range = range.ok_or(EditError::OutOfRange { index: len, len })?;
        let out_of_range = EditError::OutOfRange { index: range.end, len };
        if range.end > len {
            return Err(out_of_range);
        }
        let bounds = u32::try_from(range.start)
            .and_then(|start| u32::try_from(range.end - range.start).map(|count| (start, count)));
        let Ok((start, count)) = bounds else { return Err(out_of_range) };
        if count == 0 {
            return Ok(None);
        }
        // Most deletions are of characters that were typed in one go.
        if let Some(first) = self.seq.living_run(start, count) {
            let (dot, len) = self.seq.stretch_at(first);
            if len >= count {
                return Ok(Some(delete_op(&[(dot, u64::from(count))], next)));
            }
        }
        Ok(Some(delete_op(&self.living_dots(start, count), next)))
    }

    /// The dots of visible characters, as stretches.
    fn living_dots(&self, start: u32, count: u32) -> Vec<(Dot, u64)> {
        let mut stretches = Vec::new();
        let mut left = count;
        for run in self.seq.living_from(start) {
            let mut element = run.first();
            let end = run.first() + run.len().min(left);
            left -= end - element;
            while element < end {
                let (dot, len) = self.seq.stretch_at(element);
                let len = len.min(end - element);
                add_stretch(&mut stretches, dot, u64::from(len));
                element += len;
            }
            if left == 0 {
                break;
            }
        }
        stretches
    }
}

/// Adds dots to a list of stretches, to the last of them if they follow it.
pub(super) fn add_stretch(stretches: &mut Vec<(Dot, u64)>, dot: Dot, len: u64) {
    match stretches.last_mut() {
        Some((first, held)) if Dot { seq: first.seq + *held, ..*first } == dot => *held += len,
        _ => stretches.push((dot, len)),
    }
}

/// The op that deletes these characters, of which there must be some.
pub(super) fn delete_op(stretches: &[(Dot, u64)], next: Option<Dot>) -> TextOp {
    if let [(dot, len)] = stretches {
        return TextOp::Delete(Stretch { from: Target::of(*dot, next, None), len: *len });
    }
    TextOp::DeleteEach(Seq::say_stretches(stretches, next))
}
