//! Repliq beside its peers: the newest diamond-types, diamond-types-extended,
//! Loro, yrs, Automerge, cola and crdts, at the same work in one process.
//!
//! ```sh
//! cargo bench -p repliq-benches --features peers --bench peers
//! ```
//! measures every row and prints one table in Markdown. Behind `--`: `--quick`
//! for fewer rounds, parts of the names of rows, `--peers=repliq,loro` for some
//! peers only, `--alone` for a process each.
//!
//! # What is fair about it
//! - Everybody is driven by its fast path, which is told at the top of its file
//!   in `contestants`, and does the same: edits come as positions in the text,
//!   what is sent is bytes that another replica can take in without knowing
//!   anything else, what is received is decoded from such bytes, and what is
//!   saved can be loaded, edited and merged again.
//! - Every round ends with a check, that the text is the end of the trace, that
//!   both writers have the same, that the entries are there: nobody is measured
//!   doing nothing. Where a text is made, the time includes reading all of it
//!   once: work that is put off until somebody looks is counted.
//! - Rounds of all contestants come in turn, the table shows medians, and the
//!   ratio is to the best peer of the same rounds. Time is processor time, so that
//!   other programs count as little as can be.
//! - Who is too slow to finish is stopped after ten seconds of small steps, and
//!   its cell says `>`. Nobody gets further rounds once its time is used up.
//! - Times are taken with the system's allocator as it is. Memory is counted by
//!   another program, in which everybody's bytes are counted alike.
//!
//! # What is not equal
//! - What is kept of the past. diamond-types, Loro and Automerge keep every letter
//!   that ever was; yrs and Repliq keep of a deleted one that it was there, cola
//!   also; Repliq's log of changes has them all, and is measured as its full
//!   history.
//! - What an update says besides its ops. Automerge's has a hash of its past.
//!   Repliq's is a change as a document logs it, with time, dependencies and the
//!   place for the chain; the hash of the chain is the engine's and not computed
//!   here.
//! - Automerge and diamond-types-extended have no objects by name that two replicas
//!   could make by themselves: their replicas begin with one shared first change.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a benchmark that fails panics"
)]

mod alone;
mod arguments;
mod contestants;
mod memory;
mod peer;
mod random;
mod report;
mod row;
mod rows;
mod trace;

use arguments::Arguments;
use report::Report;
use std::path::Path;

/// Measures what the command line asks for, and prints the table.
/// `memory_program` is the one that calls [`count_memory`].
///
/// # Panics
/// When somebody does not do its work, or at an option that there is not.
pub fn compare(memory_program: &Path) {
    let arguments = Arguments::read();
    let peers = contestants::PEERS.iter().map(|peer| peer.name());
    let mut report = Report::new(peers.filter(|peer| arguments.wants_peer(peer)).collect());
    for mut row in rows::all(memory_program) {
        if !arguments.wants_row(&row.name) {
            continue;
        }
        row.contestants.retain(|(peer, _)| arguments.wants_peer(peer));
        if arguments.child {
            alone::print(&row.run(arguments.effort));
            continue;
        }
        eprintln!("{} ...", row.name);
        let measured =
            if arguments.alone { alone::run(&row, &arguments) } else { row.run(arguments.effort) };
        report.add(&row, &measured);
    }
    if !arguments.child {
        println!("\n{report}");
    }
}

/// Counts what one thing takes that the command line asks for: a thing and the
/// name of a peer, as [`compare`] says them.
///
/// # Panics
/// When it asks for what is not there.
pub fn count_memory(allocator: &peak_alloc::PeakAlloc) {
    memory::count_and_print(allocator);
}
