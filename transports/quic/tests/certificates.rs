//! Whom QUIC trusts: what every transport that encrypts promises.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

#[path = "../../tls/tests/shared/certificates.rs"]
mod certificates;

use repliq_transport_quic::{Quic as Encrypted, TlsConfig};

const ANYWHERE: &str = "quic://127.0.0.1:0";

fn encrypted(tls: TlsConfig) -> Encrypted {
    Encrypted::new(tls)
}
