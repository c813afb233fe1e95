//! diamond-types: an event graph with the present text beside it.
//!
//! Fast path: operations go to log and text together, many at a time
//! (`apply_local_operations`), patches are encoded from the version before them
//! and uncompressed: compressing a few letters costs more than it saves. The
//! saved form is its `ENCODE_FULL`: every insertion, compressed, without the
//! text of deletions.

use crate::peers::peer::{Peer, Text, Texts};
use crate::peers::trace::Edit;
use diamond_types::list::ListCRDT;
use diamond_types::list::encoding::{ENCODE_FULL, ENCODE_PATCH, EncodeOptions};
use diamond_types::list::operation::Operation;
use diamond_types::{AgentId, LocalVersion};

const PATCH: EncodeOptions<'static> = EncodeOptions { compress_content: false, ..ENCODE_PATCH };

/// So many edits are handed over at once.
const AT_A_TIME: usize = 256;

pub(crate) struct DiamondTypes;

impl Peer for DiamondTypes {
    fn name(&self) -> &'static str {
        "diamond-types"
    }

    fn texts(&self) -> Option<&dyn Texts> {
        Some(self)
    }
}

impl Texts for DiamondTypes {
    fn empty(&self, author: u8) -> Box<dyn Text> {
        Box::new(Document::new(ListCRDT::new(), author))
    }

    fn load(&self, saved: &[u8], author: u8) -> Box<dyn Text> {
        Box::new(Document::new(ListCRDT::load_from(saved).expect("it was saved"), author))
    }
}

struct Document {
    list: ListCRDT,
    agent: AgentId,
    marked: LocalVersion,
    /// Empty between edits.
    operations: Vec<Operation>,
}

impl Document {
    fn new(mut list: ListCRDT, author: u8) -> Self {
        let agent = list.get_or_create_agent_id(&format!("author-{author}"));
        let marked = ListCRDT::new().oplog.local_version();
        Self { list, agent, marked, operations: Vec::new() }
    }
}

impl Text for Document {
    fn edit(&mut self, edits: &[Edit]) {
        for some in edits.chunks(AT_A_TIME) {
            for Edit { position, deleted, inserted } in some {
                if *deleted > 0 {
                    self.operations.push(Operation::new_delete(*position..position + deleted));
                }
                if !inserted.is_empty() {
                    self.operations.push(Operation::new_insert(*position, inserted));
                }
            }
            self.list.apply_local_operations(self.agent, &self.operations);
            self.operations.clear();
        }
    }

    fn edit_encoded(&mut self, edits: &[Edit]) -> Vec<u8> {
        let before = self.list.oplog.local_version();
        self.edit(edits);
        self.list.oplog.encode_from(PATCH, &before)
    }

    fn mark(&mut self) {
        self.marked = self.list.oplog.local_version();
    }

    fn since(&mut self, _parts: &[Vec<u8>]) -> Vec<u8> {
        self.list.oplog.encode_from(ENCODE_PATCH, &self.marked)
    }

    fn apply(&mut self, update: &[u8]) {
        self.list.merge_data_and_ff(update).expect("an update");
    }

    fn text(&self) -> String {
        self.list.branch.content().to_string()
    }

    fn save(&mut self) -> Vec<u8> {
        self.list.oplog.encode(ENCODE_FULL)
    }
}
