//! How many bytes and UTF-16 units the parts of a text take, so that positions in
//! one unit become positions in another without reading the text from its start.
//!
//! It is made when a text that is not ASCII is first asked for such a position,
//! and follows every edit from then on; a text that never is pays nothing. It
//! holds counts only, so whoever uses it reads the text of one part at most.

/// A part has at least so many scalars when it is made: to read through as many
/// takes about as long as to find their place.
const LEAST: usize = 512;

/// What positions are counted in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Unit {
    /// Bytes of UTF-8.
    Utf8,
    /// UTF-16 units.
    Utf16,
}

impl Unit {
    pub(super) const fn width(self, scalar: char) -> usize {
        match self {
            Self::Utf8 => scalar.len_utf8(),
            Self::Utf16 => scalar.len_utf16(),
        }
    }
}

/// A piece of text in all units.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub(super) struct Counts {
    pub(super) scalars: usize,
    pub(super) utf8: usize,
    utf16: usize,
}

impl Counts {
    fn of(text: &str) -> Self {
        if text.is_ascii() {
            return Self { scalars: text.len(), utf8: text.len(), utf16: text.len() };
        }
        let mut counts = Self::default();
        text.chars().for_each(|scalar| counts.push(scalar));
        counts
    }

    const fn push(&mut self, scalar: char) {
        self.scalars += 1;
        self.utf8 += scalar.len_utf8();
        self.utf16 += scalar.len_utf16();
    }

    pub(super) const fn in_unit(&self, unit: Unit) -> usize {
        match unit {
            Unit::Utf8 => self.utf8,
            Unit::Utf16 => self.utf16,
        }
    }

    const fn add(&mut self, other: &Self) {
        self.scalars += other.scalars;
        self.utf8 += other.utf8;
        self.utf16 += other.utf16;
    }

    const fn subtract(&mut self, other: &Self) {
        self.scalars -= other.scalars;
        self.utf8 -= other.utf8;
        self.utf16 -= other.utf16;
    }
}

/// The counts of a text's parts, in order. With n scalars there are O(√n) parts of
/// O(√n) scalars each, as long as the text does not become many times as long.
///
/// Invariants: no part is empty; none has more than `2 * most` scalars, but while
/// [`Widths::insert`] asks for it to be split.
#[derive(Clone)]
pub(super) struct Widths {
    parts: Vec<Counts>,
    total: Counts,
    /// How many scalars a part has at most when it is made.
    most: usize,
}

impl Widths {
    /// Of a text of so many scalars, in pieces. O(n).
    pub(super) fn of<'t>(len: usize, pieces: impl Iterator<Item = &'t str>) -> Self {
        let mut widths =
            Self { parts: Vec::new(), total: Counts::default(), most: len.isqrt().max(LEAST) };
        widths.parts = widths.divide(pieces);
        widths.parts.iter().for_each(|part| widths.total.add(part));
        widths
    }

    fn divide<'t>(&self, pieces: impl Iterator<Item = &'t str>) -> Vec<Counts> {
        let mut parts = Vec::new();
        let mut part = Counts::default();
        for scalar in pieces.flat_map(str::chars) {
            part.push(scalar);
            if part.scalars == self.most {
                parts.push(std::mem::take(&mut part));
            }
        }
        if part.scalars > 0 {
            parts.push(part);
        }
        parts
    }

    /// The whole text.
    pub(super) const fn total(&self) -> &Counts {
        &self.total
    }

    /// What lies before the part in which a position falls, the position being
    /// measured by `measure`. On the edge of two parts either may be meant.
    /// O(parts).
    pub(super) fn before(&self, position: usize, measure: impl Fn(&Counts) -> usize) -> Counts {
        self.find(position, measure).1
    }

    /// The part in which a position falls, the last one for positions past the
    /// end, and what lies before it.
    fn find(&self, position: usize, measure: impl Fn(&Counts) -> usize) -> (usize, Counts) {
        let mut before = Counts::default();
        for (number, part) in self.parts.iter().enumerate() {
            let passed = measure(&before) + measure(part);
            if position <= passed || number + 1 == self.parts.len() {
                return (number, before);
            }
            before.add(part);
        }
        (0, before)
    }

    /// Takes note that text was inserted before the scalar at `index`. If a part
    /// became too long for that, it is returned, with the range of scalars that it
    /// now has, to be handed to [`Widths::split`]. O(parts + text).
    #[must_use]
    pub(super) fn insert(&mut self, index: usize, text: &str) -> Option<TooLong> {
        let added = Counts::of(text);
        let (number, before) = self.find(index, |counts| counts.scalars);
        if self.parts.is_empty() {
            self.parts.push(Counts::default());
        }
        let part = self.parts.get_mut(number)?;
        part.add(&added);
        self.total.add(&added);
        let len = part.scalars;
        (len > 2 * self.most).then_some(TooLong { number, start: before.scalars, len })
    }

    /// Divides a part that [`Widths::insert`] found too long; `text` is its text.
    pub(super) fn split(&mut self, part: &TooLong, text: &str) {
        let parts = self.divide(std::iter::once(text));
        if part.number < self.parts.len() {
            self.parts.splice(part.number..=part.number, parts);
        }
    }

    /// Takes note that the scalars from `index` on that were this text are gone.
    /// O(parts + text).
    pub(super) fn delete(&mut self, index: usize, text: &str) {
        let (first, before) = self.find(index, |counts| counts.scalars);
        let mut number = first;
        let mut skipped = index - before.scalars;
        let mut rest = text;
        while let Some(part) = self.parts.get_mut(number)
            && !rest.is_empty()
        {
            let here = part.scalars - skipped;
            let end = rest.char_indices().nth(here).map_or(rest.len(), |(offset, _)| offset);
            let (gone, left) = rest.split_at(end);
            let gone = Counts::of(gone);
            part.subtract(&gone);
            self.total.subtract(&gone);
            (rest, skipped) = (left, 0);
            number += 1;
        }
        self.tidy(first, number + 1);
    }

    /// Of some parts drops those that are empty, and joins those that are short.
    fn tidy(&mut self, first: usize, end: usize) {
        let end = end.min(self.parts.len());
        let mut tidy: Vec<Counts> = Vec::new();
        for part in self.parts.get(first..end).unwrap_or_default() {
            match tidy.last_mut() {
                Some(last) if last.scalars + part.scalars <= self.most => last.add(part),
                _ if part.scalars > 0 => tidy.push(*part),
                _ => {}
            }
        }
        if first < end {
            self.parts.splice(first..end, tidy);
        }
    }
}

/// A part with too many scalars.
pub(super) struct TooLong {
    number: usize,
    /// The index of its first scalar.
    pub(super) start: usize,
    /// How many it has.
    pub(super) len: usize,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(widths: &Widths, model: &[char]) {
        let whole: String = model.iter().collect();
        assert_eq!(*widths.total(), Counts::of(&whole));
        assert!(widths.parts.iter().all(|part| (1..=2 * widths.most).contains(&part.scalars)));
        let mut sum = Counts::default();
        widths.parts.iter().for_each(|part| sum.add(part));
        assert_eq!(sum, *widths.total());
        for index in [0, model.len() / 3, model.len() / 2, model.len()] {
            let before = widths.before(index, |counts| counts.scalars);
            let text: String = model.iter().take(before.scalars).collect();
            assert_eq!(before, Counts::of(&text));
            assert!(before.scalars <= index && index - before.scalars <= 2 * widths.most);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn the_counts_before_every_part_are_those_of_the_text(
            start in 0_usize..4000,
            steps in prop::collection::vec(
                (any::<bool>(), 0_usize..10_000, "[a-zé本😀]{1,9}", 1_usize..300), 1..40,
            ),
        ) {
            let mut model: Vec<char> = "aé本😀".chars().cycle().take(start).collect();
            let whole: String = model.iter().collect();
            let mut widths = Widths::of(start, std::iter::once(whole.as_str()));
            check(&widths, &model);
            for (inserts, at, text, times) in steps {
                let index = at % (model.len() + 1);
                if inserts {
                    let text = text.repeat(times);
                    model.splice(index..index, text.chars());
                    if let Some(part) = widths.insert(index, &text) {
                        let text: String = model[part.start..part.start + part.len].iter().collect();
                        widths.split(&part, &text);
                    }
                } else {
                    let end = (index + 10 * times).min(model.len());
                    let gone: String = model.drain(index..end).collect();
                    widths.delete(index, &gone);
                }
                check(&widths, &model);
            }
        }
    }

    #[test]
    fn parts_do_not_pile_up_where_text_comes_and_goes() {
        let mut widths = Widths::of(4, std::iter::once("é本😀a"));
        let text = "é".repeat(5 * LEAST);
        for _ in 0..100 {
            if let Some(part) = widths.insert(2, &text) {
                widths.split(&part, &format!("é本{text}😀a"));
            }
            widths.delete(2, &text);
        }
        assert_eq!(*widths.total(), Counts::of("é本😀a"));
        assert!(widths.parts.len() <= 2, "{} parts", widths.parts.len());
    }
}
