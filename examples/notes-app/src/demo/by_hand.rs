//! The outcome as one works it out with pencil and paper.
//!
//! It promises to follow the documented rule of `LwwMap` and nothing else: of all
//! writes to a note the one with the largest (time, replica id, sequence number)
//! stays, and a removal is a write. It never looks at an `LwwMap`.

use crate::error::AppError;
use crate::note::Note;
use repliq::{Millis, ReplicaId};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// How long the system clock may stand still, or be set back, before we give up.
const STANDSTILL: Duration = Duration::from_secs(5);

/// Everything that was written, by whom and when.
#[derive(Debug, Default)]
pub(crate) struct ByHand {
    /// When the last write was finished.
    last: Millis,
    writes: Vec<Write>,
}

#[derive(Debug)]
struct Write {
    at: Millis,
    replica: ReplicaId,
    id: String,
    note: Option<Note>,
}

impl ByHand {
    /// A time for the next write that is later than all writes before it. Waits
    /// for it, a millisecond at most unless the clock was set back.
    pub(crate) async fn next_time(&self) -> Result<Millis, AppError> {
        let began = Instant::now();
        loop {
            let now = Millis::now();
            if now > self.last {
                return Ok(now);
            }
            if began.elapsed() > STANDSTILL {
                return Err(AppError::Check("the system clock stands still".to_owned()));
            }
            tokio::task::yield_now().await;
        }
    }

    /// Notes down a write that has just been made.
    pub(crate) fn wrote(&mut self, at: Millis, by: ReplicaId, id: String, note: Option<Note>) {
        self.writes.push(Write { at, replica: by, id, note });
        self.last = Millis::now().max(at);
    }

    /// What every device has to hold in the end.
    pub(crate) fn outcome(&self) -> BTreeMap<String, Note> {
        let mut latest: BTreeMap<&str, &Write> = BTreeMap::new();
        for write in &self.writes {
            let current = latest.entry(&write.id).or_insert(write);
            // What one replica wrote later has the larger sequence number.
            if (write.at, write.replica) >= (current.at, current.replica) {
                *current = write;
            }
        }
        let note = |(id, write): (&str, &Write)| Some((id.to_owned(), write.note.clone()?));
        latest.into_iter().filter_map(note).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_later_write_stays_whatever_order_they_are_noted_down_in() {
        let [low, high] = [[1; 16], [2; 16]].map(ReplicaId::from_bytes);
        let note = |body: &str| Some(Note::new("T", body));
        let mut by_hand = ByHand::default();
        by_hand.wrote(Millis(5), low, "edited".into(), note("later"));
        by_hand.wrote(Millis(4), high, "edited".into(), note("earlier"));
        by_hand.wrote(Millis(6), low, "removed".into(), None);
        by_hand.wrote(Millis(5), high, "removed".into(), note("earlier"));
        by_hand.wrote(Millis(7), high, "tied".into(), note("high"));
        by_hand.wrote(Millis(7), low, "tied".into(), note("low"));
        by_hand.wrote(Millis(8), low, "twice".into(), note("first"));
        by_hand.wrote(Millis(8), low, "twice".into(), note("second"));
        let outcome = by_hand.outcome();
        let bodies: Vec<_> = outcome.iter().map(|(id, note)| (&**id, &*note.body)).collect();
        assert_eq!(bodies, [("edited", "later"), ("tied", "high"), ("twice", "second")]);
    }
}
