//! The reader of what [`Seq::columns`] writes: from columns to runs.

use super::numbers::{read_number, unpack};
use super::place::{Handles, Places};
use super::{
    AFTER, BEFORE, BETWEEN, CHILD, Damage, NEXT_REPLICA, NO_GAP, PARENT, PARENT_BACK, PARENT_EDGE,
    PARENT_FORWARD, PARENT_PREVIOUS, RIGHT, RIGHT_BACK, RIGHT_EDGE, RIGHT_FORWARD,
};
use crate::seq::Seq;
use crate::seq::run::{MAX_ELEMENTS, NONE};
use repliq_core::ReplicaId;

/// A run as it was read; its elements are the numbers from `first` on.
#[derive(Clone, Copy)]
pub(super) struct Read {
    pub(super) first: u32,
    pub(super) len: u32,
    /// The number of its replica.
    pub(super) author: u32,
    pub(super) seq: u64,
    pub(super) child: Child,
}

/// Which child of which element a run is.
#[derive(Clone, Copy)]
pub(super) enum Child {
    /// A right child of this element, with its right origin; [`NONE`] is the start.
    After(u32),
    /// A left child of this element, with its left origin.
    Before(u32),
    /// A right child of the one, with the other as its right origin.
    Between(u32, u32),
}

impl Read {
    /// Whether it is a right child of the element with the number before its first,
    /// with that one's right origin.
    pub(super) fn goes_on(&self) -> bool {
        matches!(self.child, Child::After(left) if left != NONE && left + 1 == self.first)
    }
}

impl Child {
    /// The right origin that is not that of another element.
    pub(super) const fn own_right(self) -> Option<u32> {
        match self {
            Self::Between(_, right) if right != NONE => Some(right),
            _ => None,
        }
    }
}

/// The columns, as far as they have not been read.
struct Reader<'a> {
    replicas: usize,
    /// How many replicas have begun.
    begun: usize,
    next_seq: u64,
    lens: &'a [u8],
    gaps: &'a [u8],
    lefts: &'a [u8],
    rights: &'a [u8],
}

impl Seq {
    /// Reads a sequence; its elements have handles as is said.
    pub(crate) fn from_columns(
        replicas: &[ReplicaId],
        pieces: &[u8],
        handles: Handles,
    ) -> Result<Self, Damage> {
        let bytes = unpack(pieces)?;
        if !replicas.is_sorted_by(|a, b| a < b) {
            return Err(Damage("replica ids are out of order"));
        }
        let (runs, lives) = read_runs(replicas.len(), &bytes)?;
        let elements = runs.last().map_or(0, |run| run.first + run.len);
        let dead = read_dead(lives, elements)?;
        Ok(Places::of(&runs, &dead, handles).in_order()?.into_seq(replicas))
    }
}

/// Where the dead elements start and end.
fn read_dead(mut lives: &[u8], elements: u32) -> Result<Vec<(u32, u32)>, Damage> {
    let mut stretches = Vec::with_capacity(lives.len() / 2);
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
fn read_runs(replicas: usize, mut bytes: &[u8]) -> Result<(Vec<Read>, &[u8]), Damage> {
    let mut lens = [0; 5];
    for len in &mut lens {
        *len = usize::try_from(read_number(&mut bytes)?).unwrap_or(usize::MAX);
    }
    let mut columns = [[].as_slice(); 5];
    for (column, len) in columns.iter_mut().zip(lens) {
        (*column, bytes) = bytes.split_at_checked(len).ok_or(Damage("a column is cut off"))?;
    }
    let [heads, lens, gaps, lefts, rights] = columns;
    let mut reader = Reader { replicas, begun: 0, next_seq: 0, lens, gaps, lefts, rights };
    let mut runs = Vec::with_capacity(heads.len());
    let mut first = 0;
    for head in heads {
        let run = reader.run(*head, first)?;
        first += run.len;
        runs.push(run);
    }
    let left = [reader.lens, reader.gaps, reader.lefts, reader.rights];
    if reader.begun != replicas || left.iter().any(|column| !column.is_empty()) {
        return Err(Damage("there is more than the runs take"));
    }
    Ok((runs, bytes))
}

const UNKNOWN: Damage = Damage("a run has an unknown head");

impl Reader<'_> {
    #[inline]
    fn run(&mut self, head: u8, first: u32) -> Result<Read, Damage> {
        if head & NEXT_REPLICA != 0 {
            self.begun += 1;
            self.next_seq = 0;
        }
        let author = self.begun.checked_sub(1).filter(|author| *author < self.replicas);
        let author = author.and_then(|author| u32::try_from(author).ok());
        let author = author.ok_or(Damage("a replica id is missing"))?;
        if head & NO_GAP == 0 {
            let gap = read_number(&mut self.gaps)?.checked_add(1);
            let seq = gap.and_then(|gap| self.next_seq.checked_add(gap));
            self.next_seq = seq.ok_or(Damage("a sequence number is out of range"))?;
        }
        let len =
            read_number(&mut self.lens)?.checked_add(1).and_then(|len| u32::try_from(len).ok());
        let len = len.filter(|len| *len <= MAX_ELEMENTS - first);
        let len = len.ok_or(Damage("there are too many elements"))?;
        let seq = self.next_seq;
        let next = seq.checked_add(u64::from(len));
        self.next_seq = next.ok_or(Damage("a sequence number is out of range"))?;
        let end = first + len;
        let child = match head & CHILD {
            AFTER if head & RIGHT == 0 => Child::After(parent(head, first, end, &mut self.lefts)?),
            BEFORE if head & (PARENT | RIGHT) != PARENT_EDGE && head & RIGHT == 0 => {
                Child::Before(parent(head, first, end, &mut self.rights)?)
            }
            BETWEEN => {
                let left = parent(head, first, end, &mut self.lefts)?;
                let right = match head & RIGHT {
                    RIGHT_EDGE => NONE,
                    RIGHT_BACK => back(&mut self.rights, first)?,
                    RIGHT_FORWARD => forward(&mut self.rights, end)?,
                    _ => return Err(UNKNOWN),
                };
                Child::Between(left, right)
            }
            _ => return Err(UNKNOWN),
        };
        Ok(Read { first, len, author, seq, child })
    }
}

/// The number of the origin that a run from `first` to before `end` is a child of.
#[inline]
fn parent(head: u8, first: u32, end: u32, column: &mut &[u8]) -> Result<u32, Damage> {
    match head & PARENT {
        PARENT_EDGE => Ok(NONE),
        PARENT_BACK => back(column, first),
        PARENT_FORWARD => forward(column, end),
        PARENT_PREVIOUS => first.checked_sub(1).ok_or(MISSING),
        _ => Err(UNKNOWN),
    }
}

const MISSING: Damage = Damage("an origin is missing");

/// The number of an element before `first`.
#[inline]
fn back(column: &mut &[u8], first: u32) -> Result<u32, Damage> {
    let distance = read_number(column)?.checked_add(1).and_then(|back| u32::try_from(back).ok());
    distance.and_then(|distance| first.checked_sub(distance)).ok_or(MISSING)
}

/// The number of an element from `end` on.
#[inline]
fn forward(column: &mut &[u8], end: u32) -> Result<u32, Damage> {
    let distance = u32::try_from(read_number(column)?).ok();
    let number = distance.and_then(|distance| end.checked_add(distance));
    number.filter(|number| *number < MAX_ELEMENTS).ok_or(MISSING)
}
