//! A tag twice, one that is retired, and one that is too large.
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
    #[crdt(tag = 4096)]
    links: Text,
    #[crdt(unknown)]
    unknown: UnknownFields,
}

fn main() {}
