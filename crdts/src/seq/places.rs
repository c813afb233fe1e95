//! Which leaf each element is in, as runs: elements that were typed together
//! mostly are together, so this takes memory by the run and not by the element.

use crate::seq::run::NONE;

/// How many entries a chunk holds at most.
const CHUNK: usize = if cfg!(test) { 8 } else { 128 };

/// A map from the handles `0..end` to leaves, or to [`NONE`].
///
/// Invariants: entries ascend strictly by `first`, the first of all is at 0,
/// no chunk is empty, and `firsts` holds the `first` of each chunk's first entry.
#[derive(Clone, Default)]
pub(crate) struct Places {
    firsts: Vec<u32>,
    chunks: Vec<Vec<Entry>>,
    end: u32,
}

/// The elements from `first` to the next entry are in `leaf`.
#[derive(Clone, Copy)]
struct Entry {
    first: u32,
    leaf: u32,
}

impl Places {
    /// The handle after the last.
    pub(crate) const fn end(&self) -> u32 {
        self.end
    }

    /// The leaf of an element. O(log entries), O(1) for the latest.
    pub(crate) fn get(&self, element: u32) -> u32 {
        if element >= self.end {
            return NONE;
        }
        let chunk = match self.firsts.last() {
            Some(first) if *first <= element => self.firsts.len(),
            _ => self.firsts.partition_point(|first| *first <= element),
        };
        let Some(chunk) = self.chunks.get(chunk.wrapping_sub(1)) else { return NONE };
        match chunk.last() {
            Some(last) if last.first <= element => last.leaf,
            _ => {
                let place = chunk.partition_point(|entry| entry.first <= element);
                chunk.get(place.wrapping_sub(1)).map_or(NONE, |entry| entry.leaf)
            }
        }
    }

    /// Puts the elements from `first` to before `end` into a leaf.
    pub(crate) fn set(&mut self, first: u32, end: u32, leaf: u32) {
        if first >= self.end {
            if first > self.end {
                self.append(self.end, NONE);
            }
            self.append(first, leaf);
            self.end = end;
        } else {
            self.overwrite(first, end.min(self.end), leaf);
            if end > self.end {
                self.append(self.end, leaf);
                self.end = end;
            }
        }
    }

    /// Puts the elements up to before `end` where the last one is.
    pub(crate) const fn extend(&mut self, end: u32) {
        self.end = end;
    }

    /// Forgets the elements from `first` on.
    pub(crate) fn truncate(&mut self, first: u32) {
        self.end = self.end.min(first);
        while let Some(chunk) = self.chunks.last_mut() {
            while chunk.last().is_some_and(|entry| entry.first >= first) {
                chunk.pop();
            }
            if !chunk.is_empty() {
                return;
            }
            self.chunks.pop();
            self.firsts.pop();
        }
    }

    /// Puts the elements from `first` on, which is after all entries, into a leaf.
    /// Up to where, [`Places::extend`] says.
    #[inline]
    pub(crate) fn append(&mut self, first: u32, leaf: u32) {
        let entry = Entry { first, leaf };
        match self.chunks.last_mut() {
            Some(chunk) if chunk.last().is_some_and(|last| last.leaf == leaf) => {}
            Some(chunk) if chunk.len() < CHUNK => chunk.push(entry),
            _ => {
                self.firsts.push(first);
                self.chunks.push(vec![entry]);
            }
        }
    }

    /// As [`Places::set`], for elements that have an entry.
    fn overwrite(&mut self, first: u32, end: u32, leaf: u32) {
        let after = self.get(end);
        let before = self.firsts.partition_point(|held| *held <= first);
        let number = before.saturating_sub(1);
        let Some(chunk) = self.chunks.get_mut(number) else { return };
        let from = chunk.partition_point(|entry| entry.first < first);
        let to = chunk.partition_point(|entry| entry.first < end);
        let ends_here = chunk.get(to).is_some_and(|entry| entry.first == end);
        if to == chunk.len() {
            self.cut_following(number + 1, end);
        }
        let next_starts = self.firsts.get(number + 1).is_some_and(|first| *first == end);
        let Some(chunk) = self.chunks.get_mut(number) else { return };
        let follows = ends_here || next_starts || end >= self.end;
        let new = [Entry { first, leaf }, Entry { first: end, leaf: after }];
        let new = if follows { new.get(..1) } else { new.get(..) }.unwrap_or_default();
        // Mostly as many come as go: nothing moves then.
        let same = new.len().min(to - from);
        for (held, new) in chunk.iter_mut().skip(from).zip(new).take(same) {
            *held = *new;
        }
        for (place, new) in (from..).zip(new).skip(same) {
            chunk.insert(place, *new);
        }
        chunk.drain(from + same..to.max(from + same));
        if chunk.len() > CHUNK {
            let half = chunk.split_off(CHUNK / 2);
            if let Some(entry) = half.first() {
                self.firsts.insert(number + 1, entry.first);
                self.chunks.insert(number + 1, half);
            }
        }
    }

    /// Removes the entries before `end` from chunk `number` on.
    fn cut_following(&mut self, number: usize, end: u32) {
        while let Some(chunk) = self.chunks.get_mut(number) {
            let gone = chunk.partition_point(|entry| entry.first < end);
            if gone == 0 {
                return;
            }
            chunk.drain(..gone);
            if let (Some(entry), Some(first)) = (chunk.first(), self.firsts.get_mut(number)) {
                *first = entry.first;
                return;
            }
            self.chunks.remove(number);
            self.firsts.remove(number);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_element_is_where_it_was_put_last(
            steps in prop::collection::vec((0_u32..400, 1_u32..100, 0_u32..5, 0_u8..20), 1..120)
        ) {
            let mut places = Places::default();
            let mut model: Vec<u32> = Vec::new();
            for (first, len, leaf, kind) in steps {
                if kind == 0 {
                    places.truncate(first);
                    model.truncate(first as usize);
                } else {
                    let len = if kind < 15 { 1 + len % 3 } else { len };
                    let end = (first + len) as usize;
                    model.resize(model.len().max(end), NONE);
                    model[first as usize..end].fill(leaf);
                    places.set(first, first + len, leaf);
                }
                prop_assert_eq!(places.end() as usize, model.len());
                for (element, leaf) in (0..).zip(&model) {
                    prop_assert_eq!(places.get(element), *leaf);
                }
                prop_assert_eq!(places.get(places.end()), NONE);
            }
        }
    }
}
