use super::*;
use crate::store::held::{MAX_HELD_BYTES, MAX_HELD_CHANGES};

const LATER: u64 = WALL.0 + 3 * DAY;

fn held_keys(backend: &Probe) -> usize {
    backend.map().keys().filter(|key| key[0] == 0x0b).count()
}

#[test]
fn a_stamp_from_the_future_waits_with_all_that_depends_on_it_and_others_go_on() {
    let backend = Probe::of(Map::new());
    let mut store = open(&backend);
    let (mut ahead, mut reader_of_it, mut other) = (Pen::new(1), Pen::new(2), Pen::new(3));
    let past = ahead.write(b"before the clock jumped");
    let jumped = ahead.at(LATER);
    let back = ahead.write(b"after it was set right");
    let answer = reader_of_it.after(&[(id(1), 2)]);
    let answer_again = reader_of_it.write(b"x");
    let changes = [past, jumped, back, answer, answer_again, other.write(b"x")];
    use Verdict::Held;
    let expected = [applied(1), Held, Held, Held, Held, applied(2)];
    assert_eq!(bring(&mut store, Skew::Hold, &changes), expected);
    assert_eq!(all_feed(&store).len(), 2);
    assert_eq!(store.last(), Hlc::from_millis(WALL), "held changes never move the clock");
    assert_eq!(held_keys(&backend), 4);

    let again = bring(&mut store, Skew::Hold, &changes);
    use Verdict::Duplicate;
    assert_eq!(again, [Duplicate, Held, Held, Held, Held, Duplicate]);
    assert_eq!(release(&mut store, Millis(WALL.0 + DAY)).0.len(), 0);

    let mut store = open_as(&backend, 2);
    assert_eq!(store.last(), Hlc::from_millis(WALL));
    let (released, more) = release(&mut store, Millis(LATER - DAY));
    let dots: Vec<_> = released.iter().map(|entry| (entry.n.0, entry.change.dot)).collect();
    let dot = |byte, seq| Dot { replica: id(byte), seq };
    assert_eq!(dots, [(3, dot(1, 1)), (4, dot(1, 2)), (5, dot(2, 0)), (6, dot(2, 1))]);
    assert!(!more && released.iter().all(|entry| entry.origin == Some(peer())));
    assert_eq!(held_keys(&backend), 0);
    assert_eq!(store.last(), Hlc::from_millis(Millis(LATER)));
    assert_eq!(all_feed(&store)[2..], released);
    assert_eq!(bring(&mut store, Skew::Hold, &changes), [(); 6].map(|()| Verdict::Duplicate));
}

#[test]
fn held_changes_are_released_only_as_far_as_their_time_has_come() {
    let backend = Probe::of(Map::new());
    let mut store = open(&backend);
    let mut pen = Pen::new(1);
    let changes: Vec<_> = (0..5).map(|i| pen.at(LATER + i * DAY)).collect();
    bring(&mut store, Skew::Hold, &changes);
    for i in 0..5 {
        let mut reopened = open_as(&backend, 2 + i);
        let (released, _) = release(&mut reopened, Millis(LATER - DAY + i * DAY));
        let seqs: Vec<_> = released.iter().map(|entry| entry.change.dot.seq).collect();
        assert_eq!(seqs, [i]);
    }
}

#[test]
fn a_release_of_many_comes_in_bounded_pieces_in_causal_order() {
    let mut store = open(&Probe::of(Map::new()));
    // Each answers the one before, and they are found in the wrong order.
    let mut changes = vec![Pen::new(150).at(LATER)];
    for byte in (1..150).rev() {
        changes.push(Pen::new(byte).after(&[(id(byte + 1), 1)]));
    }
    let mut pen = Pen::new(151);
    changes.push(pen.after(&[(id(1), 1)]));
    changes.extend((0..1_500).map(|_| pen.write(b"x")));
    assert!(bring(&mut store, Skew::Hold, &changes).iter().all(|v| *v == Verdict::Held));
    let (first, more) = release(&mut store, Millis(LATER));
    assert_eq!((first.len(), more), (1_024, true));
    let (second, more) = release(&mut store, Millis(LATER));
    assert_eq!((second.len(), more), (changes.len() - 1_024, false));
    let released: Vec<_> = first.into_iter().chain(second).map(|entry| entry.change).collect();
    assert_eq!(released, changes);
}

#[test]
fn a_fork_or_a_gap_after_held_changes_is_seen() {
    let mut store = open(&Probe::of(Map::new()));
    let mut pen = Pen::new(1);
    let first = pen.at(LATER);
    let mut other = Pen::new(1);
    let parted = other.full(Hlc::from_millis(Millis(LATER)), 1, &[], b"another");
    let after_parted = other.write(b"x");
    pen.write(b"lost");
    let third = pen.write(b"x");
    let fork = Verdict::Refused(Refusal::Fork { replica: id(1) });
    let gap = Verdict::Refused(Refusal::Gap { replica: id(1), expected: 1 });
    let verdicts = bring(&mut store, Skew::Hold, &[first, parted, after_parted, third]);
    assert_eq!(verdicts, [Verdict::Held, fork.clone(), fork, gap]);
}

#[test]
fn the_number_of_held_changes_is_bounded() {
    let mut store = open(&Probe::of(Map::new()));
    let mut pen = Pen::new(1);
    let limit = usize::try_from(MAX_HELD_CHANGES).unwrap();
    let changes: Vec<_> = (0..=limit).map(|_| pen.at(LATER)).collect();
    let verdicts = bring(&mut store, Skew::Hold, &changes);
    assert!(verdicts[..limit].iter().all(|verdict| *verdict == Verdict::Held));
    assert_eq!(refused(&verdicts[limit]), &Refusal::HeldFull);
    assert_eq!(bring(&mut store, Skew::Hold, &[Pen::new(2).write(b"x")]), [applied(1)]);
    while release(&mut store, Millis(LATER)).1 {}
    let again: Vec<_> = changes[limit..].iter().cloned().chain([pen.at(LATER)]).collect();
    assert_eq!(bring(&mut store, Skew::Hold, &again), [Verdict::Held, Verdict::Held]);
}

#[test]
fn the_bytes_of_held_changes_are_bounded() {
    let backend = Probe::of(Map::new());
    let mut store = open(&backend);
    let mut pen = Pen::new(1);
    let far = Hlc::from_millis(Millis(LATER));
    let size = 15 << 20;
    let changes: Vec<_> = (0..5).map(|_| pen.full(far, 1, &[], &vec![0; size])).collect();
    let verdicts = bring(&mut store, Skew::Hold, &changes);
    let fits = usize::try_from(MAX_HELD_BYTES).unwrap() / size;
    assert!(verdicts[..fits].iter().all(|verdict| *verdict == Verdict::Held));
    assert_eq!(refused(&verdicts[fits]), &Refusal::HeldFull);
    let (released, more) = release(&mut store, Millis(LATER));
    assert_eq!((released.len(), more), (1, true), "a release is bounded in bytes too");
    assert_eq!(bring(&mut store, Skew::Hold, &changes[4..]), [Verdict::Held], "there is room");
}
