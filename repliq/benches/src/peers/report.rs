//! The table: who needed how much, the ratio of Repliq to the best of its peers,
//! and whether that is what it must be.

use super::contestants::REPLIQ;
use super::row::{Measure, Measured, Row, Sample};
use crate::{machine, median};
use std::fmt;

/// Rows of the table, as they are measured.
pub(crate) struct Report {
    peers: Vec<&'static str>,
    lines: Vec<Line>,
    /// What is done in rows, and what of it is counted.
    notes: Vec<(&'static str, &'static str)>,
}

struct Line {
    what: String,
    cells: Vec<Option<Sample>>,
    ratio: String,
    target: String,
}

impl Report {
    pub(crate) const fn new(peers: Vec<&'static str>) -> Self {
        Self { peers, lines: Vec::new(), notes: Vec::new() }
    }

    /// Adds a row, and shows it as progress.
    pub(crate) fn add(&mut self, row: &Row, measured: &[Measured]) {
        let middle = |name: &str| {
            let Measured { rounds, .. } = measured.iter().find(|measured| measured.peer == name)?;
            let value = median(rounds.iter().map(|sample| sample.value).collect());
            Some(Sample { value, whole: rounds.iter().all(|sample| sample.whole) })
        };
        let rivals = self.peers.iter().filter(|peer| match row.target.and_then(|t| t.against) {
            Some(against) => **peer == against,
            None => **peer != REPLIQ,
        });
        let best = rivals
            .filter_map(|peer| Some((*peer, middle(peer)?.value)))
            .min_by(|(_, a), (_, b)| a.total_cmp(b));
        let ratio = middle(REPLIQ).zip(best).map(|(ours, (_, theirs))| ours.value / theirs);
        let target = row.target.map(|target| match ratio {
            Some(ratio) if ratio <= target.at_most => format!("{} met", target.at_most),
            Some(_) => format!("{} **missed**", target.at_most),
            None => target.at_most.to_string(),
        });
        let case = row.case.map(|case| format!(", {case}")).unwrap_or_default();
        let line = Line {
            what: format!("{}{case}, {}", row.what, unit(row.measure)),
            cells: self.peers.iter().map(|peer| middle(peer)).collect(),
            ratio: ratio
                .zip(best)
                .map_or_else(String::new, |(ratio, (peer, _))| format!("{ratio:.2} of {peer}")),
            target: target.unwrap_or_default(),
        };
        eprintln!("{line}");
        self.lines.push(line);
        if !self.notes.iter().any(|(what, _)| *what == row.what) {
            self.notes.push((row.what, row.note));
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}\n", machine())?;
        writeln!(f, "| | {} | ratio | at most |", self.peers.join(" | "))?;
        writeln!(f, "|---|{}---|---|", "---:|".repeat(self.peers.len()))?;
        for line in &self.lines {
            writeln!(f, "{line}")?;
        }
        writeln!(f)?;
        for (what, note) in &self.notes {
            writeln!(f, "- *{what}*: {note}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "| {} |", self.what)?;
        for cell in &self.cells {
            match cell {
                Some(Sample { value, whole: true }) => write!(f, " {} |", shown(*value))?,
                Some(Sample { value, whole: false }) => write!(f, " > {} |", shown(*value))?,
                None => write!(f, " |")?,
            }
        }
        write!(f, " {} | {} |", self.ratio, self.target)
    }
}

const fn unit(measure: Measure) -> &'static str {
    match measure {
        Measure::NanosEach => "ns each",
        Measure::Millis => "ms",
        Measure::Bytes => "bytes",
        Measure::Mebibytes => "MiB",
    }
}

/// About three digits, thousands apart.
fn shown(value: f64) -> String {
    let digits = match value {
        100.0.. => 0,
        10.0.. => 1,
        1.0.. => 2,
        _ => 3,
    };
    let text = format!("{value:.digits$}");
    let whole = text.find('.').unwrap_or(text.len());
    let mut shown = String::new();
    for (place, digit) in text.char_indices() {
        if place > 0 && place < whole && (whole - place) % 3 == 0 {
            shown.push(',');
        }
        shown.push(digit);
    }
    shown
}
