//! What is no struct with named fields, or takes parameters.
extern crate repliq_core as repliq;

use repliq::UnknownFields;
use repliq_crdts::{LwwRegister, Text};
use repliq_derive::Crdt;

#[derive(Crdt)]
enum Either {
    One(Text),
    Other(Text),
}

#[derive(Crdt)]
struct Tuple(Text);

#[derive(Crdt)]
union Union {
    a: u32,
}

#[derive(Crdt)]
#[crdt(kind = "generic/1")]
struct Generic<T> {
    #[crdt(tag = 1)]
    title: LwwRegister<T>,
    #[crdt(unknown)]
    unknown: UnknownFields,
}

fn main() {}
