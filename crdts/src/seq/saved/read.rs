//! The reader of what [`Seq::columns`] writes.

use super::numbers::{read_number, unpack};
use super::{
    Columns, Damage, LEFT, LEFT_BACK, LEFT_EDGE, LEFT_FORWARD, NEXT_REPLICA, NO_GAP, RIGHT,
    RIGHT_BACK, RIGHT_EDGE, RIGHT_FOLLOWING, RIGHT_FORWARD, RIGHT_INHERITED,
};
use crate::seq::identity::Identity;
use crate::seq::order::Newcomer;
use crate::seq::run::{MAX_ELEMENTS, NONE, Run};
use crate::seq::{Elements, Refusal, Seq};
use repliq_core::{Dot, ReplicaId};

/// A run as it was read; its elements are the numbers from `first` on.
#[derive(Clone, Copy)]
struct Read {
    dot: Dot,
    first: u32,
    len: u32,
    left: u32,
    right: Right,
}

#[derive(Clone, Copy)]
enum Right {
    Inherited,
    Number(u32),
}

/// The columns, as far as they have not been read.
struct Reader<'a> {
    replicas: std::slice::Iter<'a, ReplicaId>,
    replica: ReplicaId,
    next_seq: u64,
    lens: &'a [u8],
    gaps: &'a [u8],
    lefts: &'a [u8],
    rights: &'a [u8],
    lives: &'a [u8],
}

const ROUND: Damage = Damage("origins go round in a circle");

impl Seq {
    /// Reads a sequence; its elements have handles in the order a reader sees them.
    pub(crate) fn from_columns(columns: &Columns) -> Result<Self, Damage> {
        Self::read_in_order_of_dots(&columns.replicas, &columns.pieces)?.0.in_order_of_reading()
    }

    /// Reads a sequence; its elements have handles in the order of their dots. With
    /// it come the dead ones, in that order.
    pub(crate) fn read_in_order_of_dots(
        replicas: &[ReplicaId],
        pieces: &[u8],
    ) -> Result<(Self, Vec<Elements>), Damage> {
        let bytes = unpack(pieces)?;
        let (runs, lives) = read_runs(replicas, &bytes)?;
        let mut seq = Self::default();
        for run in &runs {
            seq.identity.add(run.dot, run.len).map_err(damage)?;
        }
        let dead = read_dead(lives, seq.elements())?;
        seq.place_runs(&runs, &dead)?;
        seq.tree.recount();
        let dead = dead.into_iter().map(|(first, end)| Elements { first, len: end - first });
        Ok((seq, dead.collect()))
    }

    /// Places every run after those that its origins are in.
    fn place_runs(&mut self, runs: &[Read], dead: &[(u32, u32)]) -> Result<(), Damage> {
        let mut waiting: Vec<usize> = Vec::new();
        for (number, next) in runs.iter().enumerate() {
            waiting.push(number);
            while let Some(run) = waiting.last().and_then(|number| runs.get(*number)) {
                if run.first != next.first && self.tree.holds(run.first) {
                    waiting.pop();
                } else if let Some(missing) = self.missing_origin(run, next.first)? {
                    let holder = runs.partition_point(|run| run.first <= missing);
                    waiting.push(holder.checked_sub(1).ok_or(ROUND)?);
                    if waiting.len() > runs.len() {
                        return Err(ROUND);
                    }
                } else {
                    waiting.pop();
                    if !self.tree.holds(run.first) {
                        self.place_run(run, dead)?;
                    }
                }
            }
        }
        Ok(())
    }

    /// An origin of the run that has no place yet; those before `placed` have one.
    fn missing_origin(&self, run: &Read, placed: u32) -> Result<Option<u32>, Damage> {
        let right = match run.right {
            Right::Number(right) => right,
            Right::Inherited => NONE,
        };
        for origin in [run.left, right] {
            if origin >= placed && origin != NONE && !self.tree.holds(origin) {
                if origin >= self.elements() {
                    return Err(Damage("an origin is missing"));
                }
                return Ok(Some(origin));
            }
        }
        Ok(None)
    }

    fn place_run(&mut self, run: &Read, dead: &[(u32, u32)]) -> Result<(), Damage> {
        let left = run.left;
        let mut spot = self.tree.after(left);
        let right = match run.right {
            Right::Number(right) => right,
            Right::Inherited => self.tree.right_before(spot),
        };
        if self.tree.next(spot) != right {
            if !self.are_in_order(left, right) {
                return Err(Damage("the origins are not in order"));
            }
            spot = self.place_among(Newcomer { dot: run.dot, left, right });
        }
        let whole = Run::new(run.first, run.len, left, right);
        let mut from = 0;
        let next = dead.partition_point(|(_, end)| *end <= run.first);
        for (start, end) in dead.get(next..).unwrap_or_default() {
            let start = start.saturating_sub(run.first).min(run.len);
            let end = (end - run.first).min(run.len);
            for (to, is_dead) in [(start, false), (end, true)] {
                if from < to {
                    if from > 0 {
                        spot = self.tree.after(run.first + from - 1);
                    }
                    self.tree.put_uncounted(spot, whole.part(from, to).with_dead(is_dead));
                    from = to;
                }
            }
            if end == run.len {
                break;
            }
        }
        if from < run.len {
            if from > 0 {
                spot = self.tree.after(run.first + from - 1);
            }
            self.tree.put_uncounted(spot, whole.part(from, run.len));
        }
        Ok(())
    }

    /// The same sequence with other handles.
    fn in_order_of_reading(&self) -> Result<Self, Damage> {
        let mut parts = Vec::new();
        for run in self.runs() {
            let mut from = 0;
            while from < run.len() {
                let (dot, len) = self.stretch_at(run.first() + from);
                let to = run.len().min(from.saturating_add(len));
                parts.push((dot, run.part(from, to)));
                from = to;
            }
        }
        let mut handles = Vec::with_capacity(parts.len());
        let mut next = 0;
        for (_, part) in &parts {
            handles.push((part.first(), next));
            next += part.len();
        }
        handles.sort_unstable();
        let handle = |element: u32| {
            let place = handles.partition_point(|(first, _)| *first <= element);
            let held = place.checked_sub(1).and_then(|place| handles.get(place));
            held.filter(|_| element != NONE).map_or(NONE, |(first, new)| new + (element - first))
        };
        let identity = Identity::of(parts.iter().map(|(dot, part)| (*dot, part.len())));
        let mut seq = Self { identity: identity.map_err(damage)?, ..Self::default() };
        let mut first = 0;
        for (_, part) in &parts {
            let run = Run::new(first, part.len(), handle(part.left()), handle(part.right()));
            seq.tree.append(run.with_dead(part.is_dead()));
            first += part.len();
        }
        Ok(seq)
    }
}

fn damage(refusal: Refusal) -> Damage {
    Damage(match refusal {
        Refusal::Overflow => "a sequence number is out of range",
        Refusal::Taken => "a dot occurs twice",
        _ => "there are too many elements",
    })
}

/// Where the dead elements start and end.
fn read_dead(mut lives: &[u8], elements: u32) -> Result<Vec<(u32, u32)>, Damage> {
    let mut stretches = Vec::new();
    let mut end = 0;
    while !lives.is_empty() {
        for is_dead in [false, true] {
            let len = if lives.is_empty() { 0 } else { read_number(&mut lives)? };
            let start = end;
            let len = u32::try_from(len).ok().filter(|len| *len <= elements - start);
            end += len.ok_or(Damage("more is dead than there is"))?;
            if is_dead && start < end {
                stretches.push((start, end));
            }
        }
    }
    Ok(stretches)
}

/// The runs, and the column of living and dead.
fn read_runs<'a>(
    replicas: &'a [ReplicaId],
    mut bytes: &'a [u8],
) -> Result<(Vec<Read>, &'a [u8]), Damage> {
    if !replicas.is_sorted_by(|a, b| a < b) {
        return Err(Damage("replica ids are out of order"));
    }
    let mut lens = [0; 5];
    for len in &mut lens {
        *len = usize::try_from(read_number(&mut bytes)?).unwrap_or(usize::MAX);
    }
    let mut columns = [[].as_slice(); 5];
    for (column, len) in columns.iter_mut().zip(lens) {
        (*column, bytes) = bytes.split_at_checked(len).ok_or(Damage("a column is cut off"))?;
    }
    let [heads, lens, gaps, lefts, rights] = columns;
    let (replica, next_seq) = (ReplicaId::default(), 0);
    let replicas = replicas.iter();
    let mut reader =
        Reader { replicas, replica, next_seq, lens, gaps, lefts, rights, lives: bytes };
    let mut runs = Vec::with_capacity(heads.len());
    let mut first = 0;
    for (number, head) in heads.iter().enumerate() {
        if number == 0 && head & NEXT_REPLICA == 0 {
            return Err(Damage("a replica id is missing"));
        }
        let run = reader.run(*head, first)?;
        first += run.len;
        runs.push(run);
    }
    let left = [reader.lens, reader.gaps, reader.lefts, reader.rights];
    if reader.replicas.next().is_some() || left.iter().any(|column| !column.is_empty()) {
        return Err(Damage("there is more than the runs take"));
    }
    Ok((runs, reader.lives))
}

impl Reader<'_> {
    fn run(&mut self, head: u8, first: u32) -> Result<Read, Damage> {
        if head & NEXT_REPLICA != 0 {
            self.replica = *self.replicas.next().ok_or(Damage("a replica id is missing"))?;
            self.next_seq = 0;
        }
        if head & NO_GAP == 0 {
            let gap = read_number(&mut self.gaps)?.checked_add(1);
            let seq = gap.and_then(|gap| self.next_seq.checked_add(gap));
            self.next_seq = seq.ok_or(Damage("a sequence number is out of range"))?;
        }
        let len =
            read_number(&mut self.lens)?.checked_add(1).and_then(|len| u32::try_from(len).ok());
        let len = len.filter(|len| *len <= MAX_ELEMENTS - first);
        let len = len.ok_or(Damage("there are too many elements"))?;
        let dot = Dot { replica: self.replica, seq: self.next_seq };
        let next = self.next_seq.checked_add(u64::from(len));
        self.next_seq = next.ok_or(Damage("a sequence number is out of range"))?;
        let end = first + len;
        let left = match head & LEFT {
            LEFT_EDGE => NONE,
            LEFT_BACK => back(&mut self.lefts, first)?,
            LEFT_FORWARD => forward(&mut self.lefts, end)?,
            _ => return Err(Damage("a run has an unknown head")),
        };
        let right = match head & RIGHT {
            RIGHT_EDGE => Right::Number(NONE),
            RIGHT_INHERITED | RIGHT_FOLLOWING if left == NONE => {
                return Err(Damage("a right origin is missing"));
            }
            RIGHT_INHERITED => Right::Inherited,
            RIGHT_FOLLOWING => Right::Number(left + 1),
            RIGHT_BACK => Right::Number(back(&mut self.rights, first)?),
            RIGHT_FORWARD => Right::Number(forward(&mut self.rights, end)?),
            _ => return Err(Damage("a run has an unknown head")),
        };
        Ok(Read { dot, first, len, left, right })
    }
}

/// The number of an element before `first`.
fn back(column: &mut &[u8], first: u32) -> Result<u32, Damage> {
    let distance = read_number(column)?.checked_add(1).and_then(|back| u32::try_from(back).ok());
    let number = distance.and_then(|distance| first.checked_sub(distance));
    number.ok_or(Damage("an origin is missing"))
}

/// The number of an element from `end` on.
fn forward(column: &mut &[u8], end: u32) -> Result<u32, Damage> {
    let distance = u32::try_from(read_number(column)?).ok();
    let number = distance.and_then(|distance| end.checked_add(distance));
    number.filter(|number| *number < MAX_ELEMENTS).ok_or(Damage("an origin is missing"))
}
