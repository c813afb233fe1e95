//! How a sequence is written and read.
//!
//! The form is the replica ids that occur, ascending, and one byte string of
//! pieces in the order a reader sees them. A piece is a longest run of elements
//! with consecutive dots, each the left origin of the next, with one right
//! origin, all dead or all alive. So equal sequences give equal bytes, whatever
//! order their elements came in. Reading allocates by the piece, never by a
//! claimed length, and refuses what no history could have made.
//!
//! A piece is a head byte, its dot, its length, and the dots of its origins
//! unless the head says where they are. A sequence number is written as its
//! distance from the last one of its replica that was mentioned.

use crate::seq::identity::{Identity, Refusal};
use crate::seq::run::{MAX_ELEMENTS, NONE, Run};
use crate::seq::{Elements, Seq};
use repliq_core::{Dot, ReplicaId};

const DEAD: u8 = 1;
/// The replica is that of the piece before.
const SAME_REPLICA: u8 = 1 << 1;
const LEFT: u8 = 2;
const RIGHT: u8 = 4;
/// An origin is the edge of the sequence.
const EDGE: u8 = 0;
/// An origin is the element next to the piece in the order of the sequence.
const NEIGHBOUR: u8 = 1;
/// An origin is written as a dot.
const WRITTEN: u8 = 2;
/// A right origin is that of the piece before.
const INHERITED: u8 = 3;

/// A sequence as it is written.
pub(crate) struct Columns {
    pub(crate) replicas: Vec<ReplicaId>,
    pub(crate) pieces: Vec<u8>,
}

/// Why bytes are not a sequence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Damage(pub(crate) &'static str);

/// A longest run of elements that is written as one.
#[derive(Clone, Copy, Debug)]
struct Piece {
    dot: Dot,
    len: u32,
    first: u32,
    last: u32,
    left: u32,
    right: u32,
    dead: bool,
}

impl Seq {
    /// The sequence as it is written.
    pub(crate) fn columns(&self) -> Columns {
        let pieces = self.pieces();
        let mut replicas: Vec<_> = pieces.iter().map(|piece| piece.dot.replica).collect();
        replicas.sort_unstable();
        replicas.dedup();
        let mut writer = Writer { seq: self, dots: Dots::new(replicas), out: Vec::new() };
        let mut before: Option<&Piece> = None;
        for (number, piece) in pieces.iter().enumerate() {
            writer.piece(before, piece, pieces.get(number + 1));
            before = Some(piece);
        }
        Columns { replicas: writer.dots.replicas, pieces: writer.out }
    }

    fn pieces(&self) -> Vec<Piece> {
        let mut pieces: Vec<Piece> = Vec::new();
        for run in self.runs() {
            let mut from = 0;
            while from < run.len() {
                let (dot, len) = self.stretch_at(run.first() + from);
                let to = run.len().min(from.saturating_add(len));
                add_piece(&mut pieces, dot, run.part(from, to));
                from = to;
            }
        }
        pieces
    }

    /// Reads a sequence; its elements have handles in the order a reader sees them.
    pub(crate) fn from_columns(columns: &Columns) -> Result<Self, Damage> {
        if !columns.replicas.is_sorted_by(|a, b| a < b) {
            return Err(Damage("replica ids are out of order"));
        }
        let dots = Dots::new(columns.replicas.clone());
        let mut reader = Reader { dots, rest: &columns.pieces };
        let mut read = Vec::new();
        let mut first = 0_u32;
        while !reader.rest.is_empty() {
            let piece = reader.piece(first, read.last())?;
            first += piece.len;
            read.push(piece);
        }
        if reader.dots.mentioned.iter().any(|mentioned| !mentioned) {
            return Err(Damage("a replica made nothing"));
        }
        build(&read)
    }
}

fn add_piece(pieces: &mut Vec<Piece>, dot: Dot, run: Run) {
    if let Some(last) = pieces.last_mut() {
        let follows = Dot { seq: last.dot.seq + u64::from(last.len), ..last.dot } == dot;
        if follows
            && last.last == run.left()
            && last.right == run.right()
            && last.dead == run.is_dead()
        {
            last.len += run.len();
            last.last = run.end() - 1;
            return;
        }
    }
    pieces.push(Piece {
        dot,
        len: run.len(),
        first: run.first(),
        last: run.end() - 1,
        left: run.left(),
        right: run.right(),
        dead: run.is_dead(),
    });
}

/// The replicas, and the last sequence number of each that was mentioned.
struct Dots {
    replicas: Vec<ReplicaId>,
    last: Vec<u64>,
    mentioned: Vec<bool>,
}

impl Dots {
    fn new(replicas: Vec<ReplicaId>) -> Self {
        let (last, mentioned) = (vec![0; replicas.len()], vec![false; replicas.len()]);
        Self { replicas, last, mentioned }
    }
}

struct Writer<'a> {
    seq: &'a Seq,
    dots: Dots,
    out: Vec<u8>,
}

impl Writer<'_> {
    fn piece(&mut self, before: Option<&Piece>, piece: &Piece, after: Option<&Piece>) {
        let left = match piece.left {
            NONE => EDGE,
            left if before.is_some_and(|before| before.last == left) => NEIGHBOUR,
            _ => WRITTEN,
        };
        let right = match piece.right {
            NONE => EDGE,
            right if after.is_some_and(|after| after.first == right) => NEIGHBOUR,
            right if before.is_some_and(|before| before.right == right) => INHERITED,
            _ => WRITTEN,
        };
        let same = before.is_some_and(|before| before.dot.replica == piece.dot.replica);
        let dead = if piece.dead { DEAD } else { 0 };
        let same_replica = if same { SAME_REPLICA } else { 0 };
        self.out.push(dead | same_replica | left << LEFT | right << RIGHT);
        self.dot(piece.dot, !same);
        self.number(u64::from(piece.len) - 1);
        self.dots_advance(piece);
        if left == WRITTEN {
            self.dot(self.seq.dot(piece.left), true);
        }
        if right == WRITTEN {
            self.dot(self.seq.dot(piece.right), true);
        }
    }

    fn dots_advance(&mut self, piece: &Piece) {
        if let Ok(replica) = self.dots.replicas.binary_search(&piece.dot.replica)
            && let Some(last) = self.dots.last.get_mut(replica)
        {
            *last = last.wrapping_add(u64::from(piece.len));
        }
    }

    fn dot(&mut self, dot: Dot, with_replica: bool) {
        // Every element's replica is in the table.
        let replica = self.dots.replicas.binary_search(&dot.replica).unwrap_or(0);
        if with_replica {
            self.number(replica as u64);
        }
        if let Some(last) = self.dots.last.get_mut(replica) {
            let distance = dot.seq.wrapping_sub(*last).cast_signed();
            *last = dot.seq;
            self.number((distance << 1 ^ distance >> 63).cast_unsigned());
        }
    }

    fn number(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.out.push(number.to_le_bytes()[0] | 0x80);
            number >>= 7;
        }
        self.out.push(number.to_le_bytes()[0]);
    }
}

/// A piece as it was read; its elements are `first..first + len`.
#[derive(Clone, Copy)]
struct ReadPiece {
    replica: usize,
    dot: Dot,
    first: u32,
    len: u32,
    left: Origin,
    right: Origin,
    dead: bool,
}

#[derive(Clone, Copy)]
enum Origin {
    Edge,
    Neighbour,
    Inherited,
    Written(Dot),
}

struct Reader<'a> {
    dots: Dots,
    rest: &'a [u8],
}

impl Reader<'_> {
    fn piece(&mut self, first: u32, before: Option<&ReadPiece>) -> Result<ReadPiece, Damage> {
        let head = self.byte()?;
        if head >> 6 != 0 {
            return Err(Damage("a piece has an unknown head"));
        }
        let replica = match (head & SAME_REPLICA != 0, before) {
            (true, None) => return Err(Damage("there is no piece before")),
            (true, Some(before)) => before.replica,
            (false, _) => self.replica()?,
        };
        let dot = self.dot(replica)?;
        let len = self.number()?.checked_add(1).and_then(|len| u32::try_from(len).ok());
        let len = len.filter(|len| *len <= MAX_ELEMENTS - first);
        let len = len.ok_or(Damage("there are too many elements"))?;
        let end = dot.seq.checked_add(u64::from(len));
        let end = end.ok_or(Damage("a sequence number is out of range"))?;
        if let (Some(last), Some(mentioned)) =
            (self.dots.last.get_mut(replica), self.dots.mentioned.get_mut(replica))
        {
            *last = end;
            *mentioned = true;
        }
        let left = self.origin(head >> LEFT & 3)?;
        let right = self.origin(head >> RIGHT & 3)?;
        Ok(ReadPiece { replica, dot, first, len, left, right, dead: head & DEAD != 0 })
    }

    fn origin(&mut self, tag: u8) -> Result<Origin, Damage> {
        Ok(match tag {
            EDGE => Origin::Edge,
            NEIGHBOUR => Origin::Neighbour,
            INHERITED => Origin::Inherited,
            _ => {
                let replica = self.replica()?;
                Origin::Written(self.dot(replica)?)
            }
        })
    }

    fn replica(&mut self) -> Result<usize, Damage> {
        usize::try_from(self.number()?).map_err(|_| Damage("a replica id is missing"))
    }

    fn dot(&mut self, replica: usize) -> Result<Dot, Damage> {
        let distance = self.number()?;
        let distance = distance >> 1 ^ (distance & 1).wrapping_neg();
        let id = self.dots.replicas.get(replica).copied();
        let (Some(id), Some(last)) = (id, self.dots.last.get_mut(replica)) else {
            return Err(Damage("a replica id is missing"));
        };
        *last = last.wrapping_add(distance);
        Ok(Dot { replica: id, seq: *last })
    }

    fn byte(&mut self) -> Result<u8, Damage> {
        let (byte, rest) = self.rest.split_first().ok_or(Damage("a piece is cut off"))?;
        self.rest = rest;
        Ok(*byte)
    }

    fn number(&mut self) -> Result<u64, Damage> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            if bits << shift >> shift != bits {
                break;
            }
            number |= bits << shift;
            if byte & 0x80 == 0 {
                return Ok(number);
            }
        }
        Err(Damage("a number is malformed"))
    }
}

/// Builds the sequence, and refuses what is not in the order of its origins.
fn build(read: &[ReadPiece]) -> Result<Seq, Damage> {
    let dots = read.iter().map(|piece| (piece.dot, piece.len));
    let identity = Identity::of(dots).map_err(|refusal| {
        Damage(match refusal {
            Refusal::Taken => "a dot occurs twice",
            _ => "there are too many elements",
        })
    })?;
    let mut seq = Seq { identity, ..Seq::default() };
    let mut right_before = NONE;
    for piece in read {
        let Elements { first, len } = Elements { first: piece.first, len: piece.len };
        let left = match piece.left {
            Origin::Edge => NONE,
            Origin::Neighbour if first > 0 => first - 1,
            Origin::Written(dot) => origin(&seq, dot)?,
            Origin::Neighbour | Origin::Inherited => {
                return Err(Damage("a left origin is missing"));
            }
        };
        let right = match piece.right {
            Origin::Edge => NONE,
            Origin::Neighbour if first + len < seq.elements() => first + len,
            Origin::Inherited => right_before,
            Origin::Written(dot) => origin(&seq, dot)?,
            Origin::Neighbour => return Err(Damage("a right origin is missing")),
        };
        right_before = right;
        if left != NONE && left >= first || right < first + len {
            return Err(Damage("an element is not between its origins"));
        }
        seq.tree.append(Run::new(first, len, left, right).with_dead(piece.dead));
    }
    Ok(seq)
}

fn origin(seq: &Seq, dot: Dot) -> Result<u32, Damage> {
    seq.find(dot).ok_or(Damage("an origin is missing"))
}
