//! A row with everybody in a process of its own: nobody finds warm what another
//! has left.

use super::arguments::Arguments;
use super::row::{Measured, Row, Sample};
use std::process::Command;

/// Has each contestant run the row in a process of its own.
pub(crate) fn run(row: &Row, arguments: &Arguments) -> Vec<Measured> {
    let program = std::env::current_exe().expect("this program");
    let measure = |peer: &'static str| {
        let mut command = Command::new(&program);
        command.args(["--child", &format!("--peers={peer}"), &row.name]);
        let output = command.args(arguments.passed_on()).output().expect("a process");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let rounds = String::from_utf8_lossy(&output.stdout).lines().map(read).collect();
        Measured { peer, rounds }
    };
    row.contestants.iter().map(|(peer, _)| measure(peer)).collect()
}

/// Prints what [`run`] reads.
pub(crate) fn print(measured: &[Measured]) {
    for Sample { value, whole } in measured.iter().flat_map(|measured| &measured.rounds) {
        println!("{value} {whole}");
    }
}

fn read(line: &str) -> Sample {
    let (value, whole) = line.split_once(' ').expect("a sample");
    Sample { value: value.parse().expect("a number"), whole: whole == "true" }
}
