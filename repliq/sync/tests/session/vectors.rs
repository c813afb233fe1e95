//! PROTOCOL.md says what is on the wire, in bytes; here the code is held to it.

use crate::store::replica;
use repliq_core::{Chain, Change, ChangeHeader, Dot, Hlc, KeyId, Millis, Version};
use repliq_sync::{
    Entry, Farewell, Fingerprint, Frame, Hello, Message, Position, Prefix, RangeReply, Refusal,
    RefusedChange, decode_frame, decode_hello, encode_frame, encode_hello,
};
use std::collections::BTreeMap;

const PROTOCOL: &str = include_str!("../../../docs/PROTOCOL.md");

/// The vectors of the document: fenced blocks whose first line is `vector` and
/// a name; `#` starts a comment.
fn documented() -> BTreeMap<String, Vec<u8>> {
    let mut vectors = BTreeMap::new();
    for block in PROTOCOL.split("```text\nvector ").skip(1) {
        let block = block.split("```").next().unwrap();
        let (name, lines) = block.split_once('\n').unwrap();
        let hex: String = lines
            .lines()
            .flat_map(|line| line.split('#').next().unwrap().split_whitespace())
            .collect();
        let digit = |at: usize| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
        let bytes = (0..hex.len()).step_by(2).map(digit).collect();
        assert!(vectors.insert(name.trim().to_owned(), bytes).is_none(), "{name} is there twice");
    }
    vectors
}

fn version(entries: &[(u64, u64)]) -> Version {
    entries.iter().map(|(id, count)| (replica(*id), *count)).collect()
}

fn header(deps: Version, key: KeyId) -> ChangeHeader {
    let hlc = Hlc::from_millis(Millis(1_700_000_000_000)).plus(5);
    ChangeHeader { slots: 3, hlc, chain: Chain([0xc4; 8]), deps, key }
}

fn messages() -> Vec<(&'static str, u64, Message<'static>)> {
    let place = Position { epoch: 0x0102_0304_0506_0708, number: 300 };
    let refused = |why| RefusedChange {
        document: "notes".into(),
        dot: Dot { replica: replica(1), seq: 300 },
        why,
    };
    vec![
        (
            "changes",
            1,
            Message::Changes {
                documents: vec![("notes", "lww-map/1")],
                replicas: vec![replica(1)],
                advance: 4,
                entries: vec![
                    Entry::Any { document: 0, replica: 0, seq: 300, body: &[0xb0, 0xb1] },
                    Entry::Next(&[0xb2]),
                    Entry::At(310, &[0xb3]),
                ],
            },
        ),
        (
            "advance only",
            200,
            Message::Changes { documents: vec![], replicas: vec![], advance: 64, entries: vec![] },
        ),
        ("ack", 2, Message::Ack { frame: 300, volatile: true }),
        ("start", 1, Message::Start(place)),
        ("forget", 3, Message::Forget),
        (
            "refuse",
            4,
            Message::Refuse(vec![
                refused(Refusal::FutureStamp { now: Millis(1_700_000_000_000) }),
                refused(Refusal::WrongKind { held: "counter/1".into() }),
                refused(Refusal::Fork),
                refused(Refusal::Gap { expected: 300 }),
                refused(Refusal::MissingDependency),
                refused(Refusal::HeldFull),
                refused(Refusal::Limit("name".into())),
                refused(Refusal::Malformed),
            ]),
        ),
        ("probe", 5, Message::Probe(1)),
        ("reply", 6, Message::Reply(1)),
        (
            "compare",
            7,
            Message::Compare(vec![
                (Prefix(vec![]), Fingerprint([0xf0; 16])),
                (Prefix(vec![0xab, 0xcd]), Fingerprint([0xf1; 16])),
            ]),
        ),
        (
            "compared",
            8,
            Message::Compared(vec![
                RangeReply::Same,
                RangeReply::Documents(vec![(
                    "notes".into(),
                    version(&[(1, 300)]),
                    vec![Chain([0xc4; 8])],
                )]),
                RangeReply::Parts(vec![(0xab, Fingerprint([0xf2; 16]))]),
                RangeReply::Later,
            ]),
        ),
        ("fragment", 9, Message::Fragment { last: false, bytes: &[0xaa, 0xbb, 0xcc] }),
        ("goodbye", 10, Message::Goodbye(Farewell::Space)),
    ]
}

fn hellos() -> Vec<(&'static str, Hello)> {
    let position = |number| Position { epoch: 0x0102_0304_0506_0708, number };
    vec![
        (
            "hello",
            Hello {
                replica: replica(1),
                space: "default".into(),
                head: position(300),
                cursor: Some(position(5)),
                max_frame: 256 << 10,
                extensions: vec![],
            },
        ),
        (
            "first hello",
            Hello {
                replica: replica(2),
                space: "team".into(),
                head: Position::default(),
                cursor: None,
                max_frame: 1024,
                extensions: vec![],
            },
        ),
    ]
}

fn changes() -> Vec<(&'static str, Change)> {
    let dot = Dot { replica: replica(1), seq: 300 };
    vec![
        ("change", Change::new(dot, &header(version(&[(2, 7)]), KeyId::PLAIN), b"ops")),
        ("sealed change", Change::new(dot, &header(Version::new(), KeyId(300)), b"sealed")),
    ]
}

fn encoded() -> BTreeMap<String, Vec<u8>> {
    let mut vectors = BTreeMap::new();
    for (name, hello) in hellos() {
        vectors.insert(name.to_owned(), encode_hello(&hello).to_vec());
    }
    for (name, number, message) in messages() {
        vectors.insert(name.to_owned(), encode_frame(number, &message).to_vec());
    }
    for (name, change) in changes() {
        vectors.insert(name.to_owned(), change.body.to_vec());
        vectors.insert(format!("{name}: chain after it"), change.chain_after().0.to_vec());
    }
    vectors
}

#[test]
fn the_code_writes_what_the_document_says_and_the_document_leaves_nothing_out() {
    let (documented, encoded) = (documented(), encoded());
    for (name, bytes) in &encoded {
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(documented.get(name), Some(bytes), "vector {name}\n{hex}");
    }
    assert_eq!(documented.len(), encoded.len(), "a vector nobody checks");
}

#[test]
fn the_code_reads_what_the_document_says() {
    let documented = documented();
    for (name, hello) in hellos() {
        assert_eq!(decode_hello(&documented[name]), Ok(hello), "{name}");
    }
    for (name, number, message) in messages() {
        assert_eq!(decode_frame(&documented[name]), Ok(Frame { number, message }), "{name}");
    }
    for (name, change) in changes() {
        let read = Change { dot: change.dot, body: documented[name].clone().into() };
        assert_eq!(read.open().unwrap(), change.open().unwrap(), "{name}");
        assert_eq!(read.chain_after().0.to_vec(), documented[&format!("{name}: chain after it")]);
    }
}

#[test]
fn the_limits_of_the_document_are_those_of_the_code() {
    for limit in [
        format!("| largest frame | {} bytes", 256 << 10),
        format!("| largest message, fragments put together | {} bytes", (16 << 20) + (1 << 20)),
        format!("| largest change body | {} bytes", repliq_core::MAX_CHANGE_BYTES),
    ] {
        assert!(PROTOCOL.contains(&limit), "{limit}");
    }
    assert_eq!(repliq_sync::MAX_MESSAGE_BYTES, (16 << 20) + (1 << 20));
}
