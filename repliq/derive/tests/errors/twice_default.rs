//! What the derive writes is not to be derived once more.
extern crate repliq_core as repliq;

use repliq::UnknownFields;
use repliq_crdts::Text;
use repliq_derive::Crdt;

#[derive(Default, Crdt)]
#[crdt(kind = "note/1")]
struct Note {
    #[crdt(tag = 1)]
    body: Text,
    #[crdt(unknown)]
    unknown: UnknownFields,
}

fn main() {}
