//! What readers leave behind for the next who comes: where their search ended.
//!
//! A [`Guess`] is not relied on: whoever reads it checks what is there, so it may
//! be stale, or from another thread. A [`Start`] is true whoever left it, because
//! it is one word, and whoever changes what it speaks of makes it be forgotten.
//! Neither ever changes what a search finds.

use crate::seq::run::NONE;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

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

/// A leaf, and how many visible elements stand before it.
pub(super) struct Start(AtomicU64);

impl Start {
    const NOWHERE: u64 = pack(NONE, 0);

    #[inline]
    pub(super) fn set(&self, leaf: u32, start: u32) {
        self.0.store(pack(leaf, start), Ordering::Relaxed);
    }

    /// The leaf, or [`NONE`].
    #[inline]
    pub(super) fn leaf(&self) -> u32 {
        unpack(self.0.load(Ordering::Relaxed)).0
    }

    /// How many visible elements stand before this leaf, if that is what was left.
    #[inline]
    pub(super) fn of(&mut self, leaf: u32) -> Option<u32> {
        let (held, start) = unpack(*self.0.get_mut());
        (held == leaf).then_some(start)
    }

    #[inline]
    pub(super) fn forget(&mut self) {
        *self.0.get_mut() = Self::NOWHERE;
    }
}

const fn pack(leaf: u32, start: u32) -> u64 {
    (leaf as u64) << 32 | start as u64
}

#[allow(clippy::cast_possible_truncation, reason = "that is what takes the halves apart")]
const fn unpack(word: u64) -> (u32, u32) {
    ((word >> 32) as u32, word as u32)
}

impl Default for Start {
    fn default() -> Self {
        Self(AtomicU64::new(Self::NOWHERE))
    }
}

impl Clone for Start {
    fn clone(&self) -> Self {
        Self(AtomicU64::new(self.0.load(Ordering::Relaxed)))
    }
}
