//! The naive oracle: a plain list of places, each put where the `YjsMod` of
//! josephg/reference-crdts (`crdts.ts`, which gives the order of FugueMax) puts
//! it by a scan of the whole list, and a plain table of elements.

use repliq_core::{Dot, Stamp};
use repliq_crdts::ListOp;
use repliq_crdts::text::{LeftOrigin, RightOrigin, Stretch, Target};

struct Place {
    dot: Dot,
    left: Option<Dot>,
    right: Option<Dot>,
}

struct Element {
    dot: Dot,
    value: u32,
    written: Option<Stamp>,
    place: Dot,
    moved: Option<Stamp>,
    deleted: bool,
}

#[derive(Default)]
pub(crate) struct Reference {
    places: Vec<Place>,
    elements: Vec<Element>,
}

impl Reference {
    pub(crate) fn values(&self) -> Vec<u32> {
        let living = |place: &Place| {
            self.elements.iter().find(|element| element.place == place.dot && !element.deleted)
        };
        self.places.iter().filter_map(living).map(|element| element.value).collect()
    }

    pub(crate) fn apply(&mut self, op: &ListOp<u32>, at: Stamp) {
        match op {
            ListOp::Insert { left, right, values } => {
                let (mut left, right) = self.origins(*left, *right, at);
                for (value, slot) in values.iter().zip(0..) {
                    let dot = Dot { seq: at.dot.seq + slot, ..at.dot };
                    self.integrate(Place { dot, left, right });
                    left = Some(dot);
                    let (value, place) = (*value, dot);
                    let element =
                        Element { dot, value, written: None, place, moved: None, deleted: false };
                    self.elements.push(element);
                }
            }
            ListOp::Set { element, value } => {
                let element = self.element(*element, at);
                if element.written < Some(at) {
                    (element.written, element.value) = (Some(at), *value);
                }
            }
            ListOp::Move { element, left, right } => {
                let (left, right) = self.origins(*left, *right, at);
                self.integrate(Place { dot: at.dot, left, right });
                let element = self.element(*element, at);
                if element.moved < Some(at) {
                    (element.moved, element.place) = (Some(at), at.dot);
                }
            }
            ListOp::Delete(stretches) => self.delete(stretches, at),
        }
    }

    fn delete(&mut self, stretches: &[Stretch], at: Stamp) {
        let mut before = None;
        for stretch in stretches {
            let first = target(stretch.from, at, before);
            before = Some(first);
            for slot in 0..stretch.len {
                let dot = Dot { seq: first.seq + slot, ..first };
                self.elements.iter_mut().find(|element| element.dot == dot).unwrap().deleted = true;
            }
        }
    }

    fn element(&mut self, named: Target, at: Stamp) -> &mut Element {
        let dot = target(named, at, None);
        self.elements.iter_mut().find(|element| element.dot == dot).unwrap()
    }

    fn origins(
        &self,
        left: LeftOrigin,
        right: RightOrigin,
        at: Stamp,
    ) -> (Option<Dot>, Option<Dot>) {
        let left = match left {
            LeftOrigin::Start => None,
            LeftOrigin::Back(slots) => Some(own(at, slots)),
            LeftOrigin::At(dot) => Some(dot),
        };
        let right = match right {
            RightOrigin::End => None,
            RightOrigin::Inherited => self.places[self.find(left.unwrap())].right,
            RightOrigin::Following => left.map(|left| Dot { seq: left.seq + 1, ..left }),
            RightOrigin::Back(slots) => Some(own(at, slots)),
            RightOrigin::At(dot) => Some(dot),
        };
        (left, right)
    }

    fn integrate(&mut self, new: Place) {
        let left = self.index(new.left, -1);
        let right = self.index(new.right, self.places.len() as i64);
        let mut index = left + 1;
        let mut scanning = false;
        for i in left + 1..=right {
            if !scanning {
                index = i;
            }
            if i == right {
                break;
            }
            let other = &self.places[i as usize];
            let other_left = self.index(other.left, -1);
            let other_right = self.index(other.right, self.places.len() as i64);
            if other_left < left {
                break;
            }
            if other_left == left {
                if other_right == right && new.dot.replica < other.dot.replica {
                    break;
                }
                scanning = other_right < right;
            }
        }
        self.places.insert(index as usize, new);
    }

    fn find(&self, dot: Dot) -> usize {
        self.places.iter().position(|place| place.dot == dot).unwrap()
    }

    fn index(&self, dot: Option<Dot>, edge: i64) -> i64 {
        dot.map_or(edge, |dot| self.find(dot) as i64)
    }
}

fn target(named: Target, at: Stamp, before: Option<Dot>) -> Dot {
    match named {
        Target::Back(slots) => own(at, slots),
        Target::At(dot) => dot,
        Target::Same(seq) => Dot { seq, ..before.unwrap() },
    }
}

fn own(at: Stamp, slots: u64) -> Dot {
    Dot { seq: at.dot.seq - slots, ..at.dot }
}
