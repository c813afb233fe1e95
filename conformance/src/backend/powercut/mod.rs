//! Cases about a power cut: a child writes batch after batch and says which were
//! committed; then everything that was not synced is lost, wholly or in part, and
//! another child opens what is left. Nothing acknowledged may be missing, the
//! store may not come back empty, no batch may be there in part, and the child may
//! neither panic nor hang.
//!
//! Two kinds of power cut, because each shows what the other cannot:
//! - A *cut file system* is a real ext4 on a loop device, shut down without its
//!   journal while the child writes. It is what a power cut does to ext4, but ext4
//!   keeps more than it promises, and a disk that tears pages is not in it. It needs
//!   Linux, root, loop devices, `mkfs.ext4`, `mount` and `perl`.
//! - A *rebuilt disk* is made from the record of what the child asked of the kernel.
//!   It holds what POSIX promises and no more: what was synced; of the rest a random
//!   part, in random order, torn at sectors of 512 bytes or pages of 4 KiB; names
//!   only if their directory was synced. It needs Linux and `strace`, but no root.
//!
//! Neither shows a disk that lies about fsync.

mod call;
mod cut;
mod disk;
mod file;
mod rebuilt;
mod strace;

use super::child::Found;
use super::expect::check;
use crate::backend::{BackendHarness, Stores};
use crate::{CaseResult, Failure, Rng, effort};
use std::ops::RangeInclusive;
use std::path::Path;
use std::process::Command;

/// How many power cuts a case makes for each step of [`effort`].
const CUTS: usize = 10;

/// What a case verifies: what was found, and which batch may have been the last
/// acknowledged.
type Verify = fn(&Found, RangeInclusive<u64>) -> CaseResult;

fn cuts() -> usize {
    CUTS * usize::from(effort())
}

fn child_in<H: BackendHarness>(stores: &Stores<H>, directory: &Path) -> Result<Command, Failure> {
    let lacks = || Failure::Skipped("the harness starts no child in a directory".to_owned());
    stores.harness.child_in(directory).ok_or_else(lacks)
}

fn nothing_acked_is_lost(found: &Found, acked: RangeInclusive<u64>) -> CaseResult {
    let (acked, last, batch) = (*acked.start(), *acked.end(), found.batch);
    check(batch > 0 || acked == 0, || format!("the store is empty, batch {acked} was acked"))?;
    check(batch >= acked, || format!("batch {acked} was acked, {batch} is the last found"))?;
    check(batch <= last + 1, || format!("batch {batch} was found, {last} was the last acked"))
}

fn batches_are_whole(found: &Found, _: RangeInclusive<u64>) -> CaseResult {
    found.torn.as_ref().map_or(Ok(()), |why| Err(Failure::Broken(why.clone())))
}

/// Says which power cut it was.
fn after<T>(what: impl FnOnce() -> String, result: Result<T, Failure>) -> Result<T, Failure> {
    result.map_err(|failure| match failure {
        Failure::Broken(why) => Failure::Broken(format!("{}: {why}", what())),
        skipped @ Failure::Skipped(_) => skipped,
    })
}

pub(crate) fn a_cut_file_system_loses_nothing_acked<H: BackendHarness>(
    stores: &Stores<H>,
    rng: &mut Rng,
) -> CaseResult {
    cut::each_cut(stores, rng, nothing_acked_is_lost)
}

pub(crate) fn a_cut_file_system_leaves_batches_whole<H: BackendHarness>(
    stores: &Stores<H>,
    rng: &mut Rng,
) -> CaseResult {
    cut::each_cut(stores, rng, batches_are_whole)
}

pub(crate) fn a_rebuilt_disk_loses_nothing_acked<H: BackendHarness>(
    stores: &Stores<H>,
    rng: &mut Rng,
) -> CaseResult {
    rebuilt::each_disk(stores, rng, nothing_acked_is_lost)
}

pub(crate) fn a_rebuilt_disk_leaves_batches_whole<H: BackendHarness>(
    stores: &Stores<H>,
    rng: &mut Rng,
) -> CaseResult {
    rebuilt::each_disk(stores, rng, batches_are_whole)
}
