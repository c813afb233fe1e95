//! The rows of the table, one file a family.

mod live_text;
mod map;
pub(crate) mod memory;
mod offline_text;
mod sequential_text;
mod small;

use super::row::Row;
use std::path::Path;

/// Every row, in the order of the table. `memory_program` counts memory.
pub(crate) fn all(memory_program: &Path) -> Vec<Row> {
    let families =
        [sequential_text::rows, live_text::rows, offline_text::rows, map::rows, small::rows];
    let mut rows: Vec<_> = families.iter().flat_map(|rows| rows()).collect();
    rows.extend(memory::rows(memory_program));
    rows
}
