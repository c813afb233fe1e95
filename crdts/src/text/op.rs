//! What is said about a text: the ops that are logged and sent.

mod encoding;
mod grow;

use repliq_core::{Dot, Stamp};
use serde::{Deserialize, Serialize};
use std::fmt;

/// An intent on a [`Text`](crate::Text). It names characters by the dots they
/// were inserted with: the `n`-th scalar of an insertion has the `n`-th slot of
/// its op, counted from 0.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum TextOp {
    /// Inserts text between two characters that were next to each other, of those
    /// that are deleted the one to the right included. It takes a slot a scalar.
    Insert {
        /// The character before.
        left: LeftOrigin,
        /// The character after.
        right: RightOrigin,
        /// What is inserted; not empty.
        text: Typed,
    },
    /// Deletes characters with consecutive dots. It takes one slot.
    Delete(Stretch),
    /// Deletes stretches of characters. It takes one slot.
    DeleteEach(Vec<Stretch>),
}

/// What an insertion was made after.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum LeftOrigin {
    /// The start of the text.
    Start,
    /// The author's own character so many slots before the op.
    Back(u64),
    /// This character.
    At(Dot),
}

/// What an insertion was made before.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum RightOrigin {
    /// The end of the text.
    End,
    /// The right origin of the character that is the left origin.
    Inherited,
    /// The character whose dot follows that of the left origin.
    Following,
    /// The author's own character so many slots before the op.
    Back(u64),
    /// This character.
    At(Dot),
}

/// Characters with consecutive dots.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Stretch {
    /// The first of them.
    pub from: Target,
    /// How many they are, at least 1.
    pub len: u64,
}

/// A character that an op deletes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Target {
    /// The author's own character so many slots before the op.
    Back(u64),
    /// This character.
    At(Dot),
    /// The character with this sequence number, of the same replica as the
    /// stretch before.
    Same(u64),
}

/// The text of an insertion. One scalar takes no allocation.
#[derive(Clone, PartialEq, Eq)]
pub struct Typed(Form);

#[derive(Clone, PartialEq, Eq)]
enum Form {
    Scalar(char),
    Text(String, u32),
}

impl TextOp {
    pub(super) fn slots(&self) -> u64 {
        match self {
            Self::Insert { text, .. } => u64::from(text.count().max(1)),
            Self::Delete(_) | Self::DeleteEach(_) => 1,
        }
    }
}

impl LeftOrigin {
    pub(crate) fn of(dot: Dot, next: Option<Dot>) -> Self {
        back(dot, next).map_or(Self::At(dot), Self::Back)
    }
}

impl RightOrigin {
    pub(crate) fn of(dot: Dot, next: Option<Dot>) -> Self {
        back(dot, next).map_or(Self::At(dot), Self::Back)
    }
}

impl Target {
    /// `before` is the target of the stretch before, by its dot.
    pub(crate) fn of(dot: Dot, next: Option<Dot>, before: Option<Dot>) -> Self {
        if let Some(slots) = back(dot, next) {
            return Self::Back(slots);
        }
        match before {
            Some(before) if before.replica == dot.replica => Self::Same(dot.seq),
            _ => Self::At(dot),
        }
    }

    pub(crate) fn dot(self, at: Stamp, before: Option<Dot>) -> Option<Dot> {
        match self {
            Self::Back(slots) => own(at, slots),
            Self::At(dot) => Some(dot),
            Self::Same(seq) => before.map(|before| Dot { seq, ..before }),
        }
    }
}

/// How many slots before the author's next slot its own `dot` is.
fn back(dot: Dot, next: Option<Dot>) -> Option<u64> {
    let next = next.filter(|next| next.replica == dot.replica)?;
    next.seq.checked_sub(dot.seq)
}

/// The author's own dot so many slots before the op.
pub(crate) fn own(at: Stamp, slots: u64) -> Option<Dot> {
    at.dot.seq.checked_sub(slots).map(|seq| Dot { seq, ..at.dot })
}

impl Typed {
    /// How many scalars. At most 2^32 - 1: more count as that many.
    #[must_use]
    pub fn count(&self) -> u32 {
        match &self.0 {
            Form::Scalar(_) => 1,
            Form::Text(_, count) => *count,
        }
    }

    /// How many bytes of UTF-8.
    pub(super) fn bytes(&self) -> usize {
        match &self.0 {
            Form::Scalar(scalar) => scalar.len_utf8(),
            Form::Text(text, _) => text.len(),
        }
    }

    /// The only scalar, if it is one.
    pub(super) const fn scalar(&self) -> Option<char> {
        match &self.0 {
            Form::Scalar(scalar) => Some(*scalar),
            Form::Text(..) => None,
        }
    }

    /// Calls `read` with the text.
    pub fn with<R>(&self, read: impl FnOnce(&str) -> R) -> R {
        match &self.0 {
            Form::Scalar(scalar) => read(scalar.encode_utf8(&mut [0; 4])),
            Form::Text(text, _) => read(text),
        }
    }
}

impl Typed {
    /// Adds text after this.
    fn push(&mut self, more: &Self) {
        let count = self.count().saturating_add(more.count());
        if let Form::Scalar(scalar) = self.0 {
            let mut text = String::with_capacity(USUAL_TEXT);
            text.push(scalar);
            self.0 = Form::Text(text, 1);
        }
        if let Form::Text(text, held) = &mut self.0 {
            match more.0 {
                Form::Scalar(scalar) => text.push(scalar),
                Form::Text(ref more, _) => text.push_str(more),
            }
            *held = count;
        }
    }
}

/// Has room for most of what is typed in one go, in bytes.
const USUAL_TEXT: usize = 24;

impl From<char> for Typed {
    fn from(scalar: char) -> Self {
        Self(Form::Scalar(scalar))
    }
}

impl From<&str> for Typed {
    #[inline]
    fn from(text: &str) -> Self {
        if let [byte @ 0..=0x7f] = text.as_bytes() {
            return Self(Form::Scalar(char::from(*byte)));
        }
        let mut scalars = text.chars();
        match (scalars.next(), scalars.as_str()) {
            (Some(scalar), "") => Self(Form::Scalar(scalar)),
            _ => {
                let count = u32::try_from(text.chars().count()).unwrap_or(u32::MAX);
                Self(Form::Text(text.into(), count))
            }
        }
    }
}

impl fmt::Debug for Typed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.with(|text| fmt::Debug::fmt(text, f))
    }
}
