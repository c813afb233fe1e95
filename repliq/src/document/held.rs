//! Which kind of closure this thread is inside of.
//!
//! Closures run on the thread that calls `read` or `update` and never across an
//! await, so a thread-local is enough to see every nested call. A read inside a
//! read is fine: it waits for no writer. Everything else nested could wait for
//! itself, or for another thread that waits for it, and is refused.

use std::cell::Cell;

thread_local! {
    static READS: Cell<usize> = const { Cell::new(0) };
    static UPDATES: Cell<bool> = const { Cell::new(false) };
}

/// The call would nest where it must not.
pub(super) struct Reentrant;

/// Marks a running closure of `read`.
pub(super) struct Reading(());

impl Reading {
    pub(super) fn enter() -> Result<Self, Reentrant> {
        if UPDATES.get() {
            return Err(Reentrant);
        }
        READS.set(READS.get() + 1);
        Ok(Self(()))
    }

    /// Whether this read runs inside of another.
    pub(super) fn is_nested(&self) -> bool {
        READS.get() > 1
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        READS.set(READS.get() - 1);
    }
}

/// Marks a running closure of `update`.
pub(super) struct Updating(());

impl Updating {
    pub(super) fn enter() -> Result<Self, Reentrant> {
        Self::check()?;
        UPDATES.set(true);
        Ok(Self(()))
    }

    /// Whether an update may start on this thread now.
    pub(super) fn check() -> Result<(), Reentrant> {
        if UPDATES.get() || READS.get() > 0 { Err(Reentrant) } else { Ok(()) }
    }
}

impl Drop for Updating {
    fn drop(&mut self) {
        UPDATES.set(false);
    }
}
