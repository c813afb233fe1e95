//! What happened, as a table: a row for each phase, and the totals.
//!
//! Bytes on the wire are what the protocol sends and receives on both devices,
//! without the framing of WebSocket and TCP. Bytes on disk are what the files
//! take up there.

use crate::error::AppError;
use indicatif::BinaryBytes;
use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

/// Measures phases and keeps their rows.
pub(crate) struct Table {
    rows: Vec<Row>,
    began: Instant,
    wire_before: u64,
}

struct Row {
    phase: String,
    changes: usize,
    wire: u64,
    time: Duration,
}

impl Table {
    pub(crate) fn new() -> Self {
        Self { rows: Vec::new(), began: Instant::now(), wire_before: 0 }
    }

    /// Ends a phase: what was done since the phase before it, how many changes
    /// were made in it, and how many bytes have passed the wire so far.
    pub(crate) fn end(&mut self, phase: impl Into<String>, changes: usize, wire: u64) {
        let row = Row {
            phase: phase.into(),
            changes,
            wire: wire.saturating_sub(self.wire_before),
            time: self.began.elapsed(),
        };
        self.rows.push(row);
        self.wire_before = wire;
        self.began = Instant::now();
    }

    /// The rows and their sum.
    pub(crate) fn text(&self) -> String {
        let mut text =
            format!("{:50} {:>7} {:>12} {:>8}\n", "", "changes", "on the wire", "seconds");
        let total = Row {
            phase: "altogether".to_owned(),
            changes: self.rows.iter().map(|row| row.changes).sum(),
            wire: self.rows.iter().map(|row| row.wire).sum(),
            time: self.rows.iter().map(|row| row.time).sum(),
        };
        for Row { phase, changes, wire, time } in self.rows.iter().chain([&total]) {
            let (wire, seconds) = (BinaryBytes(*wire).to_string(), time.as_secs_f64());
            // Writing to a string does not fail.
            let _ = writeln!(text, "{phase:50} {changes:>7} {wire:>12} {seconds:>8.3}");
        }
        text
    }
}

/// What the files in a directory take up on disk.
pub(crate) fn disk_bytes(directory: &Path) -> Result<u64, AppError> {
    let mut bytes = 0;
    let mut open = vec![directory.to_owned()];
    while let Some(path) = open.pop() {
        for entry in fs::read_dir(&path).map_err(AppError::file(&path))? {
            let entry = entry.map_err(AppError::file(&path))?;
            let about = entry.metadata().map_err(AppError::file(&entry.path()))?;
            if about.is_dir() {
                open.push(entry.path());
            } else {
                bytes += allocated(&about);
            }
        }
    }
    Ok(bytes)
}

/// Stores reserve room in their files that takes up nothing until it is written.
#[cfg(unix)]
fn allocated(about: &fs::Metadata) -> u64 {
    use std::os::unix::fs::MetadataExt;
    about.blocks() * 512
}

#[cfg(not(unix))]
fn allocated(about: &fs::Metadata) -> u64 {
    about.len()
}
