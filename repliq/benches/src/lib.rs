//! The table that the benchmarks of Repliq print.
//!
//! `cargo bench -p repliq-benches` runs them all; `-- NAME` those whose name
//! holds it, and `-- --once NAME` one round of it, for a profiler. Ratios are taken within one run, rounds of both sides in turn, so
//! that a noisy machine concerns both alike. It never fails because of a time:
//! a target that is missed says so in its row.

#[cfg(feature = "peers")]
pub mod peers;

use std::fmt;
use std::time::Duration;

/// Rows of a table: what was measured, how much it is, and what it must reach.
#[derive(Debug, Default)]
pub struct Table {
    rows: Vec<[String; 4]>,
    wanted: Option<String>,
    once: bool,
}

impl Table {
    /// An empty table for the benchmarks that the command line asks for: those
    /// whose name contains its first argument that is no option.
    #[must_use]
    pub fn from_args() -> Self {
        let wanted = std::env::args().skip(1).find(|argument| !argument.starts_with('-'));
        let once = std::env::args().any(|argument| argument == "--once");
        Self { rows: Vec::new(), wanted, once }
    }

    /// How many rounds to run: so many, unless the command line asks for one.
    #[must_use]
    pub const fn rounds(&self, rounds: usize) -> usize {
        if self.once { 1 } else { rounds }
    }

    /// Whether a benchmark is to be run.
    #[must_use]
    pub fn wants(&self, name: &str) -> bool {
        self.wanted.as_ref().is_none_or(|wanted| name.contains(wanted.as_str()))
    }

    /// Adds what was measured against a target.
    pub fn target(&mut self, what: &str, measured: &str, target: &str, met: bool) {
        let met = if met { "met" } else { "MISSED" };
        self.row(what, measured, target, met);
    }

    /// Adds what was measured without a target.
    pub fn figure(&mut self, what: &str, measured: &str) {
        self.row(what, measured, "", "");
    }

    fn row(&mut self, what: &str, measured: &str, target: &str, met: &str) {
        eprintln!("{what}: {measured} {met}");
        self.rows.push([what, measured, target, met].map(str::to_owned));
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.rows.is_empty() {
            return Ok(());
        }
        writeln!(f, "{}\n", machine())?;
        writeln!(f, "| What | Measured | Target | |\n|---|---|---|---|")?;
        for row in &self.rows {
            writeln!(f, "| {} |", row.join(" | "))?;
        }
        Ok(())
    }
}

/// Processor, cores, kernel and date.
pub(crate) fn machine() -> String {
    let cpu = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpu.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let model = model.map_or("unknown processor", |(_, model)| model);
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split(' ').next().unwrap_or("?").to_owned();
    let (kernel, date) = (output("uname", &["-sr"]), output("date", &["-u", "+%F"]));
    format!("{date}, {model}, {cores} cores, {kernel}, load {load} at the end")
}

fn output(program: &str, arguments: &[&str]) -> String {
    let output = std::process::Command::new(program).args(arguments).output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
    text.unwrap_or_else(|_| "?".to_owned())
}

/// The middle of some numbers, 0 of none.
#[must_use]
pub fn median(mut numbers: Vec<f64>) -> f64 {
    numbers.sort_by(f64::total_cmp);
    numbers.get(numbers.len() / 2).copied().unwrap_or(0.0)
}

/// How often something happened in a second.
#[must_use]
#[allow(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
pub fn per_second(count: usize, took: Duration) -> f64 {
    count as f64 / took.as_secs_f64().max(1e-9)
}

/// A duration in milliseconds.
#[must_use]
pub fn millis(took: Duration) -> f64 {
    took.as_secs_f64() * 1e3
}

/// Bytes in units of 10^6.
#[must_use]
#[allow(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
pub fn megabytes(bytes: usize) -> f64 {
    bytes as f64 / 1e6
}
