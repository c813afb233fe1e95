//! The published suite on the leaderboard, against a model that is right at sight.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use custom_crdt::{Intent, Leaderboard, LeaderboardEvent, LeaderboardOp, Standing};
use repliq_conformance::Rng;
use repliq_conformance::crdt::{History, Oracle};
use std::cmp::Reverse;
use std::collections::BTreeMap;

type Board = Leaderboard<3>;

struct Model;

impl Oracle<Board> for Model {
    type View = (u64, Vec<Standing>);

    fn view(board: &Board) -> Self::View {
        (board.season(), board.standings().collect())
    }

    fn patch((season, standings): &mut Self::View, event: LeaderboardEvent) {
        match event {
            LeaderboardEvent::Season { season: begun } => {
                *season = begun;
                standings.clear();
            }
            LeaderboardEvent::Left { player } => standings.retain(|line| line.player != player),
            LeaderboardEvent::Placed { place, standing } => {
                standings.retain(|line| line.player != standing.player);
                standings.insert(place, standing);
            }
        }
    }

    /// Of the last season that was mentioned: the best score of each player, the
    /// best six of those, without the disqualified, the best three of the rest.
    fn expected(history: &History<LeaderboardOp>) -> Self::View {
        let season = history.iter().map(|said| said.op.season).max().unwrap_or(0);
        let mut best = BTreeMap::new();
        let mut disqualified = Vec::new();
        for said in history.iter().filter(|said| said.op.season == season) {
            match said.op.intent.clone() {
                Intent::Begin => {}
                Intent::Disqualify { player } => disqualified.push(player),
                Intent::Submit { player, score } => {
                    let rank = (Reverse(score), said.at);
                    best.entry(player)
                        .and_modify(|it| rank.min(*it).clone_into(it))
                        .or_insert(rank);
                }
            }
        }
        let mut ranked: Vec<_> = best.into_iter().map(|(player, rank)| (rank, player)).collect();
        ranked.sort();
        ranked.truncate(6);
        ranked.retain(|(_, player)| !disqualified.contains(player));
        ranked.truncate(3);
        let line = |((Reverse(score), _), player)| Standing { player, score };
        (season, ranked.into_iter().map(line).collect())
    }

    fn refused(rng: &mut Rng, board: &Board) -> Option<LeaderboardOp> {
        let player = "x".repeat([0, 65, 1000][rng.below(3)]);
        let score = rng.bits();
        Some(LeaderboardOp { season: board.season(), intent: Intent::Submit { player, score } })
    }
}

/// Nine players for six places, and scores that tie. Not through the mutators: those
/// leave out what changes nothing.
fn edit(rng: &mut Rng, board: &Board) -> Option<LeaderboardOp> {
    let player = ["ada", "bob", "cy", "dee", "eve", "fay", "gus", "hal", "ida"][rng.below(9)];
    let player = player.to_string();
    let season = board.season();
    Some(match rng.below(20) {
        0 => LeaderboardOp { season: season + 1, intent: Intent::Begin },
        1 => LeaderboardOp { season, intent: Intent::Disqualify { player } },
        _ => LeaderboardOp { season, intent: Intent::Submit { player, score: rng.bits() % 9 } },
    })
}

repliq_conformance::crdt_conformance!(Board, ops = edit, oracle = Model);
