//! Notes on one device.

use super::{Place, Process};
use std::process::{Command, Stdio};

#[test]
fn a_note_is_there_until_it_is_removed() {
    let place = Place::new();
    assert!(place.run("a", &["list"]).starts_with("No notes yet"));
    let id = place.add("a", "My First Note", "This is the content");
    let short = &id[..8];
    assert_eq!(place.run("a", &["list"]), format!("{short}  My First Note\n"));
    let shown = place.run("a", &["show", short]);
    assert_eq!(shown, format!("Id     {id}\nTitle  My First Note\n\nThis is the content\n"));

    place.run("a", &["edit", &id, "--title", "-Soup-"]);
    assert!(place.run("a", &["show", short]).ends_with("Title  -Soup-\n\nThis is the content\n"));
    place.run("a", &["edit", &id.to_uppercase(), "--body", "Leek"]);
    assert!(place.run("a", &["show", short]).ends_with("Title  -Soup-\n\nLeek\n"));

    place.run("a", &["remove", short]);
    assert!(place.run("a", &["list"]).starts_with("No notes yet"));
    assert!(place.refused("a", &["show", &id]).contains("no note has an id"));
}

#[test]
fn a_note_has_tags_that_are_listed_found_and_taken_away() {
    let place = Place::new();
    let said = place.run("a", &["add", "Soup", "Leek", "--tag", "food", "--tag", "#winter"]);
    let id = said.strip_prefix("Added ").unwrap().trim().to_owned();
    let short = &id[..8];
    let other = place.add("a", "Bread", "Flour");
    assert_eq!(
        place.run("a", &["list", "--tag", "food"]),
        format!("{short}  Soup  #food  #winter\n")
    );
    assert_eq!(place.run("a", &["list"]).lines().count(), 2);
    assert_eq!(place.run("a", &["search", "FOOD"]).lines().count(), 1);

    place.run("a", &["edit", &other, "--tag", "food"]);
    place.run("a", &["edit", short, "--tag", "old", "--untag", "winter", "--untag", "none"]);
    assert!(place.run("a", &["show", short]).contains("\nTags   food, old\n"));
    assert_eq!(place.run("a", &["list", "--tag", "food"]).lines().count(), 2);
    assert_eq!(place.run("a", &["list", "--tag", "food", "--tag", "old"]).lines().count(), 1);
    assert_eq!(place.run("a", &["list", "--tag", "winter"]), "No note has that tag\n");
    let refused = place.start("a", &["edit", short, "--tag", "two words"]).ended();
    assert_eq!(refused.code, Some(2), "{refused:?}");
}

#[test]
fn a_data_directory_may_be_given_as_a_bare_name() {
    let place = Place::new();
    let mut app = Command::new(env!("CARGO_BIN_EXE_notes-app"));
    let app = app.args(["--data-dir", "new", "add", "T", "B"]).current_dir(place.path(""));
    Process::start(app).ended().went_well();
    assert!(place.run("new", &["list"]).ends_with("  T\n"));
}

#[test]
fn titles_may_repeat() {
    let place = Place::new();
    let ids = [place.add("a", "Same", "1"), place.add("a", "Same", "2")];
    assert_ne!(ids[0], ids[1]);
    assert_eq!(place.run("a", &["list"]).matches("Same").count(), 2);
}

#[test]
fn a_search_finds_what_is_in_title_or_body() {
    let place = Place::new();
    place.add("a", "Soup", "LEEK and potato");
    place.add("a", "Leeks in the garden", "three rows");
    place.add("a", "Bread", "flour");
    let found = place.run("a", &["search", "leek"]);
    assert_eq!(found.lines().count(), 2, "{found}");
    assert!(found.contains("Soup") && found.contains("garden"), "{found}");
    assert_eq!(place.run("a", &["search", "cake"]), "No note holds that\n");
}

#[test]
fn an_id_of_no_note_or_of_several_is_refused_and_nothing_changes() {
    let place = Place::new();
    // Of 17 ids, two start with the same of 16 digits.
    let ids: Vec<String> = (0..17).map(|_| place.add("a", "T", "B")).collect();
    let shared = ids
        .iter()
        .map(|id| &id[..1])
        .find(|digit| ids.iter().filter(|id| id.starts_with(digit)).count() > 1);
    let before = place.run("a", &["list"]);
    for command in ["show", "remove"] {
        let complaint = place.refused("a", &[command, shared.unwrap()]);
        assert!(complaint.contains("write more of the id"), "{complaint}");
        for unknown in ["x", "", &format!("{}0", ids[0])] {
            assert!(place.refused("a", &[command, unknown]).contains("`list`"), "{unknown:?}");
        }
    }
    place.refused("a", &["edit", "x", "--title", "new"]);
    assert_eq!(place.run("a", &["list"]), before);
}

#[test]
fn a_title_cannot_play_tricks_on_the_terminal() {
    let place = Place::new();
    let id = place.add("a", "one\n\x1b[2Jtwo", "body");
    assert_eq!(place.run("a", &["list"]), format!("{}  one  [2Jtwo\n", &id[..8]));
}

#[test]
fn output_that_nobody_reads_is_no_error() {
    let place = Place::new();
    place.add("a", "T", &"long ".repeat(20_000));
    let id = place.run("a", &["list"]);
    let mut show = place.app("a", &["show", &id[..8]]);
    let mut show = show.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(show.stdout.take());
    let ended = show.wait_with_output().unwrap();
    assert!(ended.status.success() && ended.stderr.is_empty(), "{ended:?}");
}
