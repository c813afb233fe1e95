//! What every case does: open devices, edit, link, and check what all hold.
//!
//! It remembers every edit that was made, and nothing else counts as right: what
//! a device shows is judged by the edits, then compared with the other devices.
//! Every wait is bounded and says what it waited for.

use super::{Device, Engine, Events, Link, NOTES, PATIENCE, PLACES, Party, Place, Relay, TAGS};
use crate::{CaseResult, Failure};
use repliq_core::DEFAULT_SPACE;
use std::collections::BTreeMap;

/// Waits for one thing, for at most [`PATIENCE`].
pub(super) async fn bounded<T>(
    what: impl std::fmt::Display,
    step: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    match tokio::time::timeout(PATIENCE, step).await {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(Failure::Broken(why))) => Err(format!("{what}: {why}").into()),
        Ok(Err(skipped)) => Err(skipped),
        Err(_) => Err(format!("{what}: nothing came of it in {} s", PATIENCE.as_secs()).into()),
    }
}

/// A device of a case.
pub(super) struct Seat {
    pub(super) who: Party,
    pub(super) device: Box<dyn Device>,
}

impl Seat {
    pub(super) async fn link(&self) -> Result<Box<dyn Link>, Failure> {
        self.link_space(DEFAULT_SPACE).await
    }

    pub(super) async fn link_space(&self, space: &'static str) -> Result<Box<dyn Link>, Failure> {
        bounded(format!("linking {}", self.who), self.device.link(space)).await
    }

    pub(super) async fn close(self) -> CaseResult {
        bounded(format!("closing {}", self.who), self.device.close()).await
    }
}

/// Waits until each of these links has synced, in this order.
pub(super) async fn synced(links: &[&dyn Link]) -> CaseResult {
    for (place, link) in links.iter().enumerate() {
        bounded(format!("syncing link {place} of {}", links.len()), link.synced()).await?;
    }
    Ok(())
}

/// The edits that were made to each document.
pub(super) type Edits = BTreeMap<Place, Vec<usize>>;

/// A case as it goes on.
pub(super) struct Story<'a> {
    pub(super) engine: &'a dyn Engine,
    pub(super) edits: Edits,
    made: BTreeMap<(Party, Place), usize>,
}

impl<'a> Story<'a> {
    pub(super) const fn new(engine: &'a dyn Engine) -> Self {
        Self { engine, edits: Edits::new(), made: BTreeMap::new() }
    }

    pub(super) async fn relay(&self, reached_by: &[Party]) -> Result<Box<dyn Relay>, Failure> {
        bounded("opening the relay", self.engine.relay(reached_by)).await
    }

    pub(super) async fn open(&self, who: Party) -> Result<Seat, Failure> {
        let device = bounded(format!("opening {who}"), self.engine.device(who)).await?;
        Ok(Seat { who, device })
    }

    /// One edit.
    pub(super) async fn edit(&mut self, seat: &Seat, at: Place) -> CaseResult {
        let n = self.made.entry((seat.who, at)).or_default();
        let what = format!("edit {n} of {} in {at}", seat.who);
        let edit = bounded(what, seat.device.edit(at, *n)).await?;
        *n += 1;
        self.edits.entry(at).or_default().push(edit);
        Ok(())
    }

    /// Edits to both documents of the default space.
    pub(super) async fn write(&mut self, seat: &Seat, times: usize) -> CaseResult {
        for _ in 0..times {
            self.edit(seat, NOTES).await?;
            self.edit(seat, TAGS).await?;
        }
        Ok(())
    }

    /// Checks that a device holds these edits and no others.
    pub(super) fn holds(&self, seat: &Seat, edits: &Edits) -> CaseResult {
        for at in PLACES {
            let made = edits.get(&at).map_or(&[][..], Vec::as_slice);
            let judged = self.engine.judge(at, made, &seat.device.show(at)?);
            judged.map_err(|why| format!("{} in {at}: {why}", seat.who))?;
        }
        Ok(())
    }

    /// Checks that all of these hold every edit, and the same.
    pub(super) fn agree(&self, seats: &[&Seat]) -> CaseResult {
        for seat in seats {
            self.holds(seat, &self.edits)?;
        }
        for pair in seats.windows(2) {
            let [one, other] = pair else { continue };
            for at in PLACES {
                let (shown, others) = (one.device.show(at)?, other.device.show(at)?);
                if shown != others {
                    let (one, other) = (one.who, other.who);
                    let why = format!("{at}: {one} shows {shown:?}\n{other} shows {others:?}");
                    return Err(why.into());
                }
            }
        }
        Ok(())
    }

    /// Waits until the events alone have told a device of every edit of a document.
    pub(super) async fn sees(&self, seat: &Seat, at: Place, events: &mut dyn Events) -> CaseResult {
        let made = self.edits.get(&at).map_or(&[][..], Vec::as_slice);
        while let Err(why) = self.engine.judge(at, made, &events.shown()) {
            let what = format!("{} waits for an event of {at}; so far {why}", seat.who);
            bounded(what, events.next()).await?;
        }
        Ok(())
    }
}
