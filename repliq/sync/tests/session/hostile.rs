//! Whatever a peer sends ends in a typed error or does no harm.

use crate::store::{Store, name, replica};
use crate::world::{Fault, PATIENCE, World};
use bytes::Bytes;
use proptest::prelude::*;
use repliq_core::{Chain, Hlc, Version};
use repliq_sync::{
    Config, Effect, Entry, Farewell, Fingerprint, Hello, Identified, Message, Position, Prefix,
    RangeReply, Refusal, RefusedChange, Role, Session, SessionError, encode_frame, encode_hello,
};
use std::time::Duration;

/// A session that says a little of everything, between stores that hold some.
fn scene(fault: Option<(usize, usize, Fault)>, comparing: bool) -> World {
    let mut world = World::new(2, &[[0, 1]]);
    for store in [0, 1] {
        world.write(store, "shared", &[store.to_le_bytes()[0]; 3]);
    }
    world.connect(0);
    world.agree();
    world.disconnect(0);
    for store in [0, 1] {
        if comparing {
            world.stores[store].durable.cursors.clear();
        }
        world.write(store, "offline", &[store.to_le_bytes()[0]; 3]);
    }
    world.connect(0);
    world.ask(0, 0, 1);
    world.fault = fault;
    world.settle();
    if world.links[0].connection.is_some() {
        world.write(0, "live", b"x");
        world.settle();
    }
    world
}

/// What a store wrote before the session is there still, and nothing twice.
fn assert_unharmed(world: &World, whole: &World) {
    for (store, was) in world.stores.iter().zip(&whole.stores) {
        let contents = store.contents();
        for entry in &was.durable.feed {
            let (name, dot) = (&entry.document.name, entry.change.dot);
            if dot.replica == was.replica && &**name != "live" {
                let key = (name.clone(), dot.replica, dot.seq);
                assert_eq!(contents[&key], entry.change.body.to_vec());
            }
        }
    }
}

fn every_damage(damages: impl Fn(usize) -> Vec<Fault>) {
    for comparing in [false, true] {
        let mut whole = scene(None, comparing);
        let lengths = [0, 1].map(|end| whole.side(0, end).tap.lengths.clone());
        for (end, lengths) in lengths.into_iter().enumerate() {
            for (frame, length) in lengths.into_iter().enumerate() {
                for damage in damages(length) {
                    let mut world = scene(Some((end, frame, damage)), comparing);
                    assert_unharmed(&world, &whole);
                    // Nobody hangs: each side ends, or waits for nothing.
                    for _ in 0..20 {
                        if world.links[0].connection.is_none() || !world.wait() {
                            break;
                        }
                        world.settle();
                    }
                    if let Some(sides) = &world.links[0].connection {
                        assert!(sides.iter().all(|side| side.session.deadline().is_none()));
                    }
                }
            }
        }
    }
}

#[test]
fn changing_any_one_byte_of_a_session_ends_in_a_typed_error_or_does_no_harm() {
    every_damage(|length| {
        (0..length).flat_map(|at| [0x01, 0x80, 0xff].map(|by| Fault::Flip(at, by))).collect()
    });
}

#[test]
fn cutting_any_frame_anywhere_ends_in_a_typed_error_or_does_no_harm() {
    every_damage(|length| (0..length).map(Fault::Cut).collect());
}

/// An honest session and its store, and a peer that says what it likes.
struct Victim {
    session: Session,
    store: Store,
    committing: bool,
    next: u64,
    now: Duration,
    ended: Option<Result<(), SessionError>>,
    sent: usize,
}

impl Victim {
    /// After the hellos. With a cursor the victim feeds, without it compares.
    fn new(claim: Option<u64>) -> Self {
        let mut store = Store::new(1, 5);
        for number in 0..100 {
            store.write(&format!("document {number}"), b"x");
        }
        let config = Config {
            replica: store.replica,
            space: String::new(),
            role: Role::Acceptor,
            volatile: false,
            patience: PATIENCE,
        };
        let session = Session::new(config, Position::default(), Duration::ZERO);
        let now = Duration::ZERO;
        let mut victim =
            Self { session, store, committing: true, next: 1, now, ended: None, sent: 0 };
        let head = Position { epoch: 99, number: 1000 };
        let cursor = claim.map(|number| Position { number, ..victim.store.head() });
        let space = "default".into();
        let (max_frame, extensions) = (256 << 10, vec![]);
        let hello = Hello { replica: replica(2), space, head, cursor, max_frame, extensions };
        victim.take(&encode_hello(&hello));
        assert_eq!(victim.ended, None);
        victim
    }

    fn say(&mut self, message: &Message<'_>) {
        let frame = encode_frame(self.next, message);
        self.next += 1;
        self.take(&frame);
    }

    fn take(&mut self, frame: &Bytes) {
        let head = self.store.head();
        self.session.receive(frame, head, self.now);
        loop {
            let effects = self.session.poll(true, self.now);
            if effects.is_empty() {
                return;
            }
            for effect in effects {
                self.work(effect);
            }
        }
    }

    fn work(&mut self, effect: Effect) {
        assert!(self.ended.is_none());
        let (store, peer) = (&mut self.store, replica(2));
        match effect {
            Effect::Send(frame) => self.sent += frame.len(),
            Effect::Identify { claim, .. } => self.session.identified(Identified {
                head: store.head(),
                cursor: None,
                claim_valid: claim.is_some_and(|claim| store.is_place(claim)),
            }),
            Effect::ReadFeed { after, max_bytes } => {
                let (changes, through) = store.read_feed(after, max_bytes, peer, 1);
                self.session.feed(&changes, through, self.now);
            }
            Effect::Summarize => self.session.summarized(store.summary(), store.head()),
            Effect::ReadDocument { document, after, .. } => {
                let held = after.unwrap();
                let (changes, _, done) = store.read_document(&document, &held, 0, usize::MAX);
                self.session.document_changes(&changes, done, self.now);
            }
            Effect::Commit { arrivals, cursor } if self.committing => {
                let verdicts = store.commit(&arrivals, cursor, peer, 1);
                self.session.committed(Ok(verdicts));
            }
            Effect::SaveCursor(cursor) => drop(store.durable.cursors.insert(peer, cursor)),
            Effect::End(how) => self.ended = Some(how),
            _ => {}
        }
    }

    #[track_caller]
    fn assert_refused(&self, why: &'static str) {
        assert_eq!(self.ended, Some(Err(SessionError::Malformed(why))));
    }
}

fn advance(advance: u64) -> Message<'static> {
    Message::Changes { documents: vec![], replicas: vec![], advance, entries: vec![] }
}

#[test]
fn claiming_versions_that_one_has_not_harms_only_oneself() {
    let mut victim = Victim::new(None);
    let claimed: Version = (0..5000).map(|n| (replica(n), u64::MAX)).collect();
    let documents =
        (0..64).map(|n| (format!("document {n}"), claimed.clone(), vec![Chain::START])).collect();
    let reply = RangeReply::Documents(documents);
    let whole = repliq_core::encode(&Message::Compared(vec![reply]));
    let mut parts = whole.chunks(100_000).peekable();
    while let Some(bytes) = parts.next() {
        victim.say(&Message::Fragment { last: parts.peek().is_none(), bytes });
    }
    assert_eq!(victim.ended, None);
    assert!(victim.sent > 1000, "the 36 others are sent");
}

#[test]
fn claiming_a_place_that_is_not_in_the_feed_leads_to_a_comparison() {
    let victim = Victim::new(Some(u64::MAX));
    assert_eq!(victim.ended, None);
    assert!(victim.sent < 200, "{}", victim.sent);
}

#[test]
fn advancing_beyond_all_numbers_is_refused_and_far_ahead_is_healed_by_comparing() {
    let mut victim = Victim::new(Some(0));
    victim.say(&Message::Start(Position { epoch: 99, number: 5 }));
    victim.say(&advance(u64::MAX));
    victim.assert_refused("a feed number over its limit");
    let mut victim = Victim::new(Some(0));
    victim.say(&advance(1));
    victim.assert_refused("a feed that never started");
    let mut world = World::new(2, &[[0, 1]]);
    world.write(0, "a", b"x");
    world.write(1, "b", b"x");
    let far = Position { epoch: 99, number: u64::MAX };
    let peer = world.stores[1].replica;
    world.stores[0].durable.cursors.insert(peer, far);
    world.connect(0);
    world.agree();
}

#[test]
fn replies_to_what_was_not_asked_are_refused() {
    let mut victim = Victim::new(Some(0));
    victim.say(&Message::Compared(vec![RangeReply::Same]));
    victim.assert_refused("replies to what was not asked");
    for replies in [vec![], vec![RangeReply::Same, RangeReply::Same]] {
        let mut victim = Victim::new(None);
        victim.say(&Message::Compared(replies));
        victim.assert_refused("replies to what was not asked");
    }
}

#[test]
fn later_forever_is_refused() {
    let mut victim = Victim::new(None);
    victim.say(&Message::Compared(vec![RangeReply::Later]));
    victim.assert_refused("replies to what was not asked");
}

#[test]
fn answering_with_parts_forever_comes_to_an_end() {
    let mut victim = Victim::new(None);
    let parts = RangeReply::Parts((0..=255).map(|byte| (byte, Fingerprint([1; 16]))).collect());
    // The victim goes down its own tree, and no further than its keys are long.
    let mut asked = 1;
    let mut rounds = 0;
    while victim.ended.is_none() && rounds < 10_000 {
        victim.say(&Message::Compared(vec![parts.clone(); asked]));
        rounds += 1;
        // 100 documents: after the first level there are at most 100 ranges.
        asked = match &victim.ended {
            None => victim_asks(&victim.store, rounds),
            Some(_) => break,
        };
    }
    assert!(rounds <= 17, "{rounds}");
    assert!(matches!(victim.ended, Some(Err(SessionError::Malformed(_)))));
}

/// How many ranges a store is asked about at this depth when all differ.
fn victim_asks(store: &Store, depth: usize) -> usize {
    let key = |name: &str| blake3::hash(name.as_bytes()).as_bytes()[..depth].to_vec();
    let keys: std::collections::BTreeSet<_> = store.versions().keys().map(|n| key(n)).collect();
    keys.len()
}

#[test]
fn floods_of_questions_are_refused_or_answered_one_by_one() {
    // While the victim compares it owes replies to probes: not to any number.
    let mut victim = Victim::new(None);
    for token in 0..65 {
        victim.say(&Message::Probe(token));
    }
    victim.assert_refused("too many open probes");
    // Two questions at once never happen.
    let mut victim = Victim::new(None);
    let question = || Message::Compare(vec![(Prefix(vec![]), Fingerprint::default())]);
    for _ in 0..100 {
        let before = victim.sent;
        victim.say(&question());
        assert_eq!(victim.ended, None);
        assert!(victim.sent - before < 6000, "{}", victim.sent - before);
    }
    victim.say(&Message::Start(Position::default()));
    victim.say(&question());
    victim.assert_refused("a question after the feed started");
    for ranges in [
        vec![(Prefix(vec![]), Fingerprint::default()); 257],
        vec![(Prefix(vec![0; 17]), Fingerprint::default())],
    ] {
        let mut victim = Victim::new(None);
        victim.say(&Message::Compare(ranges));
        victim.assert_refused("a message that does not decode");
    }
}

#[test]
fn endless_and_nested_and_empty_and_interrupted_fragments_are_refused() {
    let mut victim = Victim::new(Some(0));
    let bytes = vec![0; 200_000];
    let mut said = 0;
    while victim.ended.is_none() {
        victim.say(&Message::Fragment { last: false, bytes: &bytes });
        said += bytes.len();
        assert!(said <= (18 << 20), "{said}");
    }
    victim.assert_refused("a message over its limit");
    let mut victim = Victim::new(Some(0));
    let inner = repliq_core::encode(&Message::Fragment { last: true, bytes: b"x" });
    victim.say(&Message::Fragment { last: true, bytes: &inner });
    victim.assert_refused("a fragment in fragments");
    let mut victim = Victim::new(Some(0));
    victim.say(&Message::Fragment { last: false, bytes: b"" });
    victim.assert_refused("an empty fragment");
    let mut victim = Victim::new(Some(0));
    victim.say(&Message::Fragment { last: false, bytes: b"x" });
    victim.say(&Message::Probe(1));
    victim.assert_refused("a message between fragments");
}

#[test]
fn tables_do_not_overflow_by_number_or_by_size() {
    let long = "n".repeat(50_000);
    for (text, most) in [("n", 10_000), (&*long, 200)] {
        let mut victim = Victim::new(Some(0));
        let mut named = 0;
        while victim.ended.is_none() {
            let documents = vec![(text, "kind"); 4];
            let (replicas, entries) = (vec![], vec![]);
            victim.say(&Message::Changes { documents, replicas, advance: 0, entries });
            named += 4;
            assert!(named < most, "{named}");
        }
        victim.assert_refused("more names than the tables hold");
    }
}

#[test]
fn a_start_in_the_middle_may_not_go_back() {
    let mut victim = Victim::new(Some(0));
    victim.say(&Message::Start(Position { epoch: 99, number: 5 }));
    victim.say(&advance(5));
    victim.say(&Message::Start(Position { epoch: 98, number: 10 }));
    assert_eq!(victim.ended, None);
    victim.say(&Message::Start(Position { epoch: 97, number: 9 }));
    victim.assert_refused("a feed that goes back");
}

#[test]
fn an_ack_for_what_was_never_sent_is_refused() {
    let mut victim = Victim::new(Some(0));
    victim.say(&Message::Ack { frame: 1_000_000, volatile: false });
    victim.assert_refused("an ack for a frame never sent");
}

#[test]
fn acks_that_acknowledge_nothing_do_not_keep_a_session_alive() {
    let mut victim = Victim::new(Some(0));
    while victim.ended.is_none() {
        victim.now += PATIENCE / 4;
        victim.say(&Message::Ack { frame: 0, volatile: false });
        assert!(victim.now <= PATIENCE * 2);
    }
    assert!(matches!(victim.ended, Some(Err(SessionError::Stalled(_)))));
}

#[test]
fn more_than_a_window_that_our_store_cannot_take_yet_is_refused() {
    let mut victim = Victim::new(Some(0));
    victim.committing = false;
    let mut peer = Store::new(2, 99);
    let mut said = 0;
    while victim.ended.is_none() {
        let change = peer.write("flood", &[0; 200_000]);
        let first = change.dot.seq == 0;
        let entry = match first {
            true => Entry::Any { document: 0, replica: 0, seq: 0, body: &change.body },
            false => Entry::Next(&change.body),
        };
        victim.say(&Message::Changes {
            documents: if first { vec![("flood", "kind")] } else { vec![] },
            replicas: if first { vec![change.dot.replica] } else { vec![] },
            advance: 0,
            entries: vec![entry],
        });
        said += change.body.len();
        assert!(said < 24 << 20, "{said}");
    }
    victim.assert_refused("more changes under way than the window allows");
}

#[test]
fn a_hello_with_too_much_in_it_and_a_frame_too_large_are_refused() {
    let hello = Hello {
        replica: replica(2),
        space: "default".into(),
        head: Position::default(),
        cursor: None,
        max_frame: 256 << 10,
        extensions: vec![(0, vec![]); 65],
    };
    let config = Config {
        replica: replica(1),
        space: String::new(),
        role: Role::Acceptor,
        volatile: false,
        patience: PATIENCE,
    };
    let frames = [encode_hello(&hello), vec![0; (256 << 10) + 1].into(), Bytes::new()];
    for frame in frames {
        let mut session = Session::new(config.clone(), Position::default(), Duration::ZERO);
        session.receive(&frame, Position::default(), Duration::ZERO);
        let effects = session.poll(true, Duration::ZERO);
        assert!(matches!(&effects[..], [Effect::End(Err(_))]), "{effects:?}");
    }
}

fn places() -> impl Strategy<Value = Position> {
    (0_u64..3, prop_oneof![0_u64..5, Just(u64::MAX)])
        .prop_map(|(epoch, number)| Position { epoch, number })
}

fn replies() -> impl Strategy<Value = RangeReply> {
    let version = || {
        prop::collection::vec((0_u64..3, any::<u64>()), 0..3).prop_map(|entries| {
            entries.into_iter().map(|(id, count)| (replica(id), count)).collect::<Version>()
        })
    };
    let listed = (0..120_u8, version(), 0..3_usize).prop_map(|(number, version, chains)| {
        (format!("document {number}"), version, vec![Chain::START; chains])
    });
    let part = (any::<u8>(), any::<[u8; 16]>()).prop_map(|(byte, sum)| (byte, Fingerprint(sum)));
    prop_oneof![
        Just(RangeReply::Same),
        Just(RangeReply::Later),
        prop::collection::vec(listed, 0..5).prop_map(RangeReply::Documents),
        prop::collection::vec(part, 0..5).prop_map(RangeReply::Parts),
    ]
}

/// A message's encoding: of anything that can be said, with places that exist
/// and places that do not.
fn messages() -> impl Strategy<Value = Vec<u8>> {
    let encoded = |message: &Message<'_>| repliq_core::encode(message);
    let change = (0_u32..3, 0_u32..3, 0_u64..3, 0_u64..4, any::<bool>(), any::<bool>());
    let changes = change.prop_map(move |(document, by, seq, moved, named, valid)| {
        let mut author = Store::new(7, 1);
        let mut body = Bytes::from_static(b"not a change");
        if valid {
            for _ in 0..=seq {
                body = author.write_as(&name("d"), b"x", 1, Hlc(1)).body;
            }
        }
        encoded(&Message::Changes {
            documents: if named { vec![("d", "lww-map/1"), ("e", "k")] } else { vec![] },
            replicas: if named { vec![replica(7), replica(8)] } else { vec![] },
            advance: if moved == 3 { u64::MAX } else { moved },
            entries: match seq {
                0 => vec![Entry::Any { document, replica: by, seq, body: &body }],
                1 => vec![Entry::Next(&body)],
                _ => vec![Entry::At(seq, &body)],
            },
        })
    });
    let range = (prop::collection::vec(any::<u8>(), 0..4), any::<[u8; 16]>());
    let range = range.prop_map(|(prefix, sum)| (Prefix(prefix), Fingerprint(sum)));
    let refused = RefusedChange {
        document: "d".into(),
        dot: repliq_core::Dot::default(),
        why: Refusal::Fork,
    };
    prop_oneof![
        4 => changes,
        1 => (0_u64..9).prop_map(move |frame| encoded(&Message::Ack { frame, volatile: false })),
        2 => places().prop_map(move |place| encoded(&Message::Start(place))),
        1 => Just(encoded(&Message::Forget)),
        1 => Just(encoded(&Message::Refuse(vec![refused]))),
        1 => any::<u64>().prop_map(move |token| encoded(&Message::Probe(token))),
        1 => (0_u64..3).prop_map(move |token| encoded(&Message::Reply(token))),
        2 => prop::collection::vec(range, 0..4).prop_map(move |r| encoded(&Message::Compare(r))),
        2 => prop::collection::vec(replies(), 0..3)
            .prop_map(move |replies| encoded(&Message::Compared(replies))),
        1 => (any::<bool>(), prop::collection::vec(any::<u8>(), 0..9))
            .prop_map(move |(last, bytes)| encoded(&Message::Fragment { last, bytes: &bytes })),
        1 => Just(encoded(&Message::Goodbye(Farewell::Busy))),
        2 => prop::collection::vec(any::<u8>(), 0..40),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn any_messages_in_any_order_end_in_a_typed_error_or_do_no_harm(
        claim in prop::option::of(prop_oneof![0_u64..120, Just(u64::MAX)]),
        said in prop::collection::vec(messages(), 0..25),
    ) {
        let mut victim = Victim::new(claim);
        let before = victim.store.contents();
        for message in said {
            let mut frame = repliq_core::encode(&victim.next);
            victim.next += 1;
            frame.extend(message);
            victim.take(&frame.into());
            if victim.ended.is_some() {
                break;
            }
        }
        let after = victim.store.contents();
        prop_assert!(before.iter().all(|(key, body)| after.get(key) == Some(body)));
        prop_assert!(victim.sent < 1 << 20, "{}", victim.sent);
    }

    #[test]
    fn garbage_is_a_typed_error(frame in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = repliq_sync::decode_frame(&frame);
        let _ = repliq_sync::decode_hello(&frame);
        let hello = [&b"RPLQ\0\x01\0\x01"[..], &frame].concat();
        let _ = repliq_sync::decode_hello(&hello);
    }
}
