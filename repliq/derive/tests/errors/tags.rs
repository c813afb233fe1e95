//! A tag twice, and one that is retired.
extern crate repliq_core as repliq;

use repliq::UnknownFields;
use repliq_crdts::Text;
use repliq_derive::Crdt;

#[derive(Crdt)]
#[crdt(kind = "note/1", retired(3))]
struct Note {
    #[crdt(tag = 1)]
    title: Text,
    #[crdt(tag = 1)]
    body: Text,
    #[crdt(tag = 3)]
    footnotes: Text,
    #[crdt(unknown)]
    unknown: UnknownFields,
}

fn main() {}
