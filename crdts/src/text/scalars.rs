//! The characters of a text by the handle of their element, in the order in
//! which they arrived.
//!
//! It only grows at its end, and is cut there when an edit is taken back. It
//! never knows which of its characters a reader sees.

/// How many scalars lie between two marked byte offsets.
const STRIDE: u32 = 64;

/// The scalars of the elements `0..len`, as UTF-8. The elements of dead runs that
/// were loaded have none.
///
/// Invariant: `marks` is empty while the text is ASCII, and else holds the byte
/// offset of every [`STRIDE`]-th scalar.
#[derive(Clone, Default)]
pub(super) struct Scalars {
    text: String,
    scalars: u32,
    marks: Vec<u32>,
    gaps: Vec<Gap>,
    len: u32,
}

/// From `first` on, `missing` elements before have no scalar.
#[derive(Clone, Copy)]
struct Gap {
    first: u32,
    missing: u32,
}

impl Scalars {
    /// Adds `count` elements, which `text` are the scalars of.
    pub(super) fn push(&mut self, text: &str, count: u32) {
        if !self.marks.is_empty() || count as usize != text.len() {
            self.mark(text);
        }
        self.text.push_str(text);
        self.scalars += count;
        self.len += count;
    }

    /// Adds an element.
    #[inline]
    pub(super) fn push_scalar(&mut self, scalar: char) {
        if self.marks.is_empty() && scalar.is_ascii() {
            self.text.push(scalar);
            self.scalars += 1;
            self.len += 1;
        } else {
            self.push(scalar.encode_utf8(&mut [0; 4]), 1);
        }
    }

    /// Adds elements without a scalar.
    pub(super) fn skip(&mut self, count: u32) {
        self.len += count;
        let missing = self.len - self.scalars;
        match self.gaps.last_mut() {
            Some(gap) if gap.first == self.len - count => {
                gap.first = self.len;
                gap.missing = missing;
            }
            _ => self.gaps.push(Gap { first: self.len, missing }),
        }
    }

    /// How many bytes of UTF-8 there are.
    pub(super) const fn bytes(&self) -> usize {
        self.text.len()
    }

    /// Whether every scalar takes one byte.
    pub(super) const fn is_ascii(&self) -> bool {
        self.text.len() == self.scalars as usize
    }

    /// The text of elements with consecutive handles, which must have scalars. O(1).
    pub(super) fn get(&self, first: u32, len: u32) -> &str {
        let start = self.scalar(first);
        let from = self.offset(start);
        let to = self.offset(start + len);
        self.text.get(from..to).unwrap_or_default()
    }

    /// Whether this element has a scalar: those of loaded dead runs have none.
    pub(super) fn has(&self, element: u32) -> bool {
        match self.gaps.get(self.gaps.partition_point(|gap| gap.first <= element)) {
            Some(next) => {
                let before = self.gap_before(element).missing;
                element < next.first - (next.missing - before)
            }
            None => element < self.len,
        }
    }

    /// Forgets the elements from `first` on.
    pub(super) fn truncate(&mut self, first: u32) {
        while let Some(gap) = self.gaps.last().copied().filter(|gap| gap.first > first) {
            self.gaps.pop();
            let before = self.gaps.last().map_or(0, |gap| gap.missing);
            let start = gap.first - (gap.missing - before);
            if first > start {
                // The cut goes through a gap.
                self.cut(start - before);
                self.len = start;
                self.skip(first - start);
                return;
            }
        }
        self.cut(self.scalar(first));
        self.len = first;
    }

    fn cut(&mut self, scalars: u32) {
        self.text.truncate(self.offset(scalars));
        self.scalars = scalars;
        if self.is_ascii() {
            self.marks.clear();
        } else {
            self.marks.truncate(scalars.div_ceil(STRIDE) as usize);
        }
    }

    fn gap_before(&self, element: u32) -> Gap {
        let place = match self.gaps.last() {
            Some(last) if last.first <= element => self.gaps.len(),
            _ => self.gaps.partition_point(|gap| gap.first <= element),
        };
        let gap = place.checked_sub(1).and_then(|place| self.gaps.get(place));
        gap.copied().unwrap_or(Gap { first: 0, missing: 0 })
    }

    /// The number of the scalar of an element.
    fn scalar(&self, element: u32) -> u32 {
        element - self.gap_before(element).missing
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
                // 2^31 scalars of four bytes do not fit: see `Text::LIMIT`.
                self.marks.push(u32::try_from(end + offset).unwrap_or(u32::MAX));
            }
        }
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
            let mut model: Vec<Option<char>> = Vec::new();
            for (kind, text, cut) in steps {
                let count = text.chars().count();
                match kind {
                    0 => {
                        let cut = model.len().saturating_sub(cut);
                        model.truncate(cut);
                        scalars.truncate(cut as u32);
                    }
                    1 => {
                        model.resize(model.len() + count, None);
                        scalars.skip(count as u32);
                    }
                    2 => {
                        let text = "x".repeat(count);
                        model.extend(text.chars().map(Some));
                        scalars.push(&text, count as u32);
                    }
                    _ => {
                        model.extend(text.chars().map(Some));
                        scalars.push(&text, count as u32);
                    }
                }
                for (element, held) in (0..).zip(&model) {
                    prop_assert_eq!(scalars.has(element), held.is_some());
                    if let Some(held) = held {
                        prop_assert_eq!(scalars.get(element, 1), held.to_string());
                    }
                }
                prop_assert!(!scalars.has(model.len() as u32));
                let whole: String = model.iter().rev().map_while(|held| *held).collect();
                let whole: String = whole.chars().rev().collect();
                let len = whole.chars().count() as u32;
                prop_assert_eq!(scalars.get(model.len() as u32 - len, len), whole);
            }
        }
    }
}
