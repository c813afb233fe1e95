//! The edits of a board. What could not change any board is not authored at all, so
//! it costs nobody anything.

use crate::{Best, Intent, Leaderboard, LeaderboardOp, check_name};
use repliq_core::{Author, CrdtError};

/// The edits of a [`Leaderboard`], wherever ops can be authored: in a transaction,
/// or on a [`Standalone`](repliq_core::Standalone).
pub trait LeaderboardMut<const N: usize>: Author<Leaderboard<N>> {
    /// Says that a player has reached a score. O(N).
    ///
    /// # Errors
    /// [`CrdtError::Limit`] unless the name has 1 to 64 bytes.
    fn submit(&mut self, player: impl Into<String>, score: u64) -> Result<(), CrdtError> {
        let player = player.into();
        check_name(&player)?;
        let board = self.current();
        let is_known = |best: &Best| best.player == player && best.score >= score;
        let is_beyond = board.kept.len() >= Leaderboard::<N>::KEPT
            && board.kept.last().is_some_and(|last| last.score >= score);
        if is_beyond || board.kept.iter().any(is_known) || board.is_disqualified(&player) {
            return Ok(());
        }
        let season = board.season;
        self.author(LeaderboardOp { season, intent: Intent::Submit { player, score } })
    }

    /// Takes a player off the board until the next season, whatever score is or was
    /// submitted meanwhile. O(N).
    ///
    /// # Errors
    /// [`CrdtError::Limit`] unless the name has 1 to 64 bytes.
    fn disqualify(&mut self, player: impl Into<String>) -> Result<(), CrdtError> {
        let player = player.into();
        check_name(&player)?;
        if self.current().is_disqualified(&player) {
            return Ok(());
        }
        let season = self.current().season;
        self.author(LeaderboardOp { season, intent: Intent::Disqualify { player } })
    }

    /// Empties the board for a new season. Two devices that do so at once begin the
    /// same one. O(1).
    fn begin_season(&mut self) {
        let season = self.current().season.saturating_add(1);
        // No season is refused.
        let _ = self.author(LeaderboardOp { season, intent: Intent::Begin });
    }
}

impl<const N: usize, A: Author<Leaderboard<N>> + ?Sized> LeaderboardMut<N> for A {}
