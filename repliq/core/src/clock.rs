//! Hybrid logical time: wall time where the wall is ahead, a counter where it
//! is not (Kulkarni et al., "Logical Physical Clocks", 2014).

use serde::{Deserialize, Serialize};
use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// How far a remote stamp may lie ahead of the receiver's wall clock before a
/// relay refuses it and a device holds it back: 24 hours.
pub const MAX_CLOCK_SKEW: Duration = Duration::from_secs(24 * 60 * 60);

/// Milliseconds since 1970-01-01T00:00:00Z.
#[derive(
    Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize,
)]
pub struct Millis(pub u64);

impl Millis {
    /// What the system clock says. A clock set before 1970 reads as 0.
    #[must_use]
    pub fn now() -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
    }

    /// This moment and `duration` after it, at most the last representable one.
    #[must_use]
    pub fn saturating_add(self, duration: Duration) -> Self {
        let millis = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        Self(self.0.saturating_add(millis))
    }
}

/// A hybrid logical timestamp: `milliseconds << 16 | counter`. Larger is later.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct Hlc(pub u64);

impl Hlc {
    /// The first timestamp of a millisecond. Times past the year 10889 saturate.
    #[must_use]
    pub const fn from_millis(wall: Millis) -> Self {
        if wall.0 >> 48 == 0 { Self(wall.0 << 16) } else { Self(u64::MAX) }
    }

    /// The wall-clock part, in milliseconds.
    #[must_use]
    pub const fn millis(self) -> Millis {
        Millis(self.0 >> 16)
    }

    /// The logical part: how many timestamps of the same millisecond come before.
    #[must_use]
    pub const fn counter(self) -> u16 {
        (self.0 & 0xffff) as u16
    }

    /// The timestamp `n` places later, at most the last one.
    #[must_use]
    pub const fn plus(self, n: u64) -> Self {
        Self(self.0.saturating_add(n))
    }
}

impl fmt::Debug for Hlc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.millis().0, self.counter())
    }
}

/// A replica's clock: the last timestamp it gave out or saw.
///
/// `last` must be persisted with what was stamped, and handed to
/// [`Clock::resume`] on restart: then no stamp is ever given out twice, not
/// even when the wall clock was set back in between.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Clock {
    last: Hlc,
}

impl Clock {
    /// A clock that goes on after `last`.
    #[must_use]
    pub const fn resume(last: Hlc) -> Self {
        Self { last }
    }

    /// The last timestamp given out or observed.
    #[must_use]
    pub const fn last(&self) -> Hlc {
        self.last
    }

    /// The next timestamp that [`Clock::reserve`] would give out at this wall
    /// time: `max(last + 1, wall << 16)`.
    #[must_use]
    pub fn peek(&self, wall: Millis) -> Hlc {
        self.last.plus(1).max(Hlc::from_millis(wall))
    }

    /// Reserves `n` consecutive timestamps and returns the first. The counter
    /// carries into the milliseconds when it runs over.
    pub fn reserve(&mut self, wall: Millis, n: u64) -> Hlc {
        let first = self.peek(wall);
        if n > 0 {
            self.last = first.plus(n - 1);
        }
        first
    }

    /// Takes note of a timestamp made elsewhere, so that later ones are larger.
    /// Call it only once what carried the timestamp is durable.
    pub fn observe(&mut self, remote: Hlc) {
        self.last = self.last.max(remote);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_clock_set_back_never_reuses_a_timestamp() {
        let mut clock = Clock::default();
        let before = clock.reserve(Millis(5_000_000), 3);
        let mut restarted = Clock::resume(clock.last());
        let after = restarted.reserve(Millis(1_400_000), 1);
        assert_eq!(after, before.plus(3));
    }

    #[test]
    fn the_counter_carries_into_the_milliseconds() {
        let mut clock = Clock::default();
        let first = clock.reserve(Millis(7), 70_000);
        assert_eq!(first, Hlc(7 << 16));
        assert_eq!(clock.last().millis(), Millis(8));
        assert_eq!(clock.reserve(Millis(7), 1), first.plus(70_000));
    }

    #[test]
    fn times_past_the_last_millisecond_saturate() {
        let mut clock = Clock::resume(Hlc(u64::MAX));
        assert_eq!(clock.reserve(Millis(u64::MAX), 9), Hlc(u64::MAX));
    }

    proptest! {
        #[test]
        fn reservations_never_overlap_and_never_trail_the_wall(
            steps in prop::collection::vec((0_u64..1 << 40, 1_u64..100_000, 0_u64..1 << 56), 1..50)
        ) {
            let mut clock = Clock::default();
            let mut end = Hlc(0);
            for (wall, n, remote) in steps {
                let first = clock.reserve(Millis(wall), n);
                prop_assert!(first > end || end == Hlc(0));
                prop_assert!(first >= Hlc::from_millis(Millis(wall)));
                end = first.plus(n - 1);
                clock.observe(Hlc(remote));
                end = end.max(Hlc(remote));
            }
        }
    }
}
