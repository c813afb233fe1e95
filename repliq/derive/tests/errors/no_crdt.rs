//! A field that is not a CRDT.
extern crate repliq_core as repliq;

use repliq::UnknownFields;
use repliq_crdts::Text;
use repliq_derive::Crdt;

#[derive(Crdt)]
#[crdt(kind = "note/1")]
struct Note {
    #[crdt(tag = 1)]
    title: String,
    #[crdt(tag = 2)]
    body: Text,
    #[crdt(unknown)]
    unknown: UnknownFields,
}

fn main() {}
