//! What a session promises, one promise a test.

use crate::store::{KIND, NOW, name};
use crate::world::{PATIENCE, World};
use bytes::Bytes;
use repliq_core::Hlc;
use repliq_sync::{
    Config, DocumentName, Effect, Farewell, Hello, Message, Position, Refusal, Role, Session,
    SessionError, encode_frame, encode_hello,
};
use std::time::Duration;

const DAY: u64 = 86_400_000;

fn live(documents: usize) -> World {
    let mut world = World::new(2, &[[0, 1]]);
    for number in 0..documents {
        world.write(number % 2, &format!("document {number}"), b"x");
    }
    world.connect(0);
    world.agree();
    world
}

fn ends(world: &World) -> [Option<Result<(), SessionError>>; 2] {
    world.links[0].endings.last().expect("a connection that ended").clone()
}

#[test]
fn what_a_restored_peer_lost_is_given_back_even_if_the_first_try_breaks() {
    // The connection breaks after any number of steps; whichever it is, the
    // next one must not trust a cursor that the peer has not earned.
    for steps in 0..60 {
        let mut world = World::new(2, &[[0, 1]]);
        world.write(0, "old", b"x");
        world.write(1, "other", b"x");
        world.connect(0);
        world.agree();
        world.stores[0].backup = Some(world.stores[0].durable.clone());
        world.write(0, "lost", b"x");
        world.agree();
        world.crash(0, true);
        assert!(world.stores[0].version("lost").is_empty());
        world.connect(0);
        world.poll_all();
        for _ in 0..steps {
            world.turn();
        }
        world.disconnect(0);
        world.agree();
        assert!(!world.stores[0].version("lost").is_empty(), "{steps} steps");
    }
}

#[test]
fn a_backup_restored_twice_gets_back_what_it_lost_both_times() {
    for steps in 0..60 {
        let mut world = live(4);
        world.stores[0].backup = Some(world.stores[0].durable.clone());
        world.write(0, "lost", b"x");
        world.agree();
        for _ in 0..2 {
            world.crash(0, true);
            world.connect(0);
            world.poll_all();
            for _ in 0..steps {
                world.turn();
            }
        }
        world.disconnect(0);
        world.agree();
        assert!(!world.stores[0].version("lost").is_empty(), "{steps} steps");
    }
}

#[test]
fn refused_changes_are_reported_on_both_sides_and_nothing_waits_for_them() {
    let mut world = live(3);
    world.stores[1].relay = true;
    let cursor = world.stores[1].durable.cursors.clone();
    world.stores[0].write_as(
        &name("future"),
        b"x",
        1,
        Hlc::from_millis(repliq_core::Millis(NOW.0 + 2 * DAY)),
    );
    world.write(0, "present", b"x");
    world.settle();
    world.write(0, "future", b"builds on what was refused");
    world.write(0, "later", b"x");
    world.settle();
    world.write(0, "later", b"y");
    world.settle();
    world.write(1, "later", b"comes back as an entry that the peer skips");
    world.ask(0, 0, 7);
    world.ask(0, 1, 7);
    world.settle();
    assert!(!world.stores[1].version("present").is_empty());
    assert!(!world.stores[1].version("later").is_empty());
    for end in [0, 1] {
        let side = world.side(0, end);
        assert!(side.synced.contains(&7), "end {end}");
        let refusals: Vec<_> = side.refused.iter().map(|(by_peer, r)| (*by_peer, &r.why)).collect();
        assert_eq!(
            refusals,
            [
                (end == 0, &Refusal::FutureStamp { now: NOW }),
                (end == 0, &Refusal::Gap { expected: 0 }),
            ]
        );
    }
    assert_eq!(world.stores[1].durable.cursors, cursor, "the cursor stays before what was refused");
    // Once the reason is gone, a new session brings what was refused.
    world.stores[1].relay = false;
    world.disconnect(0);
    world.agree();
}

#[test]
fn a_document_of_another_kind_is_refused_and_the_others_go_on() {
    let mut world = live(2);
    world.disconnect(0);
    let counter = DocumentName { name: "disputed".into(), kind: "counter/1".into() };
    world.stores[0].write_as(&counter, b"1", 1, Hlc::from_millis(NOW));
    world.write(1, "disputed", b"x");
    world.write(0, "peaceful", b"x");
    world.connect(0);
    world.ask(0, 0, 1);
    world.ask(0, 1, 1);
    world.settle();
    assert!(!world.stores[1].version("peaceful").is_empty());
    for (end, held) in [(0, "counter/1"), (1, KIND)] {
        let side = world.side(0, end);
        assert_eq!(side.synced, [1]);
        let ours = side.refused.iter().find(|(by_peer, _)| !by_peer).unwrap();
        assert_eq!(ours.1.why, Refusal::WrongKind { held: held.into() });
    }
}

#[test]
fn more_refused_changes_than_one_message_holds_are_all_reported() {
    let mut world = live(1);
    world.disconnect(0);
    let counter = DocumentName { name: "disputed".into(), kind: "counter/1".into() };
    for _ in 0..1000 {
        world.stores[0].write_as(&counter, b"1", 1, Hlc::from_millis(NOW));
    }
    world.write(1, "disputed", b"x");
    world.connect(0);
    world.settle();
    let side = world.side(0, 0);
    assert_eq!(side.refused.iter().filter(|(by_peer, _)| *by_peer).count(), 1000);
}

#[test]
fn a_thousand_waiters_are_served_by_two_probes() {
    let mut world = live(3);
    let before = world.side(0, 0).tap.frames;
    for id in 0..1000 {
        world.ask(0, 0, id);
    }
    world.settle();
    assert_eq!(world.side(0, 0).synced.iter().filter(|id| **id < 1000).count(), 1000);
    assert!(world.side(0, 0).tap.frames - before <= 2);
}

#[test]
fn waiting_during_a_long_transfer_is_not_taken_for_a_stalled_peer() {
    let mut world = World::new(2, &[[0, 1]]);
    for number in 0..60 {
        world.write(1, &format!("document {number}"), &vec![1; 100 << 10]);
    }
    world.connect(0);
    world.poll_all();
    let mut asked = false;
    while world.turn() {
        world.now += Duration::from_secs(2);
        if !asked && world.stores[0].head().number > 0 {
            world.ask(0, 0, 1);
            asked = true;
        }
        assert!(world.links[0].endings.is_empty(), "{:?}", world.links[0].endings);
    }
    assert!(world.now > PATIENCE * 3, "{:?}", world.now);
    assert_eq!(world.side(0, 0).synced, [1]);
}

#[test]
fn a_large_change_over_a_slow_link_is_not_taken_for_a_stalled_peer() {
    let mut world = live(2);
    let start = world.now;
    world.write(0, "film", &vec![1; 10 << 20]);
    world.poll_all();
    while world.turn() {
        world.now += Duration::from_secs(5);
        world.poll_all();
    }
    assert!(world.now > start + PATIENCE * 5);
    assert!(world.links[0].endings.is_empty(), "{:?}", world.links[0].endings);
    assert!(!world.stores[1].version("film").is_empty());
}

#[test]
fn a_slow_store_of_our_own_is_not_taken_for_a_stalled_peer() {
    let mut world = live(2);
    world.write(0, "document 0", b"y");
    world.ask(0, 1, 1);
    world.poll_all();
    // The change arrives, and its commit takes an hour.
    world.work(0, 0);
    while world.deliver(0, 1) {}
    assert!(world.stores[1].contents() != world.stores[0].contents());
    world.now += Duration::from_secs(3600);
    world.poll(0, 1);
    world.work(0, 1);
    assert!(world.side(0, 1).ended.is_none());
}

#[test]
fn a_peer_that_falls_silent_at_any_point_ends_in_stalled_or_nobody_waits() {
    for silent_end in [0, 1] {
        for after in 0..40 {
            let mut world = World::new(2, &[[0, 1]]);
            for number in 0..100 {
                world.write(number % 2, &format!("document {number}"), b"x");
            }
            world.connect(0);
            world.ask(0, 0, 1);
            world.ask(0, 1, 1);
            world.poll_all();
            for _ in 0..after {
                world.turn();
            }
            // From here on its frames are lost.
            let heard = 1 - silent_end;
            loop {
                world.side(0, heard).inbox.clear();
                world.poll(0, heard);
                if world.side(0, heard).ended.is_some() {
                    break;
                }
                if world.work(0, heard) {
                    continue;
                }
                let deadline = world.side(0, heard).session.deadline();
                let Some(deadline) = deadline else { break };
                assert!(deadline <= world.now + PATIENCE);
                world.now = world.now.max(deadline);
            }
            let side = world.side(0, heard);
            match &side.ended {
                None => assert_eq!(side.synced, [1], "{silent_end} {after}: waits forever"),
                Some(end) => assert!(matches!(end, Err(SessionError::Stalled(_))), "{end:?}"),
            }
        }
    }
}

#[test]
fn a_peer_with_our_replica_id_is_a_typed_error_on_both_sides() {
    let mut world = World::new(2, &[[0, 1]]);
    world.stores[1].replica = world.stores[0].replica;
    world.connect(0);
    world.settle();
    let both = Some(Err(SessionError::SameReplica));
    assert_eq!(ends(&world), [both.clone(), both]);
}

fn session(role: Role, space: &str) -> Session {
    let replica = crate::store::replica(9);
    let config = Config { replica, space: space.into(), role, volatile: false, patience: PATIENCE };
    Session::new(config, Position::default(), Duration::ZERO)
}

fn hello(space: &str) -> Hello {
    Hello {
        replica: crate::store::replica(1),
        space: space.into(),
        head: Position::default(),
        cursor: None,
        max_frame: 256 << 10,
        extensions: vec![],
    }
}

fn receive(session: &mut Session, frame: &Bytes) -> Vec<Effect> {
    session.receive(frame, Position::default(), Duration::ZERO);
    session.poll(true, Duration::ZERO)
}

fn end(effects: &[Effect]) -> Option<&Result<(), SessionError>> {
    effects.iter().find_map(|effect| match effect {
        Effect::End(how) => Some(how),
        _ => None,
    })
}

#[test]
fn a_peer_of_another_protocol_version_is_a_typed_error_on_both_sides() {
    for versions in [[0, 7, 0, 3], [0, 0, 0, 0]] {
        let mut other = encode_hello(&hello("default")).to_vec();
        other[4..8].copy_from_slice(&versions);
        let error = SessionError::Version {
            their_newest: u16::from_be_bytes([versions[0], versions[1]]),
            their_oldest: u16::from_be_bytes([versions[2], versions[3]]),
        };
        for role in [Role::Acceptor, Role::Initiator { cursor: None }] {
            let mut session = session(role, "default");
            let effects = receive(&mut session, &other.clone().into());
            assert_eq!(end(&effects), Some(&Err(error.clone())));
            // The peer finds out from our hello.
            assert!(matches!(&effects[0], Effect::Send(hello) if hello.starts_with(b"RPLQ")));
        }
    }
}

#[test]
fn a_peer_that_speaks_our_version_among_others_is_welcome() {
    let mut other = encode_hello(&hello("default")).to_vec();
    other[4..8].copy_from_slice(&[0, 9, 0, 1]);
    let effects = receive(&mut session(Role::Acceptor, ""), &other.into());
    assert!(matches!(&effects[0], Effect::Identify { .. }));
}

#[test]
fn a_frame_whose_hello_was_lost_does_not_make_its_sender_a_stranger() {
    let lost = encode_frame(1, &Message::Probe(7));
    let effects = receive(&mut session(Role::Acceptor, ""), &lost);
    assert!(matches!(end(&effects), Some(Err(SessionError::Malformed(_)))), "{effects:?}");
    let effects = receive(&mut session(Role::Acceptor, ""), &"220 mail ESMTP".into());
    assert_eq!(end(&effects), Some(&Err(SessionError::NotRepliq)));
}

#[test]
fn a_hello_for_another_space_is_refused_and_an_acceptor_takes_the_space_asked_for() {
    let other = encode_hello(&hello("team"));
    let effects = receive(&mut session(Role::Initiator { cursor: None }, "default"), &other);
    assert!(matches!(end(&effects), Some(Err(SessionError::Malformed(_)))));
    let effects = receive(&mut session(Role::Acceptor, "default"), &other);
    assert!(matches!(&effects[0], Effect::Identify { space, .. } if space == "team"));
}

#[test]
fn a_peer_that_is_turned_away_learns_why() {
    let mut world = live(1);
    world.disconnect(0);
    world.connect(0);
    world.poll(0, 0);
    let frame = world.side(0, 1).inbox.pop_front().unwrap();
    let now = world.now;
    let acceptor = world.side(0, 1);
    acceptor.session.receive(&frame, Position::default(), now);
    acceptor.session.refuse(Farewell::Space);
    world.poll(0, 1);
    world.settle();
    let [initiator, acceptor] = ends(&world);
    assert_eq!(acceptor, Some(Ok(())));
    assert_eq!(initiator, Some(Err(SessionError::Farewell(Farewell::Space))));
}

#[test]
fn frames_are_never_larger_than_the_peer_takes() {
    let mut session = session(Role::Acceptor, "default");
    let small = Hello { max_frame: 1024, ..hello("default") };
    receive(&mut session, &encode_hello(&small));
    let mut store = crate::store::Store::new(9, 5);
    store.write("document", &[1; 5000]);
    let (head, peer) = (store.head(), small.replica);
    let answer = repliq_sync::Identified { head, cursor: None, claim_valid: false };
    session.identified(answer);
    session.poll(true, Duration::ZERO);
    let (changes, through) = store.read_feed(0, 1000, peer, 1);
    session.feed(&changes, through, Duration::ZERO);
    let effects = session.poll(true, Duration::ZERO);
    let frames: Vec<_> = effects
        .iter()
        .filter_map(|effect| match effect {
            Effect::Send(frame) => Some(frame.len()),
            _ => None,
        })
        .collect();
    assert!(frames.len() > 5 && frames.iter().all(|len| *len <= 1024), "{frames:?}");
    let tiny = Hello { max_frame: 1023, ..hello("default") };
    let effects = receive(&mut self::session(Role::Acceptor, ""), &encode_hello(&tiny));
    assert!(matches!(end(&effects), Some(Err(SessionError::Malformed(_)))));
}

#[test]
fn a_new_epoch_in_the_middle_of_a_session_is_followed() {
    let mut world = live(4);
    let epoch = world.new_epoch();
    world.stores[0].reopen(epoch);
    world.write(0, "document 0", b"in the new epoch");
    world.agree();
    let cursor = world.stores[1].durable.cursors[&world.stores[0].replica];
    assert_eq!(cursor, world.stores[0].head());
    assert_eq!(cursor.epoch, epoch);
}

#[test]
fn both_sides_compare_at_the_same_time() {
    let mut world = live(200);
    world.disconnect(0);
    for store in [0, 1] {
        world.stores[store].durable.cursors.clear();
        world.write(store, &format!("news of {store}"), b"x");
        world.write(store, "document 5", b"y");
    }
    world.connect(0);
    world.settle();
    for end in [0, 1] {
        let side = world.side(0, end);
        assert!(side.summaries > 0 && side.documents_read == 2, "{}", side.documents_read);
    }
    world.agree();
}

#[test]
fn a_fork_shows_at_the_first_contact_even_when_both_hold_equally_much() {
    for others in [0, 3, 200] {
        let mut world = World::new(2, &[[0, 1]]);
        for store in [0, 1] {
            for number in 0..others {
                world.stores[store].write_by(
                    number,
                    &name(&format!("same {number}")),
                    b"x",
                    Hlc::from_millis(NOW),
                );
            }
            // A copy of a data directory writes under the same id.
            world.stores[store].write_by(
                1,
                &name("forked"),
                if store == 0 { b"x" } else { b"y" },
                Hlc::from_millis(NOW),
            );
        }
        world.connect(0);
        world.settle();
        for end in [0, 1] {
            let refused = &world.side(0, end).refused;
            assert!(refused.iter().any(|(_, r)| r.why == Refusal::Fork), "{refused:?}");
            assert!(refused.iter().all(|(_, r)| &*r.document == "forked"));
        }
    }
}

#[test]
fn a_change_made_during_a_comparison_is_sent_without_further_ado() {
    let mut world = live(100);
    world.disconnect(0);
    for store in [0, 1] {
        world.stores[store].durable.cursors.clear();
    }
    world.connect(0);
    world.poll_all();
    for _ in 0..2 {
        world.turn();
    }
    for store in [0, 1] {
        world.write(store, "late", b"x");
    }
    // No poll of its own: whatever comes next must carry it along.
    while world.turn() {}
    assert_eq!(world.stores[0].contents(), world.stores[1].contents());
}

#[test]
fn synced_speaks_of_now_even_when_the_hello_is_on_its_way_already() {
    let mut world = live(2);
    world.disconnect(0);
    world.connect(0);
    world.poll_all();
    // The acceptor answers; its hello is under way to the initiator.
    world.deliver(0, 1);
    world.work(0, 1);
    assert_eq!(world.side(0, 0).inbox.len(), 1);
    world.write(1, "document 0", b"after the hello");
    // The simulator checks that this is held when it fires.
    world.ask(0, 0, 1);
    world.settle();
    assert_eq!(world.side(0, 0).synced, [1]);
}

#[test]
fn a_failed_commit_ends_the_session_on_both_sides_and_loses_nothing() {
    let mut world = live(2);
    world.failing_commits = 1;
    world.write(0, "document 0", b"y");
    world.settle();
    let [sender, receiver] = ends(&world);
    assert_eq!(receiver, Some(Err(SessionError::Store("no room".into()))));
    assert_eq!(sender, Some(Err(SessionError::Farewell(Farewell::Store))));
    world.agree();
}

#[test]
fn a_session_that_is_closed_ends_in_order_on_both_sides() {
    let mut world = live(2);
    world.side(0, 0).session.close();
    world.settle();
    assert_eq!(ends(&world), [Some(Ok(())), Some(Ok(()))]);
}

#[test]
fn a_feed_that_is_not_what_its_numbers_say_is_never_sent() {
    let mut world = live(2);
    world.write(0, "document 0", b"y");
    world.stores[0].write("document 0", b"z");
    let (now, peer) = (world.now, world.stores[1].replica);
    let after = world.stores[0].head().number - 2;
    let (changes, through) = world.stores[0].read_feed(after, 9999, peer, 0);
    let side = world.side(0, 0);
    side.session.feed(&changes[..1], through, now);
    world.poll(0, 0);
    assert!(matches!(world.side(0, 0).ended, Some(Err(SessionError::Store(_)))));
}

#[test]
fn no_patience_is_too_long() {
    let mut world = World::new(2, &[[0, 1]]);
    world.connect_patiently(0, Duration::MAX);
    world.settle();
    world.agree();
}
