//! The WebSocket transport beside tokio-tungstenite with its own buffer sizes.
//!
//! Bare, frames are fed and flushed once at the end, which is the quickest way to use
//! the library: nothing promises that a frame leaves before that.

use crate::{Load, ours, pass};
use futures_util::{SinkExt, StreamExt};
use repliq::prelude::*;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::tungstenite::Message as Frame;
use tokio_tungstenite::{WebSocketStream, accept_async, client_async};

type Socket = WebSocketStream<TcpStream>;

pub(crate) async fn ours(load: Load) -> Duration {
    ours::round(WebSocket::new(), "ws://127.0.0.1:0", load).await
}

pub(crate) async fn bare(load: Load) -> Duration {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap();
    let near = async {
        let tcp = TcpStream::connect(at).await.unwrap();
        tcp.set_nodelay(true).unwrap();
        client_async(format!("ws://{at}"), tcp).await.unwrap().0
    };
    let far = async {
        let tcp = listener.accept().await.unwrap().0;
        tcp.set_nodelay(true).unwrap();
        accept_async(tcp).await.unwrap()
    };
    let (near, far) = tokio::join!(near, far);
    let (up, near, far) = one_way(near, far, load).await;
    let (down, ..) = one_way(far, near, load).await;
    up + down
}

async fn one_way(mut from: Socket, mut to: Socket, load: Load) -> (Duration, Socket, Socket) {
    let send = async move {
        for frame in load.frames() {
            from.feed(Frame::Binary(frame)).await.unwrap();
        }
        from.flush().await.unwrap();
        from
    };
    let receive = async move {
        for _ in 0..load.frames {
            assert_eq!(to.next().await.unwrap().unwrap().len(), load.bytes);
        }
        to
    };
    pass(send, receive).await
}
