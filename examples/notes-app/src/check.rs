//! Comparing what is there with what should be.
//!
//! It promises to find any difference, and to name the first.

use crate::commands::{count, one_line};
use crate::error::AppError;
use crate::note::Content;
use std::collections::{BTreeMap, BTreeSet};

/// Fails unless `found` holds exactly what is expected.
pub(crate) fn same(
    what: &str,
    expected: &BTreeMap<String, Content>,
    found: &BTreeMap<String, Content>,
) -> Result<(), AppError> {
    let ids: BTreeSet<_> = expected.keys().chain(found.keys()).collect();
    let mut differing = ids.into_iter().filter(|id| expected.get(*id) != found.get(*id));
    let Some(first) = differing.next() else { return Ok(()) };
    let titled = |notes: &BTreeMap<String, Content>| match notes.get(first) {
        Some(note) => format!("{:?} with {} bytes", one_line(&note.title), note.body.len()),
        None => "no such note".to_owned(),
    };
    Err(AppError::Check(format!(
        "{what}: the difference is {}; the first is {}: expected {}, found {}",
        count(differing.count() + 1, "note"),
        one_line(first),
        titled(expected),
        titled(found)
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_difference_is_found_and_the_first_is_named() {
        let notes = |notes: &[(&str, &str)]| -> BTreeMap<String, Content> {
            notes.iter().map(|(id, body)| ((*id).into(), Content::new("T", body))).collect()
        };
        let expected = notes(&[("a", "1"), ("b", "2")]);
        assert!(same("x", &expected, &expected).is_ok());
        let missing = notes(&[("a", "1")]);
        for (one, other) in [
            (&expected, &missing),
            (&missing, &expected),
            (&expected, &notes(&[("a", "1"), ("b", "3")])),
        ] {
            let error = same("x", one, other).unwrap_err().to_string();
            assert!(error.contains("the difference is 1 note; the first is b"), "{error}");
        }
    }
}
