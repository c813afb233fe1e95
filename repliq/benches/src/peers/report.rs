//! The table: who needed how much, the ratio of Repliq to the best of its peers,
//! and whether that is what it must be.

use super::row::{Measure, Measured, Row, Sample};
use crate::median;
use std::fmt;

/// Rows of the table, as they are measured.
pub(crate) struct Report {
    peers: Vec<&'static str>,
    rows: Vec<Line>,
}

struct Line {
    what: String,
    cells: Vec<Option<Sample>>,
    measure: Measure,
    ratio: Option<f64>,
    target: String,
}

impl Report {
    pub(crate) const fn new(peers: Vec<&'static str>) -> Self {
        Self { peers, rows: Vec::new() }
    }

    pub(crate) fn add(&mut self, row: &Row, measured: &[Measured]) {
        let middle = |name: &str| {
            let found = measured.iter().find(|measured| measured.peer == name)?;
            let value = median(found.rounds.iter().map(|sample| sample.value).collect());
            Some(Sample { value, whole: found.rounds.iter().all(|sample| sample.whole) })
        };
        let ours = middle("repliq");
        let theirs = match row.target.and_then(|target| target.against) {
            Some(peer) => middle(peer),
            None => self
                .peers
                .iter()
                .filter(|peer| **peer != "repliq")
                .filter_map(|peer| middle(peer))
                .min_by(|a, b| a.value.total_cmp(&b.value)),
        };
        let ratio = ours.zip(theirs).map(|(ours, theirs)| ours.value / theirs.value);
        let target = match (row.target, ratio) {
            (Some(target), Some(ratio)) if ratio <= target.at_most => {
                format!("{} met", target.at_most)
            }
            (Some(target), Some(_)) => format!("{} **missed**", target.at_most),
            (Some(target), None) => target.at_most.to_string(),
            (None, _) => String::new(),
        };
        let cells = self.peers.iter().map(|peer| middle(peer)).collect();
        let line = Line { what: row.what.clone(), cells, measure: row.measure, ratio, target };
        eprintln!("{line}");
        self.rows.push(line);
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "| {}, {} |", self.what, unit(self.measure))?;
        for cell in &self.cells {
            match cell {
                Some(Sample { value, whole: true }) => write!(f, " {} |", shown(*value))?,
                Some(Sample { value, whole: false }) => write!(f, " > {} |", shown(*value))?,
                None => write!(f, " - |")?,
            }
        }
        match self.ratio {
            Some(ratio) => write!(f, " {ratio:.2} | {} |", self.target),
            None => write!(f, " - | {} |", self.target),
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "| | {} | ratio | at most |", self.peers.join(" | "))?;
        writeln!(f, "|---|{}---:|---|", "---:|".repeat(self.peers.len()))?;
        for line in &self.rows {
            writeln!(f, "{line}")?;
        }
        Ok(())
    }
}

const fn unit(measure: Measure) -> &'static str {
    match measure {
        Measure::NanosEach => "ns each",
        Measure::Millis => "ms",
        Measure::Bytes => "bytes",
        Measure::Memory => "MiB",
    }
}

/// Three digits that say something.
fn shown(value: f64) -> String {
    if value >= 100.0 {
        let whole = format!("{value:.0}");
        let mut grouped = String::new();
        for (place, digit) in whole.chars().enumerate() {
            if place > 0 && (whole.len() - place) % 3 == 0 {
                grouped.push(',');
            }
            grouped.push(digit);
        }
        grouped
    } else if value >= 10.0 {
        format!("{value:.1}")
    } else if value >= 1.0 {
        format!("{value:.2}")
    } else {
        format!("{value:.3}")
    }
}
