//! The in-process transport beside the channel it is made of.

use crate::{Load, ours, pass};
use bytes::Bytes;
use repliq::prelude::*;
use std::time::Duration;
use tokio::sync::mpsc;

/// As many frames as the transport lets wait.
const QUEUED: usize = 16;

pub(crate) async fn ours(load: Load) -> Duration {
    ours::round(MemoryTransport::new(), "memory://:0", load).await
}

pub(crate) async fn bare(load: Load) -> Duration {
    one_way(load).await + one_way(load).await
}

async fn one_way(load: Load) -> Duration {
    let (sender, mut receiver) = mpsc::channel::<Bytes>(QUEUED);
    let send = async move {
        for frame in load.frames() {
            sender.send(frame).await.unwrap();
        }
        sender
    };
    let receive = async move {
        for _ in 0..load.frames {
            assert_eq!(receiver.recv().await.unwrap().len(), load.bytes);
        }
        receiver
    };
    pass(send, receive).await.0
}
