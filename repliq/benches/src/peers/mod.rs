//! Repliq beside its peers.

mod contestants;
mod peer;
mod random;
mod report;
mod row;
mod rows;
mod trace;

use report::Report;
use row::Effort;
use std::time::Duration;

/// Measures what the command line asks for, and prints the table.
pub fn compare() {
    let peers: Vec<_> = contestants::PEERS.iter().map(|peer| peer.name()).collect();
    let arguments: Vec<String> = std::env::args().skip(1).filter(|a| a != "--bench").collect();
    let quick = arguments.iter().any(|a| a == "--quick");
    let wanted: Vec<_> = arguments.iter().filter(|a| !a.starts_with("--")).collect();
    let effort = Effort { rounds: if quick { 3 } else { 9 }, patience: Duration::from_secs(5) };
    let mut report = Report::new(peers);
    for mut row in rows::all() {
        if wanted.is_empty() || wanted.iter().any(|w| row.name.contains(w.as_str())) {
            let measured = row.run(effort);
            report.add(&row, &measured);
        }
    }
    println!("\n{report}");
}
