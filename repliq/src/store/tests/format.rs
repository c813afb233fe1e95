use super::*;
use crate::store::key::push_ordered;
use std::fmt::Write;

const DOCUMENT: &str = include_str!("../../../docs/STORAGE.md");

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// The lines of hex in the document between the two marks of this name.
fn vectors(name: &str) -> Vec<(String, String)> {
    let begin = format!("<!-- {name} -->\n");
    let (_, rest) = DOCUMENT.split_once(&begin).expect("the mark is there");
    let (block, _) = rest.split_once("<!-- end -->").expect("the end is there");
    let lines = block.lines().filter(|line| !line.starts_with(['#', '`']) && !line.is_empty());
    lines
        .map(|line| {
            let (left, right) = line.split_once('=').expect("a line is `left = right`");
            (left.replace(' ', ""), right.replace(' ', ""))
        })
        .collect()
}

/// The store that the document writes out.
fn example() -> Map {
    let backend = Probe::of(Map::new());
    let mut store = Store::open(backend.clone(), own(), 0x0102, WALL).unwrap();
    let (space, document): (Arc<str>, Arc<str>) = ("default".into(), "notes".into());
    let mut ours = Pen::new(0xaa);
    let stamp = Hlc::from_millis(WALL);
    let change = ours.full(stamp, 2, &[], b"hi");
    let kind: Arc<str> = "text/1".into();
    let (place, named, typed) = (space.clone(), document.clone(), kind.clone());
    let chain = change.chain_after();
    let made = Submission::Local { space: place, document: named, kind: typed, change, chain };
    let theirs = Pen::new(0x01).full(stamp.plus(2), 1, &[(own(), 2)], b"yo");
    let ahead = Pen::new(0x02).full(Hlc::from_millis(Millis(WALL.0 + 2 * DAY)), 1, &[], b"!");
    let arrivals = [theirs, ahead].map(|change| Arrival {
        document: document.clone(),
        kind: kind.clone(),
        change,
    });
    let position = Position { epoch: Epoch(7), n: FeedNumber(300) };
    let remote = Submission::Remote(Remote {
        space: space.clone(),
        from: peer(),
        arrivals: arrivals.into(),
        cursor: Some(Cursor { peer: Bytes::from_static(b"relay"), position }),
        skew: Skew::Hold,
    });
    let version: Version = [(own(), 2)].into_iter().collect();
    let snapshot = Snapshot { version, unsaid: Version::new(), bytes: "state".into() };
    let snapshot = Submission::Snapshot { space: space.clone(), document, snapshot };
    let acked = Position { epoch: Epoch(0x0102), n: FeedNumber(1) };
    let lease = LeaseRecord { seen: WALL, acked };
    let lease = Submission::Lease { space, replica: peer(), lease };
    for outcome in store.commit(&[made, remote, snapshot, lease], WALL).unwrap() {
        let fine = match &outcome {
            Outcome::Local(verdict) => *verdict == applied(1),
            Outcome::Remote { verdicts, advanced } => {
                *advanced && *verdicts == [applied(2), Verdict::Held]
            }
            Outcome::Recorded(written) => written.is_ok(),
            Outcome::Released { .. } => false,
        };
        assert!(fine, "{outcome:?}");
    }
    backend.map()
}

#[test]
fn the_store_writes_what_the_document_says_byte_by_byte() {
    let written: Vec<_> = example().iter().map(|(key, value)| (hex(key), hex(value))).collect();
    let text = written.iter().fold(String::new(), |text, (k, v)| text + k + " = " + v + "\n");
    assert_eq!(written, vectors("example store"), "\n{text}");
}

#[test]
fn numbers_in_keys_are_written_as_the_document_says() {
    let vectors = vectors("ordered numbers");
    assert!(vectors.len() > 5);
    for (number, bytes) in vectors {
        let mut key = Vec::new();
        push_ordered(&mut key, number.parse().unwrap());
        assert_eq!(hex(&key), bytes, "{number}");
    }
}
