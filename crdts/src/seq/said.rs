//! Positions as ops say them: by the dots of elements, as short as they can be.
//!
//! One half names what a replica sees for an op it is about to say, the other
//! finds what somebody else has named. What is named and not there is refused;
//! nothing here changes the sequence.

use super::{Elements, MAX_ELEMENTS, NONE, Origins, Seq};
use crate::text::op::own;
use crate::text::{LeftOrigin, RightOrigin, Stretch, Target};
use repliq_core::{CrdtError, Dot, Stamp};

const MISSING_ORIGIN: CrdtError = CrdtError::Invalid("an origin of the insertion is not there");
const MISSING: CrdtError = CrdtError::Invalid("what is to be deleted is not there");

impl Seq {
    /// Names the origins of an insertion at visible position `index`, for an op
    /// whose first slot is `next`. O(log n), O(1) near the latest edit.
    pub(crate) fn say_origins(&self, index: u32, next: Option<Dot>) -> (LeftOrigin, RightOrigin) {
        let Origins { left, right, inherited } = self.origins(index);
        let before = (left != NONE).then(|| self.dot(left));
        let right = if right == NONE {
            RightOrigin::End
        } else if inherited {
            RightOrigin::Inherited
        } else {
            let dot = self.dot(right);
            let follows = |before: Dot| {
                before.replica == dot.replica && before.seq.checked_add(1) == Some(dot.seq)
            };
            match before {
                Some(before) if follows(before) => RightOrigin::Following,
                _ => RightOrigin::of(dot, next),
            }
        };
        (before.map_or(LeftOrigin::Start, |dot| LeftOrigin::of(dot, next)), right)
    }

    /// The origins that an op names.
    pub(crate) fn find_origins(
        &self,
        left: LeftOrigin,
        right: RightOrigin,
        at: Stamp,
    ) -> Result<(u32, u32), CrdtError> {
        let left = self.find_left(left, at)?;
        Ok((left, self.find_right(right, left, at)?))
    }

    /// The left origin that an op names.
    pub(crate) fn find_left(&self, left: LeftOrigin, at: Stamp) -> Result<u32, CrdtError> {
        let dot = match left {
            LeftOrigin::Start => return Ok(NONE),
            LeftOrigin::Back(slots) => own(at, slots),
            LeftOrigin::At(dot) => Some(dot),
        };
        self.find_origin(dot)
    }

    fn find_right(&self, right: RightOrigin, left: u32, at: Stamp) -> Result<u32, CrdtError> {
        let dot = match right {
            RightOrigin::End => return Ok(NONE),
            RightOrigin::Inherited | RightOrigin::Following if left == NONE => None,
            RightOrigin::Inherited => return Ok(self.right_of(left)),
            RightOrigin::Following => {
                let dot = self.dot(left);
                dot.seq.checked_add(1).map(|seq| Dot { seq, ..dot })
            }
            RightOrigin::Back(slots) => own(at, slots),
            RightOrigin::At(dot) => Some(dot),
        };
        self.find_origin(dot)
    }

    fn find_origin(&self, dot: Option<Dot>) -> Result<u32, CrdtError> {
        dot.and_then(|dot| self.find(dot)).ok_or(MISSING_ORIGIN)
    }

    /// Names these dots, for an op whose first slot is `next`.
    pub(crate) fn say_stretches(dots: &[(Dot, u64)], next: Option<Dot>) -> Vec<Stretch> {
        let mut before = None;
        let each = dots.iter().map(|(dot, len)| {
            let from = Target::of(*dot, next, before);
            before = Some(*dot);
            Stretch { from, len: *len }
        });
        each.collect()
    }

    /// What the stretches name; refused unless all of it is there.
    pub(crate) fn find_stretches(
        &self,
        stretches: &[Stretch],
        at: Stamp,
    ) -> Result<Vec<Elements>, CrdtError> {
        if stretches.is_empty() {
            return Err(CrdtError::Invalid("a deletion of nothing"));
        }
        let mut found = Vec::new();
        let mut before = None;
        for Stretch { from, len } in stretches {
            let mut dot = from.dot(at, before).ok_or(MISSING)?;
            before = Some(dot);
            if *len == 0 || *len > u64::from(MAX_ELEMENTS) {
                return Err(CrdtError::Invalid("a deletion of nothing, or of too much"));
            }
            let mut left = *len;
            while left > 0 {
                let elements = self.find_run(dot, left).ok_or(MISSING)?;
                left -= u64::from(elements.len);
                dot.seq = dot.seq.saturating_add(u64::from(elements.len));
                found.push(elements);
            }
        }
        Ok(found)
    }
}
