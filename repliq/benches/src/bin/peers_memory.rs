//! Counts the memory of one thing for the benchmark `peers`, which runs it: its
//! own times are taken without a counting allocator.

use peak_alloc::PeakAlloc;

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

fn main() {
    repliq_benches::peers::count_memory(&ALLOCATOR);
}
