//! The writer of columns.

use super::numbers::{Packing, pack, write_number};
use super::{
    AFTER, BEFORE, BETWEEN, Columns, NEXT_REPLICA, NO_GAP, PARENT_BACK, PARENT_EDGE,
    PARENT_FORWARD, PARENT_PREVIOUS, RIGHT_BACK, RIGHT_EDGE, RIGHT_FORWARD,
};
use crate::seq::run::{NONE, Run};
use crate::seq::{Elements, Seq};
use repliq_core::{Dot, ReplicaId};

/// A run that is being written.
#[derive(Clone, Copy)]
struct Written {
    dot: Dot,
    /// The number of its first element.
    first: u32,
    len: u32,
    /// Its last element.
    last: u32,
    left: u32,
    right: u32,
}

/// A sequence by the handles of its elements.
struct Index {
    /// Its runs, ascending.
    runs: Vec<Run>,
    /// The first handle and its number of every stretch with consecutive dots,
    /// ascending.
    stretches: Vec<(u32, u32)>,
}

impl Index {
    fn of(seq: &Seq) -> Self {
        let mut runs: Vec<_> = seq.runs().collect();
        runs.sort_unstable_by_key(|run| run.first());
        let mut number = 0;
        let stretches = seq.identity.in_order().map(|(_, elements)| {
            number += elements.len;
            (elements.first, number - elements.len)
        });
        let mut stretches: Vec<_> = stretches.collect();
        stretches.sort_unstable();
        Self { runs, stretches }
    }

    /// The number of an element in the order of dots.
    fn number(&self, element: u32) -> u32 {
        let place = self.stretches.partition_point(|(first, _)| *first <= element);
        let held = place.checked_sub(1).and_then(|place| self.stretches.get(place));
        held.map_or(NONE, |(first, number)| number + (element - first))
    }

    fn place(&self, element: u32) -> usize {
        self.runs.partition_point(|run| run.first() <= element).wrapping_sub(1)
    }

    fn left_of(&self, element: u32) -> u32 {
        let run = self.runs.get(self.place(element));
        run.map_or(NONE, |run| run.left_at(element - run.first()))
    }

    fn right_of(&self, element: u32) -> u32 {
        self.runs.get(self.place(element)).map_or(NONE, |run| run.right())
    }

    /// Every part of a run with consecutive dots, in the order of those.
    fn in_order_of_dots(&self, seq: &Seq, mut each: impl FnMut(Dot, Run)) {
        let mut place = 0;
        for (dot, elements) in seq.identity.in_order() {
            let mut done = 0;
            while done < elements.len {
                let element = elements.first + done;
                // Mostly in the order of handles as well.
                if self.runs.get(place).is_none_or(|run| !run.contains(element)) {
                    place += 1;
                    if self.runs.get(place).is_none_or(|run| !run.contains(element)) {
                        place = self.place(element);
                    }
                }
                let Some(run) = self.runs.get(place) else { return };
                let offset = element - run.first();
                let len = (run.len() - offset).min(elements.len - done);
                let dot = Dot { seq: dot.seq + u64::from(done), ..dot };
                each(dot, run.part(offset, offset + len));
                done += len;
            }
        }
    }
}

#[derive(Default)]
struct Writer {
    replicas: Vec<ReplicaId>,
    next_seq: u64,
    /// The last element of the latest run, and its right origin.
    last: Option<(u32, u32)>,
    heads: Vec<u8>,
    lens: Vec<u8>,
    gaps: Vec<u8>,
    lefts: Vec<u8>,
    rights: Vec<u8>,
    lives: Vec<u8>,
    dead: Vec<Elements>,
}

impl Seq {
    /// The sequence as it is written.
    pub(crate) fn columns(&self) -> Columns {
        let index = Index::of(self);
        let mut writer = Writer::default();
        let mut open: Option<Written> = None;
        let (mut stretch, mut dead, mut first) = (0, false, 0);
        index.in_order_of_dots(self, |dot, part| {
            if part.is_dead() != dead {
                write_number(&mut writer.lives, stretch);
                (stretch, dead) = (0, !dead);
            }
            stretch += u64::from(part.len());
            if dead {
                writer.dead.push(Elements { first: part.first(), len: part.len() });
            }
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
                        writer.run(&run, &index);
                    }
                }
            }
            first += part.len();
        });
        if let Some(run) = open {
            writer.run(&run, &index);
            write_number(&mut writer.lives, stretch);
        }
        writer.finish()
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
    fn run(&mut self, run: &Written, index: &Index) {
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
        head |= self.origins(run, index);
        self.last = Some((run.last, run.right));
        self.heads.push(head);
    }

    fn origins(&mut self, run: &Written, index: &Index) -> u8 {
        let Written { left, right, .. } = *run;
        if self.last == Some((left, right)) {
            return AFTER | PARENT_PREVIOUS;
        }
        if right != NONE && index.left_of(right) == left {
            return BEFORE | parent(right, run, index, &mut self.rights);
        }
        let inherited = if left == NONE { NONE } else { index.right_of(left) };
        let said = parent(left, run, index, &mut self.lefts);
        if inherited == right {
            return AFTER | said;
        }
        if right == NONE {
            return BETWEEN | said | RIGHT_EDGE;
        }
        let (is_back, distance) = distance(index.number(right), run);
        write_number(&mut self.rights, distance);
        BETWEEN | said | if is_back { RIGHT_BACK } else { RIGHT_FORWARD }
    }

    fn finish(self) -> Columns {
        let Self { replicas, heads, lens, gaps, lefts, rights, lives, dead, .. } = self;
        let mut columns = Vec::new();
        for column in [&heads, &lens, &gaps, &lefts, &rights] {
            write_number(&mut columns, column.len() as u64);
        }
        for column in [heads, lens, gaps, lefts, rights, lives] {
            columns.extend(column);
        }
        Columns { replicas, pieces: pack(&columns, Packing::Numbers), dead }
    }
}

/// Says an origin: in the head, and, where that is not enough, in a column.
fn parent(element: u32, run: &Written, index: &Index, column: &mut Vec<u8>) -> u8 {
    if element == NONE {
        return PARENT_EDGE;
    }
    match distance(index.number(element), run) {
        (true, 0) => PARENT_PREVIOUS,
        (is_back, distance) => {
            write_number(column, distance);
            if is_back { PARENT_BACK } else { PARENT_FORWARD }
        }
    }
}

/// How far a number is from a run: before it, or behind it.
fn distance(number: u32, run: &Written) -> (bool, u64) {
    let is_back = number < run.first;
    let distance = if is_back { run.first - 1 - number } else { number - (run.first + run.len) };
    (is_back, u64::from(distance))
}
