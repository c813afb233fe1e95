//! Reading a text: by scalar, by byte, by UTF-16 unit, and by anchor.

use super::saved::Asleep;
use super::widths::{Counts, Unit, Widths};
use super::{History, Text};
use repliq_core::Dot;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::ops::{Bound, Range, RangeBounds};

/// A place in a text that stays with the character it is beside: a cursor, the
/// end of a selection, a comment. It means the same on every replica that has
/// seen the character.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Anchor {
    /// The character it stays with; `None` is the edge of the text on its side.
    character: Option<Dot>,
    side: Side,
}

/// On which side of its character an [`Anchor`] is.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Side {
    /// Right before the character that follows: text inserted at the anchor goes
    /// before it.
    Before,
    /// Right after the character that precedes: text inserted at the anchor goes
    /// after it.
    After,
}

impl Text {
    /// How many Unicode scalars a reader sees. O(1).
    #[must_use]
    pub fn len(&self) -> usize {
        let len = match &self.asleep {
            Some(asleep) => asleep.len(),
            None => self.history().map_or(0, |history| history.seq.visible()),
        };
        len as usize
    }

    /// Whether a reader sees nothing. O(1).
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The text in pieces, in order. O(pieces), deleted ones included.
    pub fn chunks(&self) -> impl Iterator<Item = &str> {
        let asleep = self.asleep.as_deref().map(Asleep::text);
        asleep.into_iter().chain(self.awake().into_iter().flat_map(History::chunks))
    }

    /// The history if it is the one to read from.
    const fn awake(&self) -> Option<&History> {
        self.history.as_ref()
    }

    /// The scalar at an index. O(log n).
    #[must_use]
    pub fn char_at(&self, index: usize) -> Option<char> {
        if let Some(asleep) = &self.asleep {
            return asleep.text().chars().nth(index);
        }
        let History { seq, scalars } = self.history().ok()?;
        let index = u32::try_from(index).ok().filter(|index| *index < seq.visible())?;
        let run = seq.living_from(index).next()?;
        scalars.get(run.first(), 1).chars().next()
    }

    /// The text between two indexes, or `None` if they are out of range.
    /// O(log n + what is read).
    #[must_use]
    pub fn slice(&self, range: impl RangeBounds<usize>) -> Option<String> {
        let range = self.range(range).filter(|range| range.end <= self.len())?;
        if let Some(asleep) = &self.asleep {
            return Some(asleep.text().chars().skip(range.start).take(range.len()).collect());
        }
        let History { seq, scalars } = self.history().ok()?;
        let mut slice = String::new();
        let mut left = u32::try_from(range.len()).ok()?;
        if left > 0 {
            for run in seq.living_from(u32::try_from(range.start).ok()?) {
                let count = left.min(run.len());
                slice.push_str(scalars.get(run.first(), count));
                left -= count;
                if left == 0 {
                    break;
                }
            }
        }
        Some(slice)
    }

    /// The bounds of a range; `None` if it ends before it starts or overflows.
    pub(super) fn range(&self, range: impl RangeBounds<usize>) -> Option<Range<usize>> {
        let start = match range.start_bound() {
            Bound::Included(start) => *start,
            Bound::Excluded(before) => before.checked_add(1)?,
            Bound::Unbounded => 0,
        };
        let end = match range.end_bound() {
            Bound::Included(last) => last.checked_add(1)?,
            Bound::Excluded(end) => *end,
            Bound::Unbounded => self.len(),
        };
        (start <= end).then_some(start..end)
    }

    /// The length in bytes of UTF-8. O(1), but for what [`Text::utf8_to_index`] says.
    #[must_use]
    pub fn len_utf8(&self) -> usize {
        self.measure(Unit::Utf8)
    }

    /// The length in UTF-16 units, as JavaScript counts. O(1), but for what
    /// [`Text::utf8_to_index`] says.
    #[must_use]
    pub fn len_utf16(&self) -> usize {
        self.measure(Unit::Utf16)
    }

    /// The index of the scalar that starts at a byte of the UTF-8 form; `None`
    /// past the end and inside of a scalar. O(1) while the text is ASCII, else O(√n).
    ///
    /// The first time a text that is not ASCII is asked for its length or a
    /// position in bytes or UTF-16 units, and after a merge of states, it is read
    /// as a whole.
    #[must_use]
    pub fn utf8_to_index(&self, byte: usize) -> Option<usize> {
        self.index_at(byte, Unit::Utf8)
    }

    /// The byte at which the scalar at an index starts; `None` past the end. At the
    /// cost of [`Text::utf8_to_index`].
    #[must_use]
    pub fn index_to_utf8(&self, index: usize) -> Option<usize> {
        self.offset_of(index, Unit::Utf8)
    }

    /// The index of the scalar that starts at a UTF-16 unit; `None` past the end
    /// and inside of a surrogate pair. At the cost of [`Text::utf8_to_index`].
    #[must_use]
    pub fn utf16_to_index(&self, unit: usize) -> Option<usize> {
        self.index_at(unit, Unit::Utf16)
    }

    /// The UTF-16 unit at which the scalar at an index starts; `None` past the
    /// end. At the cost of [`Text::utf8_to_index`].
    #[must_use]
    pub fn index_to_utf16(&self, index: usize) -> Option<usize> {
        self.offset_of(index, Unit::Utf16)
    }

    fn is_ascii(&self) -> bool {
        match &self.asleep {
            Some(asleep) => asleep.text().len() == self.len(),
            None => self.history().is_ok_and(|history| history.scalars.is_ascii()),
        }
    }

    fn widths(&self) -> &Widths {
        self.widths.get_or_init(|| Box::new(Widths::of(self.len(), self.chunks())))
    }

    /// The scalars after some that were counted.
    fn scalars_after(&self, before: Counts) -> impl Iterator<Item = char> {
        let asleep = self.asleep.as_deref().map(Asleep::text);
        let asleep = asleep.and_then(|text| text.get(before.utf8..));
        let awake = self.awake().into_iter().flat_map(move |history| {
            let index = u32::try_from(before.scalars).unwrap_or(u32::MAX);
            history.chunks_from(index.min(history.seq.visible()))
        });
        asleep.into_iter().chain(awake).flat_map(str::chars)
    }

    fn measure(&self, unit: Unit) -> usize {
        if self.is_ascii() { self.len() } else { self.widths().total().in_unit(unit) }
    }

    fn index_at(&self, offset: usize, unit: Unit) -> Option<usize> {
        if self.is_ascii() {
            return (offset <= self.len()).then_some(offset);
        }
        let before = self.widths().before(offset, |counts| counts.in_unit(unit));
        let mut passed = before.in_unit(unit);
        let mut index = before.scalars;
        let mut scalars = self.scalars_after(before);
        while passed < offset {
            passed += unit.width(scalars.next()?);
            index += 1;
        }
        (passed == offset).then_some(index)
    }

    fn offset_of(&self, index: usize, unit: Unit) -> Option<usize> {
        if index > self.len() {
            return None;
        }
        if self.is_ascii() {
            return Some(index);
        }
        let before = self.widths().before(index, |counts| counts.scalars);
        let rest = self.scalars_after(before).take(index - before.scalars);
        Some(before.in_unit(unit) + rest.map(|scalar| unit.width(scalar)).sum::<usize>())
    }

    /// An anchor at an index, or `None` past the end. With [`Side::Before`] it
    /// stays with the character at the index, with [`Side::After`] with the one
    /// before it. O(log n).
    #[must_use]
    pub fn anchor(&self, index: usize, side: Side) -> Option<Anchor> {
        let History { seq, .. } = self.history().ok()?;
        let index = u32::try_from(index).ok().filter(|index| *index <= seq.visible())?;
        let beside = match side {
            Side::Before if index < seq.visible() => Some(index),
            Side::Before => None,
            Side::After => index.checked_sub(1),
        };
        let run = beside.and_then(|index| seq.living_from(index).next());
        Some(Anchor { character: run.map(|run| seq.dot(run.first())), side })
    }

    /// The index where an anchor is now; of a deleted character, where it was.
    /// `None` if this text has not seen the character. O(log n).
    #[must_use]
    pub fn position(&self, anchor: &Anchor) -> Option<usize> {
        let Some(dot) = anchor.character else {
            return Some(match anchor.side {
                Side::Before => self.len(),
                Side::After => 0,
            });
        };
        let History { seq, .. } = self.history().ok()?;
        let element = seq.find(dot)?;
        let after = anchor.side == Side::After && seq.is_living(element);
        Some((seq.index(element) + u32::from(after)) as usize)
    }
}

impl History {
    fn chunks(&self) -> impl Iterator<Item = &str> {
        let living = self.seq.runs().filter(|run| !run.is_dead());
        living.map(|run| self.scalars.get(run.first(), run.len()))
    }

    fn chunks_from(&self, index: u32) -> impl Iterator<Item = &str> {
        self.seq.living_from(index).map(|run| self.scalars.get(run.first(), run.len()))
    }
}

/// The text that a reader sees.
impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.chunks().try_for_each(|chunk| f.write_str(chunk))
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.to_string(), f)
    }
}
