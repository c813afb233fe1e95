//! The laws of a data type, for structs of them: with all fields known, and with
//! ops among them on fields that are not.

/// A struct within a struct, everything known.
mod known {
    use crate::support::ops_of;
    use repliq::prelude::*;
    use repliq_conformance::crdt::{History, Oracle, Said};
    use repliq_conformance::{Rng, crdt_conformance};
    use std::collections::{BTreeMap, BTreeSet};

    #[derive(Crdt)]
    #[crdt(kind = "outer/1")]
    pub(super) struct Outer {
        #[crdt(tag = 9)]
        count: PnCounter,
        #[crdt(tag = 300)]
        inner: Inner,
        #[crdt(tag = 1)]
        lists: CrdtMap<u8, Inner>,
        #[crdt(unknown)]
        unknown: UnknownFields,
    }

    #[derive(Debug, Crdt)]
    #[crdt(kind = "inner/1")]
    pub(super) struct Inner {
        #[crdt(tag = 1)]
        title: LwwRegister<u64>,
        #[crdt(tag = 2)]
        members: OrSet<u8>,
        #[crdt(unknown)]
        unknown: UnknownFields,
    }

    type InnerView = (Option<u64>, BTreeSet<u8>);

    pub(super) fn edit(rng: &mut Rng, state: &Outer) -> Option<OuterOp> {
        let (which, list) = (rng.below(8), rng.below(3) as u8);
        let (value, member) = (rng.bits(), rng.below(5) as u8);
        let inner = |mut inner: Tx<'_, Inner>| match value % 3 {
            0 => inner.title().set(value),
            1 => inner.members().add(member),
            _ => inner.members().remove(member),
        };
        let mut ops = ops_of(state, |outer| match which {
            0 | 1 => outer.count().add(value as i64 % 100),
            2 => outer.lists().remove(list),
            3..=5 => inner(outer.lists().entry(list)),
            _ => inner(outer.inner()),
        });
        ops.pop()
    }

    fn inner_view(inner: &Inner) -> InnerView {
        (inner.title.get().copied(), inner.members.elements().into_iter().copied().collect())
    }

    fn patch_inner(view: &mut InnerView, event: InnerEvent) {
        match event {
            InnerEvent::Title(RegisterEvent::Set { value }) => view.0 = Some(value),
            InnerEvent::Members(OrSetEvent::Added { element }) => assert!(view.1.insert(element)),
            InnerEvent::Members(OrSetEvent::Removed { element }) => {
                assert!(view.1.remove(&element))
            }
        }
    }

    /// What a reader of these ops sees: every field by the rule of its type.
    fn inner_of<'o>(said: impl Iterator<Item = Said<&'o InnerOp>>) -> InnerView {
        let said: Vec<_> = said.collect();
        let titles = said.iter().filter_map(|said| match said.op {
            InnerOp::Title(RegisterOp::Set(value)) => Some((said.at, *value)),
            _ => None,
        });
        let is_in = |element: u8| {
            let adds = said.iter().filter(
                |said| matches!(said.op, InnerOp::Members(OrSetOp::Add(added)) if *added == element),
            );
            let removals = said.iter().filter(|said| {
                matches!(said.op, InnerOp::Members(OrSetOp::Remove { element: it, .. }) if *it == element)
            });
            let removals: Vec<_> = removals.collect();
            adds.into_iter().any(|add| !removals.iter().any(|removal| removal.knows(add)))
        };
        (titles.max().map(|(_, value)| value), (0..5).filter(|element| is_in(*element)).collect())
    }

    pub(super) struct Model;

    impl Oracle<Outer> for Model {
        type View = (i128, InnerView, BTreeMap<u8, InnerView>);

        fn view(state: &Outer) -> Self::View {
            let lists = state.lists.iter().map(|(list, inner)| (*list, inner_view(inner)));
            (state.count.value(), inner_view(&state.inner), lists.collect())
        }

        fn patch(view: &mut Self::View, event: OuterEvent) {
            match event {
                OuterEvent::Count(PnCounterEvent::Changed { value }) => view.0 = value,
                OuterEvent::Inner(event) => patch_inner(&mut view.1, event),
                OuterEvent::Lists(CrdtMapEvent::Shown { key, child }) => {
                    drop(view.2.insert(key, inner_view(&child)));
                }
                OuterEvent::Lists(CrdtMapEvent::Changed { key, event }) => {
                    patch_inner(view.2.get_mut(&key).unwrap(), event);
                }
                OuterEvent::Lists(CrdtMapEvent::Removed { key }) => {
                    view.2.remove(&key).unwrap();
                }
            }
        }

        fn expected(history: &History<OuterOp>) -> Self::View {
            let count = history.iter().map(|said| match &said.op {
                OuterOp::Count(PnCounterOp(by)) => i128::from(*by),
                _ => 0,
            });
            let of = |pick: &dyn Fn(&OuterOp) -> Option<InnerOp>| {
                let picked: Vec<_> = history
                    .iter()
                    .filter_map(|said| {
                        let Said { op, at, past } = said;
                        Some(Said { op: pick(op)?, at: *at, past: past.clone() })
                    })
                    .collect();
                inner_of(picked.iter().map(|said| {
                    let Said { op, at, past } = said;
                    Said { op, at: *at, past: past.clone() }
                }))
            };
            let inner = of(&|op| match op {
                OuterOp::Inner(op) => Some(op.clone()),
                _ => None,
            });
            let mut lists = BTreeMap::new();
            for list in 0..3 {
                // Of the youngest child there is an edit that no removal has seen.
                let edits = history.iter().filter_map(|said| match &said.op {
                    OuterOp::Lists(CrdtMapOp::Edit { key, generation, .. }) if *key == list => {
                        Some((*generation, said))
                    }
                    _ => None,
                });
                let Some(youngest) = edits.clone().map(|(generation, _)| generation).max() else {
                    continue;
                };
                let hides = |said: &Said<OuterOp>, edit: &Said<OuterOp>| {
                    matches!(&said.op, OuterOp::Lists(CrdtMapOp::Remove { key, generation, .. })
                        if *key == list && *generation == youngest)
                        && said.knows(edit)
                };
                let mut edits = edits.filter(|(generation, _)| *generation == youngest);
                if edits.any(|(_, edit)| !history.iter().any(|said| hides(said, edit))) {
                    let of_list = of(&|op| match op {
                        OuterOp::Lists(CrdtMapOp::Edit { key, generation, op })
                            if *key == list && *generation == youngest =>
                        {
                            Some(op.clone())
                        }
                        _ => None,
                    });
                    lists.insert(list, of_list);
                }
            }
            (count.sum(), inner, lists)
        }

        fn refused(_: &mut Rng, _: &Outer) -> Option<OuterOp> {
            let dot = crate::support::stamp(3, 1).dot;
            let twice = OrSetOp::Remove { element: 1, seen: vec![dot, dot] };
            Some(OuterOp::Inner(InnerOp::Members(twice)))
        }
    }

    crdt_conformance!(Outer, ops = edit, oracle = Model);
}

/// Of the fields this version knows one; ops on all of them come in. What a newer
/// version makes of what is kept is tested in `versions`.
mod unknown {
    use super::known::Outer;
    use repliq::prelude::*;
    use repliq::{decode, encode};
    use repliq_conformance::crdt::{History, Oracle};
    use repliq_conformance::{Rng, crdt_conformance};

    #[derive(Crdt)]
    #[crdt(kind = "outer/1", retired(1))]
    struct Older {
        #[crdt(tag = 9)]
        count: PnCounter,
        #[crdt(unknown)]
        unknown: UnknownFields,
    }

    /// An edit by a newer version. What is in an op nobody looks into here.
    fn edit(rng: &mut Rng, _: &Older) -> Option<OlderOp> {
        super::known::edit(rng, &Outer::default()).map(|op| decode(&encode(&op)).unwrap())
    }

    struct Model;

    impl Oracle<Older> for Model {
        type View = i128;

        fn view(state: &Older) -> i128 {
            state.count.value()
        }

        fn patch(view: &mut i128, event: OlderEvent) {
            let OlderEvent::Count(PnCounterEvent::Changed { value }) = event;
            *view = value;
        }

        fn expected(history: &History<OlderOp>) -> i128 {
            let count = history.iter().map(|said| match &said.op {
                OlderOp::Count(PnCounterOp(by)) => i128::from(*by),
                _ => 0,
            });
            count.sum()
        }
    }

    crdt_conformance!(Older, ops = edit, oracle = Model);
}
