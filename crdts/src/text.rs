//! A text that several people edit at once.
//!
//! A position counts Unicode scalars. An insertion stays between the two
//! characters it was made between, whatever others insert or delete around
//! them; two insertions at one place stand one after the other as wholes, the
//! same way round everywhere, and are never mixed letter by letter, not even when
//! they were typed backwards (this order is FugueMax: Weidner and Kleppmann, "The
//! Art of the Fugue", 2023). A deletion deletes the characters its author saw and
//! no others: what someone else inserts among them stays.
//!
//! # Example: two devices edit offline
//! ```
//! use repliq_core::ReplicaId;
//! use repliq_crdts::{Side, Text, TextMut};
//!
//! let mut laptop = Text::new(ReplicaId::from_bytes([1; 16]));
//! laptop.insert(0, "The cat sat.")?;
//! let mut phone = Text::new(ReplicaId::from_bytes([2; 16]));
//! phone.merge(laptop.clone())?;
//!
//! laptop.insert(4, "old ")?; // "The old cat sat."
//! phone.insert(4, "big ")?; // "The big cat sat."
//! phone.replace(12..15, "slept")?; // "The big cat slept."
//! let cursor = phone.anchor(8, Side::Before).expect("it is in range"); // at "cat"
//!
//! laptop.merge(phone.clone())?;
//! phone.merge(laptop.clone())?;
//! assert_eq!(laptop.to_string(), "The old big cat slept."); // both, word by word
//! assert_eq!(*laptop, *phone);
//! assert_eq!(phone.position(&cursor), Some(12)); // still at "cat"
//!
//! // One deletes a sentence, the other corrects it: the correction stays.
//! laptop.delete(..)?;
//! phone.insert(11, "-fish")?;
//! laptop.merge(phone.clone())?;
//! assert_eq!(laptop.to_string(), "-fish");
//! # Ok::<(), repliq_core::EditError>(())
//! ```
//!
//! # What is kept of a deleted character
//! What it was, and between which others, in a few bytes a run; what is saved is
//! compressed. [`Crdt::prune`] forgets nothing yet: a character that is deleted everywhere may still be the origin of one
//! that is not, so forgetting it means writing those others' origins anew.

mod buried;
mod edit;
mod join;
pub(crate) mod op;
mod read;
mod reauthor;
mod saved;
mod scalars;
mod widths;

pub use edit::TextMut;
pub use op::{LeftOrigin, RightOrigin, Stretch, Target, TextOp, Typed};
pub use read::{Anchor, Side};

use crate::seq::{Elements, Refusal, Seq};
use repliq_core::{Crdt, CrdtError, Effects, ReplicaId, Stamp, Standalone, Tx, Version};
use saved::Asleep;
use scalars::Scalars;
use std::sync::OnceLock;
use widths::Widths;

/// A text that several people edit at once; see the [module](self) for what that
/// means under concurrency.
///
/// It holds at most 2^31 - 1 characters and 4 GiB of UTF-8, deleted ones
/// included.
///
/// Loaded from where it was saved, it puts off its history until that is asked
/// for, by an edit or a merge: of a damaged history it can then still be read, and
/// refuses every edit. Deleted letters are read last of all, to merge or to save
/// again; damaged ones are then replaced by U+FFFD. (By a replica or from a peer
/// all of it is checked at once.)
#[derive(Clone)]
pub struct Text {
    /// `None` while that is asleep.
    history: Option<History>,
    /// What the history is still to be read from; it says what a reader sees. There
    /// if and only if the history is not.
    asleep: Option<Box<Asleep>>,
    /// For positions in bytes and UTF-16 units; there from when it is first needed.
    widths: OnceLock<Box<Widths>>,
}

/// Every character that ever was.
#[derive(Clone, Default)]
struct History {
    seq: Seq,
    scalars: Scalars,
}

const DAMAGED: CrdtError = CrdtError::Invalid("the history of the text is damaged");

impl Default for Text {
    fn default() -> Self {
        Self { history: Some(History::default()), asleep: None, widths: OnceLock::new() }
    }
}

/// A visible change of a [`Text`], by positions as they are when it happens.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum TextEvent {
    /// Text was inserted.
    Inserted {
        /// The index of its first scalar.
        index: usize,
        /// What was inserted.
        text: String,
    },
    /// Scalars were deleted.
    Deleted {
        /// The index of the first of them.
        index: usize,
        /// How many they were.
        len: usize,
    },
}

/// What takes back one step of an edit of a [`Text`].
pub struct TextUndo(Step);

enum Step {
    /// Elements from this one on were inserted.
    Inserted(u32),
    /// Living elements were deleted.
    Deleted(Elements),
}

impl TextUndo {
    const fn inserted(first: u32) -> Self {
        Self(Step::Inserted(first))
    }

    /// Whether this takes back the insertion of these later elements as well.
    const fn covers(&self, later: Elements) -> bool {
        matches!(self.0, Step::Inserted(first) if first <= later.first)
    }

    /// Whether this takes back the deletion of these elements as well, which came
    /// right after what it was made for.
    fn takes(&mut self, deleted: Elements) -> bool {
        match &mut self.0 {
            // They came after the state that this restores.
            Step::Inserted(first) => *first <= deleted.first,
            Step::Deleted(held) if held.first + held.len == deleted.first => {
                held.len += deleted.len;
                true
            }
            Step::Deleted(held) if deleted.first + deleted.len == held.first => {
                *held = Elements { first: deleted.first, len: held.len + deleted.len };
                true
            }
            Step::Deleted(_) => false,
        }
    }
}

impl Crdt for Text {
    const KIND: &'static str = "text/1";
    type Op = TextOp;
    type Event = TextEvent;
    type Undo = TextUndo;

    fn slots(op: &TextOp) -> u64 {
        op.slots()
    }

    fn may_grow(op: &TextOp) -> bool {
        op.may_grow()
    }

    fn grow(last: &mut TextOp, next: &mut TextOp) -> bool {
        last.grow(next)
    }

    fn check(&self) -> Result<(), CrdtError> {
        self.history().map(|_| ())
    }

    fn apply(&mut self, op: TextOp, at: Stamp, fx: &mut Effects<Self>) -> Result<(), CrdtError> {
        match op {
            TextOp::Insert { left, right, text } => {
                let elements = self.history_mut()?.apply_insert(left, right, &text, at, fx)?;
                if self.widths.get().is_some() {
                    self.widen(elements, &text);
                }
                Ok(())
            }
            TextOp::Delete(stretch) => self.apply_delete(std::slice::from_ref(&stretch), at, fx),
            TextOp::DeleteEach(stretches) => self.apply_delete(&stretches, at, fx),
        }
    }

    fn join(&mut self, _mine: &Version, other: Self, _theirs: &Version, fx: &mut Effects<Self>) {
        self.widths.take();
        // A history that does not read has nothing to say, and nothing is added to it.
        let (Ok(history), Ok(_)) = (self.history_mut(), other.history()) else { return };
        if history.seq.elements() == 0 {
            *self = other;
            if !self.is_empty() {
                fx.event(|| TextEvent::Inserted { index: 0, text: self.to_string() });
            }
            fx.undo(|| TextUndo::inserted(0));
        } else if let Ok(other) = other.history() {
            history.take_over(other, fx);
        }
    }

    fn rollback(&mut self, undo: TextUndo) {
        self.widths.take();
        let Ok(history) = self.history_mut() else { return };
        match undo.0 {
            Step::Inserted(first) => {
                history.seq.truncate(first);
                history.scalars.truncate(first);
            }
            Step::Deleted(elements) => history.seq.mark(elements, false, |_, _| {}),
        }
    }

    fn reauthor(
        op: TextOp,
        at: Stamp,
        before: &Self,
        tx: &mut Tx<'_, Self>,
    ) -> Result<(), CrdtError> {
        reauthor::reauthor(op, at, before, tx)
    }
}

impl Text {
    /// An empty text on its own, which `replica` is going to edit.
    #[allow(clippy::new_ret_no_self, reason = "a bare text cannot be edited: it has no replica id")]
    #[must_use]
    pub fn new(replica: ReplicaId) -> Standalone<Self> {
        Standalone::new(replica)
    }

    /// The history, read at the first call.
    #[inline]
    fn history(&self) -> Result<&History, CrdtError> {
        match &self.history {
            Some(history) => Ok(history),
            None => self.asleep.as_ref().and_then(|asleep| asleep.history()).ok_or(DAMAGED),
        }
    }

    /// The history, to change it.
    #[inline]
    fn history_mut(&mut self) -> Result<&mut History, CrdtError> {
        if self.history.is_none() {
            self.wake()?;
        }
        self.history.as_mut().ok_or(DAMAGED)
    }

    #[cold]
    fn wake(&mut self) -> Result<(), CrdtError> {
        // What does not read stays asleep: a reader still sees what it says.
        self.history()?;
        self.history = self.asleep.take().and_then(|asleep| asleep.into_history());
        Ok(())
    }

    fn apply_delete(
        &mut self,
        stretches: &[Stretch],
        at: Stamp,
        fx: &mut Effects<Self>,
    ) -> Result<(), CrdtError> {
        self.history_mut()?;
        let Self { history, widths, .. } = self;
        let history = history.as_mut().ok_or(DAMAGED)?;
        let widths = if widths.get().is_some() { widths.get_mut() } else { None };
        history.apply_delete(stretches, at, fx, widths.map(Box::as_mut))
    }

    /// Has the widths follow an insertion.
    #[inline(never)]
    fn widen(&mut self, elements: Elements, text: &Typed) {
        let index = self.history().map(|history| history.seq.index(elements.first) as usize);
        let (Ok(index), Some(widths)) = (index, self.widths.get_mut()) else { return };
        let too_long = text.with(|text| widths.insert(index, text));
        if let Some(part) = too_long
            && let Some(text) = self.slice(part.start..part.start + part.len)
            && let Some(widths) = self.widths.get_mut()
        {
            widths.split(&part, &text);
        }
    }
}

impl History {
    #[inline]
    fn apply_insert(
        &mut self,
        left: LeftOrigin,
        right: RightOrigin,
        text: &Typed,
        at: Stamp,
        fx: &mut Effects<Text>,
    ) -> Result<Elements, CrdtError> {
        let count = text.count();
        if count == 0 {
            return Err(CrdtError::Invalid("an insertion of nothing"));
        }
        if text.bytes() > LIMIT - self.scalars.bytes() {
            return Err(CrdtError::Limit("a text has at most 4 GiB"));
        }
        let elements = match (left, right) {
            (LeftOrigin::Back(1), RightOrigin::Inherited) => self.seq.extend(at.dot, count),
            _ => None,
        };
        let elements = match elements {
            Some(elements) => elements,
            None => self.insert_between(left, right, at, count)?,
        };
        match text.scalar() {
            Some(scalar) => self.scalars.push_scalar(scalar),
            None => text.with(|text| self.scalars.push(text, count)),
        }
        fx.undo_onto(|last| last.covers(elements), || TextUndo::inserted(elements.first));
        fx.event(|| TextEvent::Inserted {
            index: self.seq.index(elements.first) as usize,
            text: text.with(str::to_owned),
        });
        Ok(elements)
    }

    #[inline(never)]
    fn insert_between(
        &mut self,
        left: LeftOrigin,
        right: RightOrigin,
        at: Stamp,
        count: u32,
    ) -> Result<Elements, CrdtError> {
        let place = self.seq.find_place(left, right, at)?;
        self.seq.insert(at.dot, count, place).map_err(refused)
    }

    fn apply_delete(
        &mut self,
        stretches: &[Stretch],
        at: Stamp,
        fx: &mut Effects<Text>,
        mut widths: Option<&mut Widths>,
    ) -> Result<(), CrdtError> {
        if stretches.is_empty() {
            return Err(CrdtError::Invalid("a deletion of nothing"));
        }
        // Most deletions are one stretch that is held in one piece.
        if let [Stretch { from, len }] = stretches {
            let found = from.dot(at, None).and_then(|dot| self.seq.find_run(dot, *len));
            if let Some(found) = found.filter(|found| u64::from(found.len) == *len && *len > 0) {
                self.delete(found, fx, widths);
                return Ok(());
            }
        }
        for elements in self.seq.find_stretches(stretches, at)? {
            self.delete(elements, fx, widths.as_deref_mut());
        }
        Ok(())
    }

    /// Deletes what of these elements is alive.
    fn delete(
        &mut self,
        elements: Elements,
        fx: &mut Effects<Text>,
        mut widths: Option<&mut Widths>,
    ) {
        let Self { seq, scalars } = self;
        seq.mark(elements, true, |changed, index| {
            if let Some(widths) = &mut widths {
                widths.delete(index() as usize, scalars.get(changed.first, changed.len));
            }
            fx.undo_onto(|last| last.takes(changed), || TextUndo(Step::Deleted(changed)));
            fx.event(|| TextEvent::Deleted { index: index() as usize, len: changed.len as usize });
        });
    }
}

/// How many bytes of UTF-8 there may be.
const LIMIT: usize = u32::MAX as usize;

fn refused(refusal: Refusal) -> CrdtError {
    match refusal {
        Refusal::Taken => CrdtError::Invalid("the dot of a character is taken"),
        Refusal::Overflow => CrdtError::Invalid("sequence numbers overflow"),
        Refusal::Unordered => CrdtError::Invalid("the origins are not in order"),
        Refusal::Full => CrdtError::Limit("a text has at most 2^31 - 1 characters"),
    }
}

/// Equal texts have seen insertions and deletions that leave the same: they also
/// agree on what was deleted and on every origin.
impl PartialEq for Text {
    fn eq(&self, other: &Self) -> bool {
        repliq_core::encode(self) == repliq_core::encode(other)
    }
}

impl Eq for Text {}
