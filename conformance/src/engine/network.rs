//! What a network does to frames: which are lost and which come twice.
//!
//! It promises that the same seed gives the same faults for the same frames, and
//! that a plan of losses ends: a network that loses for ever syncs nothing. It
//! never touches a frame itself; [`Lossy`](super::Lossy) does.

use crate::Rng;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A direction, as the device sees it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Direction {
    /// What the device sends.
    Sending,
    /// What the device receives.
    Receiving,
}

/// What becomes of a frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fate {
    /// It arrives.
    Arrives,
    /// It arrives twice.
    ArrivesTwice,
    /// It is lost; with `rest`, everything after it in this direction of this
    /// connection as well.
    Lost {
        /// Whether the direction is dead from now on.
        rest: bool,
    },
}

#[derive(Debug, Default)]
struct Way {
    /// How many frames still arrive before each loss, and whether it takes the rest
    /// along.
    losses: VecDeque<(usize, bool)>,
    /// How many frames of a hundred come twice.
    percent: usize,
    repeated: usize,
}

#[derive(Debug)]
struct Plan {
    rng: Rng,
    ways: [Way; 2],
}

/// A device's network: without faults until a case plans some. Clones share it.
#[derive(Clone, Debug)]
pub struct Network(Arc<Mutex<Plan>>);

impl Default for Network {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(Plan { rng: Rng::new(0), ways: Default::default() })))
    }
}

impl Network {
    /// The next frame of this direction is lost, and those after it are not.
    pub fn lose_next(&self, direction: Direction) {
        self.plan().way(direction).losses = [(0, false)].into();
    }

    /// From now on so many frames of this direction are lost, with up to seven
    /// that arrive before each.
    pub fn lose(&self, direction: Direction, frames: usize, rng: &mut Rng) {
        let loss = |_| (rng.below(8), rng.below(2) == 0);
        self.plan().way(direction).losses = (0..frames).map(loss).collect();
    }

    /// From now on so many of a hundred frames come twice, in both directions.
    pub fn repeat(&self, percent: usize, rng: &mut Rng) {
        let mut plan = self.plan();
        plan.rng = Rng::new(rng.bits());
        for way in &mut plan.ways {
            way.percent = percent;
        }
    }

    /// How many losses of this direction are still to come.
    #[must_use]
    pub fn to_lose(&self, direction: Direction) -> usize {
        self.plan().way(direction).losses.len()
    }

    /// How many frames of this direction came twice.
    #[must_use]
    pub fn repeated(&self, direction: Direction) -> usize {
        self.plan().way(direction).repeated
    }

    /// Decides about one frame.
    #[must_use]
    pub fn fate(&self, direction: Direction) -> Fate {
        let mut plan = self.plan();
        let chance = plan.rng.below(100);
        let way = plan.way(direction);
        match way.losses.front_mut() {
            Some((0, rest)) => {
                let rest = *rest;
                way.losses.pop_front();
                Fate::Lost { rest }
            }
            Some((before, _)) => {
                *before -= 1;
                Fate::Arrives
            }
            None if chance < way.percent => {
                way.repeated += 1;
                Fate::ArrivesTwice
            }
            None => Fate::Arrives,
        }
    }

    fn plan(&self) -> MutexGuard<'_, Plan> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Plan {
    const fn way(&mut self, direction: Direction) -> &mut Way {
        let [sending, receiving] = &mut self.ways;
        match direction {
            Direction::Sending => sending,
            Direction::Receiving => receiving,
        }
    }
}
