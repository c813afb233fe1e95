//! Nothing says what is on disk.
extern crate repliq_core as repliq;

use repliq_crdts::Text;
use repliq_derive::Crdt;

#[derive(Crdt)]
struct Note {
    title: Text,
    body: Text,
}

fn main() {}
