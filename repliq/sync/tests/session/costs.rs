//! What the protocol costs on the wire and at the store, to the byte.

use crate::store::{NOW, name};
use crate::world::World;
use repliq_core::{Hlc, MAX_CHANGE_BYTES};
use repliq_sync::Phase;

/// Two stores in sync, with this many documents, not connected.
fn in_sync(documents: usize) -> World {
    let mut world = World::new(2, &[[0, 1]]);
    for number in 0..documents {
        world.write(number % 2, &format!("document {number}"), b"x");
    }
    world.connect(0);
    world.agree();
    // The device and the relay take their leave: each may still be untold how
    // far the other's feed got by its own changes, and the last word tells.
    for end in [0, 1] {
        world.connect_if_needed(0);
        world.settle();
        world.side(0, end).session.close();
        world.settle();
    }
    assert!(world.links[0].connection.is_none());
    world
}

fn bytes(world: &mut World) -> usize {
    [0, 1].map(|end| world.side(0, end).tap.bytes).into_iter().sum()
}

fn frames(world: &mut World) -> [usize; 2] {
    [0, 1].map(|end| world.side(0, end).tap.frames)
}

#[test]
fn a_device_in_sync_takes_one_round_trip_and_under_200_bytes_however_many_documents() {
    for documents in [1, 10_000] {
        let mut world = in_sync(documents);
        world.connect(0);
        world.ask(0, 0, 1);
        world.settle();
        assert_eq!(frames(&mut world), [1, 1], "a hello each");
        assert_eq!(world.side(0, 0).synced, [1]);
        assert_eq!(world.side(0, 0).phases, [Phase::Syncing, Phase::Live]);
        assert_eq!(world.side(0, 1).phases, [Phase::Syncing, Phase::Live]);
        let bytes = bytes(&mut world);
        println!("in sync, {documents} documents: {bytes} bytes");
        assert!(bytes < 200, "{bytes}");
    }
}

#[test]
fn a_device_in_sync_whose_connection_broke_takes_one_round_trip_and_reads_little() {
    let mut world = in_sync(1);
    world.connect(0);
    for _ in 0..1000 {
        world.write(0, "text", b"k");
        world.settle();
    }
    world.disconnect(0);
    world.connect(0);
    world.ask(0, 0, 1);
    world.settle();
    assert_eq!(world.side(0, 0).synced, [1]);
    assert_eq!(frames(&mut world), [1, 2], "a hello each, and how far the feed got");
    assert!(bytes(&mut world) < 200);
    let read = world.side(0, 1).entries_read;
    assert!(read < 64, "{read}");
}

#[test]
fn a_device_in_sync_whose_peer_was_reopened_still_takes_under_200_bytes() {
    let mut world = in_sync(100);
    world.crash(1, false);
    world.connect(0);
    world.ask(0, 0, 1);
    world.settle();
    assert_eq!(world.side(0, 0).synced, [1]);
    let bytes = bytes(&mut world);
    assert!(bytes < 200, "{bytes}");
}

#[test]
fn a_device_one_change_behind_reads_that_one_and_costs_under_400_bytes() {
    for documents in [1, 10_000] {
        let mut world = in_sync(documents);
        world.write(1, "document 0", b"changed by someone else");
        world.connect(0);
        world.ask(0, 0, 1);
        world.settle();
        assert_eq!(world.side(0, 0).synced, [1]);
        assert_eq!(world.side(0, 1).entries_read, 1);
        // The device reads the one it was given, and sees that it need not go back.
        assert_eq!(world.side(0, 0).entries_read, 1);
        for end in [0, 1] {
            let side = world.side(0, end);
            assert_eq!((side.summaries, side.documents_read), (0, 0));
        }
        let bytes = bytes(&mut world);
        println!("one change behind, {documents} documents: {bytes} bytes");
        assert!(bytes < 400, "{bytes}");
    }
}

#[test]
fn a_small_set_is_pushed_and_acknowledged_for_under_200_bytes_beside_key_and_value() {
    let mut world = in_sync(1);
    world.connect(0);
    world.settle();
    let before = bytes(&mut world);
    world.write(0, "settings", &[b'x'; 20]);
    world.settle();
    let cost = bytes(&mut world) - before - 20;
    println!("a set, first of its document: {cost} bytes beside key and value");
    assert!(cost < 200, "{cost}");
    let before = bytes(&mut world);
    world.write(0, "settings", &[b'x'; 20]);
    world.settle();
    let cost = bytes(&mut world) - before - 20;
    println!("the next set: {cost} bytes beside key and value");
    assert!(cost < 60, "{cost}");
}

#[test]
fn a_keystroke_costs_under_40_bytes() {
    let mut world = in_sync(1);
    world.connect(0);
    for _ in 0..200 {
        world.write(0, "text", &[b'k'; 8]);
        world.settle();
    }
    let side = world.side(0, 0);
    assert_eq!(side.tap.change_frames.len(), 200);
    assert_eq!(side.tap.change_frames[1], 31);
    assert_eq!(side.tap.change_frames[199], 32);
    let acks = world.side(0, 1).tap.bytes;
    println!("keystrokes: 31 and 32 bytes; the peer sent {acks} bytes for all of 200");
}

#[test]
fn idle_sessions_send_nothing_and_wait_for_nothing() {
    let mut world = in_sync(5);
    world.connect(0);
    world.settle();
    let before = frames(&mut world);
    for _ in 0..100 {
        assert!(!world.wait(), "a deadline, but nothing is awaited");
        world.now += std::time::Duration::from_secs(3600);
        world.settle();
    }
    assert_eq!(frames(&mut world), before);
}

#[test]
fn a_change_of_16_mib_travels_in_fragments_of_at_most_256_kib() {
    let mut world = in_sync(1);
    world.connect(0);
    world.write(0, "film", &vec![7; MAX_CHANGE_BYTES - 100]);
    world.settle();
    world.agree();
    let tap = &world.side(0, 0).tap;
    assert!(tap.frames > 64);
    assert!(tap.largest <= 256 << 10, "{}", tap.largest);
    assert!(tap.largest > 250 << 10, "{}", tap.largest);
}

#[test]
fn sessions_with_ten_thousand_documents_and_replicas_keep_their_tables_small() {
    let mut world = World::new(2, &[[0, 1]]);
    world.connect(0);
    world.settle();
    for number in 0..10_000_u64 {
        world.stores[0].write_by(
            number,
            &name(&format!("document {number}")),
            b"x",
            Hlc::from_millis(NOW),
        );
        if number % 500 == 499 {
            world.grew(0);
            world.settle();
        }
    }
    // The first documents once more, whose names are long forgotten.
    for number in 0..100 {
        world.write(0, &format!("document {number}"), b"y");
    }
    world.settle();
    assert_eq!(world.side(0, 0).tap.forgets, 2);
    world.agree();
}

#[test]
fn a_window_of_unacknowledged_changes_is_never_exceeded() {
    let mut world = in_sync(1);
    world.connect(0);
    world.settle();
    for number in 0..100 {
        world.write(0, &format!("large {number}"), &vec![1; 100 << 10]);
    }
    // The peer's store takes its time: what it did not commit is not acknowledged.
    let before = world.side(0, 0).tap.bytes;
    for _ in 0..1000 {
        world.poll(0, 0);
        world.work(0, 0);
        world.deliver(0, 1);
        world.poll(0, 1);
    }
    let sent = world.side(0, 0).tap.bytes - before;
    assert!(sent < (2 << 20) + (256 << 10), "{sent}");
    assert!(sent > 1 << 20, "{sent}");
    world.agree();
}

#[test]
fn many_small_changes_share_frames() {
    let mut world = World::new(2, &[[0, 1]]);
    for _ in 0..5000 {
        world.write(0, "text", &[b'k'; 8]);
    }
    world.connect(0);
    world.settle();
    world.agree();
    let tap = &world.side(0, 0).tap;
    assert!(tap.change_frames.len() < 10, "{}", tap.change_frames.len());
    assert!(tap.bytes < 5000 * 30, "{}", tap.bytes);
}
