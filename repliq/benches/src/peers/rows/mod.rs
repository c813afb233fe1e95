//! The rows of the table, one file a family.

mod live_text;
mod map;
mod offline_text;
mod sequential_text;
mod small;

use super::row::Row;

/// Every row, in the order of the table.
pub(crate) fn all() -> Vec<Row> {
    let families =
        [sequential_text::rows, live_text::rows, offline_text::rows, map::rows, small::rows];
    families.iter().flat_map(|rows| rows()).collect()
}
