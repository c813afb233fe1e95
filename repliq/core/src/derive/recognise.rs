//! What was kept of a field becomes the field, once a version of the app runs
//! that knows it.
//!
//! It promises the state that this version would have had all along. It never
//! gives up on an op: one that cannot be applied stays kept.

use super::state::Field;
use crate::unknown::{Kept, Part, UnknownState};
use crate::{DecodeError, Stamp, UnknownOp, Version};
use std::collections::BTreeMap;

/// How often ops are tried again that do not fit. Times are an order in which ops
/// fit, except for edits that were said again with their old time after something
/// newer: those need another round or two.
const ROUNDS: usize = 64;

/// Moves to a field what is kept of it. If it was known when it was written, that is
/// only what could not be read before.
pub(super) fn recognise(
    field: &mut dyn Field,
    tag: u32,
    was_known: bool,
    kept: &mut Kept,
) -> Result<(), DecodeError> {
    if was_known && !kept.branches.is_empty() {
        return Err(DecodeError::Invalid("a field that is known has branches"));
    }
    let (mut seen, mut left) = (Version::new(), BTreeMap::new());
    for (version, Part { state, mut ops }) in kept.branches.drain(..) {
        field.join_with(&seen, &version, &mut |other| {
            if let Some(UnknownState { digest, bytes }) = &state {
                other.read(tag, *digest, bytes)?;
            }
            ops = apply(std::mem::take(&mut ops), other);
            Ok(())
        })?;
        left.extend(ops);
        seen.join(&version);
    }
    kept.latest.ops = apply(std::mem::take(&mut kept.latest.ops), field);
    kept.latest.ops.extend(left);
    Ok(())
}

/// Applies ops in the order of their times. Returns those that do not fit.
fn apply(mut ops: BTreeMap<Stamp, UnknownOp>, field: &mut dyn Field) -> BTreeMap<Stamp, UnknownOp> {
    for _ in 0..ROUNDS {
        let before = ops.len();
        ops.retain(|at, op| !field.apply_kept(op, *at));
        if ops.is_empty() || ops.len() == before {
            break;
        }
    }
    ops
}
