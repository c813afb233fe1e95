//! Merging two states: the places that one lacks are added, what one has deleted
//! is deleted, and of values and moves the later one wins.
//!
//! Where states contradict each other, as they do after two devices edited under one
//! replica id, what is an element here stays one, and so does a place: the list stays
//! sound, and can be loaded again.

use super::homes::Home;
use super::{Elements, List, ListEvent, ListUndo, Step, one};
use crate::bounds::Value;
use crate::seq::Run;
use repliq_core::Effects;

impl<T: Value> List<T> {
    /// Takes over what `other` has. O(n log n) in the elements of `other`.
    pub(super) fn take_over(&mut self, mut other: Self, fx: &mut Effects<Self>) {
        let before = self.seq.elements();
        let mut added = self.seq.adopt(&other.seq);
        // They come to life one after the other, each where it is at home.
        added.iter_mut().for_each(|piece| piece.dead = true);
        self.seq.place_adopted(&added, &other.seq, |_, _| {});
        if !added.is_empty() {
            fx.undo(|| ListUndo(Step::Added(before)));
        }
        for (place, element) in other.homes.guests() {
            if let (Some(place), Some(element)) =
                (self.here(&other, place), self.here(&other, element))
                && place >= before
                && !self.homes.is_guest(element)
            {
                self.homes.add_guest(place, element);
            }
        }
        self.delete_what_is_deleted_in(&other, before, fx);
        for piece in added {
            self.take_values(&mut other, piece.there, piece.here, fx);
        }
        self.take_homes(&other, before, fx);
        self.take_written(other, before, fx);
    }

    /// The handle here of an element or place there.
    fn here(&self, other: &Self, there: u32) -> Option<u32> {
        self.seq.find(other.seq.dot(there))
    }

    fn delete_what_is_deleted_in(&mut self, other: &Self, before: u32, fx: &mut Effects<Self>) {
        for run in other.seq.runs().filter(|run| run.is_dead()) {
            other.for_each_dead(run, |there| {
                let mut held = Vec::new();
                self.seq.for_each_held(&other.seq, there, |found| held.push(found));
                held.retain(|found| found.first < before);
                for found in held {
                    let guests = self.homes.guests_in(found);
                    for elements in between(found, guests) {
                        self.delete(elements, fx);
                    }
                }
            });
        }
    }

    /// The parts of a dead run that are deleted elements, not places where some
    /// element is no more.
    fn for_each_dead(&self, run: Run, each: impl FnMut(Elements)) {
        let all = Elements { first: run.first(), len: run.len() };
        let mut others = self.homes.moved_in(all);
        others.extend(self.homes.guests_in(all));
        others.sort_unstable();
        between(all, others).for_each(each);
    }

    /// Gives new elements the values they have there, and shows those that stand at
    /// their own places.
    fn take_values(
        &mut self,
        other: &mut Self,
        there: u32,
        here: Elements,
        fx: &mut Effects<Self>,
    ) {
        let all = Elements { first: there, len: here.len };
        let living = other.seq.is_living(there);
        // Of a living run these are the guests, of a dead one those with a value.
        let apart = if living { other.homes.guests_in(all) } else { other.homes.moved_in(all) };
        let mut from = there;
        for place in apart.into_iter().chain([there + here.len]) {
            let first = here.first + (from - there);
            let between = Elements { first, len: place - from };
            if living {
                for element in from..place {
                    self.values.push(other.take_value(element));
                }
                self.show(between, fx);
            } else {
                self.values.skip(between.len);
            }
            if place < there + here.len {
                self.values.push(other.take_value(place));
            }
            from = place + 1;
        }
    }

    fn take_value(&mut self, element: u32) -> Option<T> {
        self.values.get_mut(element).and_then(Option::take)
    }

    /// Lets elements be seen at their own places.
    fn show(&mut self, elements: Elements, fx: &mut Effects<Self>) {
        if elements.len == 0 {
            return;
        }
        let Self { seq, values, .. } = self;
        seq.mark(elements, false, |changed, index| {
            fx.event(|| ListEvent::Inserted {
                index: index() as usize,
                values: values.of(changed).cloned().collect(),
            });
        });
    }

    /// Takes over where elements were moved to. Elements from `before` on are new.
    fn take_homes(&mut self, other: &Self, before: u32, fx: &mut Effects<Self>) {
        let mut homes: Vec<_> = other.homes.homes().collect();
        homes.sort_unstable_by_key(|(_, home)| home.at);
        for (there, Home { place, at }) in homes {
            let (Some(here), Some(place)) = (self.here(other, there), self.here(other, place))
            else {
                continue;
            };
            let home = Home { place, at };
            let is_its_place = self.homes.is_place_of(place, here);
            if here < before {
                if is_its_place && self.homes.home(here) != Some(home) {
                    self.relocate(here, home, fx);
                }
            } else if !is_its_place {
                self.show(one(here), fx);
            } else if let Some(value) = self.values.get(here) {
                self.homes.set_home(here, Some(home));
                self.seq.mark(one(place), false, |_, index| {
                    fx.event(|| ListEvent::Inserted {
                        index: index() as usize,
                        values: vec![value.clone()],
                    });
                });
            }
        }
    }

    /// Takes over later values. Elements from `before` on are new and have them.
    fn take_written(&mut self, mut other: Self, before: u32, fx: &mut Effects<Self>) {
        let mut written: Vec<_> = other.written.iter().map(|(there, at)| (*at, *there)).collect();
        written.sort_unstable();
        for (at, there) in written {
            let Some(here) = self.here(&other, there) else { continue };
            if here >= before {
                self.written.insert(here, at);
            } else if self.written.get(&here) != Some(&at)
                && let Some(value) = other.take_value(there)
            {
                self.set(here, value, at, fx);
            }
        }
    }
}

/// What of some elements lies between these of them, which are in ascending order.
fn between(all: Elements, apart: Vec<u32>) -> impl Iterator<Item = Elements> {
    let end = all.first + all.len;
    let mut from = all.first;
    apart.into_iter().chain([end]).filter_map(move |place| {
        let part = Elements { first: from, len: place - from };
        from = place + 1;
        (part.len > 0).then_some(part)
    })
}
