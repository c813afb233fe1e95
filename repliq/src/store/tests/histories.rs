use super::*;
use crate::store::cache::Cache;
use crate::store::causal::Ready;
use crate::store::heads::Appetite;
use proptest::prelude::*;
use std::collections::BTreeMap;

/// What happens on one of several devices that share a document.
#[derive(Clone, Copy, Debug)]
enum Step {
    Write { device: usize, slots: u64 },
    Learn { device: usize, from: usize },
}

const DEVICES: usize = 5;

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let device = 0..DEVICES;
    prop::collection::vec(
        prop_oneof![
            3 => (device.clone(), 1_u64..4).prop_map(|(device, slots)| Step::Write { device, slots }),
            2 => (device.clone(), device).prop_map(|(device, from)| Step::Learn { device, from }),
        ],
        0..80,
    )
}

/// The changes in an order that respects their causes.
fn history(steps: &[Step]) -> Vec<Change> {
    let mut pens: Vec<Pen> = (0..DEVICES).map(|i| Pen::new(1 + u8::try_from(i).unwrap())).collect();
    let mut seen = vec![Version::new(); DEVICES];
    let mut said = vec![Version::new(); DEVICES];
    let mut changes = Vec::new();
    for step in steps {
        match *step {
            Step::Write { device, slots } => {
                let advanced = seen[device].iter().filter(|(replica, count)| {
                    *replica != pens[device].replica && said[device].get(*replica) < *count
                });
                let deps: Vec<_> = advanced.collect();
                changes.push(pens[device].full(Hlc::from_millis(WALL), slots, &deps, b"x"));
                seen[device].advance(pens[device].replica, pens[device].next);
                said[device] = seen[device].clone();
            }
            Step::Learn { device, from } => {
                let other = seen[from].clone();
                seen[device].join(&other);
            }
        }
    }
    changes
}

fn end(change: &Change) -> u64 {
    change.dot.seq + change.open().unwrap().0.slots
}

fn check_order(changes: &[Change], after: &Version) {
    let mut held = after.clone();
    for change in changes {
        let (header, _) = change.open().unwrap();
        assert!(held.covers(&header.deps), "{:?} came before its causes", change.dot);
        assert_eq!(change.dot.seq, held.get(change.replica()));
        held.advance(change.replica(), end(change));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn what_somebody_lacks_comes_whole_and_in_causal_order(
        steps in steps(),
        knows in prop::collection::vec(any::<prop::sample::Index>(), DEVICES),
        chunk in 1_usize..400,
    ) {
        let changes = history(&steps);
        prop_assume!(!changes.is_empty());
        let mut store = open(&Probe::of(Map::new()));
        let verdicts = bring(&mut store, Skew::Refuse, &changes);
        prop_assert!(verdicts.iter().all(|verdict| matches!(verdict, Verdict::Applied(_))));
        let mut after = Version::new();
        for (device, index) in knows.iter().enumerate() {
            let replica = id(1 + u8::try_from(device).unwrap());
            let of = changes.iter().filter(|change| change.replica() == replica);
            let ends: Vec<u64> = std::iter::once(0).chain(of.map(end)).collect();
            after.set(replica, *index.get(&ends));
        }
        let given = all_changes(&store, "d", &after, chunk);
        check_order(&given, &after);
        let by_dot = |changes: &[Change]| -> BTreeMap<Dot, Bytes> {
            changes.iter().map(|change| (change.dot, change.body.clone())).collect()
        };
        let lacking: Vec<Change> =
            changes.into_iter().filter(|change| !after.contains(change.dot)).collect();
        prop_assert_eq!(given.len(), lacking.len());
        prop_assert_eq!(by_dot(&given), by_dot(&lacking));
    }

    #[test]
    fn forgetting_documents_changes_nothing(
        steps in steps(),
        places in prop::collection::vec((0_usize..6, 1_usize..5, any::<bool>()), 1..20),
    ) {
        let (small, large) = (Probe::of(Map::new()), Probe::of(Map::new()));
        let mut forgets = Store::remembering(small.clone(), own(), 1, WALL, 2).unwrap();
        let mut remembers = open(&large);
        let mut todo: Vec<_> = (0..6).map(|_| history(&steps).into_iter()).collect();
        let mut last = BTreeMap::new();
        for (document, count, again) in places {
            let name = format!("d{document}");
            let mut next: Vec<_> = todo[document].by_ref().take(count * 8).collect();
            if again {
                next.extend(last.get(&document).cloned());
            }
            if let Some(change) = next.last() {
                last.insert(document, change.clone());
            }
            let arrivals = next.into_iter().map(|change| arrival(&name, change)).collect();
            let batch = [remote(Skew::Refuse, arrivals)];
            let outcomes = remembers.commit(&batch, WALL).unwrap();
            prop_assert_eq!(forgets.commit(&batch, WALL).unwrap(), outcomes);
        }
        prop_assert_eq!(small.map(), large.map());
        let Some(num) = remembers.reader().space("s") else { return Ok(()) };
        for info in remembers.reader().documents(num, DocumentNum(0), 100).unwrap() {
            let heads = forgets.reader().heads(num, info.num).unwrap();
            let mut naive = Heads::default();
            for change in all_changes(&remembers, &info.name, &Version::new(), 1000) {
                let head = super::super::record::Head { next: end(&change), chain: change.chain_after() };
                naive.0.insert(change.replica(), head);
            }
            prop_assert_eq!(heads, naive);
        }
    }
}

#[test]
fn reading_the_heads_costs_what_came_after_the_checkpoint() {
    let backend = Probe::of(Map::new());
    let mut store = open(&backend);
    let mut pens: Vec<Pen> = (1..=10).map(Pen::new).collect();
    for _ in 0..20 {
        let batch: Vec<_> =
            pens.iter_mut().flat_map(|pen| [(); 10].map(|()| pen.write(b"x"))).collect();
        bring(&mut store, Skew::Refuse, &batch);
    }
    bring(&mut store, Skew::Refuse, &[pens[4].write(b"x"), pens[0].write(b"x")]);
    let (num, doc, reader) = (space(&store), document(&store, "d"), store.reader());
    backend.touched();
    let heads = reader.heads(num, doc).unwrap();
    assert!(backend.touched() < 50, "2,002 changes are logged, 2 after the checkpoint");
    for (pen, count) in pens.iter().zip([201, 200, 200, 200, 201]) {
        assert_eq!(heads.version().get(pen.replica), count);
        assert_eq!(heads.chain(pen.replica), pen.chain);
    }
}

#[test]
fn a_reader_of_changes_holds_only_pieces_and_ignores_what_is_committed_later() {
    let backend = Probe::of(Map::new());
    let mut store = open(&backend);
    let mut pen = Pen::new(1);
    let batch: Vec<_> = (0..5_000).map(|_| pen.write(b"x")).collect();
    bring(&mut store, Skew::Refuse, &batch);
    let (num, doc) = (space(&store), document(&store, "d"));
    let after = [(id(1), 4_000)].into_iter().collect();
    let mut reader = store.reader().changes(num, doc, &after).unwrap();
    backend.touched();
    let first = reader.next_chunk(1).unwrap();
    assert_eq!(first, batch[4_000..4_001]);
    assert!(backend.touched() <= 128);
    let later = [pen.write(b"later"), Pen::new(2).write(b"later")];
    bring(&mut store, Skew::Refuse, &later);
    let mut count = 1;
    loop {
        match reader.next_chunk(1_000).unwrap().len() {
            0 => break,
            more => count += more,
        }
    }
    assert_eq!(count, 1_000);
}

#[test]
fn a_line_is_looked_at_again_only_when_what_it_waits_for_is_there() {
    let mut ready = Ready::new([1, 2, 3]);
    assert_eq!((ready.next(), ready.next(), ready.next()), (Some(1), Some(2), Some(3)));
    ready.wait(1, 3, 5);
    ready.wait(2, 3, 2);
    ready.advanced(3, 1);
    assert_eq!(ready.next(), None);
    ready.advanced(3, 4);
    assert_eq!((ready.next(), ready.next()), (Some(2), None));
    ready.advanced(3, 5);
    assert_eq!((ready.next(), ready.next()), (Some(1), None));
}

#[test]
fn a_cache_is_bounded_and_never_gives_back_what_was_replaced_or_taken() {
    let mut cache = Cache::new(4);
    for round in 0..50 {
        cache.insert(round % 7, round);
        assert_eq!(cache.get(&(round % 7)), Some(round));
        let held = (0..7).filter(|key| cache.get(key).is_some()).count();
        assert!(held <= 5, "{held} are held");
        cache.insert(round % 3, round);
        assert_eq!(cache.take(&(round % 3)), Some(round));
        assert_eq!(cache.take(&(round % 3)), None);
    }
}

#[test]
fn scans_of_large_bodies_ask_for_few_and_scans_of_small_ones_for_many() {
    let scans = |body: usize| {
        let mut appetite = Appetite::SMALL;
        let mut limits = Vec::new();
        for _ in 0..6 {
            limits.push(appetite.limit());
            appetite = appetite.after(appetite.limit() * body);
        }
        limits
    };
    assert_eq!(scans(100), [1, 4, 16, 64, 64, 64]);
    assert_eq!(scans(16 << 20), [1; 6]);
    assert!(scans(100_000).iter().all(|limit| *limit <= 4));
}
