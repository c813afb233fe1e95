//! One test a cell, named `backend::transport::type::case`.
//!
//! List the cells with `-- --list`, run some of them by a part of their names.
//! `REPLIQ_MATRIX=full` makes every case run in every combination. Cells wait
//! more than they work, for devices to connect again above all, so more of them
//! run at once than there are cores, unless `--test-threads` says otherwise.

use libtest_mimic::{Arguments, Failed, Trial};
use repliq_conformance_matrix::{Extent, cells};
use std::process::ExitCode;

/// How many cells run at once.
const THREADS: usize = 8;

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    arguments.test_threads = arguments.test_threads.or(Some(THREADS));
    let extent = match std::env::var("REPLIQ_MATRIX").as_deref() {
        Ok("full") => Extent::Full,
        Ok("") | Err(_) => Extent::Pairwise,
        Ok(other) => {
            eprintln!("REPLIQ_MATRIX={other} is not known here: write full, or leave it away");
            return ExitCode::FAILURE;
        }
    };
    let trial = |cell: repliq_conformance_matrix::Cell| {
        let name = cell.name.clone();
        Trial::test(name, move || cell.run().map_err(Failed::from))
    };
    libtest_mimic::run(&arguments, cells(extent).into_iter().map(trial).collect()).exit_code()
}
