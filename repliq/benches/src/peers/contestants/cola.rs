//! cola: a tree of runs that knows where letters go, and not which they are.
//!
//! The text is kept beside it in a rope, `jumprope`, the one that diamond-types
//! uses. Fast path: what `inserted` and `deleted` return is sent at once, in
//! cola's own encoding through postcard, an insertion with its letters. Every
//! replica is a fork of one empty replica. It keeps no deleted letters.

use crate::peers::peer::{Peer, Text, Texts};
use crate::peers::trace::Edit;
use cola::{Deletion, EncodedReplica, Insertion, Replica};
use jumprope::JumpRope;
use serde::{Deserialize, Serialize};

pub(crate) struct Cola;

impl Peer for Cola {
    fn name(&self) -> &'static str {
        "cola"
    }

    fn texts(&self) -> Option<&dyn Texts> {
        Some(self)
    }
}

#[derive(Serialize, Deserialize)]
enum Op<'a> {
    Insert(Insertion, &'a str),
    Delete(Deletion),
}

impl Texts for Cola {
    fn empty(&self, author: u8) -> Box<dyn Text> {
        let replica = Replica::new(1, 0).fork(u64::from(author) + 2);
        Box::new(Document { replica, text: JumpRope::new() })
    }

    fn load(&self, saved: &[u8], author: u8) -> Box<dyn Text> {
        let (replica, text): (&[u8], &str) = postcard::from_bytes(saved).expect("it was saved");
        let replica = EncodedReplica::from_bytes(replica);
        let replica = Replica::decode(u64::from(author) + 2, &replica).expect("it was saved");
        Box::new(Document { replica, text: JumpRope::from(text) })
    }
}

struct Document {
    replica: Replica,
    text: JumpRope,
}

impl Document {
    fn make<'a>(&mut self, edits: &'a [Edit], mut each: impl FnMut(Op<'a>)) {
        for Edit { position, deleted, inserted } in edits {
            if *deleted > 0 {
                self.text.remove(*position..position + deleted);
                each(Op::Delete(self.replica.deleted(*position..position + deleted)));
            }
            if !inserted.is_empty() {
                self.text.insert(*position, inserted);
                let count = inserted.chars().count();
                each(Op::Insert(self.replica.inserted(*position, count), inserted));
            }
        }
    }
}

impl Text for Document {
    fn edit(&mut self, edits: &[Edit]) {
        self.make(edits, drop);
    }

    fn edit_encoded(&mut self, edits: &[Edit]) -> Vec<u8> {
        let mut update = Vec::with_capacity(32);
        self.make(edits, |op| {
            update = postcard::to_extend(&op, std::mem::take(&mut update)).expect("it serializes");
        });
        update
    }

    fn mark(&mut self) {}

    fn since(&mut self, parts: &[Vec<u8>]) -> Vec<u8> {
        parts.concat()
    }

    fn apply(&mut self, update: &[u8]) {
        let mut rest = update;
        while !rest.is_empty() {
            let (op, behind) = postcard::take_from_bytes(rest).expect("an update");
            match op {
                Op::Insert(insertion, inserted) => {
                    let position = self.replica.integrate_insertion(&insertion);
                    self.text.insert(position.expect("updates come in order"), inserted);
                }
                Op::Delete(deletion) => {
                    for range in self.replica.integrate_deletion(&deletion).into_iter().rev() {
                        self.text.remove(range);
                    }
                }
            }
            rest = behind;
        }
    }

    fn text(&self) -> String {
        self.text.to_string()
    }

    fn save(&mut self) -> Vec<u8> {
        let replica = self.replica.encode();
        postcard::to_allocvec(&(replica.as_bytes(), self.text.to_string())).expect("it serializes")
    }
}
