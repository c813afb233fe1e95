//! Notes on several devices.

use super::{Place, real, shipped, text};
use std::net::TcpListener;

#[test]
fn the_commands_of_the_readme_work_one_after_the_other() {
    let place = Place::new();
    place.add("data", "My First Note", "This is the content");
    assert!(place.run("data", &["list"]).contains("My First Note"));
    let (_server, url) = place.server("data");
    place.sync("data2", &url);
    assert!(place.run("data2", &["list"]).contains("My First Note"));
}

#[test]
fn other_commands_use_the_data_directory_while_its_server_runs() {
    let place = Place::new();
    let (server, url) = place.server("data");
    place.add("data", "Later", "");
    place.sync("data", &url);
    place.sync("data2", &url);
    assert!(place.run("data2", &["list"]).contains("Later"));
    #[cfg(unix)]
    {
        server.signal("INT");
        server.ended().went_well();
    }
    #[cfg(not(unix))]
    drop(server);
}

#[test]
fn devices_that_edited_apart_agree_once_each_has_synced() {
    let place = Place::new();
    let id = place.add("a", "Original", "text");
    let (_server, url) = place.server("relay");
    place.sync("a", &url);
    place.sync("b", &url);
    place.run("a", &["edit", &id, "--title", "From a"]);
    place.run("b", &["edit", &id, "--title", "From b"]);
    place.add("b", "Only on b", "");
    place.sync("a", &url);
    let synced = place.run("b", &["sync", "--url", &url]);
    assert!(synced.contains("2 notes, 0 new or changed here, 0 removed"), "{synced}");
    let synced = place.run("a", &["sync", "--url", &url]);
    assert!(synced.contains("2 notes, 2 new or changed here, 0 removed"), "{synced}");
    let listed = place.run("a", &["list"]);
    assert_eq!(listed, place.run("b", &["list"]));
    assert!(listed.contains("From b") && listed.contains("Only on b"), "{listed}");

    place.run("b", &["remove", &id]);
    place.sync("b", &url);
    let synced = place.run("a", &["sync", "--url", &url]);
    assert!(synced.contains("1 note, 0 new or changed here, 1 removed"), "{synced}");
}

#[test]
fn two_devices_that_edit_one_body_apart_keep_both_edits_and_all_tags() {
    let place = Place::new();
    let id = place.add("a", "Soup", "Cut the leek.\nBoil it.");
    let (_server, url) = place.server("relay");
    place.sync("a", &url);
    place.sync("b", &url);
    place.run("a", &["edit", &id, "--body", "Wash and cut the leek.\nBoil it.", "--tag", "food"]);
    place
        .run("b", &["edit", &id, "--body", "Cut the leek.\nBoil it for an hour.", "--tag", "slow"]);
    for device in ["a", "b", "a"] {
        place.sync(device, &url);
    }
    let shown = place.run("a", &["show", &id]);
    assert_eq!(shown, place.run("b", &["show", &id]));
    assert!(shown.ends_with("\n\nWash and cut the leek.\nBoil it for an hour.\n"), "{shown}");
    assert!(shown.contains("Tags   food, slow\n"), "{shown}");
}

#[test]
fn a_note_that_is_edited_while_it_is_removed_elsewhere_stays() {
    let place = Place::new();
    let id = place.add("a", "Soup", "Leek");
    let (_server, url) = place.server("relay");
    place.sync("a", &url);
    place.sync("b", &url);
    place.run("b", &["edit", &id, "--body", "Leek and potato"]);
    place.run("a", &["remove", &id]);
    for device in ["a", "b", "a"] {
        place.sync(device, &url);
    }
    for device in ["a", "b"] {
        let shown = place.run(device, &["show", &id]);
        assert!(shown.ends_with("Title  Soup\n\nLeek and potato\n"), "{shown}");
    }
}

#[cfg(unix)]
#[test]
fn watch_prints_changes_as_they_come() {
    let place = Place::new();
    let (_server, url) = place.server("relay");
    let mut watch = place.start("b", &["watch", "--url", &url]);
    watch.line_with("* live");
    let id = place.add("a", "News", "");
    place.sync("a", &url);
    assert_eq!(watch.line_with("News"), format!("added {}  News", &id[..8]));
    place.run("a", &["edit", &id, "--title", "Olds"]);
    place.sync("a", &url);
    assert_eq!(watch.line_with("Olds"), format!("changed {}  Olds", &id[..8]));
    place.run("a", &["remove", &id]);
    place.sync("a", &url);
    watch.line_with(&format!("removed {}", &id[..8]));
    watch.signal("INT");
    watch.ended().went_well();
}

#[test]
fn watch_says_when_the_relay_goes_and_comes_back() {
    let place = Place::new();
    let (server, url) = place.server("relay");
    let mut watch = place.start("b", &["watch", "--url", &url]);
    watch.line_with("* live");
    drop(server);
    watch.line_with("* offline");
    let address = url.strip_prefix("ws://").unwrap();
    let mut server = place.start("relay", &["server", "--addr", address]);
    server.endpoint("ws");
    watch.line_with("* live");
}

#[test]
fn sync_gives_up_where_nobody_answers() {
    let place = Place::new();
    place.add("a", "Kept", "");
    // Bound and let go: nobody listens there.
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let url = format!("ws://{address}");
    let complaint = place.refused("a", &["sync", "--url", &url, "--timeout", "0.3"]);
    assert!(complaint.contains(&url) && complaint.contains("0.3 s"), "{complaint}");
    assert!(complaint.contains("nobody answers"), "{complaint}");
    assert!(place.refused("a", &["sync", "--url", "nonsense"]).contains("ws://"));
    assert!(place.run("a", &["list"]).contains("Kept"));
}

#[test]
fn sync_gives_up_where_somebody_accepts_and_never_answers() {
    let place = Place::new();
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("ws://{}", silent.local_addr().unwrap());
    let complaint = place.refused("a", &["sync", "--url", &url, "--timeout", "0.3"]);
    assert!(complaint.contains("no connection"), "{complaint}");
}

#[test]
fn everything_arrives_though_the_server_is_killed_while_a_device_syncs() {
    let place = Place::new();
    let folder = real().unwrap_or_else(shipped);
    place.run("a", &["import", text(&folder)]);
    let (server, url) = place.server("relay");
    let mut watch = place.start("a", &["watch", "--url", &url]);
    watch.line_with("* ");
    drop(server);
    let address = url.strip_prefix("ws://").unwrap();
    let mut server = place.start("relay", &["server", "--addr", address]);
    server.endpoint("ws");
    watch.line_with("* live");
    drop(watch);
    place.sync("a", &url);
    place.sync("b", &url);
    assert_eq!(place.run("b", &["list"]), place.run("a", &["list"]));
}
