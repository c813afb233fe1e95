//! The characters of a text by the handle of their element, in the order in
//! which they arrived.
//!
//! It only grows at its end, and is cut there when an edit is taken back. It
//! never knows which of its characters a reader sees, but those that were deleted
//! when the text was loaded stay packed until somebody asks for one.

use super::buried::Buried;
use crate::seq::{Damage, room};

/// How many scalars lie between two marked byte offsets.
const STRIDE: u32 = 64;

/// The scalars of all elements, as UTF-8.
///
/// Invariant: `marks` is empty while the text is ASCII, and else holds the byte
/// offset of every [`STRIDE`]-th scalar. Those that are buried are not counted.
#[derive(Clone, Default)]
pub(super) struct Scalars {
    text: String,
    scalars: u32,
    marks: Vec<u32>,
    buried: Option<Box<Buried>>,
}

impl Scalars {
    /// As they were loaded: first what `text` are the scalars of, then what is buried.
    pub(super) fn loaded(text: &str, count: u32, buried: Buried) -> Self {
        let mut scalars = Self::default();
        scalars.push(text, count);
        scalars.buried = (buried.len() > 0).then(|| Box::new(buried));
        scalars
    }

    /// Adds `count` elements, which `text` are the scalars of.
    pub(super) fn push(&mut self, text: &str, count: u32) {
        if count as usize != text.len() {
            self.mark(text);
        } else if !self.marks.is_empty() {
            self.mark_ascii(text.len());
        }
        room::for_text(&mut self.text, text.len());
        self.text.push_str(text);
        self.scalars += count;
    }

    /// Adds an element.
    #[inline]
    pub(super) fn push_scalar(&mut self, scalar: char) {
        if scalar.is_ascii() {
            if !self.marks.is_empty() {
                self.mark_ascii(1);
            }
            room::for_text(&mut self.text, 1);
            self.text.push(scalar);
            self.scalars += 1;
        } else {
            self.push(scalar.encode_utf8(&mut [0; 4]), 1);
        }
    }

    /// How many bytes of UTF-8 there are.
    pub(super) fn bytes(&self) -> usize {
        self.text.len() + self.buried.as_ref().map_or(0, |buried| buried.bytes())
    }

    /// Whether every scalar that is not buried takes one byte.
    pub(super) const fn is_ascii(&self) -> bool {
        self.text.len() == self.scalars as usize
    }

    /// The text of elements with consecutive handles, of which none was deleted when
    /// the text was loaded. O(1).
    pub(super) fn get(&self, first: u32, len: u32) -> &str {
        let below = self.buried.as_ref().map_or(0, |buried| buried.count_below(first));
        self.unburied(first - below, len)
    }

    /// Adds the text of any elements with consecutive handles to `out`.
    pub(super) fn copy(&self, first: u32, len: u32, out: &mut String) {
        let Some(buried) = &self.buried else { return out.push_str(self.unburied(first, len)) };
        let (from, to) = (buried.count_below(first), buried.count_below(first + len));
        let before = buried.first().saturating_sub(first).min(len);
        out.push_str(self.unburied(first - from, before));
        out.push_str(buried.get(from, to - from));
        let rest = len - before - (to - from);
        out.push_str(self.unburied(first + len - rest - to, rest));
    }

    /// What is buried, if it is damaged.
    pub(super) fn damage(&self) -> Option<Damage> {
        self.buried.as_ref().and_then(|buried| buried.damage())
    }

    fn unburied(&self, first: u32, len: u32) -> &str {
        let from = self.offset(first);
        let to = self.offset(first + len);
        self.text.get(from..to).unwrap_or_default()
    }

    /// Forgets the elements from `first` on.
    pub(super) fn truncate(&mut self, first: u32) {
        let below = self.buried.as_ref().map_or(0, |buried| buried.count_below(first));
        if self.buried.as_ref().is_some_and(|buried| below < buried.len()) {
            // Only all that was loaded is taken back.
            self.buried = None;
        }
        let first = first - below;
        self.text.truncate(self.offset(first));
        self.scalars = first.min(self.scalars);
        if self.is_ascii() {
            self.marks.clear();
        } else {
            self.marks.truncate(self.scalars.div_ceil(STRIDE) as usize);
        }
    }

    /// The byte offset of a scalar.
    fn offset(&self, scalar: u32) -> usize {
        if self.marks.is_empty() {
            return scalar as usize;
        }
        if scalar >= self.scalars {
            return self.text.len();
        }
        let mark = self.marks.get((scalar / STRIDE) as usize).copied().unwrap_or(0) as usize;
        let rest = self.text.get(mark..).unwrap_or_default();
        match rest.char_indices().nth((scalar % STRIDE) as usize) {
            Some((offset, _)) => mark + offset,
            None => self.text.len(),
        }
    }

    fn mark(&mut self, added: &str) {
        if self.marks.is_empty() {
            self.marks.extend((0..self.scalars).step_by(STRIDE as usize));
        }
        let end = self.text.len();
        for (scalar, (offset, _)) in (self.scalars..).zip(added.char_indices()) {
            if scalar % STRIDE == 0 {
                self.add_mark(end + offset);
            }
        }
    }

    #[inline]
    fn mark_ascii(&mut self, added: usize) {
        let end = self.text.len();
        let mut next = (self.scalars.next_multiple_of(STRIDE) - self.scalars) as usize;
        while next < added {
            self.add_mark(end + next);
            next += STRIDE as usize;
        }
    }

    fn add_mark(&mut self, offset: usize) {
        // 2^31 scalars of four bytes do not fit: see `Text::LIMIT`.
        self.marks.push(u32::try_from(offset).unwrap_or(u32::MAX));
    }
}

#[cfg(test)]
#[allow(clippy::cast_possible_truncation, reason = "the texts are short")]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_element_has_the_scalar_it_came_with(
            steps in prop::collection::vec((0_u8..8, "[a-zé本😀]{1,90}", 0_usize..200), 1..40)
        ) {
            let mut scalars = Scalars::default();
            let mut model: Vec<char> = Vec::new();
            for (kind, text, cut) in steps {
                match kind {
                    0 => {
                        let cut = model.len().saturating_sub(cut);
                        model.truncate(cut);
                        scalars.truncate(cut as u32);
                    }
                    1 => {
                        for scalar in text.chars() {
                            model.push(scalar);
                            scalars.push_scalar(scalar);
                        }
                    }
                    2 => {
                        let text = "x".repeat(text.chars().count());
                        model.extend(text.chars());
                        scalars.push(&text, text.len() as u32);
                    }
                    _ => {
                        model.extend(text.chars());
                        scalars.push(&text, text.chars().count() as u32);
                    }
                }
                for (element, held) in (0..).zip(&model) {
                    prop_assert_eq!(scalars.get(element, 1), held.to_string());
                }
                prop_assert_eq!(scalars.bytes(), model.iter().map(|held| held.len_utf8()).sum());
                let whole: String = model.iter().collect();
                prop_assert_eq!(scalars.get(0, model.len() as u32), whole);
            }
        }
    }
}
