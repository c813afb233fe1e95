//! What is read back has to be a board, whatever the bytes were: sorted, bounded, no
//! player twice. So equal boards have equal bytes, and damaged ones do no harm.

use crate::{Best, Leaderboard, check_name};
use serde::Deserialize;
use std::collections::BTreeSet;

/// A board as it was written, before anything is believed.
#[derive(Deserialize)]
pub(crate) struct Saved {
    season: u64,
    kept: Vec<Best>,
    disqualified: Vec<String>,
}

impl<const N: usize> TryFrom<Saved> for Leaderboard<N> {
    type Error = &'static str;

    fn try_from(saved: Saved) -> Result<Self, Self::Error> {
        let Saved { season, kept, disqualified } = saved;
        if kept.len() > Self::KEPT || !kept.is_sorted_by(|a, b| a.rank() < b.rank()) {
            return Err("the standings are out of order, or too many");
        }
        let players: BTreeSet<&str> = kept.iter().map(|best| best.player.as_str()).collect();
        if players.len() < kept.len() || !disqualified.is_sorted_by(|a, b| a < b) {
            return Err("a player occurs twice");
        }
        if players.into_iter().chain(disqualified.iter().map(String::as_str)).any(is_no_name) {
            return Err("a name is empty or too long");
        }
        Ok(Self { season, kept, disqualified: disqualified.into_iter().collect() })
    }
}

fn is_no_name(player: &str) -> bool {
    check_name(player).is_err()
}

/// `leaderboard/1/00010` for 10 places.
pub(crate) const fn kind<const N: usize>() -> &'static str {
    const { assert!(N > 0 && N <= 10_000, "a board has 1 to 10000 places") };
    match std::str::from_utf8(&Kind::<N>::BYTES) {
        Ok(kind) => kind,
        Err(_) => "leaderboard/1",
    }
}

struct Kind<const N: usize>;

#[allow(
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "the compiler evaluates it: it fails there or never"
)]
impl<const N: usize> Kind<N> {
    const BYTES: [u8; 19] = {
        let mut bytes = *b"leaderboard/1/00000";
        let (mut place, mut rest) = (bytes.len(), N);
        while rest > 0 {
            place -= 1;
            bytes[place] = b'0' + (rest % 10) as u8;
            rest /= 10;
        }
        bytes
    };
}
