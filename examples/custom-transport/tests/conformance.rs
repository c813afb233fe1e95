//! The published suite on Unix domain sockets.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use custom_transport::UnixSocket;
use repliq_conformance::transport::TransportHarness;
use repliq_core::{Endpoint, MAX_FRAME_BYTES};
use std::any::Any;
use std::io::Write;
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

    fn oversize(&self, at: &Endpoint) -> Option<Box<dyn Any + Send>> {
        let mut raw = UnixStream::connect(at.path()).unwrap();
        let length = u32::try_from(MAX_FRAME_BYTES).unwrap() + 1;
        raw.write_all(&[b"repliq\0\x01", length.to_le_bytes().as_slice()].concat()).unwrap();
        Some(Box::new(raw))
    }
}

repliq_conformance::transport_conformance!(|| Unix(tempfile::tempdir().unwrap()));
