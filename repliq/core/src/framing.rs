//! Values within values: what is written by length and so read apart from what
//! is around it.
//!
//! It promises that values are framed in one another no deeper than
//! [`MAX_FRAMES`], written or read, and that what is wrong with an inner one
//! reaches whoever asked for the outer one. It never looks into a value.

use crate::DecodeError;
use std::cell::Cell;

/// How deeply values may be framed in one another. Each has its own levels of
/// nesting, so this bounds how deep reading may recurse altogether.
const MAX_FRAMES: usize = 16;

thread_local! {
    static DEPTH: Cell<usize> = const { Cell::new(0) };
    /// Why the framed value that was read or written last failed: serde has no
    /// room for it in the errors of a format.
    static CAUSE: Cell<Option<DecodeError>> = const { Cell::new(None) };
}

/// Reads or writes a framed value.
pub(crate) fn within<R>(run: impl FnOnce() -> Result<R, DecodeError>) -> Result<R, DecodeError> {
    struct Within;
    impl Drop for Within {
        fn drop(&mut self) {
            DEPTH.set(DEPTH.get() - 1);
        }
    }
    if DEPTH.get() == MAX_FRAMES {
        return Err(DecodeError::TooDeep);
    }
    DEPTH.set(DEPTH.get() + 1);
    let _within = Within;
    run()
}

/// Fails to read.
pub(crate) fn refuse<E: serde::de::Error>(cause: DecodeError) -> E {
    CAUSE.set(Some(cause));
    E::custom("a framed value does not read")
}

/// Fails to write.
pub(crate) fn refuse_to_write<E: serde::ser::Error>(cause: DecodeError) -> E {
    CAUSE.set(Some(cause));
    E::custom("a framed value cannot be written")
}

/// Takes what was wrong with a framed value, if that is why.
pub(crate) fn cause() -> Option<DecodeError> {
    CAUSE.take()
}
