//! Notes come from folders and go to folders.

use super::{Place, real, shipped, text};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// Every Markdown file of a folder, with its bytes.
fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut open = vec![folder.to_owned()];
    while let Some(path) = open.pop() {
        for entry in fs::read_dir(path).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|ending| ending == "md") {
                let name = path.strip_prefix(folder).unwrap().to_str().unwrap().to_owned();
                files.insert(name, fs::read(path).unwrap());
            }
        }
    }
    files
}

fn comes_back_unchanged(folder: &Path) {
    let place = Place::new();
    let imported = place.run("a", &["import", text(folder)]);
    let count = files(folder).len();
    assert!(
        imported.contains(&format!("{count} notes added, 0 updated, 0 unchanged")),
        "{imported}"
    );
    let out = place.path("out");
    place.run("a", &["export", text(&out)]);
    assert_eq!(files(&out), files(folder));

    let again = place.run("a", &["import", text(folder)]);
    assert!(again.contains(&format!("0 notes added, 0 updated, {count} unchanged")), "{again}");
    let again = place.run("a", &["export", text(&out)]);
    assert_eq!(again, format!("0 files written, {count} there already\n"));
}

#[test]
fn what_was_imported_is_exported_with_the_same_names_and_bytes() {
    assert_eq!(files(&shipped()).len(), 12);
    comes_back_unchanged(&shipped());
}

#[test]
fn real_notes_come_back_with_the_same_names_and_bytes() {
    if let Some(folder) = real() {
        assert_eq!(files(&folder).len(), 97);
        comes_back_unchanged(&folder);
    }
}

#[test]
fn importing_again_takes_what_changed_in_the_folder_and_keeps_what_changed_in_the_app() {
    let place = Place::new();
    let folder = place.path("in");
    fs::create_dir(&folder).unwrap();
    let write = |name: &str, body: &str| fs::write(folder.join(name), body).unwrap();
    write("a.md", "# A\nold");
    write("b.md", "# B\nold");
    place.run("d", &["import", text(&folder)]);
    let listed = place.run("d", &["list"]);
    let (id, _) = listed.split_once("  A").unwrap();
    place.run("d", &["edit", id, "--body", "edited here"]);
    write("b.md", "# B\nnew");
    write("c.md", "# C\n");

    let again = place.run("d", &["import", text(&folder.join("../in"))]);
    assert!(again.contains("1 note added, 1 updated, 1 unchanged"), "{again}");
    assert_eq!(place.run("d", &["list"]).lines().count(), 3);
    assert!(place.run("d", &["show", id]).ends_with("\nedited here\n"));
    assert_eq!(place.run("d", &["search", "new"]).lines().count(), 1);
}

#[test]
fn a_file_that_cannot_be_a_note_is_named_and_keeps_no_other_from_being_imported() {
    let place = Place::new();
    let folder = place.path("in");
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("good.md"), "# Good").unwrap();
    fs::write(folder.join("latin1.md"), b"caf\xe9").unwrap();
    fs::write(folder.join("picture.png"), b"\x89PNG").unwrap();
    let ended = place.start("a", &["import", text(&folder)]).ended();
    assert_eq!(ended.code, Some(1));
    assert!(ended.errors.contains("latin1.md is not UTF-8"), "{ended:?}");
    assert!(ended.output.contains("1 files left alone"), "{ended:?}");
    assert!(place.run("a", &["list"]).ends_with("  Good\n"));

    let complaint = place.refused("a", &["import", text(&place.path("nowhere"))]);
    assert!(complaint.contains("nowhere"), "{complaint}");
}

#[test]
fn an_export_overwrites_nothing_unless_told_to() {
    let place = Place::new();
    place.add("a", "Mine", "new");
    let out = place.path("out");
    fs::create_dir(&out).unwrap();
    fs::write(out.join("Mine.md"), "old").unwrap();
    let complaint = place.refused("a", &["export", text(&out)]);
    assert!(complaint.contains("Mine.md") && complaint.contains("--overwrite"), "{complaint}");
    assert_eq!(fs::read(out.join("Mine.md")).unwrap(), b"old");
    place.run("a", &["export", text(&out), "--overwrite"]);
    assert_eq!(fs::read(out.join("Mine.md")).unwrap(), b"new");
}

/// Many files, so that the import is under way for a while.
fn large_folder(place: &Place) -> std::path::PathBuf {
    let folder = place.path("in");
    fs::create_dir(&folder).unwrap();
    for number in 0..4000 {
        fs::write(folder.join(format!("{number:05}.md")), format!("# Note {number}\n")).unwrap();
    }
    folder
}

/// What an interrupted import said last: so many files are done.
fn reported(output: &str) -> usize {
    let last = output.lines().rev().find_map(|line| line.split_once(" of 4000 files"));
    last.unwrap().0.parse().unwrap()
}

fn the_rest_comes_without_a_duplicate(place: &Place, folder: &Path, reported: usize) {
    let there = place.run("a", &["search", "# Note"]).lines().count();
    assert!((reported..4000).contains(&there), "{reported} reported, {there} there");
    let again = place.run("a", &["import", text(folder)]);
    let rest = format!("{} notes added, 0 updated, {there} unchanged", 4000 - there);
    assert!(again.contains(&rest), "{again}");
    assert_eq!(place.run("a", &["list"]).lines().count(), 4000);
}

#[cfg(unix)]
#[test]
fn ctrl_c_in_the_middle_of_an_import_loses_nothing_reported() {
    let place = Place::new();
    let folder = large_folder(&place);
    let mut import = place.start("a", &["import", text(&folder)]);
    import.line_with("of 4000 files");
    import.signal("INT");
    let ended = import.ended();
    assert_eq!(ended.code, Some(130), "{ended:?}");
    assert!(ended.errors.contains("run the command again for the rest"), "{ended:?}");
    the_rest_comes_without_a_duplicate(&place, &folder, reported(&ended.output));
}

#[cfg(unix)]
#[test]
fn kill_9_in_the_middle_of_an_import_loses_nothing_reported() {
    let place = Place::new();
    let folder = large_folder(&place);
    let mut import = place.start("a", &["import", text(&folder)]);
    import.line_with("of 4000 files");
    import.signal("KILL");
    let ended = import.ended();
    assert_eq!(ended.code, None, "{ended:?}");
    the_rest_comes_without_a_duplicate(&place, &folder, reported(&ended.output));
}
