//! The laws of a data type, for every type of this crate.

mod lww_map {
    use repliq_conformance::crdt::{History, Oracle};
    use repliq_conformance::{Rng, crdt_conformance};
    use repliq_core::Stamp;
    use repliq_crdts::{LwwMap, MapEvent, MapOp};
    use std::collections::BTreeMap;

    type Map = LwwMap<String, u64>;

    fn edit(rng: &mut Rng, _: &Map) -> Option<MapOp<String, u64>> {
        let key = "k".repeat(rng.below(8));
        Some(if rng.below(3) == 0 { MapOp::Remove(key) } else { MapOp::Set(key, rng.bits()) })
    }

    struct Model;

    impl Oracle<Map> for Model {
        type View = BTreeMap<String, u64>;

        fn view(state: &Map) -> Self::View {
            let view: BTreeMap<_, _> = state.iter().map(|(k, v)| (k.clone(), *v)).collect();
            assert_eq!(state.len(), view.len());
            assert!(view.iter().all(|(k, v)| state.get(k) == Some(v) && state.contains_key(k)));
            assert_eq!(state.keys().count(), state.values().count());
            view
        }

        fn patch(view: &mut Self::View, event: MapEvent<String, u64>) {
            match event {
                MapEvent::Set { key, value } => drop(view.insert(key, value)),
                MapEvent::Removed { key } => assert!(view.remove(&key).is_some(), "not visible"),
            }
        }

        fn expected(history: &History<MapOp<String, u64>>) -> Self::View {
            let mut last: BTreeMap<&str, (Stamp, Option<u64>)> = BTreeMap::new();
            for said in history {
                let (key, value) = match &said.op {
                    MapOp::Set(key, value) => (key, Some(*value)),
                    MapOp::Remove(key) => (key, None),
                };
                let write = (said.at, value);
                let held = last.entry(key).or_insert(write);
                *held = write.max(*held);
            }
            last.into_iter().filter_map(|(k, (_, v))| Some((k.to_owned(), v?))).collect()
        }
    }

    crdt_conformance!(Map, ops = edit, oracle = Model);
}

mod lww_set {
    use proptest::prelude::*;
    use repliq_conformance::crdt::{History, Oracle, strategy};
    use repliq_conformance::crdt_conformance;
    use repliq_crdts::{LwwSet, SetEvent, SetOp};
    use std::collections::{BTreeMap, BTreeSet};

    struct Model;

    impl Oracle<LwwSet<u8>> for Model {
        type View = BTreeSet<u8>;

        fn view(state: &LwwSet<u8>) -> Self::View {
            let view: BTreeSet<_> = state.iter().copied().collect();
            assert_eq!(state.len(), view.len());
            assert!(state.elements().into_iter().eq(&view));
            view
        }

        fn patch(view: &mut Self::View, event: SetEvent<u8>) {
            match event {
                SetEvent::Added { element } => assert!(view.insert(element), "already in"),
                SetEvent::Removed { element } => assert!(view.remove(&element), "not in"),
            }
        }

        fn expected(history: &History<SetOp<u8>>) -> Self::View {
            let mut last = BTreeMap::new();
            for said in history {
                let (element, is_in) = match said.op {
                    SetOp::Add(element) => (element, true),
                    SetOp::Remove(element) => (element, false),
                };
                let edit = (said.at.hlc, is_in, said.at.dot.replica, said.at.dot.seq);
                let held = last.entry(element).or_insert(edit);
                *held = edit.max(*held);
            }
            last.into_iter().filter(|(_, edit)| edit.1).map(|(element, _)| element).collect()
        }
    }

    fn ops() -> impl Strategy<Value = SetOp<u8>> {
        prop_oneof![(0_u8..8).prop_map(SetOp::Add), (0_u8..8).prop_map(SetOp::Remove)]
    }

    crdt_conformance!(LwwSet<u8>, ops = strategy(ops()), oracle = Model);
}
