//! Which element stands at which place.
//!
//! An element has a place of its own, the one it was inserted at, whose handle is
//! the element's. Moving it gives it another. Places are never forgotten, since
//! what others insert may stand beside them.

use crate::hash::Seeded;
use crate::seq::Elements;
use hashbrown::HashMap;
use repliq_core::Stamp;

/// Where an element was moved to, and by which move.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Home {
    pub(super) place: u32,
    pub(super) at: Stamp,
}

/// Invariants: every home's place is a guest place of that element; only living
/// elements have a home.
#[derive(Clone, Default)]
pub(super) struct Homes {
    /// The elements that were moved to the places which are not an element's own.
    guests: HashMap<u32, u32, Seeded>,
    /// The winning move of an element that was ever moved.
    homes: HashMap<u32, Home, Seeded>,
}

impl Homes {
    /// The place of a living element.
    pub(super) fn place(&self, element: u32) -> u32 {
        self.home(element).map_or(element, |home| home.place)
    }

    pub(super) fn home(&self, element: u32) -> Option<Home> {
        if self.homes.is_empty() { None } else { self.homes.get(&element).copied() }
    }

    /// The element that stands at a living place.
    pub(super) fn element(&self, place: u32) -> u32 {
        if self.guests.is_empty() {
            place
        } else {
            self.guests.get(&place).copied().unwrap_or(place)
        }
    }

    /// Whether this is a place that an element was moved to, not an element.
    pub(super) fn is_guest(&self, place: u32) -> bool {
        !self.guests.is_empty() && self.guests.contains_key(&place)
    }

    /// Whether this is a place that this element was moved to.
    pub(super) fn is_place_of(&self, place: u32, element: u32) -> bool {
        self.guests.get(&place) == Some(&element)
    }

    /// Those of these elements that stand elsewhere, in ascending order.
    pub(super) fn moved_in(&self, elements: Elements) -> Vec<u32> {
        keys_in(&self.homes, elements)
    }

    /// Those of these places that elements were moved to, in ascending order.
    pub(super) fn guests_in(&self, elements: Elements) -> Vec<u32> {
        keys_in(&self.guests, elements)
    }

    /// Every home, with its element, in any order.
    pub(super) fn homes(&self) -> impl Iterator<Item = (u32, Home)> + '_ {
        self.homes.iter().map(|(element, home)| (*element, *home))
    }

    /// Every place that an element was moved to, with the element, in any order.
    pub(super) fn guests(&self) -> impl Iterator<Item = (u32, u32)> + '_ {
        self.guests.iter().map(|(place, element)| (*place, *element))
    }

    pub(super) fn add_guest(&mut self, place: u32, element: u32) {
        self.guests.insert(place, element);
    }

    /// Sets where an element is at home, and returns where it was.
    pub(super) fn set_home(&mut self, element: u32, home: Option<Home>) -> Option<Home> {
        match home {
            Some(home) => self.homes.insert(element, home),
            None if self.homes.is_empty() => None,
            None => self.homes.remove(&element),
        }
    }

    /// Forgets what is known of the places from `first` on.
    pub(super) fn truncate(&mut self, first: u32, end: u32) {
        remove_from(&mut self.guests, first, end);
        remove_from(&mut self.homes, first, end);
    }
}

fn keys_in<V>(map: &HashMap<u32, V, Seeded>, elements: Elements) -> Vec<u32> {
    let range = elements.first..elements.first + elements.len;
    if range.len() < map.len() {
        return range.filter(|handle| map.contains_key(handle)).collect();
    }
    let mut keys: Vec<u32> = map.keys().copied().filter(|key| range.contains(key)).collect();
    keys.sort_unstable();
    keys
}

/// Removes the handles from `first` to before `end`, which none is after.
pub(super) fn remove_from<V>(map: &mut HashMap<u32, V, Seeded>, first: u32, end: u32) {
    if (end - first) as usize > map.len() {
        map.retain(|handle, _| *handle < first);
    } else {
        (first..end).for_each(|handle| drop(map.remove(&handle)));
    }
}
