//! What a library has to offer to be measured: a replica of a text, a map, a
//! set, a counter or a list, driven by the fast path of that library.
//!
//! The traits are object-safe and coarse, so that a call through them costs
//! nothing beside what it measures: one transaction is one call, however many
//! edits it has. An `author` is a small number; whoever edits has its own.

use super::trace::{Edit, Unit};

/// A library, and the types of it that are measured.
pub(crate) trait Peer {
    /// Its name on crates.io.
    fn name(&self) -> &'static str;

    fn texts(&self) -> Option<&dyn Texts> {
        None
    }

    fn maps(&self) -> Option<&dyn Maps> {
        None
    }

    fn sets(&self) -> Option<&dyn Sets> {
        None
    }

    fn counters(&self) -> Option<&dyn Counters> {
        None
    }

    fn lists(&self) -> Option<&dyn Lists> {
        None
    }
}

/// Makes texts.
pub(crate) trait Texts {
    fn unit(&self) -> Unit {
        Unit::Scalars
    }

    /// Whether a text is readable after every edit at a cost that does not grow
    /// with it.
    fn is_live(&self) -> bool {
        true
    }

    /// An empty text.
    fn empty(&self, author: u8) -> Box<dyn Text>;

    /// A text as it was saved, ready to be edited by `author`.
    fn load(&self, saved: &[u8], author: u8) -> Box<dyn Text>;
}

/// A replica of a text.
pub(crate) trait Text {
    /// Makes edits as one transaction.
    fn edit(&mut self, edits: &[Edit]);

    /// Makes edits as one transaction, and says what the others must hear of it.
    fn edit_encoded(&mut self, edits: &[Edit]) -> Vec<u8>;

    /// Remembers what is here now, for [`Text::since`].
    fn mark(&mut self);

    /// What came after the mark, or all there is, as one update. `parts` are the
    /// updates it was made of or came as: some libraries keep no log by
    /// themselves.
    fn since(&mut self, parts: &[Vec<u8>]) -> Vec<u8>;

    /// Decodes an update and takes it in: what it says is readable at once.
    fn apply(&mut self, update: &[u8]);

    /// All that a new replica needs to hold the same, with every letter that others may
    /// still refer to, in the form that it takes in fastest. `parts` as for
    /// [`Text::since`].
    fn whole(&mut self, parts: &[Vec<u8>]) -> Vec<u8> {
        self.since(parts)
    }

    /// Decodes what [`Text::whole`] gave, and merges it: what it says is readable at
    /// once, and what comes after it can be applied.
    fn merge(&mut self, whole: &[u8]) {
        self.apply(whole);
    }

    /// The whole text.
    fn text(&self) -> String;

    /// All of it for a disk, so that it can be loaded, edited and merged again.
    fn save(&mut self) -> Vec<u8>;
}

/// Makes maps from strings to numbers.
pub(crate) trait Maps {
    fn empty(&self, author: u8) -> Box<dyn Map>;
    fn load(&self, saved: &[u8], author: u8) -> Box<dyn Map>;
}

/// A replica of a map.
pub(crate) trait Map {
    /// Sets entries as one transaction.
    fn set(&mut self, entries: &[(String, i64)]);

    /// Sets entries as one transaction, and says what the others must hear of it.
    fn set_encoded(&mut self, entries: &[(String, i64)]) -> Vec<u8>;

    /// Decodes an update and takes it in.
    fn apply(&mut self, update: &[u8]);

    /// The sum of the values at these keys, all of which are there.
    fn sum(&self, keys: &[String]) -> i64;

    fn len(&self) -> usize;

    fn save(&mut self) -> Vec<u8>;
}

/// Makes sets of strings.
pub(crate) trait Sets {
    fn empty(&self, author: u8) -> Box<dyn Set>;
}

/// A replica of a set.
pub(crate) trait Set {
    /// Adds elements as one transaction.
    fn add(&mut self, elements: &[String]);

    fn len(&self) -> usize;
}

/// Makes counters.
pub(crate) trait Counters {
    fn empty(&self, author: u8) -> Box<dyn Counter>;
}

/// A replica of a counter.
pub(crate) trait Counter {
    /// Adds 1 so many times, as one transaction.
    fn increment(&mut self, times: usize);

    fn value(&self) -> i64;
}

/// Makes lists of numbers.
pub(crate) trait Lists {
    fn empty(&self, author: u8) -> Box<dyn List>;
}

/// A replica of a list.
pub(crate) trait List {
    /// Inserts elements one by one, as one transaction.
    fn insert(&mut self, elements: &[(usize, i64)]);

    fn elements(&self) -> Vec<i64>;
}
