//! Which line of changes may go on: each replica's changes are in order, and
//! each waits for what it depends on. A line that waits is looked at again when
//! exactly that was given out, so the work follows the changes and not their
//! square. It reads nothing and holds no change.

use super::HashMap;
use std::collections::{BTreeMap, VecDeque};
use std::hash::Hash;

/// Lines of changes, ready or waiting.
pub(super) struct Ready<K> {
    queue: VecDeque<K>,
    /// By what is waited for, and how much of it.
    waiting: HashMap<K, BTreeMap<u64, Vec<K>>>,
}

impl<K: Copy + Eq + Hash> Ready<K> {
    /// All lines, each to be looked at once.
    pub(super) fn new(lines: impl IntoIterator<Item = K>) -> Self {
        Self { queue: lines.into_iter().collect(), waiting: HashMap::default() }
    }

    /// The next line to look at. It is not looked at again, unless one of
    /// [`Ready::again`] and [`Ready::wait`] says so.
    pub(super) fn next(&mut self) -> Option<K> {
        self.queue.pop_front()
    }

    /// Looks at the line again at once: a run of one author stays together.
    pub(super) fn again(&mut self, line: K) {
        self.queue.push_front(line);
    }

    /// Looks at the line again when `count` slots of `on` are there.
    pub(super) fn wait(&mut self, line: K, on: K, count: u64) {
        self.waiting.entry(on).or_default().entry(count).or_default().push(line);
    }

    /// From now on, `count` slots of the line are there.
    pub(super) fn advanced(&mut self, line: K, count: u64) {
        let Some(waiting) = self.waiting.get_mut(&line) else { return };
        let later = waiting.split_off(&count.saturating_add(1));
        let woken = std::mem::replace(waiting, later);
        self.queue.extend(woken.into_values().flatten());
    }
}
