//! Who made which element: dots by handle, and handles by dot.
//!
//! Both directions are kept as runs, so text that was typed in one go takes two
//! entries however long it is. It never knows where an element stands.

use crate::hash::Seeded;
use crate::seq::Elements;
use crate::seq::guess::Guess;
use crate::seq::room;
use crate::seq::run::MAX_ELEMENTS;
use hashbrown::HashMap;
use repliq_core::{Dot, ReplicaId};

/// The dots of the elements `0..len`.
///
/// Invariants: `spans` ascend by handle and cover `0..len`; the stretches of an
/// author ascend by sequence number, do not overlap, and say the same.
#[derive(Clone, Default)]
pub(crate) struct Identity {
    authors: Vec<Author>,
    numbers: HashMap<ReplicaId, u32, Seeded>,
    recent: u32,
    spans: Vec<Span>,
    len: u32,
    /// The spans that were looked up last: mostly those of two origins, which are
    /// first named and then found.
    guesses: [Guess; 2],
}

#[derive(Clone)]
struct Author {
    replica: ReplicaId,
    stretches: Vec<Stretch>,
    /// The stretch that was looked up last.
    guess: Guess,
}

/// Elements with consecutive handles and sequence numbers, by handle.
#[derive(Clone, Copy)]
struct Span {
    first: u32,
    author: u32,
    seq: u64,
}

/// The same, by sequence number.
#[derive(Clone, Copy)]
struct Stretch {
    seq: u64,
    first: u32,
    len: u32,
}

impl Stretch {
    fn end(self) -> u64 {
        self.seq.saturating_add(u64::from(self.len))
    }

    /// The element with this sequence number, and how many there are from it on.
    fn from(self, seq: u64) -> Option<(u32, u32)> {
        let offset = u32::try_from(seq.checked_sub(self.seq)?).ok()?;
        let left = self.len.checked_sub(offset).filter(|left| *left > 0)?;
        Some((self.first + offset, left))
    }
}

/// Elements with consecutive handles and sequence numbers, and whose they are.
#[derive(Clone, Copy)]
pub(crate) struct Owned {
    pub(crate) first: u32,
    pub(crate) len: u32,
    /// The number of the replica.
    pub(crate) author: u32,
    pub(crate) seq: u64,
}

/// Why elements cannot be added.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// A dot is taken.
    Taken,
    /// Sequence numbers would overflow.
    Overflow,
    /// The right origin is not after the left one.
    Unordered,
    /// There would be more than [`MAX_ELEMENTS`].
    Full,
}

impl Identity {
    /// How many elements there are; the next gets this handle.
    pub(crate) const fn len(&self) -> u32 {
        self.len
    }

    /// Adds elements whose dots go on where the latest one's ended. `None` unless
    /// that is so and they can be added.
    #[inline]
    pub(crate) fn extend(&mut self, dot: Dot, len: u32) -> Option<u32> {
        let first = self.len;
        let author = self.authors.get_mut(self.recent as usize)?;
        let last = author.stretches.last_mut()?;
        let goes_on = last.end() == dot.seq && last.first + last.len == first;
        dot.seq.checked_add(u64::from(len))?;
        if !goes_on || author.replica != dot.replica || len > MAX_ELEMENTS - first {
            return None;
        }
        // The element before belongs to this stretch, so the last span goes on too.
        last.len += len;
        self.len += len;
        Some(first)
    }

    /// [`Identity::extend`] when the caller knows that the latest elements end right
    /// before this sequence number of their replica.
    #[inline]
    pub(crate) fn extend_latest(&mut self, seq: u64, len: u32) -> Option<u32> {
        let first = self.len;
        let last = self.authors.get_mut(self.recent as usize)?.stretches.last_mut()?;
        seq.checked_add(u64::from(len))?;
        // They are not in the last stretch if they came after later ones.
        if last.first + last.len != first || len > MAX_ELEMENTS - first {
            return None;
        }
        debug_assert_eq!(last.end(), seq, "the latest elements end elsewhere");
        last.len += len;
        self.len += len;
        Some(first)
    }

    /// Adds elements with consecutive dots and returns the handle of the first.
    /// `len` is at least 1. O(1) for dots later than all before of their replica.
    pub(crate) fn add(&mut self, dot: Dot, len: u32) -> Result<u32, Refusal> {
        if let Some(first) = self.extend(dot, len) {
            return Ok(first);
        }
        let end = dot.seq.checked_add(u64::from(len)).ok_or(Refusal::Overflow)?;
        let first = self.len;
        if len > MAX_ELEMENTS - first {
            return Err(Refusal::Full);
        }
        let number = self.number_or_new(dot.replica);
        let Some(author) = self.authors.get_mut(number as usize) else {
            return Err(Refusal::Full);
        };
        match author.stretches.last_mut() {
            Some(last) if last.end() > dot.seq => {
                let place = author.stretches.partition_point(|held| held.seq < dot.seq);
                let before = place.checked_sub(1).and_then(|before| author.stretches.get(before));
                let after = author.stretches.get(place);
                if before.is_some_and(|before| before.end() > dot.seq)
                    || after.is_some_and(|after| after.seq < end)
                {
                    return Err(Refusal::Taken);
                }
                author.stretches.insert(place, Stretch { seq: dot.seq, first, len });
            }
            _ => room::push(&mut author.stretches, Stretch { seq: dot.seq, first, len }),
        }
        room::push(&mut self.spans, Span { first, author: number, seq: dot.seq });
        self.len += len;
        Ok(first)
    }

    /// An identity that will be told about every element twice: by handle, from 0 on
    /// without holes, and by dot. There are so many pieces of consecutive ones.
    pub(crate) fn of(replicas: &[ReplicaId], pieces: usize) -> Self {
        let mut identity = Self { spans: Vec::with_capacity(pieces), ..Self::default() };
        for replica in replicas {
            identity.number_or_new(*replica);
        }
        if let [author] = identity.authors.as_mut_slice() {
            author.stretches.reserve_exact(pieces);
        }
        identity
    }

    /// Tells of the elements with the next handles.
    #[inline]
    pub(crate) fn push_by_handle(&mut self, owned: Owned) {
        let Owned { first, len, author, seq } = owned;
        let goes_on = self.spans.last().is_some_and(|last| {
            last.author == author && last.seq + u64::from(first - last.first) == seq
        });
        if !goes_on {
            self.spans.push(Span { first, author, seq });
        }
        self.len += len;
    }

    /// Tells of the elements with the next dots.
    #[inline]
    pub(crate) fn push_by_dot(&mut self, owned: Owned) {
        let Owned { first, len, author, seq } = owned;
        let Some(author) = self.authors.get_mut(author as usize) else { return };
        match author.stretches.last_mut() {
            Some(last) if last.end() == seq && last.first + last.len == first => last.len += len,
            _ => author.stretches.push(Stretch { seq, first, len }),
        }
    }

    /// The same in no more memory than that takes, once all is told.
    pub(crate) fn shrunk(mut self) -> Self {
        self.spans.shrink_to_fit();
        self.authors.iter_mut().for_each(|author| author.stretches.shrink_to_fit());
        self
    }

    /// All elements in the order of their dots, as far as they have consecutive
    /// handles.
    pub(crate) fn in_order(&self) -> impl Iterator<Item = (Dot, Elements)> {
        let mut authors: Vec<_> = self.authors.iter().collect();
        authors.sort_unstable_by_key(|author| author.replica);
        authors.into_iter().flat_map(|author| {
            author.stretches.iter().map(|held| {
                let dot = Dot { replica: author.replica, seq: held.seq };
                (dot, Elements { first: held.first, len: held.len })
            })
        })
    }

    /// Forgets the elements from `first` on.
    pub(crate) fn truncate(&mut self, first: u32) {
        while self.len > first {
            let Some(span) = self.spans.last().copied() else { return };
            let keep = first.saturating_sub(span.first);
            let Some(author) = self.authors.get_mut(span.author as usize) else { return };
            let place = author.stretches.partition_point(|held| held.seq <= span.seq);
            if let Some(place) = place.checked_sub(1) {
                // A stretch may begin before this span only if the span is a part of it.
                if let Some(held) = author.stretches.get_mut(place) {
                    held.len = span.first + keep - held.first;
                    if held.len == 0 {
                        author.stretches.remove(place);
                    }
                }
            }
            if keep == 0 {
                self.spans.pop();
            }
            self.len = span.first + keep;
        }
    }

    /// The dot of an element, which must be one. O(log spans).
    pub(crate) fn dot(&self, element: u32) -> Dot {
        self.stretch_at(element).0
    }

    /// The dot of an element, and how many handles from it on have consecutive
    /// dots.
    #[inline]
    pub(crate) fn stretch_at(&self, element: u32) -> (Dot, u32) {
        if let Some(span) = self.spans.last()
            && span.first <= element
        {
            let seq = span.seq + u64::from(element - span.first);
            let dot = Dot { replica: self.replica(span.author), seq };
            return (dot, self.len.saturating_sub(element));
        }
        self.earlier_stretch_at(element)
    }

    fn earlier_stretch_at(&self, element: u32) -> (Dot, u32) {
        let guessed = self.guessed().find(|(span, end)| span.first <= element && element < *end);
        let found = guessed.or_else(|| {
            let place = last_with(&self.spans, |span| span.first <= element).unwrap_or(0);
            let [latest, earlier] = &self.guesses;
            earlier.set(latest.get());
            latest.set(place);
            self.span(place)
        });
        let Some((span, end)) = found else { return (Dot::default(), 1) };
        let replica = self.replica(span.author);
        let seq = span.seq + u64::from(element - span.first);
        (Dot { replica, seq }, end.saturating_sub(element))
    }

    /// A span, and the handle after its last.
    #[inline]
    fn span(&self, place: usize) -> Option<(Span, u32)> {
        let span = self.spans.get(place)?;
        Some((*span, self.spans.get(place + 1).map_or(self.len, |next| next.first)))
    }

    #[inline]
    fn guessed(&self) -> impl Iterator<Item = (Span, u32)> {
        self.guesses.iter().filter_map(|guess| self.span(guess.get()))
    }

    /// The element with this dot. O(log stretches of the replica).
    pub(crate) fn find(&self, dot: Dot) -> Option<u32> {
        self.find_run(dot).map(|(element, _)| element)
    }

    /// The element with this dot, and how many from it on have consecutive
    /// handles and dots.
    pub(crate) fn find_run(&self, dot: Dot) -> Option<(u32, u32)> {
        let number = self.number(dot.replica)?;
        let author = self.authors.get(number as usize)?;
        if let Some(last) = author.stretches.last().filter(|last| last.seq <= dot.seq) {
            return last.from(dot.seq);
        }
        for (span, end) in self.guessed() {
            // What is before a span gives an offset that is far too large.
            let offset = dot.seq.wrapping_sub(span.seq);
            if span.author == number && offset < u64::from(end - span.first) {
                let element = span.first + u32::try_from(offset).ok()?;
                return Some((element, end - element));
            }
        }
        let guess = author.stretches.get(author.guess.get());
        if let Some(found) = guess.and_then(|guess| guess.from(dot.seq)) {
            return Some(found);
        }
        let place = last_with(&author.stretches, |held| held.seq <= dot.seq)?;
        author.guess.set(place);
        author.stretches.get(place)?.from(dot.seq)
    }

    /// How many of `len` dots from `dot` on are no elements, up to the first that is.
    pub(crate) fn gap(&self, dot: Dot, len: u32) -> u32 {
        let author = self.number(dot.replica).and_then(|n| self.authors.get(n as usize));
        let Some(author) = author else { return len };
        let place = author.stretches.partition_point(|held| held.end() <= dot.seq);
        let next = author.stretches.get(place).map(|held| held.seq.saturating_sub(dot.seq));
        next.map_or(len, |gap| u32::try_from(gap).unwrap_or(u32::MAX).min(len))
    }

    fn replica(&self, author: u32) -> ReplicaId {
        self.authors.get(author as usize).map(|author| author.replica).unwrap_or_default()
    }

    fn number(&self, replica: ReplicaId) -> Option<u32> {
        if self.authors.get(self.recent as usize).is_some_and(|author| author.replica == replica) {
            return Some(self.recent);
        }
        if self.authors.len() <= FEW {
            let held = self.authors.iter().zip(0..).find(|(author, _)| author.replica == replica);
            return held.map(|(_, number)| number);
        }
        self.numbers.get(&replica).copied()
    }

    fn number_or_new(&mut self, replica: ReplicaId) -> u32 {
        let number = self.number(replica).unwrap_or_else(|| {
            // Every author has an element, so there are fewer than 2^31.
            let number = u32::try_from(self.authors.len()).unwrap_or(u32::MAX);
            self.authors.push(Author { replica, stretches: Vec::new(), guess: Guess::default() });
            self.numbers.insert(replica, number);
            number
        });
        self.recent = number;
        number
    }
}

/// The last item that passes a test which no item passes after one that does
/// not. O(1) for the latest few, because edits mostly concern late elements.
fn last_with<T>(items: &[T], test: impl Fn(&T) -> bool) -> Option<usize> {
    let (early, late) = items.split_at(items.len().saturating_sub(LATE));
    let passing = match late.first() {
        Some(first) if test(first) => early.len() + late.partition_point(test),
        _ => early.partition_point(test),
    };
    passing.checked_sub(1)
}

/// How many items are late.
const LATE: usize = 8;

/// Up to how many authors are tried one by one.
const FEW: usize = 4;
