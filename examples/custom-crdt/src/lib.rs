#![doc = include_str!("../README.md")]

mod event;
mod mutators;
mod saved;

pub use event::{LeaderboardEvent, Standing};
pub use mutators::LeaderboardMut;

use repliq_core::{Crdt, CrdtError, Effects, ReplicaId, Stamp, Standalone, Version};
use saved::Saved;
use serde::{Deserialize, Serialize};
use std::cmp::Reverse;
use std::collections::BTreeSet;

/// The longest name of a player, in bytes of UTF-8.
pub const MAX_NAME_BYTES: usize = 64;

/// The best `N` players of a season by their best scores; see the
/// [crate] for what that means under concurrency.
///
/// It keeps the best `2 N`, so that as many can be disqualified before a place
/// stays empty. Edits are O(N).
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(try_from = "Saved")]
pub struct Leaderboard<const N: usize> {
    season: u64,
    /// Sorted best first, no player twice, at most `2 N`, disqualified ones included.
    kept: Vec<Best>,
    /// Grows with every disqualification, until the next season.
    disqualified: BTreeSet<String>,
}

/// The best score of a player, and when it was made.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
struct Best {
    player: String,
    score: u64,
    at: Stamp,
}

impl Best {
    /// Smaller is better: a higher score, then the earlier one.
    const fn rank(&self) -> (Reverse<u64>, Stamp) {
        (Reverse(self.score), self.at)
    }
}

/// An intent on a [`Leaderboard`], always in a season.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct LeaderboardOp {
    /// The season it is about. A later one than that of the board begins it.
    pub season: u64,
    /// What is to happen in it.
    pub intent: Intent,
}

/// What can happen in a season.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Intent {
    /// It begins.
    Begin,
    /// A player has reached a score.
    Submit {
        /// Who.
        player: String,
        /// How much.
        score: u64,
    },
    /// A player's scores do not count in this season, whenever they are made.
    Disqualify {
        /// Who.
        player: String,
    },
}

/// What takes back one step of an op or a join.
#[derive(Debug)]
pub struct LeaderboardUndo(Undo);

#[derive(Debug)]
enum Undo {
    /// A score came in at this place, for these.
    Submitted {
        place: usize,
        replaced: Option<(usize, Best)>,
        dropped: Option<Best>,
    },
    Disqualified(String),
    /// A season ended, with this.
    Season {
        season: u64,
        kept: Vec<Best>,
        disqualified: BTreeSet<String>,
    },
}

impl<const N: usize> Leaderboard<N> {
    /// How many players are kept.
    const KEPT: usize = N.saturating_mul(2);

    /// An empty board on its own, which `replica` is going to edit.
    #[allow(clippy::new_ret_no_self, reason = "a bare board cannot be edited")]
    #[must_use]
    pub fn new(replica: ReplicaId) -> Standalone<Self> {
        Standalone::new(replica)
    }

    /// The season that runs; the first is 0.
    #[must_use]
    pub const fn season(&self) -> u64 {
        self.season
    }

    /// Who is on the board, best first, at most `N`.
    pub fn standings(&self) -> impl Iterator<Item = Standing> + '_ {
        let counts = |best: &&Best| !self.disqualified.contains(&best.player);
        self.kept.iter().filter(counts).take(N).map(Standing::of)
    }

    /// Whether a player's scores count in this season.
    #[must_use]
    pub fn is_disqualified(&self, player: &str) -> bool {
        self.disqualified.contains(player)
    }

    /// Goes on to a later season; nothing of an earlier one is left.
    fn reach(&mut self, season: u64, fx: &mut Effects<Self>) {
        if season > self.season {
            let ended = std::mem::take(self);
            self.season = season;
            let Self { season, kept, disqualified } = ended;
            fx.undo(|| LeaderboardUndo(Undo::Season { season, kept, disqualified }));
        }
    }

    /// Takes a score of this season, unless the player has a better one or `2 N`
    /// others have: those only ever get better, so it is never missed.
    fn submit(&mut self, new: Best, fx: &mut Effects<Self>) {
        let old = self.kept.iter().position(|best| best.player == new.player);
        if old.and_then(|old| self.kept.get(old)).is_some_and(|old| old.rank() <= new.rank()) {
            return;
        }
        let place = self.kept.partition_point(|best| best.rank() < new.rank());
        if old.is_none() && place >= Self::KEPT {
            return;
        }
        let replaced = old.map(|old| (old, self.kept.remove(old)));
        self.kept.insert(place, new);
        let dropped = if self.kept.len() > Self::KEPT { self.kept.pop() } else { None };
        fx.undo(|| LeaderboardUndo(Undo::Submitted { place, replaced, dropped }));
    }

    fn disqualify(&mut self, player: String, fx: &mut Effects<Self>) {
        if self.disqualified.insert(player.clone()) {
            fx.undo(|| LeaderboardUndo(Undo::Disqualified(player)));
        }
    }
}

fn check_name(player: &str) -> Result<(), CrdtError> {
    if player.is_empty() || player.len() > MAX_NAME_BYTES {
        return Err(CrdtError::Limit("the name of a player has 1 to 64 bytes"));
    }
    Ok(())
}

impl<const N: usize> Crdt for Leaderboard<N> {
    /// With the number of places: boards of different sizes do not merge.
    const KIND: &'static str = saved::kind::<N>();
    type Op = LeaderboardOp;
    type Event = LeaderboardEvent;
    type Undo = LeaderboardUndo;

    fn apply(&mut self, op: Self::Op, at: Stamp, fx: &mut Effects<Self>) -> Result<(), CrdtError> {
        if let Intent::Submit { player, .. } | Intent::Disqualify { player } = &op.intent {
            check_name(player)?;
        }
        event::told(self, fx, |board, fx| {
            board.reach(op.season, fx);
            if op.season < board.season {
                return;
            }
            match op.intent {
                Intent::Begin => {}
                Intent::Submit { player, score } => board.submit(Best { player, score, at }, fx),
                Intent::Disqualify { player } => board.disqualify(player, fx),
            }
        });
        Ok(())
    }

    fn join(&mut self, _: &Version, other: Self, _: &Version, fx: &mut Effects<Self>) {
        event::told(self, fx, |board, fx| {
            board.reach(other.season, fx);
            if other.season == board.season {
                other.kept.into_iter().for_each(|best| board.submit(best, fx));
                other.disqualified.into_iter().for_each(|player| board.disqualify(player, fx));
            }
        });
    }

    fn rollback(&mut self, undo: Self::Undo) {
        match undo.0 {
            Undo::Submitted { place, replaced, dropped } => {
                self.kept.extend(dropped);
                self.kept.remove(place);
                if let Some((place, best)) = replaced {
                    self.kept.insert(place, best);
                }
            }
            Undo::Disqualified(player) => drop(self.disqualified.remove(&player)),
            Undo::Season { season, kept, disqualified } => {
                *self = Self { season, kept, disqualified };
            }
        }
    }
}
