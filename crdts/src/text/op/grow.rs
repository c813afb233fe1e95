//! Typing and deleting letter by letter as one op.
//!
//! It promises that an op that grew says the same, dot for dot, as the ops apart did
//! where they were made. It never takes back what was said: text that is typed and
//! deleted again stays two ops.

use super::{LeftOrigin, RightOrigin, Stretch, Target, TextOp};

impl TextOp {
    pub(in crate::text) const fn may_grow(&self) -> bool {
        match self {
            Self::Insert { .. } => true,
            Self::Delete(Stretch { from: Target::Back(_) | Target::At(_), .. }) => true,
            Self::Delete(_) | Self::DeleteEach(_) => false,
        }
    }

    /// See [`Crdt::grow`](repliq_core::Crdt::grow).
    pub(in crate::text) fn grow(&mut self, next: &mut Self) -> bool {
        match (self, next) {
            // The letter before is the last of this insertion.
            (
                Self::Insert { right: held, text, .. },
                Self::Insert { left: LeftOrigin::Back(1), right, text: more },
            ) if *right == RightOrigin::Inherited
                || (*right, *held) == (RightOrigin::End, RightOrigin::End) =>
            {
                text.push(more);
                true
            }
            (Self::Delete(held), Self::Delete(more)) => held.grow(more),
            _ => false,
        }
    }
}

impl Stretch {
    /// Makes this the stretch of both, if `next`, which a later op deletes, is right
    /// before or after it. A deletion takes one slot, so that `next` is said a slot
    /// earlier then.
    pub(crate) fn grow(&mut self, next: &mut Self) -> bool {
        let Some(len) = self.len.checked_add(next.len) else { return false };
        let (grown, from) = match (self.from, next.from) {
            (Target::Back(held), Target::Back(said)) => {
                let Some(more) = said.checked_sub(1) else { return false };
                let from = if more.checked_sub(next.len) == Some(held) {
                    more
                } else if more.checked_add(self.len) == Some(held) {
                    held
                } else {
                    return false;
                };
                (Target::Back(from), Target::Back(more))
            }
            (Target::At(held), Target::At(more)) if held.replica == more.replica => {
                let from = if more.seq.checked_add(next.len) == Some(held.seq) {
                    more
                } else if held.seq.checked_add(self.len) == Some(more.seq) {
                    held
                } else {
                    return false;
                };
                (Target::At(from), next.from)
            }
            _ => return false,
        };
        (self.from, self.len, next.from) = (grown, len, from);
        true
    }
}
