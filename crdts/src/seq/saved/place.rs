//! Where the runs of a saved sequence stand: the order of [`order`](crate::seq::order)
//! for all of them at once, by a walk through the tree that their origins make.
//!
//! The walk goes from the end of the sequence to its start, so that the right
//! origins by which right children are ordered have their place already. It takes
//! O(n log n) whatever the origins are; those that no history has are refused. It
//! never allocates by the element.
#![allow(clippy::indexing_slicing, reason = "the numbers of runs and pieces are made here")]

use super::Damage;
use super::read::{Child, Read};
use crate::seq::Seq;
use crate::seq::identity::{Identity, Owned};
use crate::seq::run::{NONE, Run};
use crate::seq::tree::Bulk;
use repliq_core::ReplicaId;

/// What handles the elements of a sequence get that is read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Handles {
    /// In the order of the sequence.
    InOrder,
    /// First the living in the order of the sequence, then the dead in the order
    /// of their dots.
    LivingFirst,
}

/// A part of a run, between whose elements nothing else stands.
struct Piece {
    /// The number of its first element.
    first: u32,
    len: u32,
    run: u32,
    is_dead: bool,
    /// Whether it is a right child of the last element of the piece before it, with
    /// that one's right origin.
    goes_on: bool,
    /// Where the list of children starts of the element before it and of its first.
    children: u32,
    /// The piece that ends with its left origin, once that is known.
    left: u32,
    /// The piece that starts with its right origin, once that is known.
    right: u32,
    /// Its first handle.
    handle: u32,
    /// How many pieces stand behind it and at it, once it has its place.
    behind: u32,
    /// Its leaf in the tree, once that is known.
    leaf: u32,
}

/// A run that is to be placed as the child of an element, by what stands beside
/// it: right children of the element before a number, then left children of the
/// element with it, each in the order of dots.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Hung(u64);

impl Hung {
    fn new(run: u32, child: Child) -> Self {
        let (number, is_left) = match child {
            // The start counts as the element before number 0.
            Child::After(left) | Child::Between(left, _) => (left.wrapping_add(1), false),
            Child::Before(right) => (right, true),
        };
        Self(u64::from(number) << 33 | u64::from(is_left) << 32 | u64::from(run))
    }

    #[allow(clippy::cast_possible_truncation, reason = "31 bits")]
    const fn number(self) -> u32 {
        (self.0 >> 33) as u32
    }

    const fn is_left_child(self) -> bool {
        self.0 >> 32 & 1 == 1
    }

    /// In order, from the order of runs: a sort by radix, which takes a fourth of
    /// the time of one by comparison.
    fn in_order(mut all: Vec<Self>) -> Vec<Self> {
        const BITS: u32 = 10;
        if all.len() < 1 << BITS {
            all.sort_unstable();
            return all;
        }
        let most = all.iter().fold(0, |most, hung| most | hung.0);
        let mut sorted = all.clone();
        for shift in (32..u64::BITS - most.leading_zeros()).step_by(BITS as usize) {
            let digit = |hung: &Self| (hung.0 >> shift & ((1 << BITS) - 1)) as usize;
            let mut ends = [0; 1 << BITS];
            all.iter().for_each(|hung| ends[digit(hung)] += 1);
            let mut sum = 0;
            for end in &mut ends {
                sum += std::mem::replace(end, sum);
            }
            for hung in &all {
                let end = &mut ends[digit(hung)];
                sorted[*end] = *hung;
                *end += 1;
            }
            std::mem::swap(&mut all, &mut sorted);
        }
        all
    }

    const fn is_right_child_before(self, number: u32) -> bool {
        self.number() == number && !self.is_left_child()
    }

    #[allow(clippy::cast_possible_truncation, reason = "the lower half")]
    const fn run(self) -> usize {
        self.0 as u32 as usize
    }
}

/// What is still to do on the way to the start.
enum Step {
    /// Go to a piece, of which the origins are known, and all that is below it.
    Enter { piece: u32, left: u32, right: u32 },
    /// Give a piece its place: all right of it has one.
    Place(u32),
}

/// The pieces of all runs in the order of their dots, and what is known of their
/// places.
pub(super) struct Places<'a> {
    runs: &'a [Read],
    hung: Vec<Hung>,
    pieces: Vec<Piece>,
    /// The first piece of each run.
    starts: Vec<u32>,
    /// The pieces that have a place, from the end of the sequence on.
    order: Vec<u32>,
    steps: Vec<Step>,
    handles: Handles,
    /// The handle that was given last.
    next: u32,
    #[cfg(test)]
    steps_taken: usize,
}

impl<'a> Places<'a> {
    /// Cuts runs wherever something is placed beside one of their elements or has
    /// one as its own right origin, and between living and dead ones.
    pub(super) fn of(runs: &'a [Read], dead: &[(u32, u32)], handles: Handles) -> Self {
        let numbered = (0..).zip(runs).filter(|(_, run)| !run.goes_on());
        let hung = numbered.map(|(number, run)| Hung::new(number, run.child)).collect();
        let hung = Hung::in_order(hung);
        let mut cuts: Vec<_> = runs.iter().filter_map(|run| run.child.own_right()).collect();
        cuts.sort_unstable();
        let elements = runs.last().map_or(0, |run| run.first + run.len);
        let living = elements - dead.iter().map(|(start, end)| end - start).sum::<u32>();
        let most = runs.len() + hung.len() + cuts.len() + 2 * dead.len() + 1;
        let mut places = Self {
            runs,
            hung,
            pieces: Vec::with_capacity(most),
            starts: Vec::with_capacity(runs.len()),
            order: Vec::new(),
            steps: Vec::new(),
            handles,
            next: if handles == Handles::InOrder { elements } else { living },
            #[cfg(test)]
            steps_taken: 0,
        };
        places.cut(&cuts, dead, living);
        places.order.reserve_exact(places.pieces.len());
        places
    }

    fn cut(&mut self, cuts: &[u32], dead: &[(u32, u32)], living: u32) {
        let (mut hung, mut hung_at) = (0, self.hung_at(0));
        let mut cuts = cuts.iter().copied();
        let mut cut = cuts.next().unwrap_or(u32::MAX);
        let mut dead = dead.iter().copied();
        let (mut dies, mut lives) = dead.next().unwrap_or((u32::MAX, u32::MAX));
        let mut next_dead = living;
        for (place, run) in (0..).zip(self.runs) {
            self.starts.push(number(self.pieces.len()));
            let (mut first, end) = (run.first, run.first + run.len);
            while first < end {
                let children = number(hung);
                while hung_at <= first {
                    hung += 1;
                    hung_at = self.hung_at(hung);
                }
                while cut <= first {
                    cut = cuts.next().unwrap_or(u32::MAX);
                }
                if lives <= first {
                    (dies, lives) = dead.next().unwrap_or((u32::MAX, u32::MAX));
                }
                let is_dead = dies <= first;
                let to = end.min(hung_at).min(cut).min(if is_dead { lives } else { dies });
                let len = to - first;
                self.pieces.push(Piece {
                    first,
                    len,
                    run: place,
                    is_dead,
                    goes_on: first > run.first || run.goes_on(),
                    children,
                    left: NONE,
                    right: NONE,
                    handle: next_dead,
                    behind: NONE,
                    leaf: NONE,
                });
                if is_dead {
                    next_dead += len;
                }
                first = to;
            }
        }
        self.pieces.push(Piece::end(self.elements(), number(hung)));
    }

    /// The number that something is hung before; behind all if there is nothing.
    fn hung_at(&self, place: usize) -> u32 {
        self.hung.get(place).map_or(u32::MAX, |hung| hung.number())
    }

    fn elements(&self) -> u32 {
        self.runs.last().map_or(0, |run| run.first + run.len)
    }

    /// Gives every piece its place.
    pub(super) fn in_order(mut self) -> Result<Self, Damage> {
        self.enter_right_children(0, NONE, NONE)?;
        while let Some(step) = self.steps.pop() {
            match step {
                Step::Enter { piece, left, right } => self.enter(piece, left, right)?,
                Step::Place(piece) => self.place(piece),
            }
        }
        if self.order.len() + 1 == self.pieces.len() {
            Ok(self)
        } else {
            Err(Damage("origins are missing or go round in a circle"))
        }
    }

    /// Enters a piece and those that follow it in its run, up to one that is not
    /// the only right child of the one before.
    fn enter(&mut self, mut piece: u32, mut left: u32, right: u32) -> Result<(), Damage> {
        loop {
            let next = piece + 1;
            let entered = &mut self.pieces[piece as usize];
            (entered.left, entered.right) = (left, right);
            self.steps.push(Step::Place(piece));
            #[cfg(test)]
            {
                self.steps_taken += 1;
            }
            let following = &self.pieces[next as usize];
            let hung = self.hung.get(following.children as usize);
            if hung.is_some_and(|hung| hung.is_right_child_before(following.first)) {
                return self.enter_right_children(next, piece, right);
            }
            if !following.goes_on {
                return Ok(());
            }
            (left, piece) = (piece, next);
        }
    }

    /// Enters the right children of the last element of `left`, which has the
    /// right origin `right`: what is hung before `next`, and that itself if it goes
    /// on there.
    fn enter_right_children(&mut self, next: u32, left: u32, right: u32) -> Result<(), Damage> {
        let before = self.steps.len();
        let following = &self.pieces[next as usize];
        for hung in &self.hung[following.children as usize..] {
            #[cfg(test)]
            {
                self.steps_taken += 1;
            }
            if !hung.is_right_child_before(following.first) {
                break;
            }
            let right = match self.runs[hung.run()].child {
                Child::Between(_, own) => self.piece_from(own)?,
                _ => right,
            };
            self.steps.push(Step::Enter { piece: self.starts[hung.run()], left, right });
        }
        if following.goes_on {
            self.steps.push(Step::Enter { piece: next, left, right });
        }
        let children = &mut self.steps[before..];
        if children.len() > 1 {
            // The farther their right origin, the farther to the left.
            let behind = |piece| if piece == NONE { 0 } else { self.pieces[piece as usize].behind };
            children.sort_unstable_by_key(|step| match step {
                Step::Enter { piece, right, .. } => (behind(*right), *piece),
                Step::Place(piece) => (0, *piece),
            });
        }
        Ok(())
    }

    /// The piece that starts with a number which is the right origin of a right
    /// child. It must have its place: else it would be below the left origin, and
    /// those two were never neighbours.
    fn piece_from(&self, number: u32) -> Result<u32, Damage> {
        if number == NONE {
            return Ok(NONE);
        }
        let piece = self.pieces.binary_search_by_key(&number, |piece| piece.first);
        let piece = piece.ok().filter(|piece| self.pieces[*piece].behind != NONE);
        let piece = piece.and_then(|piece| u32::try_from(piece).ok());
        piece.ok_or(Damage("the origins were never neighbours"))
    }

    fn place(&mut self, place: u32) {
        self.order.push(place);
        let piece = &mut self.pieces[place as usize];
        piece.behind = number(self.order.len());
        if !piece.is_dead || self.handles == Handles::InOrder {
            self.next -= piece.len;
            piece.handle = self.next;
        }
        let left = piece.left;
        for hung in &self.hung[piece.children as usize..] {
            #[cfg(test)]
            {
                self.steps_taken += 1;
            }
            if hung.number() > piece.first {
                break;
            }
            if hung.is_left_child() {
                let piece = self.starts[hung.run()];
                self.steps.push(Step::Enter { piece, left, right: place });
            }
        }
    }

    /// The sequence, once every piece has its place.
    pub(super) fn into_seq(mut self, replicas: &[ReplicaId]) -> Seq {
        let count = self.order.len();
        let (mut tree, mut identity) = (Bulk::with_capacity(count), Identity::of(replicas, count));
        for place in std::mem::take(&mut self.order).into_iter().rev() {
            let run = self.run(place);
            let leaf = tree.push(run);
            if run.is_dead() && self.handles == Handles::LivingFirst {
                self.pieces[place as usize].leaf = leaf;
            } else {
                tree.place(run.first(), leaf);
                identity.push_by_handle(self.owned(place));
            }
        }
        for place in 0..number(count) {
            let owned = self.owned(place);
            identity.push_by_dot(owned);
            let Piece { is_dead, leaf, .. } = self.pieces[place as usize];
            if is_dead && self.handles == Handles::LivingFirst {
                tree.place(owned.first, leaf);
                identity.push_by_handle(owned);
            }
        }
        Seq { tree: tree.finish(), identity: identity.shrunk(), open: None }
    }

    #[inline]
    fn owned(&self, number: u32) -> Owned {
        let Piece { first, len, handle, run, .. } = self.pieces[number as usize];
        let run = &self.runs[run as usize];
        let seq = run.seq + u64::from(first - run.first);
        Owned { first: handle, len, author: run.author, seq }
    }

    fn run(&self, number: u32) -> Run {
        let Piece { len, handle, is_dead, left, right, .. } = self.pieces[number as usize];
        let piece = |piece: u32| self.pieces.get(piece as usize);
        let left = piece(left).map_or(NONE, |piece| piece.handle + piece.len - 1);
        let right = piece(right).map_or(NONE, |piece| piece.handle);
        Run::new(handle, len, left, right).with_dead(is_dead)
    }
}

impl Piece {
    /// What stands for the end of the last piece.
    const fn end(elements: u32, children: u32) -> Self {
        Self {
            first: elements,
            len: 0,
            run: NONE,
            is_dead: false,
            goes_on: false,
            children,
            left: NONE,
            right: NONE,
            handle: 0,
            behind: NONE,
            leaf: NONE,
        }
    }
}

fn number(len: usize) -> u32 {
    u32::try_from(len).unwrap_or(NONE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seq::run::NONE;

    /// A character of its own for each of these, all of one replica.
    fn steps(children: impl Iterator<Item = Child>) -> usize {
        let runs = (0..).zip(children).map(|(first, child)| Read {
            first,
            len: 1,
            author: 0,
            seq: 2 * u64::from(first),
            child,
        });
        let runs: Vec<_> = runs.collect();
        let places = Places::of(&runs, &[(1, 2), (4, 9)], Handles::LivingFirst);
        let placed = places.in_order().map_err(|damage| damage.0).unwrap();
        assert_eq!(placed.order.len(), runs.len());
        placed.steps_taken
    }

    #[test]
    fn however_many_are_forged_at_one_place_it_takes_a_few_steps_for_each() {
        const MANY: u32 = 20_000;
        let all = || 0..MANY;
        let after_start = all().map(|_| Child::After(NONE));
        let after_first = all().map(|number| Child::After(if number == 0 { NONE } else { 0 }));
        let before_first =
            all().map(|number| if number == 0 { Child::After(NONE) } else { Child::Before(0) });
        let backwards = all().map(|number| match number {
            0 => Child::After(NONE),
            _ => Child::Before(number - 1),
        });
        let one_by_one = all().map(|number| Child::After(number.checked_sub(1).unwrap_or(NONE)));
        // Half stand side by side; the others come after the first of those, each with
        // another one on the right.
        let with_rights = all().map(|number| match number.checked_sub(MANY / 2) {
            Some(right) => Child::Between(0, right + 1),
            None => Child::After(NONE),
        });
        let with_rights = with_rights.take(MANY as usize - 1);
        let shapes: [(&str, usize); 6] = [
            ("after the start", steps(after_start)),
            ("after the first", steps(after_first)),
            ("before the first", steps(before_first)),
            ("backwards", steps(backwards)),
            ("one by one", steps(one_by_one)),
            ("with rights", steps(with_rights)),
        ];
        for (shape, steps) in shapes {
            assert!(steps <= 6 * MANY as usize, "{shape}: {steps}");
        }
    }
}
