//! The demo: the README's first command.

use super::{Place, real, text};
use std::fs;

/// Runs the demo; gives what it printed.
#[track_caller]
fn demo(place: &Place, args: &[&str]) -> String {
    let temporary = place.path("tmp");
    fs::create_dir_all(&temporary).unwrap();
    let mut app = place.app("unused", &["demo"]);
    // The demo has to work from anywhere.
    let app = app.args(args).env("TMPDIR", &temporary).current_dir(&temporary);
    let said = super::Process::start(app).ended().went_well();
    assert!(said.contains("converged"), "{said}");
    assert_eq!(fs::read_dir(&temporary).unwrap().count(), 0, "something is left behind");
    assert!(!place.path("unused").exists());
    said
}

#[test]
fn two_devices_agree_after_everything_went_wrong() {
    let said = demo(&Place::new(), &[]);
    assert!(said.contains("12 Markdown files imported into A"), "{said}");
    // One of the twelve is removed on both; three are new.
    assert!(said.contains("notes      14 on each device"), "{said}");
    let in_either_order = ["A. Edited on B.", "B. Edited on A."];
    let has_both = |order| said.contains(&format!("both edits: Edited on {order}\n"));
    assert!(in_either_order.into_iter().any(has_both), "{said}");
}

#[test]
fn a_folder_with_a_single_note_is_enough() {
    let place = Place::new();
    let folder = place.path("in");
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("only.md"), "").unwrap();
    let said = demo(&place, &[text(&folder)]);
    assert!(said.contains("1 Markdown file imported into A"), "{said}");
    assert!(said.contains("notes      9 on each device"), "{said}");
}

#[test]
fn the_demo_runs_on_real_notes() {
    if let Some(folder) = real() {
        let said = demo(&Place::new(), &[text(&folder)]);
        assert!(said.contains("notes      99 on each device"), "{said}");
    }
}

#[test]
fn a_demo_that_fails_says_so_and_keeps_everything() {
    let place = Place::new();
    let folder = place.path("in");
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("latin1.md"), b"caf\xe9").unwrap();
    let temporary = place.path("tmp");
    fs::create_dir(&temporary).unwrap();
    let mut app = place.app("unused", &["demo", text(&folder)]);
    let ended = super::Process::start(app.env("TMPDIR", &temporary)).ended();
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.errors.contains("latin1.md") && ended.errors.contains("left in"), "{ended:?}");
    assert_eq!(fs::read_dir(&temporary).unwrap().count(), 1);
}
