//! Peers that send what no honest device would: each gets a typed answer, and
//! everybody else goes on.

use crate::support::*;
use repliq::prelude::*;
use repliq::{
    Chain, Change, ChangeHeader, Dot, Error, FrameReceiver, FrameSender, Hlc, KeyId, Millis,
    ReadError, Refusal, RefusedChange, SyncError, Version,
};
use repliq_sync::{
    Config, DocumentName, DocumentSummary, Effect, Identified, OutgoingChange, Position, Role,
    Session, Summary, Verdict,
};
use std::time::Duration;

/// Pushes changes to a relay as their author, and gives what it refused.
async fn push(
    network: &MemoryTransport,
    url: &str,
    changes: &[OutgoingChange],
) -> Vec<RefusedChange> {
    let mut connection = network.connect(&url.parse().unwrap()).await.unwrap();
    let head = Position { epoch: 7, number: changes.len() as u64 };
    let config = Config {
        replica: ReplicaId::new(),
        space: "default".into(),
        role: Role::Initiator { cursor: None },
        volatile: true,
        patience: WATCHDOG,
    };
    let mut session = Session::new(config, head, Duration::ZERO);
    session.synced(1, head, Duration::ZERO);
    let mut refused = Vec::new();
    loop {
        let effects = session.poll(true, Duration::ZERO);
        if effects.is_empty() {
            let frame = within(connection.receiver.recv()).await.unwrap().unwrap();
            session.receive(&frame, head, Duration::ZERO);
        }
        for effect in effects {
            match effect {
                Effect::Send(frame) => connection.sender.send(frame).await.unwrap(),
                Effect::Identify { .. } => {
                    session.identified(Identified { head, ..Identified::default() });
                }
                Effect::ReadFeed { after, .. } => {
                    session.feed(&changes[after as usize..], head, Duration::ZERO);
                }
                Effect::Summarize => session.summarized(summary(changes), head),
                Effect::ReadDocument { .. } => {
                    session.document_changes(changes, true, Duration::ZERO);
                }
                Effect::Commit { arrivals, .. } => {
                    session.committed(Ok(vec![Verdict::Taken; arrivals.len()]));
                }
                Effect::Refused { changes, .. } => refused.extend(changes),
                Effect::Synced(_) => return refused,
                Effect::End(how) => panic!("{how:?}"),
                _ => {}
            }
        }
    }
}

/// Sums up the changes of one author.
fn summary(changes: &[OutgoingChange]) -> Summary {
    let last = changes.last().unwrap();
    let version = [(last.change.dot.replica, last.change.dot.seq + 1)].into_iter().collect();
    let chains = vec![last.change.chain_after()];
    Summary::new([DocumentSummary { name: last.document.name.clone(), version, chains }])
}

/// Changes of one author to one document, each right after the one before.
struct Author {
    replica: ReplicaId,
    document: DocumentName,
    seq: u64,
    chain: Chain,
    changes: Vec<OutgoingChange>,
}

impl Author {
    fn of(document: &str, kind: &str) -> Self {
        let document = DocumentName { name: document.into(), kind: kind.into() };
        let replica = ReplicaId::new();
        Self { replica, document, seq: 0, chain: Chain::START, changes: Vec::new() }
    }

    fn writes(mut self, payload: &[u8]) -> Self {
        self.add(payload, KeyId::PLAIN);
        self
    }

    fn add(&mut self, payload: &[u8], key: KeyId) {
        let hlc = Hlc::from_millis(Millis::now()).plus(self.seq);
        let header = ChangeHeader { slots: 1, hlc, chain: self.chain, deps: Version::new(), key };
        let dot = Dot { replica: self.replica, seq: self.seq };
        let change = Change::new(dot, &header, payload);
        self.seq += 1;
        self.chain = change.chain_after();
        let document = self.document.clone();
        self.changes.push(OutgoingChange { document, change, skip: false });
    }
}

fn set_op(key: &str, value: &str) -> Vec<u8> {
    repliq::encode(&MapOp::Set(key.to_owned(), value.to_owned()))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sealed_changes_are_passed_on_and_make_their_document_say_so() {
    let network = MemoryTransport::new();
    let (_relay, url) = relay(&network).await;
    let device = on(&Faulty::new(), &network).await;
    let (open, fine) = (notes(&device, "sealed").await, notes(&device, "fine").await);
    let link = device.sync(&url).await.unwrap();
    within(link.synced()).await.unwrap();

    let mut author = Author::of("sealed", "lww-map/1");
    author.add(b"nobody can read this", KeyId(3));
    let plain = Author::of("fine", "lww-map/1").writes(&set_op("a", "1"));
    assert!(push(&network, &url, &author.changes).await.is_empty());
    assert!(push(&network, &url, &plain.changes).await.is_empty());
    within(link.synced()).await.unwrap();
    match open.read(|_| ()) {
        Err(ReadError::Unusable(why)) => assert!(why.to_string().contains("key"), "{why}"),
        other => panic!("{other:?}"),
    }
    drop(open);
    let error = device.document::<Notes>("sealed").await.unwrap_err();
    assert!(matches!(error, Error::Sealed { key: 3, .. }), "{error:?}");
    assert_eq!(view(&fine), pairs(&[("a", "1")]));
    // A device that holds no key carries them to another relay all the same.
    let (_second, url_second) = relay(&network).await;
    let carried = device.sync(&url_second).await.unwrap();
    within(carried.synced()).await.unwrap();
    let other = on(&Faulty::new(), &network).await;
    let link = other.sync(&url_second).await.unwrap();
    within(link.synced()).await.unwrap();
    let error = other.document::<Notes>("sealed").await.unwrap_err();
    assert!(matches!(error, Error::Sealed { key: 3, .. }), "{error:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn payloads_that_no_type_understands_change_nothing_and_hold_up_nobody() {
    let network = MemoryTransport::new();
    let (_relay, url) = relay(&network).await;
    let backend = Faulty::new();
    let device = on(&backend, &network).await;
    let one = notes(&device, "one").await;
    let deep: Document<LwwMap<String, Deep>> = device.document("deep").await.unwrap();
    let picky: Document<Picky> = device.document("picky").await.unwrap();
    let mut events = one.subscribe();
    let link = device.sync(&url).await.unwrap();

    let nested = [set_op("a", ""), vec![1; 1_000_000]].concat();
    let author = Author::of("one", "lww-map/1")
        .writes(&set_op("before", "1"))
        .writes(b"")
        .writes(&[0xff; 40])
        .writes(&[set_op("half", "1"), vec![0xff]].concat())
        .writes(&[set_op("two ops", "1"), set_op("in one slot", "1")].concat())
        .writes(&set_op("after", "2"));
    let deeply = Author::of("deep", "lww-map/1").writes(&nested);
    let refused = Author::of("picky", "picky/1")
        .writes(&repliq::encode(&1_u64))
        .writes(&repliq::encode(&13_u64))
        .writes(&repliq::encode(&2_u64));
    for changes in [author.changes, deeply.changes, refused.changes] {
        assert!(push(&network, &url, &changes).await.is_empty(), "a relay reads no payloads");
    }
    within(link.synced()).await.unwrap();
    let expected = pairs(&[("before", "1"), ("after", "2")]);
    assert_eq!(view(&one), expected);
    assert_eq!(deep.read(|m| m.len()).unwrap(), 0);
    assert_eq!(picky.read(|p| p.0.clone()).unwrap(), [1, 2]);
    let mut shadow = View::new();
    while shadow != expected {
        patch(&mut shadow, within(events.next()).await.unwrap());
    }
    set(&one, "own", "3").await;
    within(link.synced()).await.unwrap();
    // A store that is opened again makes the same of them.
    drop((one, deep, picky, events));
    within(device.close()).await;
    let device = on(&backend, &network).await;
    assert_eq!(view(&notes(&device, "one").await).len(), 3);
    let picky: Document<Picky> = device.document("picky").await.unwrap();
    assert_eq!(picky.read(|p| p.0.clone()).unwrap(), [1, 2]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_on_which_a_type_panics_costs_its_document_and_no_other() {
    let network = MemoryTransport::new();
    let (_relay, url) = relay(&network).await;
    let device = on(&Faulty::new(), &network).await;
    let (one, picky) =
        (notes(&device, "one").await, device.document::<Picky>("picky").await.unwrap());
    let link = device.sync(&url).await.unwrap();
    let panics = Author::of("picky", "picky/1").writes(&repliq::encode(&666_u64));
    assert!(push(&network, &url, &panics.changes).await.is_empty());
    within(link.synced()).await.unwrap();
    assert!(matches!(picky.read(|_| ()), Err(ReadError::Unusable(_))));
    set(&one, "a", "1").await;
    within(link.synced()).await.unwrap();
    within(device.close()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_forged_under_the_id_of_a_device_is_refused_by_that_device() {
    let network = MemoryTransport::new();
    let (_relay, url) = relay(&network).await;
    let device = on(&Faulty::new(), &network).await;
    let one = notes(&device, "one").await;
    let mut forged = Author::of("one", "lww-map/1");
    forged.replica = device.id();
    let forged = forged.writes(&set_op("a", "forged"));
    assert!(push(&network, &url, &forged.changes).await.is_empty(), "the relay cannot know");
    let link = device.sync(&url).await.unwrap();
    match within(link.synced()).await {
        Err(SyncError::Refused { first, .. }) => assert_eq!(first.why, Refusal::Fork),
        other => panic!("{other:?}"),
    }
    assert!(view(&one).is_empty());
    let honest = Author::of("two", "lww-map/1").writes(&set_op("b", "2"));
    assert!(push(&network, &url, &honest.changes).await.is_empty());
    let _ = within(link.synced()).await;
    assert_eq!(view(&notes(&device, "two").await), pairs(&[("b", "2")]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn garbage_costs_its_connection_and_nothing_else() {
    let mut random = Random::new("garbage_costs_its_connection_and_nothing_else");
    let network = MemoryTransport::new();
    let (_relay, url) = relay(&network).await;
    let device = on(&Faulty::new(), &network).await;
    let one = notes(&device, "one").await;
    let link = device.sync(&url).await.unwrap();
    let honest = Author::of("two", "lww-map/1").writes(&set_op("b", "2"));
    let mut silent = Vec::new();
    for round in 0..60_u32 {
        let mut connection = network.connect(&url.parse().unwrap()).await.unwrap();
        if round % 10 == 0 {
            silent.push(connection);
            continue;
        }
        for _ in 0..1 + random.below(5) {
            let mut frame: Vec<u8> = (0..random.below(200)).map(|_| random.next() as u8).collect();
            if random.below(2) == 0 {
                frame.splice(0..0, *b"RPLQ\0\x01\0\x01");
            }
            if connection.sender.send(frame.into()).await.is_err() {
                break;
            }
        }
        set(&one, &round.to_string(), "x").await;
    }
    within(link.synced()).await.unwrap();
    assert!(push(&network, &url, &honest.changes).await.is_empty());
    within(link.synced()).await.unwrap();
    assert_eq!(view(&notes(&device, "two").await), pairs(&[("b", "2")]));
}

/// Design, section 4: a refused op leaves no trace, advances the version, is
/// reported, and holds up nobody.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ops_that_a_type_refuses_are_reported_and_hold_up_nobody() {
    let network = MemoryTransport::new();
    let (_relay, url) = relay(&network).await;
    let backend = Faulty::new();
    let device = on(&backend, &network).await;
    let one: Document<Picky> = device.document("one").await.unwrap();
    one.update(|m| m.push(1)).await.unwrap().unwrap();
    assert_eq!(one.refused().unwrap(), None);
    let op = |n: u64| repliq::encode(&n);
    let author = Author::of("one", "picky/1").writes(&op(2)).writes(&op(13)).writes(&op(3));
    let author = author.writes(&op(13)).writes(&op(4));
    assert!(push(&network, &url, &author.changes).await.is_empty());
    let link = device.sync(&url).await.unwrap();
    within(link.synced()).await.unwrap();
    let check = |document: &Document<Picky>| {
        let refused = document.refused().unwrap().unwrap();
        assert_eq!((refused.changes, refused.last.seq), (2, 3));
        assert_eq!(refused.last.replica, author.replica);
        assert!(refused.why.to_string().contains("thirteen"), "{}", refused.why);
        assert_eq!(document.read(|m| m.0.len()).unwrap(), 4);
        assert_eq!(document.version().unwrap().get(author.replica), 5);
        assert_eq!(document.unread().unwrap(), 0);
    };
    check(&one);
    drop((one, link));
    within(device.close()).await;
    check(&on(&backend, &network).await.document("one").await.unwrap());
}
