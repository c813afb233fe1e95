//! Runs: consecutive elements that are stored as one.
//!
//! A run is all that is kept of its elements' places. It never knows who made
//! them, nor what they are.

/// No element: the edge of the sequence as an origin, and "nowhere" as a place.
pub(crate) const NONE: u32 = u32::MAX;

/// How many elements a sequence holds at most, removed ones included: a length
/// and a bit share 32 bits.
pub(crate) const MAX_ELEMENTS: u32 = (1 << 31) - 1;

/// Elements with consecutive handles, each but the first with the one before it
/// as its left origin, all with one right origin, all alive or all dead.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Run {
    first: u32,
    /// Length and, in the lowest bit, whether it is dead.
    extent: u32,
    left: u32,
    right: u32,
}

impl Run {
    /// Living elements; `len` is at least 1 and at most [`MAX_ELEMENTS`].
    pub(crate) const fn new(first: u32, len: u32, left: u32, right: u32) -> Self {
        Self { first, extent: len << 1, left, right }
    }

    /// What [`Run::extent`] and the others said of it.
    pub(super) const fn from_parts(first: u32, extent: u32, left: u32, right: u32) -> Self {
        Self { first, extent, left, right }
    }

    /// Its length and whether it is dead, in one.
    pub(super) const fn extent(self) -> u32 {
        self.extent
    }

    pub(crate) const fn first(self) -> u32 {
        self.first
    }

    pub(crate) const fn len(self) -> u32 {
        self.extent >> 1
    }

    /// The handle after the last.
    pub(crate) const fn end(self) -> u32 {
        self.first + self.len()
    }

    /// The left origin of the first element.
    pub(crate) const fn left(self) -> u32 {
        self.left
    }

    /// The right origin of every element.
    pub(crate) const fn right(self) -> u32 {
        self.right
    }

    /// The left origin of the element at `offset`.
    pub(crate) const fn left_at(self, offset: u32) -> u32 {
        if offset == 0 { self.left } else { self.first + offset - 1 }
    }

    pub(crate) const fn is_dead(self) -> bool {
        self.extent & 1 == 1
    }

    /// How many elements a reader sees.
    pub(crate) const fn visible(self) -> u32 {
        if self.is_dead() { 0 } else { self.len() }
    }

    pub(crate) const fn contains(self, element: u32) -> bool {
        element.wrapping_sub(self.first) < self.len()
    }

    /// The same elements, dead or alive.
    pub(crate) const fn with_dead(self, dead: bool) -> Self {
        Self { extent: self.extent & !1 | dead as u32, ..self }
    }

    /// The elements from one offset to before another.
    pub(crate) const fn part(self, from: u32, to: u32) -> Self {
        Self {
            first: self.first + from,
            extent: (to - from) << 1 | self.extent & 1,
            left: self.left_at(from),
            right: self.right,
        }
    }

    /// Whether `next`, right after this run, continues it.
    pub(crate) const fn continues_with(self, next: Self) -> bool {
        self.end() == next.first
            && next.left == self.end() - 1
            && self.right == next.right
            && (self.extent ^ next.extent) & 1 == 0
    }

    /// This run with `len` more elements that continue it.
    pub(crate) const fn longer(self, len: u32) -> Self {
        Self { extent: self.extent + (len << 1), ..self }
    }

    /// This run and `next`, which continues it.
    pub(crate) const fn joined(self, next: Self) -> Self {
        self.longer(next.len())
    }
}
