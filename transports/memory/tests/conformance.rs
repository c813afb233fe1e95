//! The conformance suite on the in-process transport.

#![allow(clippy::unwrap_used)]

use repliq_conformance::transport::TransportHarness;
use repliq_core::Endpoint;
use repliq_transport_memory::MemoryTransport;

struct Memory(MemoryTransport);

impl TransportHarness for Memory {
    type Transport = MemoryTransport;

    fn transport(&self) -> MemoryTransport {
        self.0.clone()
    }

    fn endpoint(&self) -> Endpoint {
        "memory://:0".parse().unwrap()
    }
}

repliq_conformance::transport_conformance!(|| Memory(MemoryTransport::new()));
