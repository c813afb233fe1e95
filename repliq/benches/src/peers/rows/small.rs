//! Sets, counters and lists: one row each.

use crate::peers::contestants::PEERS;
use crate::peers::random::Random;
use crate::peers::row::Measure::NanosEach;
use crate::peers::row::{Contestants, Round, Row, Sample, Target, each, timed, until_too_slow};

const ELEMENTS: usize = 100_000;
const INCREMENTS: usize = 1_000_000;
const INSERTIONS: usize = 100_000;
/// So many increments or insertions are a transaction.
const TOGETHER: usize = 1000;

pub(crate) fn rows() -> Vec<Row> {
    vec![
        Row {
            name: "set-add".to_owned(),
            what: "set, add 100,000",
            case: None,
            note: "new strings in a random order, as one transaction; not encoded.",
            measure: NanosEach,
            target: Target::at_most(0.5),
            contestants: set(),
        },
        Row {
            name: "counter".to_owned(),
            what: "counter, increment 1,000,000 times",
            case: None,
            note: "by one each time, a thousand times a transaction; not encoded.",
            measure: NanosEach,
            target: Target::at_most(1.0),
            contestants: counter(),
        },
        Row {
            name: "list".to_owned(),
            what: "list, insert 100,000 at random positions",
            case: None,
            note: "numbers, one by one, a thousand a transaction; not encoded.",
            measure: NanosEach,
            target: Target::at_most(0.3),
            contestants: list(),
        },
    ]
}

fn set() -> Contestants {
    let contestants = PEERS.iter().filter_map(|peer| {
        let sets = peer.sets()?;
        let mut elements: Vec<_> = (0..ELEMENTS).map(|i| format!("element-{i:06}")).collect();
        Random::new(20_261_132).shuffle(&mut elements);
        let round = move || {
            let mut set = sets.empty(1);
            let ((), took) = timed(|| set.add(&elements));
            assert_eq!(set.len(), ELEMENTS);
            each(took, ELEMENTS).into()
        };
        Some((peer.name(), Box::new(round) as Round))
    });
    contestants.collect()
}

fn counter() -> Contestants {
    let contestants = PEERS.iter().filter_map(|peer| {
        let counters = peer.counters()?;
        let round = move || {
            let mut counter = counters.empty(1);
            let transactions = vec![TOGETHER; INCREMENTS / TOGETHER];
            let (done, took) =
                timed(|| until_too_slow(&transactions, 1, |times| counter.increment(*times)));
            let done = done * TOGETHER;
            assert_eq!(usize::try_from(counter.value()), Ok(done));
            Sample { value: each(took, done), whole: done == INCREMENTS }
        };
        Some((peer.name(), Box::new(round) as Round))
    });
    contestants.collect()
}

fn list() -> Contestants {
    let contestants = PEERS.iter().filter_map(|peer| {
        let lists = peer.lists()?;
        let (insertions, end) = insertions();
        let round = move || {
            let mut list = lists.empty(1);
            let transactions: Vec<_> = insertions.chunks(TOGETHER).collect();
            let (done, took) = timed(|| until_too_slow(&transactions, 1, |some| list.insert(some)));
            let whole = done == transactions.len();
            assert!(!whole || list.elements() == end);
            Sample { value: each(took, done * TOGETHER), whole }
        };
        Some((peer.name(), Box::new(round) as Round))
    });
    contestants.collect()
}

/// Where to insert what, and the list in the end.
fn insertions() -> (Vec<(usize, i64)>, Vec<i64>) {
    let mut random = Random::new(20_261_133);
    let (mut insertions, mut end) = (Vec::with_capacity(INSERTIONS), Vec::new());
    for number in 0..INSERTIONS {
        let insertion = (random.below(number + 1), i64::try_from(number).unwrap_or(0));
        end.insert(insertion.0, insertion.1);
        insertions.push(insertion);
    }
    (insertions, end)
}
