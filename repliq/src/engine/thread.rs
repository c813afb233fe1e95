//! The storage thread: it waits for work and has it committed, one batch at a
//! time. It looks after held changes whose time has come, and after a store that
//! lost track. However it ends, nobody waits for it for ever.

use super::Spaces;
use super::commit::Committer;
use super::queue::{Queue, Work};
use super::watch::Watch;
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// How often held changes are looked at again.
const RELEASE: Duration = Duration::from_secs(60);
/// How often a store that lost track is asked when nothing is to be committed.
const SETTLE: Duration = Duration::from_secs(5);

/// The storage thread with all it works on.
pub(super) struct Keeper {
    /// Shared with whoever commits on a thread of its own, see
    /// [`Engine::commit_queued`](super::Engine::commit_queued).
    pub(super) committer: Arc<Mutex<Committer>>,
    pub(super) queue: Arc<Queue>,
    pub(super) watch: Arc<Watch>,
    pub(super) spaces: Arc<Spaces>,
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.queue.abandon();
        self.watch.end();
    }
}

impl Keeper {
    pub(super) fn run(self) {
        let mut released = Instant::now();
        let mut is_unsettled = false;
        loop {
            if released.elapsed() >= RELEASE {
                released = Instant::now();
                self.release();
            }
            let patience = RELEASE.saturating_sub(released.elapsed());
            let patience = if is_unsettled { SETTLE } else { patience };
            let work = self.queue.wait(patience);
            let mut committer = self.committer.lock();
            match work {
                Work::Queued => committer.commit_queued(),
                Work::Idle => committer.settle_if_unsettled(),
                Work::Closed => return,
            }
            is_unsettled = committer.is_unsettled();
        }
    }

    fn release(&self) {
        for space in self.spaces.alive() {
            if space.holds.load(Ordering::Relaxed) {
                super::push_release(&self.queue, &space);
            }
        }
    }
}
