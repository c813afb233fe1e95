//! The values of elements by their handles.
//!
//! It takes memory for the elements that have or had a value here, none for long
//! runs of dead ones that came in a saved state. It never knows which of its
//! values a reader sees, nor where.

use super::Inserted;
use crate::seq::Elements;

/// The values of the elements `0..len`.
///
/// Invariant: the gaps ascend, do not touch, and `before` is the sum of the `len`
/// of those before.
#[derive(Clone)]
pub(super) struct Values<T> {
    held: Vec<Option<T>>,
    gaps: Vec<Gap>,
    len: u32,
}

/// Elements that can have no value.
#[derive(Clone, Copy)]
struct Gap {
    first: u32,
    len: u32,
    /// How many elements before have no slot.
    before: u32,
}

impl<T> Values<T> {
    /// Adds an element.
    pub(super) fn push(&mut self, value: Option<T>) {
        self.held.push(value);
        self.len += 1;
    }

    /// Adds elements.
    pub(super) fn extend(&mut self, values: Inserted<T>) {
        match values.into_one() {
            Ok(value) => self.push(Some(value)),
            Err(values) => {
                self.held.extend(values.into_iter().map(Some));
                self.len = self.len_with_gaps();
            }
        }
    }

    fn len_with_gaps(&self) -> u32 {
        // As many elements as the sequence has, which counts them in 31 bits.
        u32::try_from(self.held.len()).unwrap_or(u32::MAX).saturating_add(self.missing())
    }

    fn missing(&self) -> u32 {
        self.gaps.last().map_or(0, |gap| gap.before + gap.len)
    }

    /// Adds elements that can have no value.
    pub(super) fn skip(&mut self, len: u32) {
        let (first, before) = (self.len, self.missing());
        match self.gaps.last_mut() {
            _ if len == 0 => {}
            Some(gap) if gap.first + gap.len == first => gap.len += len,
            _ => self.gaps.push(Gap { first, len, before }),
        }
        self.len += len;
    }

    pub(super) fn get(&self, element: u32) -> Option<&T> {
        self.held.get(self.slot(element)?)?.as_ref()
    }

    /// Where the value of an element is, if it can have one.
    pub(super) fn get_mut(&mut self, element: u32) -> Option<&mut Option<T>> {
        let slot = self.slot(element)?;
        self.held.get_mut(slot)
    }

    /// The values of consecutive elements that all have one.
    pub(super) fn of(&self, elements: Elements) -> impl Iterator<Item = &T> {
        let start = self.slot(elements.first).unwrap_or(self.held.len());
        self.held.iter().skip(start).take(elements.len as usize).flatten()
    }

    /// Takes out the values of consecutive elements that all have one.
    pub(super) fn take(&mut self, elements: Elements) -> Vec<T> {
        let start = self.slot(elements.first).unwrap_or(self.held.len());
        let held = self.held.get_mut(start..start + elements.len as usize).unwrap_or_default();
        held.iter_mut().filter_map(Option::take).collect()
    }

    /// Takes out the elements from `first` on.
    pub(super) fn truncate(&mut self, first: u32) {
        while let Some(gap) = self.gaps.last_mut().filter(|gap| gap.first + gap.len > first) {
            if gap.first < first {
                gap.len = first - gap.first;
            } else {
                self.gaps.pop();
            }
        }
        self.held.truncate((first - self.missing().min(first)) as usize);
        self.len = first;
    }

    fn slot(&self, element: u32) -> Option<usize> {
        if self.gaps.is_empty() {
            return Some(element as usize);
        }
        let place = self.gaps.partition_point(|gap| gap.first <= element);
        let Some(gap) = place.checked_sub(1).and_then(|place| self.gaps.get(place)) else {
            return Some(element as usize);
        };
        let after = (element - gap.first).checked_sub(gap.len)?;
        Some((gap.first - gap.before + after) as usize)
    }
}

impl<T> Default for Values<T> {
    fn default() -> Self {
        Self { held: Vec::new(), gaps: Vec::new(), len: 0 }
    }
}
