//! What texts and maps keep in memory, and need at most while they are made.

use super::map::entries;
use crate::peers::contestants::PEERS;
use crate::peers::memory::{Counted, Making, ask, mebibytes};
use crate::peers::peer::Peer;
use crate::peers::row::Measure::Mebibytes;
use crate::peers::row::{Contestants, Round, Row, Target};
use crate::peers::trace::sequential;
use std::any::Any;
use std::cell::OnceCell;
use std::path::Path;
use std::rc::Rc;

const TYPED: &str = "typed/";
const LOADED: &str = "loaded/";
const SET: &str = "set/";

pub(crate) fn rows(program: &Path) -> Vec<Row> {
    const TRACE: &str = "automerge-paper";
    let diamond = Some(Target { at_most: 1.0, against: Some("diamond-types") });
    let mut rows = Vec::new();
    rows.extend(of(program, TYPED, TRACE, "text, memory after typing it", diamond));
    rows.extend(of(program, LOADED, TRACE, "text, memory after loading it", None));
    rows.extend(of(program, SET, "100,000", "map, memory after setting it", None));
    rows.extend(of(
        program,
        SET,
        "1,000,000",
        "map, memory after setting it",
        Target::at_most(0.4),
    ));
    rows
}

/// What is kept, and the peak.
fn of(
    program: &Path,
    thing: &str,
    case: &'static str,
    what: &'static str,
    target: Option<Target>,
) -> [Row; 2] {
    let thing = format!("{thing}{case}");
    let counted: Vec<(&'static str, Rc<OnceCell<Counted>>)> = PEERS
        .iter()
        .filter(|peer| makes(&thing, **peer))
        .map(|peer| (peer.name(), Rc::default()))
        .collect();
    let contestants = |of: fn(Counted) -> usize| -> Contestants {
        let contestant = |(peer, counted): &(&'static str, Rc<OnceCell<Counted>>)| {
            let (peer, counted, program) = (*peer, Rc::clone(counted), program.to_owned());
            let thing = thing.clone();
            let round =
                move || mebibytes(of(*counted.get_or_init(|| ask(&program, &thing, peer)))).into();
            (peer, Box::new(round) as Round)
        };
        counted.iter().map(contestant).collect()
    };
    let kept = Row {
        name: format!("memory-kept-{thing}"),
        what,
        case: Some(case),
        note: "bytes asked of the allocator and not given back, in a process of its own; what \
               it was made from is not counted.",
        measure: Mebibytes,
        target,
        contestants: contestants(|counted| counted.kept),
    };
    let peak = Row {
        name: format!("memory-peak-{thing}"),
        what: "... at most on the way",
        case: None,
        note: "the most that was held at once while the thing of the row above was made.",
        measure: Mebibytes,
        target: None,
        contestants: contestants(|counted| counted.peak),
    };
    [kept, peak]
}

fn makes(thing: &str, peer: &dyn Peer) -> bool {
    if thing.starts_with(SET) { peer.maps().is_some() } else { peer.texts().is_some() }
}

/// How a peer makes the thing of this name, once its input is read.
pub(crate) fn making(thing: &str, peer: &'static dyn Peer) -> Option<Making> {
    if let Some(size) = thing.strip_prefix(SET) {
        let maps = peer.maps()?;
        let entries = entries(0..size.replace(',', "").parse().ok()?, 20_261_129);
        return Some(Box::new(move || {
            let mut map = maps.empty(1);
            map.set(&entries);
            Box::new((map, entries)) as Box<dyn Any>
        }));
    }
    let texts = peer.texts()?;
    if let Some(trace) = thing.strip_prefix(TYPED) {
        let trace = sequential(trace);
        return Some(Box::new(move || {
            let mut text = texts.empty(1);
            text.edit(trace.edits(texts.unit()));
            Box::new((text, trace)) as Box<dyn Any>
        }));
    }
    let trace = sequential(thing.strip_prefix(LOADED)?);
    let mut text = texts.empty(1);
    text.edit(trace.edits(texts.unit()));
    let saved = text.save();
    Some(Box::new(move || Box::new((texts.load(&saved, 2), saved)) as Box<dyn Any>))
}
