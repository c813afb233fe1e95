//! How much memory something takes: counted in a process of its own, so that
//! what others have allocated and freed does not show, by an allocator that no
//! timed process has.

use super::contestants::PEERS;
use super::row::count;
use super::rows;
use peak_alloc::PeakAlloc;
use std::any::Any;
use std::path::Path;
use std::process::Command;

/// What a process counted, in bytes asked of the allocator.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Counted {
    /// What is still held in the end.
    pub(crate) kept: usize,
    /// The most that was held at once.
    pub(crate) peak: usize,
}

/// Something to make, once what it is made from is there.
pub(crate) type Making = Box<dyn FnOnce() -> Box<dyn Any>>;

/// Has `program` count what the thing of this name takes from this peer.
pub(crate) fn ask(program: &Path, thing: &str, peer: &str) -> Counted {
    let output = Command::new(program).args([thing, peer]).output().expect("a process");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8_lossy(&output.stdout);
    let numbers: Vec<_> = text.split_whitespace().map(|n| n.parse().expect("bytes")).collect();
    Counted { kept: numbers[0], peak: numbers[1] }
}

/// Counts what the command line asks for, and prints it for [`ask`].
///
/// # Panics
/// When it asks for what is not there.
pub(super) fn count_and_print(allocator: &PeakAlloc) {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let [thing, name] = &arguments[..] else { panic!("say what to make, and which peer does") };
    let peer = PEERS.iter().find(|peer| peer.name() == name).expect("a peer");
    let make = rows::memory::making(thing, *peer).expect("something that this peer makes");
    let before = allocator.current_usage();
    allocator.reset_peak_usage();
    let made = make();
    let kept = allocator.current_usage().saturating_sub(before);
    let peak = allocator.peak_usage().saturating_sub(before);
    drop(made);
    println!("{kept} {peak}");
}

/// Bytes as the table shows them.
pub(crate) fn mebibytes(bytes: usize) -> f64 {
    count(bytes) / count(1 << 20)
}
