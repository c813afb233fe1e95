//! Disks made from the record of a child that writes: at a random point of the
//! record, with what was synced until then and a random part of the rest. It
//! promises that no power cut is worse on a file system that keeps POSIX. One
//! seed makes the same choices, but no two records of threads are the same.

use super::call::Call;
use super::disk::Disk;
use super::file::Luck;
use super::strace::{Record, Step, record};
use super::{Verify, after, child_in, cuts};
use crate::backend::child::{goes_on, look, write_at_most};
use crate::backend::expect::require;
use crate::backend::{BackendHarness, Shows, Stores};
use crate::{CaseResult, Failure, Rng};
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use tempfile::TempDir;

/// How many disks are made from one record. The next record begins on the last of
/// them: what a store leaves of a torn end shows only after that.
const DISKS_OF_ONE: usize = 2;
const MOST_BATCHES: usize = 30;

pub(super) fn each_disk<H: BackendHarness>(
    stores: &Stores<H>,
    rng: &mut Rng,
    verify: Verify,
) -> CaseResult {
    require(stores, Shows::PowerCut)?;
    let home = TempDir::new()?;
    // The kernel tells real paths.
    let place = home.path().canonicalize()?.join("store");
    fs::create_dir(&place)?;
    let mut rebuilt = Rebuilt { stores, verify, place, acked: 0, cut: 0 };
    while rebuilt.cut < cuts() {
        // Sometimes on what the last power cut left, sometimes on nothing.
        if rng.below(3) == 0 {
            rebuilt.clear()?;
            rebuilt.acked = 0;
        }
        let mut disk = Disk::holding(&rebuilt.place)?;
        let records = rebuilt.records(rng)?;
        rebuilt.cut_at_some_points(&mut disk, &records, rng)?;
    }
    Ok(())
}

struct Rebuilt<'a, H> {
    stores: &'a Stores<H>,
    verify: Verify,
    /// Where the store is recorded, and where each disk is made.
    place: PathBuf,
    /// The last batch that was acknowledged.
    acked: u64,
    /// How many disks were made.
    cut: usize,
}

impl<H: BackendHarness> Rebuilt<'_, H> {
    fn clear(&self) -> CaseResult {
        fs::remove_dir_all(&self.place)?;
        Ok(fs::create_dir(&self.place)?)
    }

    fn child(&self) -> Result<Command, Failure> {
        child_in(self.stores, &self.place)
    }

    /// What one or two processes do, one after the other.
    fn records(&self, rng: &mut Rng) -> Result<Vec<Record>, Failure> {
        let mut records = Vec::new();
        for _ in 0..=rng.below(2) {
            let mut child = self.child()?;
            write_at_most(&mut child, 1 + rng.below(MOST_BATCHES) as u64);
            let recorded = record(&child, &self.place);
            records.push(after(|| format!("before cut {}", self.cut), recorded)?);
        }
        Ok(records)
    }

    fn cut_at_some_points(
        &mut self,
        disk: &mut Disk,
        records: &[Record],
        rng: &mut Rng,
    ) -> CaseResult {
        let count = DISKS_OF_ONE.min(cuts() - self.cut);
        let mut points: Vec<_> = (0..count).map(|_| point(records, rng)).collect();
        points.sort_unstable();
        let (mut at, mut acked) = (0, self.acked);
        let mut first_call = 0;
        for record in records {
            for step in &record.steps {
                self.cut_if_due(&points, at, acked, disk, rng)?;
                at += 1;
                let (Step::Begin(number) | Step::End(number)) = *step;
                let Some(call) = record.calls.get(number) else { continue };
                match (step, call) {
                    (Step::Begin(_), Call::Acknowledge(batch)) => {
                        after(|| format!("before cut {}", self.cut), goes_on(acked, *batch))?;
                        acked = *batch;
                    }
                    (Step::Begin(_), call) => disk.begin(first_call + number, call)?,
                    (Step::End(_), _) => disk.end(first_call + number),
                }
            }
            disk.process_ended();
            first_call += record.calls.len();
        }
        self.cut_if_due(&points, at, acked, disk, rng)
    }

    /// Makes a disk for each of the points that is this step, and looks at it.
    fn cut_if_due(
        &mut self,
        points: &[usize],
        at: usize,
        acked: u64,
        disk: &Disk,
        rng: &mut Rng,
    ) -> CaseResult {
        for _ in points.iter().filter(|point| **point == at) {
            self.clear()?;
            let mut luck = Luck::new(rng);
            disk.make_survivor(&mut luck, &self.place)?;
            let cut = self.cut;
            self.cut += 1;
            let what = || format!("cut {cut} of {}, at step {at}, {}", cuts(), luck.described());
            let found = after(what, look(self.child()?))?;
            after(what, (self.verify)(&found, acked..=acked))?;
            self.acked = found.then();
        }
        Ok(())
    }
}

/// Where to cut: at any step, or where most is at stake, while a sync is under way.
fn point(records: &[Record], rng: &mut Rng) -> usize {
    let steps =
        records.iter().flat_map(|record| record.steps.iter().map(move |step| (record, step)));
    let syncs = |record: &Record, step: &Step| match step {
        Step::Begin(number) => matches!(record.calls.get(*number), Some(Call::Sync { .. })),
        Step::End(_) => false,
    };
    let begun: Vec<_> = steps
        .clone()
        .enumerate()
        .filter(|(_, (record, step))| syncs(record, step))
        .map(|(at, _)| at + 1)
        .collect();
    match begun.get(rng.below(2 * begun.len().max(1))) {
        Some(at) => *at,
        None => rng.below(steps.count() + 1),
    }
}
