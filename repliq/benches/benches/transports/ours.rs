//! Any transport of ours, by its contract.

use crate::{Load, pass};
use repliq::{FrameReceiver, FrameSender, Listener, Transport};
use std::time::Duration;

pub(crate) async fn round(transport: impl Transport, at: &str, load: Load) -> Duration {
    let mut listener = transport.listen(&at.parse().unwrap()).await.unwrap();
    let at = listener.local_endpoint();
    let (near, far) = tokio::join!(transport.connect(&at), listener.accept());
    let (near, far) = (near.unwrap(), far.unwrap());
    let (up, _sender, _receiver) = one_way(near.sender, far.receiver, load).await;
    let (down, ..) = one_way(far.sender, near.receiver, load).await;
    up + down
}

async fn one_way<S: FrameSender, R: FrameReceiver>(
    mut sender: S,
    mut receiver: R,
    load: Load,
) -> (Duration, S, R) {
    let send = async move {
        for frame in load.frames() {
            sender.send(frame).await.unwrap();
        }
        sender
    };
    let receive = async move {
        for _ in 0..load.frames {
            assert_eq!(receiver.recv().await.unwrap().unwrap().len(), load.bytes);
        }
        receiver
    };
    pass(send, receive).await
}
