//! A peer whose frames are all there at once.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use bytes::Bytes;
use repliq::prelude::*;
use repliq::{
    Chain, Change, ChangeHeader, Connection, Dot, Endpoint, FrameReceiver, FrameSender, Hlc, KeyId,
    Listener, Millis, Peer, Transport, TransportError, TransportErrorKind, Version,
};
use repliq_sync::{
    Entry, Hello, Message as Wire, Position, decode_frame, encode_frame, encode_hello,
};
use std::sync::Mutex;
use std::time::Duration;
use tokio::sync::mpsc;

/// More than a driver takes in before it carries out what follows from them.
const CHANGES: u64 = 1000;

/// Accepts one connection, whose frames were written beforehand.
struct Scripted(Mutex<Option<Script>>);

struct Script {
    frames: std::vec::IntoIter<Bytes>,
    answers: mpsc::Sender<Bytes>,
}

impl Transport for Scripted {
    type Listener = Script;
    type Sender = Answers;
    type Receiver = Frames;

    fn schemes(&self) -> &'static [&'static str] {
        &["script"]
    }

    async fn connect(&self, _: &Endpoint) -> Result<Connection<Answers, Frames>, TransportError> {
        Err(TransportErrorKind::Unreachable.into())
    }

    async fn listen(&self, _: &Endpoint) -> Result<Script, TransportError> {
        self.0.lock().unwrap().take().ok_or_else(|| TransportErrorKind::InUse.into())
    }
}

impl Listener for Script {
    type Sender = Answers;
    type Receiver = Frames;

    async fn accept(&mut self) -> Result<Connection<Answers, Frames>, TransportError> {
        if self.frames.len() == 0 {
            std::future::pending::<()>().await;
        }
        let frames = std::mem::take(&mut self.frames);
        let sender = Answers(self.answers.clone());
        Ok(Connection { sender, receiver: Frames(frames), peer: Peer::Anonymous })
    }

    fn local_endpoint(&self) -> Endpoint {
        "script://here".parse().unwrap()
    }

    async fn close(&mut self) -> Result<(), TransportError> {
        Ok(())
    }
}

struct Answers(mpsc::Sender<Bytes>);

impl FrameSender for Answers {
    async fn send(&mut self, frame: Bytes) -> Result<(), TransportError> {
        self.0.send(frame).await.map_err(|_| TransportErrorKind::Lost.into())
    }

    async fn close(&mut self) -> Result<(), TransportError> {
        Ok(())
    }
}

struct Frames(std::vec::IntoIter<Bytes>);

impl FrameReceiver for Frames {
    async fn recv(&mut self) -> Result<Option<Bytes>, TransportError> {
        match self.0.next() {
            Some(frame) => Ok(Some(frame)),
            None => std::future::pending().await,
        }
    }
}

/// A hello, the start of a feed, and one change in each frame after these.
fn script() -> Vec<Bytes> {
    let author = ReplicaId::from_bytes([7; 16]);
    let head = Position { epoch: 1, number: 0 };
    let hello = Hello {
        replica: author,
        space: "default".to_owned(),
        head,
        cursor: Some(Position::default()),
        max_frame: 256 << 10,
        extensions: Vec::new(),
    };
    let mut frames = vec![encode_hello(&hello), encode_frame(1, &Wire::Start(head))];
    let mut chain = Chain::START;
    for seq in 0..CHANGES {
        let hlc = Hlc::from_millis(Millis(1_700_000_000_000)).plus(seq);
        let header = ChangeHeader { slots: 1, hlc, chain, deps: Version::new(), key: KeyId::PLAIN };
        let change = Change::new(Dot { replica: author, seq }, &header, b"an op");
        chain = change.chain_after();
        let first = seq == 0;
        let (document, replica, body) = (0, 0, &*change.body);
        let message = Wire::Changes {
            documents: if first { vec![("map", "lww-map/1")] } else { vec![] },
            replicas: if first { vec![author] } else { vec![] },
            advance: 1,
            entries: vec![Entry::Any { document, replica, seq, body }],
        };
        frames.push(encode_frame(seq + 2, &message));
    }
    frames
}

#[tokio::test]
async fn a_burst_of_frames_loses_none() {
    let (answers, mut answered) = mpsc::channel(16);
    let script = Script { frames: script().into_iter(), answers };
    let relay = Relay::open(MemoryBackend::new()).await.unwrap();
    relay.listen(Scripted(Mutex::new(Some(script))), "script://here").await.unwrap();
    let all_acked = async {
        let _hello = answered.recv().await.unwrap();
        loop {
            let frame = answered.recv().await.unwrap();
            match decode_frame(&frame).unwrap().message {
                Wire::Ack { frame, .. } if frame == CHANGES + 1 => return,
                Wire::Goodbye(why) => panic!("the relay does not go on: {why:?}"),
                _ => {}
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(30), all_acked).await.unwrap();
    relay.close().await;
}
