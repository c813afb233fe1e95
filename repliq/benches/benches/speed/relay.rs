//! Forwarding: our relay against a bare broadcast, the same frames in turn.
//!
//! Both sides: one sender with one small change in every frame, [`RECEIVERS`]
//! receivers that decode every frame and count changes, everything in one
//! process on loopback. The bare server passes each frame on as it came, with a
//! `send` each (as written first) or with one flush a burst (as written next);
//! it keeps and numbers nothing, checks nothing and waits for no ack. The relay
//! decodes, checks, logs and numbers every change in a memory backend, acks it,
//! and packs what waits into frames of its own.

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use repliq::prelude::*;
use repliq::{
    Chain, Change, ChangeHeader, Dot, FrameReceiver, FrameSender, Hlc, KeyId, Millis, Version,
};
use repliq_benches::{Table, median, per_second};
use repliq_sync::{
    Entry, Hello, Message as Wire, Position, decode_frame, encode_frame, encode_hello,
};
use std::time::{Duration, Instant};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_tungstenite::tungstenite::Message as Frame;

const RECEIVERS: usize = 8;
const CHANGES: usize = 10_000;
const ROUNDS: usize = 9;
/// A round that takes longer is broken.
const PATIENCE: Duration = Duration::from_secs(60);
/// How many frames wait for one receiver of the bare server.
const WAITING: usize = 1024;

pub(crate) async fn run(table: &mut Table) {
    if !table.wants("relay") {
        return;
    }
    let author = ReplicaId::new();
    let frames = frames(author);
    let relay = Relay::open(MemoryBackend::new()).await.unwrap();
    let url = relay.listen(WebSocket::default(), "ws://127.0.0.1:0").await.unwrap().to_string();
    let (mut plain, mut burst, mut ours) = (Vec::new(), Vec::new(), Vec::new());
    let (mut to_plain, mut to_burst) = (Vec::new(), Vec::new());
    for round in 0..table.rounds(ROUNDS) {
        let ours_now = repliq(&url, &format!("space-{round}"), author, &frames).await;
        let plain_now = bare(&frames, false).await;
        let burst_now = bare(&frames, true).await;
        let rate = |took| per_second(CHANGES * RECEIVERS, took);
        ours.push(rate(ours_now));
        plain.push(rate(plain_now));
        burst.push(rate(burst_now));
        to_plain.push(rate(ours_now) / rate(plain_now));
        to_burst.push(rate(ours_now) / rate(burst_now));
    }
    let (to_plain, to_burst) = (median(to_plain), median(to_burst));
    table.figure(
        "Bare tokio-tungstenite broadcast to 8, a `send` each: changes delivered per second",
        &format!("{:.0}", median(plain)),
    );
    table.figure("... a flush each burst", &format!("{:.0}", median(burst)));
    table.target(
        "Relay to 8 over WebSocket, memory backend: changes delivered per second",
        &format!("{:.0}: {to_plain:.2} and {to_burst:.2} of these", median(ours)),
        ">= 0.33",
        to_plain >= 1.0 / 3.0,
    );
    relay.close().await;
}

/// One change in every frame, as a device sends them: about 60 bytes.
fn frames(author: ReplicaId) -> Vec<Bytes> {
    let mut chain = Chain::START;
    let mut frames = Vec::with_capacity(CHANGES);
    for (number, seq) in (2..).zip(0..CHANGES as u64) {
        let header = ChangeHeader {
            slots: 1,
            hlc: Hlc::from_millis(Millis(1_700_000_000_000)).plus(seq),
            chain,
            deps: Version::new(),
            key: KeyId::PLAIN,
        };
        let op = repliq::crdts::map::MapOp::Set("key-5".to_owned(), format!("value {seq}"));
        let change = Change::new(Dot { replica: author, seq }, &header, &repliq::encode(&op));
        chain = change.chain_after();
        let first = seq == 0;
        let entry = if first {
            Entry::Any { document: 0, replica: 0, seq, body: &change.body }
        } else {
            Entry::Next(&change.body)
        };
        let message = Wire::Changes {
            documents: if first { vec![("map", "lww-map/1")] } else { vec![] },
            replicas: if first { vec![author] } else { vec![] },
            advance: 1,
            entries: vec![entry],
        };
        frames.push(encode_frame(number, &message));
    }
    frames
}

/// Through our relay, in a space of its own: the time from the first frame sent
/// to the last change received.
async fn repliq(url: &str, space: &str, author: ReplicaId, frames: &[Bytes]) -> Duration {
    let url = format!("{url}/{space}");
    let mut receivers = JoinSet::new();
    let (ready, mut all_ready) = mpsc::channel(RECEIVERS);
    for _ in 0..RECEIVERS {
        let (url, ready) = (url.clone(), ready.clone());
        receivers.spawn(async move {
            let mut client = Client::new(ReplicaId::new());
            client.connect(&url).await.unwrap();
            let mut left = CHANGES;
            let (done, finished) = tokio::sync::oneshot::channel::<()>();
            let mut done = Some(done);
            let run = client.run(|message| match message {
                Message::Live => drop(ready.try_send(())),
                Message::Sync(_) => {
                    left -= 1;
                    if left == 0 {
                        drop(done.take());
                    }
                }
                _ => {}
            });
            tokio::select! {
                ended = run => panic!("ended early: {ended:?}"),
                _ = finished => {}
            }
        });
    }
    for _ in 0..RECEIVERS {
        all_ready.recv().await.unwrap();
    }
    let endpoint = url.parse().unwrap();
    let mut sender = repliq::Transport::connect(&WebSocket::default(), &endpoint).await.unwrap();
    let hello = Hello {
        replica: author,
        space: space.to_owned(),
        head: Position { epoch: 1, number: 0 },
        cursor: Some(Position::default()),
        max_frame: 256 << 10,
        extensions: Vec::new(),
    };
    sender.sender.send(encode_hello(&hello)).await.unwrap();
    sender.sender.send(encode_frame(1, &Wire::Start(hello.head))).await.unwrap();
    sender.receiver.recv().await.unwrap().unwrap();
    let mut from_relay = sender.receiver;
    let drain = tokio::spawn(async move {
        while let Ok(Some(frame)) = from_relay.recv().await {
            if let Ok(repliq_sync::Frame { message: Wire::Goodbye(why), .. }) = decode_frame(&frame)
            {
                panic!("the relay does not go on: {why:?}");
            }
        }
    });
    let began = Instant::now();
    for frame in frames {
        sender.sender.send(frame.clone()).await.unwrap();
    }
    all(receivers).await;
    let took = began.elapsed();
    drain.abort();
    took
}

/// Through a server that passes frames on.
async fn bare(frames: &[Bytes], bursts: bool) -> Duration {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = tokio::spawn(serve(listener, bursts));
    let mut receivers = JoinSet::new();
    for _ in 0..RECEIVERS {
        let mut socket = connect(address).await;
        receivers.spawn(async move {
            let mut left = CHANGES;
            while left > 0 {
                let Frame::Binary(frame) = socket.next().await.unwrap().unwrap() else { continue };
                if let Wire::Changes { entries, .. } = decode_frame(&frame).unwrap().message {
                    left -= entries.len();
                }
            }
        });
    }
    // The last to connect is the one that sends.
    let mut sender = connect(address).await;
    let began = Instant::now();
    for frame in frames {
        sender.feed(Frame::Binary(frame.clone())).await.unwrap();
    }
    sender.flush().await.unwrap();
    all(receivers).await;
    let took = began.elapsed();
    server.abort();
    took
}

async fn all(mut receivers: JoinSet<()>) {
    let all = async {
        while let Some(done) = receivers.join_next().await {
            done.unwrap();
        }
    };
    tokio::time::timeout(PATIENCE, all).await.expect("changes that never arrive");
}

type Socket = tokio_tungstenite::WebSocketStream<TcpStream>;

async fn connect(address: std::net::SocketAddr) -> Socket {
    let stream = TcpStream::connect(address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    tokio_tungstenite::client_async(format!("ws://{address}"), stream).await.unwrap().0
}

async fn accept(listener: &TcpListener) -> Socket {
    let (stream, _) = listener.accept().await.unwrap();
    stream.set_nodelay(true).unwrap();
    tokio_tungstenite::accept_async(stream).await.unwrap()
}

async fn serve(listener: TcpListener, bursts: bool) {
    let mut queues = Vec::new();
    let mut writers = JoinSet::new();
    for _ in 0..RECEIVERS {
        let mut socket = accept(&listener).await;
        let (queue, mut queued) = mpsc::channel::<Frame>(WAITING);
        queues.push(queue);
        writers.spawn(async move {
            while let Some(frame) = queued.recv().await {
                if bursts && !queued.is_empty() {
                    socket.feed(frame).await.unwrap();
                } else {
                    socket.send(frame).await.unwrap();
                }
            }
        });
    }
    let mut sender = accept(&listener).await;
    while let Some(Ok(frame)) = sender.next().await {
        for queue in &queues {
            let _ = queue.send(frame.clone()).await;
        }
    }
}
