//! The naive oracle: a list of characters, each put where the `YjsMod` of
//! josephg/reference-crdts (`crdts.ts`, which gives the order of FugueMax) puts
//! it, by a scan of the whole list.

use repliq_core::{Dot, Stamp};
use repliq_crdts::text::{LeftOrigin, RightOrigin, Stretch, Target, TextOp};

struct Item {
    dot: Dot,
    left: Option<Dot>,
    right: Option<Dot>,
    scalar: char,
    deleted: bool,
}

#[derive(Default)]
pub(crate) struct Reference {
    items: Vec<Item>,
}

impl Reference {
    pub(crate) fn text(&self) -> String {
        self.items.iter().filter(|item| !item.deleted).map(|item| item.scalar).collect()
    }

    pub(crate) fn apply(&mut self, op: &TextOp, at: Stamp) {
        match op {
            TextOp::Insert { left, right, text } => {
                let mut left = self.left(*left, at);
                let right = self.right(*right, left, at);
                let text = text.with(str::to_owned);
                for (scalar, slot) in text.chars().zip(0..) {
                    let dot = Dot { seq: at.dot.seq + slot, ..at.dot };
                    self.integrate(Item { dot, left, right, scalar, deleted: false });
                    left = Some(dot);
                }
            }
            TextOp::Delete(stretch) => self.delete(&[*stretch], at),
            TextOp::DeleteEach(stretches) => self.delete(stretches, at),
        }
    }

    fn left(&self, left: LeftOrigin, at: Stamp) -> Option<Dot> {
        match left {
            LeftOrigin::Start => None,
            LeftOrigin::Back(slots) => Some(own(at, slots)),
            LeftOrigin::At(dot) => Some(dot),
        }
    }

    fn right(&self, right: RightOrigin, left: Option<Dot>, at: Stamp) -> Option<Dot> {
        match right {
            RightOrigin::End => None,
            RightOrigin::Inherited => self.items[self.find(left.unwrap())].right,
            RightOrigin::Following => left.map(|left| Dot { seq: left.seq + 1, ..left }),
            RightOrigin::Back(slots) => Some(own(at, slots)),
            RightOrigin::At(dot) => Some(dot),
        }
    }

    fn delete(&mut self, stretches: &[Stretch], at: Stamp) {
        let mut before = None;
        for stretch in stretches {
            let first = match stretch.from {
                Target::Back(slots) => own(at, slots),
                Target::At(dot) => dot,
                Target::Same(seq) => Dot { seq, ..before.unwrap() },
            };
            before = Some(first);
            for slot in 0..stretch.len {
                let place = self.find(Dot { seq: first.seq + slot, ..first });
                self.items[place].deleted = true;
            }
        }
    }

    fn integrate(&mut self, new: Item) {
        let left = self.place(new.left);
        let right = self.end(new.right);
        let mut place = left + 1;
        let mut scanning = false;
        for i in left + 1..=right {
            if !scanning {
                place = i;
            }
            if i == right {
                break;
            }
            let other = &self.items[i as usize];
            let (other_left, other_right) = (self.place(other.left), self.end(other.right));
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
        self.items.insert(place as usize, new);
    }

    fn find(&self, dot: Dot) -> usize {
        self.items.iter().position(|item| item.dot == dot).unwrap()
    }

    fn place(&self, dot: Option<Dot>) -> i64 {
        dot.map_or(-1, |dot| self.find(dot) as i64)
    }

    fn end(&self, dot: Option<Dot>) -> i64 {
        dot.map_or(self.items.len() as i64, |dot| self.find(dot) as i64)
    }
}

fn own(at: Stamp, slots: u64) -> Dot {
    Dot { seq: at.dot.seq - slots, ..at.dot }
}
