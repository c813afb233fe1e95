use super::*;
use std::sync::atomic::Ordering::Relaxed;

fn long(changes: usize, payload: &[u8]) -> (Arc<Probe>, Store) {
    let backend = Probe::of(Map::new());
    let mut store = open(&backend);
    let mut pen = Pen::new(0xaa);
    for _ in 0..changes / 500 {
        let batch: Vec<_> = (0..500).map(|_| local("d", pen.write(payload))).collect();
        store.commit(&batch, WALL).unwrap();
    }
    (backend, store)
}

#[test]
fn a_page_of_a_long_feed_reads_only_that_page() {
    let (backend, store) = long(20_000, b"x");
    let (reader, num) = (store.reader(), space(&store));
    for after in [0, 1, 250, 10_000] {
        backend.touched();
        let page = reader.feed(num, FeedNumber(after), 1 << 20, 7).unwrap();
        let numbers: Vec<u64> = page.iter().map(|entry| entry.n.0).collect();
        assert_eq!(numbers, (after + 1..=after + 7).collect::<Vec<_>>());
        let touched = backend.touched();
        assert!((7 + 7..=7 + 7 + 1).contains(&touched), "after {after}: {touched}");
    }
    backend.touched();
    assert_eq!(reader.feed(num, FeedNumber(19_990), 1 << 20, 100).unwrap().len(), 10);
    assert_eq!(reader.feed(num, FeedNumber(20_000), 1 << 20, 100).unwrap().len(), 0);
    assert_eq!(reader.feed(num, FeedNumber(u64::MAX), 1 << 20, 100).unwrap().len(), 0);
    assert_eq!(backend.touched(), 0, "the end of a feed is in memory");
}

#[test]
fn memory_and_backend_give_the_same_feed() {
    let (backend, mut store) = long(1_500, &[7; 900]);
    for byte in 1..9 {
        bring(&mut store, Skew::Refuse, &[Pen::new(byte).write(b"theirs")]);
    }
    let reopened = open_as(&backend, 2);
    assert_eq!(all_feed(&store), all_feed(&reopened));
    assert_eq!(all_feed(&store).len(), 1_508);
    let last = all_feed(&reopened).pop().unwrap();
    assert_eq!((last.origin, &*last.document.name), (Some(peer()), "d"));
    for after in (0..1_508).step_by(13) {
        let page =
            |store: &Store| store.reader().feed(space(store), FeedNumber(after), 3_000, 5).unwrap();
        assert_eq!(page(&store), page(&reopened), "after {after}");
    }
}

#[test]
fn a_page_keeps_its_limits_and_a_large_change_comes_alone() {
    let backend = Probe::of(Map::new());
    let mut store = open(&backend);
    let mut pen = Pen::new(0xaa);
    let sizes = [10, 3_000, 10, 10, 2 << 20, 10];
    for size in sizes {
        store.commit(&[local("d", pen.write(&vec![1; size]))], WALL).unwrap();
    }
    let reopened = open_as(&backend, 2);
    for store in [&store, &reopened] {
        let mut after = FeedNumber(0);
        let mut pages = Vec::new();
        loop {
            let page = store.reader().feed(space(store), after, 200, 10).unwrap();
            let Some(last) = page.last() else { break };
            after = last.n;
            pages.push(page.len());
        }
        assert_eq!(pages, [1, 1, 2, 1, 1]);
        assert!(store.reader().feed(space(store), FeedNumber(0), 200, 0).unwrap().is_empty());
    }
}

#[test]
fn a_position_is_valid_in_the_run_that_gave_it_out() {
    let backend = Probe::of(Map::new());
    let mut pen = Pen::new(0xaa);
    for run in 1..=70 {
        let mut store = open_as(&backend, run);
        store.commit(&[local("d", pen.write(b"x")), local("d", pen.write(b"y"))], WALL).unwrap();
        let head = store.reader().head(space(&store));
        assert_eq!(head, Position { epoch: Epoch(run), n: FeedNumber(run * 2) });
    }
    let store = open_as(&backend, 71);
    let (reader, num) = (store.reader(), space(&store));
    let valid = |epoch, n| reader.is_valid(num, Position { epoch: Epoch(epoch), n: FeedNumber(n) });
    assert!(valid(70, 140) && valid(70, 139) && valid(69, 138) && valid(7, 13));
    assert!(!valid(71, 140) && !valid(69, 139) && !valid(70, 141) && !valid(70, u64::MAX));
    assert!(!valid(6, 12), "older than 64 runs");
    assert!(valid(12345, 0), "the beginning is known to everybody");
    assert_eq!(reader.head(num).epoch, Epoch(70), "a run that wrote nothing leaves no epoch");
}

#[test]
fn an_older_copy_that_grows_again_refuses_the_positions_it_never_gave_out() {
    let backend = Probe::of(Map::new());
    let mut store = open_as(&backend, 1);
    let mut pen = Pen::new(0xaa);
    for _ in 0..3 {
        store.commit(&[local("d", pen.write(b"x"))], WALL).unwrap();
    }
    let backup = backend.map();
    let mut pen_of_copy = pen.clone();
    let shared = store.reader().head(space(&store));
    store.commit(&[local("d", pen.write(b"lost"))], WALL).unwrap();
    let lost = store.reader().head(space(&store));

    let mut copy = open_as(&Probe::of(backup), 2);
    let num = space(&copy);
    assert!(copy.reader().is_valid(num, shared) && !copy.reader().is_valid(num, lost));
    for _ in 0..2 {
        copy.commit(&[local("d", pen_of_copy.write(b"other"))], WALL).unwrap();
        assert!(copy.reader().is_valid(num, shared));
        assert!(!copy.reader().is_valid(num, lost), "the same number, another run");
    }
}

#[test]
fn live_fan_out_does_not_read_the_backend() {
    let backend = Probe::of(Map::new());
    let mut store = open(&backend);
    let mut pen = Pen::new(0xaa);
    store.commit(&[local("d", pen.write(b"x"))], WALL).unwrap();
    backend.touched();
    for n in 1..100 {
        store.commit(&[local("d", pen.write(b"x"))], WALL).unwrap();
        assert_eq!(store.reader().feed(SpaceNum(0), FeedNumber(n), 100, 10).unwrap().len(), 1);
    }
    assert_eq!(backend.touched(), 0);
    assert_eq!(backend.gets.load(Relaxed), 0);
}
