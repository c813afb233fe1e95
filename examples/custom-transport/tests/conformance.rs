//! The published suite on Unix domain sockets.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use custom_transport::UnixSocket;
use repliq_conformance::transport::TransportHarness;
use repliq_core::Endpoint;
use std::any::Any;
use std::os::unix::net::UnixStream;

struct Unix(tempfile::TempDir);

impl TransportHarness for Unix {
    type Transport = UnixSocket;

    fn transport(&self) -> UnixSocket {
        UnixSocket
    }

    fn endpoint(&self) -> Endpoint {
        format!("unix://{}/", self.0.path().display()).parse().unwrap()
    }

    fn stall(&self, at: &Endpoint) -> Option<Box<dyn Any + Send>> {
        Some(Box::new(UnixStream::connect(at.path()).unwrap()))
    }
}

repliq_conformance::transport_conformance!(|| Unix(tempfile::tempdir().unwrap()));
