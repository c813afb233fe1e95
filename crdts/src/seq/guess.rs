//! A guess: where the latest search ended, to be tried first by the next.
//!
//! It is shared by readers and says nothing that is relied on: whoever reads it
//! checks what is there, so it may be stale, or from another thread.

use std::sync::atomic::{AtomicUsize, Ordering};

#[derive(Default)]
pub(super) struct Guess(AtomicUsize);

impl Guess {
    #[inline]
    pub(super) fn get(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }

    #[inline]
    pub(super) fn set(&self, place: usize) {
        self.0.store(place, Ordering::Relaxed);
    }
}

impl Clone for Guess {
    fn clone(&self) -> Self {
        Self(AtomicUsize::new(self.get()))
    }
}
