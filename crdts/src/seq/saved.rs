//! How a sequence is written and read.
//!
//! The form is the replica ids that occur, ascending, and one packed byte string
//! of columns about the runs of elements in the order of their dots: that order
//! depends on nothing but the elements, so equal sequences give equal bytes. A
//! reader gives every run its place anew, from its origins: so there are no bytes
//! that claim an order which no history has. Reading allocates by the run, never
//! by a claimed length.
//!
//! A run is a longest one of consecutive dots, each the left origin of the next,
//! with one right origin, dead or alive. Elements are numbered in the order of
//! their dots, and an origin is written as the distance to its number. The columns
//! are: a head byte a run, its length, the sequence numbers left out before it,
//! the distances of left and of right origins that the head does not say, and the
//! lengths of living and dead stretches by turns.

mod numbers;
mod read;

pub(crate) use numbers::{pack, unpack};

use crate::seq::run::{NONE, Run};
use crate::seq::{Elements, Seq};
use numbers::write_number;
use repliq_core::{Dot, ReplicaId};

/// How the left origin of a run is said.
const LEFT: u8 = 0b11;
const LEFT_EDGE: u8 = 0;
const LEFT_BACK: u8 = 1;
const LEFT_FORWARD: u8 = 2;
/// How the right origin of a run is said.
const RIGHT: u8 = 0b111 << 2;
const RIGHT_EDGE: u8 = 0;
/// It is that of the left origin.
const RIGHT_INHERITED: u8 = 1 << 2;
/// It has the number after that of the left origin.
const RIGHT_FOLLOWING: u8 = 2 << 2;
const RIGHT_BACK: u8 = 3 << 2;
const RIGHT_FORWARD: u8 = 4 << 2;
/// No sequence number is left out before the run.
const NO_GAP: u8 = 1 << 5;
/// The run is the first of the next replica.
const NEXT_REPLICA: u8 = 1 << 6;

/// A sequence as it is written.
pub(crate) struct Columns {
    pub(crate) replicas: Vec<ReplicaId>,
    pub(crate) pieces: Vec<u8>,
}

/// Why bytes are not a sequence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Damage(pub(crate) &'static str);

/// The numbers of elements in the order of their dots.
struct Numbers {
    /// The first handle of a stretch and its number, by handle.
    stretches: Vec<(u32, u32)>,
}

impl Numbers {
    fn of(&self, element: u32) -> u32 {
        let place = self.stretches.partition_point(|(first, _)| *first <= element);
        let held = place.checked_sub(1).and_then(|place| self.stretches.get(place));
        held.map_or(NONE, |(first, number)| number + (element - first))
    }
}

/// A run that is being written.
struct Written {
    dot: Dot,
    first: u32,
    len: u32,
    last: u32,
    left: u32,
    right: u32,
}

#[derive(Default)]
struct Writer {
    replicas: Vec<ReplicaId>,
    next_seq: u64,
    heads: Vec<u8>,
    lens: Vec<u8>,
    gaps: Vec<u8>,
    lefts: Vec<u8>,
    rights: Vec<u8>,
    lives: Vec<u8>,
}

impl Seq {
    /// The sequence as it is written.
    pub(crate) fn columns(&self) -> Columns {
        let numbers = self.numbers();
        let mut writer = Writer::default();
        let mut open: Option<Written> = None;
        let (mut stretch, mut dead, mut first) = (0, false, 0);
        self.in_order_of_dots(|dot, part| {
            if part.is_dead() != dead {
                write_number(&mut writer.lives, stretch);
                (stretch, dead) = (0, !dead);
            }
            stretch += u64::from(part.len());
            match &mut open {
                Some(run) if run.goes_on_with(dot, part) => {
                    run.len += part.len();
                    run.last = part.end() - 1;
                }
                _ => {
                    let run = Written {
                        dot,
                        first,
                        len: part.len(),
                        last: part.end() - 1,
                        left: part.left(),
                        right: part.right(),
                    };
                    if let Some(run) = open.replace(run) {
                        writer.run(&run, &numbers, self);
                    }
                }
            }
            first += part.len();
        });
        if let Some(run) = open {
            writer.run(&run, &numbers, self);
            write_number(&mut writer.lives, stretch);
        }
        writer.finish()
    }

    /// The dead elements in the order of their dots.
    pub(crate) fn dead_in_order_of_dots(&self) -> Vec<Elements> {
        let mut dead = Vec::new();
        self.in_order_of_dots(|_, part| {
            if part.is_dead() {
                dead.push(Elements { first: part.first(), len: part.len() });
            }
        });
        dead
    }

    /// Every part of a run with consecutive dots.
    fn in_order_of_dots(&self, mut each: impl FnMut(Dot, Run)) {
        for (dot, elements) in self.identity.in_order() {
            let mut done = 0;
            while done < elements.len {
                let (run, offset) = self.tree.run_of(elements.first + done);
                let len = (run.len() - offset).min(elements.len - done);
                let dot = Dot { seq: dot.seq + u64::from(done), ..dot };
                each(dot, run.part(offset, offset + len));
                done += len;
            }
        }
    }

    fn numbers(&self) -> Numbers {
        let mut number = 0;
        let stretches = self.identity.in_order().map(|(_, elements)| {
            number += elements.len;
            (elements.first, number - elements.len)
        });
        let mut stretches: Vec<_> = stretches.collect();
        stretches.sort_unstable();
        Numbers { stretches }
    }
}

impl Written {
    fn goes_on_with(&self, dot: Dot, part: Run) -> bool {
        self.dot.replica == dot.replica
            && self.dot.seq + u64::from(self.len) == dot.seq
            && self.last == part.left()
            && self.right == part.right()
    }
}

impl Writer {
    fn run(&mut self, run: &Written, numbers: &Numbers, seq: &Seq) {
        let mut head = 0;
        if self.replicas.last() != Some(&run.dot.replica) {
            self.replicas.push(run.dot.replica);
            self.next_seq = 0;
            head |= NEXT_REPLICA;
        }
        match run.dot.seq - self.next_seq {
            0 => head |= NO_GAP,
            gap => write_number(&mut self.gaps, gap - 1),
        }
        self.next_seq = run.dot.seq + u64::from(run.len);
        write_number(&mut self.lens, u64::from(run.len) - 1);
        let end = run.first + run.len;
        let left = if run.left == NONE { NONE } else { numbers.of(run.left) };
        if left != NONE {
            let back = left < run.first;
            head |= if back { LEFT_BACK } else { LEFT_FORWARD };
            let distance = if back { run.first - 1 - left } else { left - end };
            write_number(&mut self.lefts, u64::from(distance));
        }
        let right = if run.right == NONE { NONE } else { numbers.of(run.right) };
        head |= if right == NONE {
            RIGHT_EDGE
        } else if left != NONE && seq.right_of(run.left) == run.right {
            RIGHT_INHERITED
        } else if left != NONE && left + 1 == right {
            RIGHT_FOLLOWING
        } else {
            let back = right < run.first;
            let distance = if back { run.first - 1 - right } else { right - end };
            write_number(&mut self.rights, u64::from(distance));
            if back { RIGHT_BACK } else { RIGHT_FORWARD }
        };
        self.heads.push(head);
    }

    fn finish(self) -> Columns {
        let Self { replicas, heads, lens, gaps, lefts, rights, lives, .. } = self;
        let mut columns = Vec::new();
        for column in [&heads, &lens, &gaps, &lefts, &rights] {
            write_number(&mut columns, column.len() as u64);
        }
        for column in [heads, lens, gaps, lefts, rights, lives] {
            columns.extend(column);
        }
        Columns { replicas, pieces: pack(&columns) }
    }
}
