//! Positions as ops say them: by the dots of elements, as short as they can be.
//!
//! One half names what a replica sees for an op it is about to say, the other
//! finds what somebody else has named. What is named and not there is refused;
//! nothing here changes the sequence.

use super::{Elements, MAX_ELEMENTS, NONE, Origins, Place, Seq};
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

    /// The place between the origins that an op names.
    pub(crate) fn find_place(
        &self,
        left: LeftOrigin,
        right: RightOrigin,
        at: Stamp,
    ) -> Result<Place, CrdtError> {
        let before = match left {
            LeftOrigin::Start => None,
            LeftOrigin::Back(slots) => Some(own(at, slots).ok_or(MISSING_ORIGIN)?),
            LeftOrigin::At(dot) => Some(dot),
        };
        let (left, follow) = match before {
            Some(before) => self.identity.find_run(before).ok_or(MISSING_ORIGIN)?,
            None => (NONE, 0),
        };
        let after = self.tree.after(left);
        let dot = match right {
            RightOrigin::End => return Ok(Place { left, right: NONE, after }),
            RightOrigin::Inherited if left != NONE => {
                return Ok(Place { left, right: self.tree.right_before(after), after });
            }
            RightOrigin::Inherited => None,
            RightOrigin::Following => before.and_then(|dot| {
                let seq = dot.seq.checked_add(1)?;
                Some(Dot { seq, ..dot })
            }),
            RightOrigin::Back(slots) => own(at, slots),
            RightOrigin::At(dot) => Some(dot),
        };
        let dot = dot.ok_or(MISSING_ORIGIN)?;
        // Mostly the two were typed in one go.
        let beside = before.filter(|before| before.replica == dot.replica);
        let distance = beside.and_then(|before| dot.seq.checked_sub(before.seq));
        let distance = distance.and_then(|distance| u32::try_from(distance).ok());
        let right = match distance.filter(|distance| *distance < follow) {
            Some(distance) => left + distance,
            None => self.find(dot).ok_or(MISSING_ORIGIN)?,
        };
        Ok(Place { left, right, after })
    }

    /// The left origin that an op names.
    pub(crate) fn find_left(&self, left: LeftOrigin, at: Stamp) -> Result<u32, CrdtError> {
        let dot = match left {
            LeftOrigin::Start => return Ok(NONE),
            LeftOrigin::Back(slots) => own(at, slots),
            LeftOrigin::At(dot) => Some(dot),
        };
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
