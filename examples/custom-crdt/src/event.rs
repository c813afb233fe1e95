//! What a listener is told: who comes to which place, who leaves, a new season.
//!
//! The events of a change, applied to a copy of the standings, give the standings
//! after it. They tell of nothing that a reader does not see.

use crate::{Best, Leaderboard};
use repliq_core::Effects;

/// One line of the board.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Standing {
    /// Who.
    pub player: String,
    /// The best score of the season.
    pub score: u64,
}

impl Standing {
    pub(crate) fn of(best: &Best) -> Self {
        Self { player: best.player.clone(), score: best.score }
    }
}

/// A visible change of a [`Leaderboard`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum LeaderboardEvent {
    /// A season has begun, and the board is empty.
    Season {
        /// Which.
        season: u64,
    },
    /// A player is not on the board any more.
    Left {
        /// Who.
        player: String,
    },
    /// A player is now at this place, counted from 0; who was there and below moves
    /// down, and the player's former line, if there is one, goes first.
    Placed {
        /// Where.
        place: usize,
        /// Who and how much.
        standing: Standing,
    },
}

/// Makes a change and tells what a reader sees of it. O(N^2) when somebody listens.
pub(crate) fn told<const N: usize>(
    board: &mut Leaderboard<N>,
    fx: &mut Effects<Leaderboard<N>>,
    change: impl FnOnce(&mut Leaderboard<N>, &mut Effects<Leaderboard<N>>),
) {
    if !fx.wants_events() {
        return change(board, fx);
    }
    let season = board.season;
    let mut shown: Vec<Standing> = board.standings().collect();
    change(board, fx);
    if board.season != season {
        shown.clear();
        fx.event(|| LeaderboardEvent::Season { season: board.season });
    }
    shown.retain(|before| {
        let stays = board.standings().any(|now| now.player == before.player);
        if !stays {
            fx.event(|| LeaderboardEvent::Left { player: before.player.clone() });
        }
        stays
    });
    for (place, standing) in board.standings().enumerate() {
        if shown.get(place) != Some(&standing) {
            shown.retain(|before| before.player != standing.player);
            shown.insert(place, standing.clone());
            fx.event(|| LeaderboardEvent::Placed { place, standing });
        }
    }
}
