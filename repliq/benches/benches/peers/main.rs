//! Repliq beside its peers: see `repliq_benches::peers`.

fn main() {
    repliq_benches::peers::compare();
}
