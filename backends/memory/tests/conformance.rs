//! The published suite on the memory backend. A harness keeps a clone, so it can
//! show a reopen although the backend is volatile.

use repliq_backend_memory::MemoryBackend;
use repliq_conformance::backend::BackendHarness;
use repliq_core::StorageError;

struct Memory(MemoryBackend);

impl BackendHarness for Memory {
    type Backend = MemoryBackend;

    fn open(&self) -> Result<MemoryBackend, StorageError> {
        Ok(self.0.clone())
    }
}

repliq_conformance::backend_conformance!(|| Memory(MemoryBackend::new()));
