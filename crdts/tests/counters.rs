//! The laws of the counters, and what they do at their limits.

use repliq_core::{Crdt, Dot, Effects, Hlc, ReplicaId, Stamp, Version, decode, encode};
use repliq_crdts::{GCounter, GCounterMut, GCounterOp, PnCounter, PnCounterMut, PnCounterOp};

mod g_counter {
    use repliq_conformance::crdt::{History, Oracle};
    use repliq_conformance::{Rng, crdt_conformance};
    use repliq_crdts::{GCounter, GCounterEvent, GCounterOp};

    struct Model;

    impl Oracle<GCounter> for Model {
        type View = u128;

        fn view(state: &GCounter) -> u128 {
            state.value()
        }

        fn patch(view: &mut u128, event: GCounterEvent) {
            let GCounterEvent::Changed { value } = event;
            assert_ne!(*view, value, "it has not changed");
            *view = value;
        }

        fn expected(history: &History<GCounterOp>) -> u128 {
            history.iter().map(|said| u128::from(said.op.0)).sum()
        }
    }

    fn edit(rng: &mut Rng, _: &GCounter) -> Option<GCounterOp> {
        Some(GCounterOp(if rng.below(8) == 0 { u64::MAX } else { rng.bits() >> 50 }))
    }

    crdt_conformance!(GCounter, ops = edit, oracle = Model);
}

mod pn_counter {
    use repliq_conformance::crdt::{History, Oracle};
    use repliq_conformance::{Rng, crdt_conformance};
    use repliq_crdts::{PnCounter, PnCounterEvent, PnCounterOp};

    struct Model;

    impl Oracle<PnCounter> for Model {
        type View = i128;

        fn view(state: &PnCounter) -> i128 {
            state.value()
        }

        fn patch(view: &mut i128, event: PnCounterEvent) {
            let PnCounterEvent::Changed { value } = event;
            assert_ne!(*view, value, "it has not changed");
            *view = value;
        }

        fn expected(history: &History<PnCounterOp>) -> i128 {
            history.iter().map(|said| i128::from(said.op.0)).sum()
        }
    }

    /// Small amounts, so that sums often are 0 again, and the largest.
    fn edit(rng: &mut Rng, _: &PnCounter) -> Option<PnCounterOp> {
        [-2, -1, 0, 1, 2, i64::MIN, i64::MAX].get(rng.below(7)).copied().map(PnCounterOp)
    }

    crdt_conformance!(PnCounter, ops = edit, oracle = Model);
}

fn replica(id: u8) -> ReplicaId {
    ReplicaId::from_bytes([id; 16])
}

fn stamp(id: u8, seq: u64) -> Stamp {
    Stamp { hlc: Hlc(seq), dot: Dot { replica: replica(id), seq } }
}

#[test]
fn additions_past_the_range_of_their_type_are_counted_and_never_refused() {
    let (mut up, mut down, mut grown) =
        (PnCounter::default(), PnCounter::default(), GCounter::default());
    for seq in 0..3 {
        let silent = &mut Effects::silent();
        assert_eq!(up.apply(PnCounterOp(i64::MAX), stamp(1, seq), silent), Ok(()));
        assert_eq!(down.apply(PnCounterOp(i64::MIN), stamp(1, seq), silent), Ok(()));
        let silent = &mut Effects::silent();
        assert_eq!(grown.apply(GCounterOp(u64::MAX), stamp(1, seq), silent), Ok(()));
    }
    assert_eq!(up.value(), 3 * i128::from(i64::MAX));
    assert_eq!(down.value(), 3 * i128::from(i64::MIN));
    assert_eq!(grown.value(), 3 * u128::from(u64::MAX));
}

#[test]
fn a_counter_back_at_zero_is_as_small_as_one_that_never_counted() {
    let mut counter = PnCounter::new(replica(1));
    counter.add(5);
    counter.add(-5);
    assert_eq!(encode(&*counter), encode(&PnCounter::default()));
    assert_eq!(*counter, PnCounter::default());
}

#[test]
fn adding_nothing_is_no_edit() {
    let (mut counter, mut grown) = (PnCounter::new(replica(1)), GCounter::new(replica(1)));
    counter.add(0);
    grown.add(0);
    assert_eq!((counter.version(), grown.version()), (&Version::new(), &Version::new()));
}

/// The sum of a replica goes with its version, not with its size.
#[test]
fn a_merge_takes_the_later_sum_also_when_it_is_the_smaller_one() {
    let mut author = PnCounter::new(replica(1));
    author.add(9);
    let mut early = author.clone();
    author.add(-8);
    early.merge(author.clone()).unwrap();
    author.merge(early.clone()).unwrap();
    assert_eq!((early.value(), author.value()), (1, 1));
    author.add(-1);
    early.merge(author).unwrap();
    assert_eq!(early.value(), 0);
}

#[test]
fn only_the_one_form_of_a_state_is_read() {
    let read = |rows: &[(u8, i128)]| {
        let rows: Vec<_> = rows.iter().map(|(id, sum)| (replica(*id), *sum)).collect();
        decode::<PnCounter>(&encode(&rows)).ok().map(|counter| counter.value())
    };
    assert_eq!(read(&[(1, 5), (2, -7)]), Some(-2));
    assert_eq!(read(&[(2, -7), (1, 5)]), None, "replicas out of order");
    assert_eq!(read(&[(1, 5), (1, 5)]), None, "a replica twice");
    assert_eq!(read(&[(1, 0)]), None, "a sum of 0");
}

/// A state that somebody made up does no harm, and can be kept as it is.
#[test]
fn a_state_of_the_largest_sums_takes_further_ones_without_a_panic() {
    let rows = vec![(replica(1), u128::MAX), (replica(2), u128::MAX)];
    let mut counter: GCounter = decode(&encode(&rows)).unwrap();
    counter.apply(GCounterOp(u64::MAX), stamp(1, 0), &mut Effects::silent()).unwrap();
    let again: GCounter = decode(&encode(&counter)).unwrap();
    assert_eq!(again, counter);
}
