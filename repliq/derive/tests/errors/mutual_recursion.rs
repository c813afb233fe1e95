//! A struct within another one within it.
extern crate repliq_core as repliq;

use repliq::UnknownFields;
use repliq_crdts::CrdtMap;
use repliq_derive::Crdt;

#[derive(Crdt)]
#[crdt(kind = "hen/1")]
struct Hen {
    #[crdt(tag = 1)]
    eggs: CrdtMap<String, Egg>,
    #[crdt(unknown)]
    unknown: UnknownFields,
}

#[derive(Crdt)]
#[crdt(kind = "egg/1")]
struct Egg {
    #[crdt(tag = 1)]
    hens: CrdtMap<String, Hen>,
    #[crdt(unknown)]
    unknown: UnknownFields,
}

fn main() {}
