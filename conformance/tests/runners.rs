//! The generated tests begin as whoever runs the suite asks: here as those of tokio,
//! which are `async`.

use repliq_conformance::crdt::{History, Oracle, strategy};
use repliq_core::{Crdt, CrdtError, Effects, Stamp, Version};
use serde::{Deserialize, Serialize};

/// The largest number that anybody said.
#[derive(Default, Serialize, Deserialize)]
struct Max(u32);

impl Max {
    fn raise(&mut self, to: u32, fx: &mut Effects<Self>) {
        if to > self.0 {
            let before = std::mem::replace(&mut self.0, to);
            fx.event(|| to);
            fx.undo(|| before);
        }
    }
}

impl Crdt for Max {
    const KIND: &'static str = "max/1";
    type Op = u32;
    type Event = u32;
    type Undo = u32;

    fn apply(&mut self, op: u32, _: Stamp, fx: &mut Effects<Self>) -> Result<(), CrdtError> {
        self.raise(op, fx);
        Ok(())
    }

    fn join(&mut self, _: &Version, other: Self, _: &Version, fx: &mut Effects<Self>) {
        self.raise(other.0, fx);
    }

    fn rollback(&mut self, undo: u32) {
        self.0 = undo;
    }
}

struct Model;

impl Oracle<Max> for Model {
    type View = u32;

    fn view(state: &Max) -> u32 {
        state.0
    }

    fn patch(view: &mut u32, event: u32) {
        *view = event;
    }

    fn expected(history: &History<u32>) -> u32 {
        history.iter().map(|said| said.op).max().unwrap_or(0)
    }
}

repliq_conformance::crdt_conformance!(
    #[tokio::test(flavor = "current_thread")]
    #[cfg(not(miri))]
    async fn,
    Max,
    ops = strategy(0_u32..10),
    oracle = Model,
);
