//! A struct within itself.
extern crate repliq_core as repliq;

use repliq::UnknownFields;
use repliq_crdts::{CrdtMap, Text};
use repliq_derive::Crdt;

#[derive(Crdt)]
#[crdt(kind = "tree/1")]
struct Tree {
    #[crdt(tag = 1)]
    label: Text,
    #[crdt(tag = 2)]
    children: CrdtMap<String, Tree>,
    #[crdt(unknown)]
    unknown: UnknownFields,
}

fn main() {}
