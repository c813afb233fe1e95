//! Watches the storage thread, which a backend that never returns would hold for
//! ever. When one call takes longer than its patience it says so to everybody who
//! waits, and takes it back when the call returns after all. It never ends a
//! call: nobody can.

use super::Queue;
use crate::store::StoreError;
use parking_lot::{Condvar, Mutex};
use std::time::{Duration, Instant};

#[derive(Default)]
struct State {
    busy_since: Option<Instant>,
    /// The storage thread has been busy for too long.
    stalled: bool,
    /// The storage thread has ended.
    over: bool,
    /// The watcher waits for work to begin.
    idle: bool,
}

/// See the module's documentation.
pub(super) struct Watch {
    state: Mutex<State>,
    changed: Condvar,
    patience: Duration,
}

impl Watch {
    pub(super) fn new(patience: Duration) -> Self {
        Self { state: Mutex::default(), changed: Condvar::new(), patience }
    }

    /// Runs a piece of work of the storage thread, which may never return.
    pub(super) fn over<R>(&self, queue: &Queue, work: impl FnOnce() -> R) -> R {
        let mut state = self.state.lock();
        state.busy_since = Some(Instant::now());
        // It looks by itself as long as it has seen work lately.
        if std::mem::take(&mut state.idle) {
            self.changed.notify_all();
        }
        drop(state);
        let result = work();
        let mut state = self.state.lock();
        state.busy_since = None;
        if std::mem::take(&mut state.stalled) {
            queue.resume();
            self.changed.notify_all();
        }
        result
    }

    /// What the watching thread does, until the storage thread has ended.
    pub(super) fn run(&self, queue: &Queue) {
        let mut state = self.state.lock();
        while !state.over {
            match state.busy_since {
                Some(since) if !state.stalled => match self.patience.checked_sub(since.elapsed()) {
                    Some(left) => drop(self.changed.wait_for(&mut state, left)),
                    None => {
                        state.stalled = true;
                        queue.stall(StoreError::Stalled(self.patience));
                        self.changed.notify_all();
                    }
                },
                _ => {
                    state.idle = true;
                    self.changed.wait(&mut state);
                }
            }
        }
    }

    /// The storage thread has ended.
    pub(super) fn end(&self) {
        self.state.lock().over = true;
        self.changed.notify_all();
    }

    /// Waits until the storage thread has ended. `false` when it is stuck.
    pub(super) fn await_end(&self) -> bool {
        let mut state = self.state.lock();
        while !state.over && !state.stalled {
            self.changed.wait(&mut state);
        }
        state.over
    }
}
