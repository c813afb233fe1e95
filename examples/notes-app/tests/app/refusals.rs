//! What cannot be done is one line that says what to do, and changes nothing.

use super::{Place, text};
use std::fs;
use std::net::TcpListener;

#[test]
fn data_in_use_by_another_process() {
    let place = Place::new();
    place.add("a", "T", "B");
    let mut watch = place.start("a", &["watch", "--url", "ws://127.0.0.1:1"]);
    watch.line_with("Watching");
    let complaint = place.refused("a", &["list"]);
    assert!(complaint.contains("in use") && complaint.contains("close"), "{complaint}");
    assert!(complaint.contains(text(&place.path("a"))), "{complaint}");
    drop(watch);
    place.run("a", &["list"]);
}

#[test]
fn a_server_serves_though_the_notes_beside_it_are_in_use() {
    let place = Place::new();
    let mut watch = place.start("a", &["watch", "--url", "ws://127.0.0.1:1"]);
    watch.line_with("Watching");
    let (_server, url) = place.server("a");
    place.sync("b", &url);
    let complaint = place.refused("a", &["server", "--addr", "127.0.0.1:0"]);
    assert!(complaint.contains("in use"), "{complaint}");
}

#[test]
fn a_port_in_use() {
    let place = Place::new();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let complaint = place.refused("a", &["server", "--addr", &address]);
    assert!(complaint.contains("in use") && complaint.contains("another port"), "{complaint}");
}

#[test]
fn a_directory_that_holds_other_things() {
    let place = Place::new();
    let home = place.path("home");
    fs::create_dir(&home).unwrap();
    fs::write(home.join("diary.txt"), "mine").unwrap();
    for command in [&["list"][..], &["server", "--addr", "127.0.0.1:0"]] {
        let complaint = place.refused("home", command);
        assert!(complaint.contains("--data-dir"), "{complaint}");
    }
    assert_eq!(fs::read_dir(&home).unwrap().count(), 1);
    let complaint = place.refused("home/diary.txt", &["list"]);
    assert!(complaint.contains("--data-dir"), "{complaint}");
    // A folder of Markdown files that has the name of our store.
    let markdown = place.path("project/notes");
    fs::create_dir_all(&markdown).unwrap();
    fs::write(markdown.join("a.md"), "").unwrap();
    assert!(place.refused("project", &["list"]).contains("no store"));
    assert_eq!(fs::read_dir(&markdown).unwrap().count(), 1);
}

#[test]
fn data_of_a_newer_format() {
    let place = Place::new();
    place.add("a", "T", "B");
    // The last byte of the format number; see STORAGE.md.
    let marker = place.path("a/notes/repliq-sled");
    let mut bytes = fs::read(&marker).unwrap();
    bytes[15] += 1;
    fs::write(&marker, &bytes).unwrap();
    assert!(place.refused("a", &["list"]).contains("update"));
    assert_eq!(fs::read(&marker).unwrap(), bytes);
    bytes[15] -= 1;
    fs::write(&marker, &bytes).unwrap();
    assert!(place.run("a", &["list"]).contains('T'));
}

#[tokio::test(flavor = "multi_thread")]
async fn data_of_another_kind() {
    use repliq::prelude::*;
    let place = Place::new();
    let store = SledBackend::open(place.path("a/notes")).unwrap();
    let replica = Replica::builder().storage(store).build().await.unwrap();
    let notes: Document<LwwMap<String, String>> = replica.document("notes").await.unwrap();
    notes.update(|notes| notes.set("id".to_string(), "text".to_string())).await.unwrap();
    drop(notes);
    replica.close().await;
    let complaint = place.refused("a", &["list"]);
    assert!(complaint.contains("holds a lww-map/1, not a crdt-map/1<note/1>"), "{complaint}");
}

#[test]
fn options_that_say_nothing() {
    let place = Place::new();
    for args in [&["edit", "x"][..], &["sync", "--timeout", "soon"], &["sync", "--timeout", "-1"]] {
        assert_eq!(place.start("a", args).ended().code, Some(2), "{args:?}");
    }
}
