//! Repliq beside its peers: see `repliq_benches::peers`, which has it all.

fn main() {
    repliq_benches::peers::compare(env!("CARGO_BIN_EXE_peers-memory").as_ref());
}
