use super::*;
use repliq_core::MAX_CHANGE_BYTES;

#[test]
fn the_same_change_again_is_a_duplicate_also_within_a_batch_and_after_reopening() {
    let backend = Probe::of(Map::new());
    let mut store = open(&backend);
    let change = Pen::new(1).write(b"x");
    let again = change.clone();
    let twice = [change.clone(), again];
    assert_eq!(bring(&mut store, Skew::Hold, &twice), [applied(1), Verdict::Duplicate]);
    assert_eq!(bring(&mut store, Skew::Hold, &twice), [Verdict::Duplicate, Verdict::Duplicate]);
    let mut store = open_as(&backend, 2);
    assert_eq!(bring(&mut store, Skew::Hold, &[change]), [Verdict::Duplicate]);
}

#[test]
fn another_change_in_the_place_of_one_held_is_a_fork() {
    let mut pen = Pen::new(1);
    let first = pen.full(Hlc::from_millis(WALL), 3, &[], b"abc");
    let second = pen.write(b"d");
    let fork = Verdict::Refused(Refusal::Fork { replica: id(1) });
    let other_body = Pen::new(1).full(Hlc::from_millis(WALL), 3, &[], b"xyz");
    let mut inside = Pen { next: 1, ..Pen::new(1) };
    let mut other_past = Pen { next: 3, chain: Chain([9; 8]), ..Pen::new(1) };
    for parted in [other_body, inside.write(b"overlaps"), other_past.write(b"d")] {
        let one_batch = [first.clone(), parted.clone(), second.clone()];
        let mut store = open(&Probe::of(Map::new()));
        let expected = [applied(1), fork.clone(), applied(2)];
        assert_eq!(bring(&mut store, Skew::Hold, &one_batch), expected);

        let mut store = open(&Probe::of(Map::new()));
        bring(&mut store, Skew::Hold, std::slice::from_ref(&first));
        assert_eq!(bring(&mut store, Skew::Hold, &[parted])[..], expected[1..2]);
    }
}

#[test]
fn what_is_missing_before_a_change_is_named() {
    let mut store = open(&Probe::of(Map::new()));
    let mut pen = Pen::new(1);
    let first = pen.full(Hlc::from_millis(WALL), 5, &[], b"x");
    let _lost = pen.write(b"x");
    let third = pen.write(b"x");
    let gap = |byte, expected| Verdict::Refused(Refusal::Gap { replica: id(byte), expected });
    assert_eq!(bring(&mut store, Skew::Hold, std::slice::from_ref(&third)), [gap(1, 0)]);
    assert_eq!(bring(&mut store, Skew::Hold, &[first, third]), [applied(1), gap(1, 5)]);
    let depends = Pen::new(2).after(&[(id(1), 6)]);
    assert_eq!(bring(&mut store, Skew::Hold, &[depends]), [gap(1, 5)]);
    let depends = Pen::new(2).after(&[(id(9), 1)]);
    assert_eq!(bring(&mut store, Skew::Hold, &[depends]), [gap(9, 0)]);
    let met = Pen::new(2).after(&[(id(1), 5)]);
    assert_eq!(bring(&mut store, Skew::Hold, &[met]), [applied(2)]);
}

#[test]
fn a_refused_change_holds_up_nobody_else() {
    let mut store = open(&Probe::of(Map::new()));
    let broken = Change { dot: Dot { replica: id(1), seq: 0 }, body: Bytes::from_static(&[0xff]) };
    let mut gone = Pen::new(2);
    gone.write(b"never sent");
    let verdicts = bring(
        &mut store,
        Skew::Hold,
        &[broken, gone.write(b"x"), Pen::new(3).write(b"x"), Pen::new(4).write(b"x")],
    );
    assert!(matches!(refused(&verdicts[0]), Refusal::Malformed(_)));
    assert!(matches!(refused(&verdicts[1]), Refusal::Gap { .. }));
    assert_eq!(verdicts[2..], [applied(1), applied(2)]);
    let replicas: Vec<_> = all_feed(&store).iter().map(|entry| entry.change.replica()).collect();
    assert_eq!(replicas, [id(3), id(4)]);
}

#[test]
fn malformed_changes_leave_no_trace() {
    let backend = Probe::of(Map::new());
    let mut store = open(&backend);
    let before = backend.map();
    let dot = Dot { replica: id(1), seq: 0 };
    let large = Pen::new(1).write(&vec![0; MAX_CHANGE_BYTES]);
    let own_future = Pen::new(1).after(&[(id(1), 1)]);
    let empty = Change { dot, body: Bytes::new() };
    let no_slots = Pen::new(1).full(Hlc(1), 0, &[], b"x");
    for change in [large, own_future, empty, no_slots] {
        let verdicts = bring(&mut store, Skew::Hold, &[change]);
        assert!(matches!(refused(&verdicts[0]), Refusal::Malformed(_)), "{verdicts:?}");
    }
    assert_eq!(backend.map(), before);
}

#[test]
fn another_kind_is_refused_with_the_kind_that_is_held() {
    let backend = Probe::of(Map::new());
    let mut store = open(&backend);
    let mut pen = Pen::new(1);
    let first = arrival("d", pen.write(b"x"));
    let second = Arrival { kind: "other/1".into(), ..arrival("d", pen.write(b"x")) };
    let wrong = Verdict::Refused(Refusal::WrongKind { held: "k/1".into() });
    let batch = [remote(Skew::Hold, vec![first, second.clone()])];
    let expected = Outcome::Remote { verdicts: vec![applied(1), wrong.clone()], advanced: false };
    assert_eq!(store.commit(&batch, WALL).unwrap(), [expected]);

    let mut store = open_as(&backend, 2);
    let ours = local_in("s", "d", "other/1", Pen::new(0xaa).write(b"x"));
    assert_eq!(store.commit(&[ours], WALL).unwrap(), [Outcome::Local(wrong)]);
}

#[test]
fn changes_under_our_own_name_that_we_never_made_are_a_fork() {
    let mut store = open(&Probe::of(Map::new()));
    let mut pen = Pen::new(0xaa);
    let first = pen.write(b"x");
    store.commit(&[local("d", first.clone())], WALL).unwrap();
    let unknown = pen.write(b"made by a copy of us");
    let fork = Verdict::Refused(Refusal::Fork { replica: own() });
    assert_eq!(bring(&mut store, Skew::Hold, &[first, unknown]), [Verdict::Duplicate, fork]);
}

#[test]
fn our_own_changes_are_checked_like_those_of_others() {
    let mut store = open(&Probe::of(Map::new()));
    let mut pen = Pen::new(0xaa);
    let first = pen.write(b"x");
    let second = pen.write(b"x");
    let gap = Verdict::Refused(Refusal::Gap { replica: own(), expected: 0 });
    let batch = [local("d", second), local("d", first)];
    let outcomes = store.commit(&batch, WALL).unwrap();
    assert_eq!(outcomes, [Outcome::Local(gap), Outcome::Local(applied(1))]);
    let far = Hlc::from_millis(Millis(WALL.0 + 40 * DAY));
    let other = Pen::new(0xaa).full(far, 1, &[], b"a clock that ran ahead");
    let outcomes = store.commit(&[local("e", other)], WALL).unwrap();
    assert_eq!(outcomes, [Outcome::Local(applied(2))], "a stamp of our own is never refused");
}

#[test]
fn names_over_their_limits_are_refused() {
    let mut store = open(&Probe::of(Map::new()));
    let submit = |store: &mut Store, space: &str, document: &str, kind: &str, byte| {
        let change = Pen::new(byte).write(b"x");
        let batch = [local_in(space, document, kind, change)];
        match store.commit(&batch, WALL).unwrap().remove(0) {
            Outcome::Local(verdict) => verdict,
            other => panic!("{other:?}"),
        }
    };
    let (fits, over) = ("ä".repeat(127) + "b", "ä".repeat(128));
    assert_eq!(submit(&mut store, &fits, &fits, &fits, 1), applied(1));
    assert_eq!(submit(&mut store, &fits, "", "", 1), applied(2), "a document may have no name");
    let cases = [("space", &*over, "", "", 256), ("document", "s", &over, "", 256)];
    for (what, space, document, kind, bytes) in
        [&cases[..], &[("kind", "s", "", &over, 256), ("space", "", "", "", 0)]].concat()
    {
        let verdict = submit(&mut store, space, document, kind, 1);
        assert_eq!(verdict, Verdict::Refused(Refusal::Name { what, bytes }));
    }
}

#[test]
fn a_relay_refuses_a_stamp_a_day_ahead_and_says_what_time_it_has() {
    let mut store = open(&Probe::of(Map::new()));
    let mut pen = Pen::new(1);
    let at_limit = pen.at(WALL.0 + DAY);
    assert_eq!(bring(&mut store, Skew::Refuse, &[at_limit]), [applied(1)]);
    let last = store.last();
    let over = pen.clone().full(Hlc::from_millis(Millis(WALL.0 + DAY)), 2, &[], b"its last slot");
    let far = pen.clone().full(Hlc(u64::MAX), 1, &[], b"x");
    for change in [over, far] {
        let verdicts = bring(&mut store, Skew::Refuse, &[change]);
        assert_eq!(refused(&verdicts[0]), &Refusal::FutureStamp { now: WALL });
    }
    assert_eq!(store.last(), last);
    assert_eq!(bring(&mut store, Skew::Refuse, &[pen.write(b"x")]), [applied(2)]);
}
