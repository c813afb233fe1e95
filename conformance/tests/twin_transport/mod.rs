//! A small in-memory transport that keeps the contract, or breaks it in one
//! chosen way.

use bytes::Bytes;
use repliq_core::{
    Connection, Endpoint, FrameReceiver, FrameSender, Listener, MAX_FRAME_BYTES, Peer, Transport,
    TransportError, TransportErrorKind,
};
use std::collections::HashMap;
use std::future::pending;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use tokio::sync::{Mutex as AsyncMutex, mpsc};
use tokio::task::yield_now;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Bug {
    DeliversTwice,
    SkipsEmptyFrames,
    LengthOf16Bits,
    LimitIsExclusive,
    OversizedFrameEndsConnection,
    LosesOneInThousands,
    FlushesOnNextSend,
    OneLockAcrossAwaits,
    UnboundedQueue,
    SendBlocksRecv,
    SendHangsOnLostPeer,
    CancelledRecvLosesFrame,
    CancelledAcceptLosesConnection,
    CancelledSendLeavesGarbage,
    CleanEndIsToldOnce,
    CloseDiscards,
    DropDiscards,
    UnreadFramesReset,
    DropIsClean,
    DroppedSenderGoesUnnoticed,
    WaitingRecvIsNotWoken,
    SendsAfterClose,
    SecondCloseFails,
    CloseEndsBothDirections,
    SecondOfTwoClosesFails,
    IgnoresLostPeer,
    MixesConnections,
    ShortBacklog,
    ListenerTakesConnectionsAlong,
    NamesNoScheme,
    IgnoresScheme,
    ChecksNothing,
    /// Leaves `check` as the trait has it, and refuses more than that.
    ChecksTheSchemeAlone,
    OnePlaceForAll,
    SecondListenerTakesOver,
    HangsOnNobody,
    CloseKeepsPlace,
    AcceptHangsAfterClose,
    HandshakeInsideAccept,
}

type TwinConnection = Connection<TwinSender, TwinReceiver>;

/// What arrives at a listener.
enum Arrival {
    Connection(Box<TwinConnection>),
    Stalled,
}

#[derive(Clone)]
pub(crate) struct Twin {
    bug: Option<Bug>,
    listening: Arc<Mutex<HashMap<String, mpsc::Sender<Arrival>>>>,
    picked: Arc<AtomicU64>,
    earlier: Arc<Mutex<Option<mpsc::Sender<Bytes>>>>,
}

impl Twin {
    pub(crate) fn new(bug: Option<Bug>) -> Self {
        Self { bug, listening: Arc::default(), picked: Arc::default(), earlier: Arc::default() }
    }

    /// Connects without ever finishing the handshake.
    pub(crate) fn stall(&self, at: &Endpoint) {
        let listening = self.listening.lock().unwrap();
        listening[at.authority()].try_send(Arrival::Stalled).unwrap_or_else(|_| panic!("full"));
    }

    fn has(&self, bug: Bug) -> bool {
        self.bug == Some(bug)
    }

    fn check_scheme(&self, endpoint: &Endpoint) -> Result<(), TransportError> {
        if endpoint.scheme() == "twin" || self.has(Bug::IgnoresScheme) {
            return Ok(());
        }
        Err(TransportErrorKind::Endpoint.into())
    }

    /// The connecting end and the accepting one.
    fn pair(&self) -> (TwinConnection, TwinConnection) {
        let capacity = if self.has(Bug::UnboundedQueue) { 1 << 20 } else { 16 };
        let (outward, inward) = (Arc::new(Direction::default()), Arc::new(Direction::default()));
        let (out_sender, out_receiver) = mpsc::channel(capacity);
        let (in_sender, in_receiver) = mpsc::channel(capacity);
        let end = |out: &Arc<Direction>, tx: mpsc::Sender<Bytes>, into: &Arc<Direction>, rx| {
            let lock = Arc::new(AsyncMutex::new(()));
            let held = self.has(Bug::DroppedSenderGoesUnnoticed).then(|| tx.clone());
            Connection {
                sender: TwinSender {
                    bug: self.bug,
                    frames: Some(tx),
                    out: Arc::clone(out),
                    into: Arc::clone(into),
                    lock: Arc::clone(&lock),
                    held_back: None,
                    garbage: false,
                    sent: 0,
                },
                receiver: TwinReceiver {
                    bug: self.bug,
                    frames: rx,
                    out: Arc::clone(out),
                    into: Arc::clone(into),
                    lock,
                    again: None,
                    received: 0,
                    told: false,
                    _held: held,
                },
                peer: Peer::Anonymous,
            }
        };
        let mut near = end(&outward, out_sender, &inward, in_receiver);
        let far = end(&inward, in_sender, &outward, out_receiver);
        if self.has(Bug::MixesConnections) {
            let own = near.sender.frames.clone();
            let earlier = self.earlier.lock().unwrap().take();
            near.sender.frames = earlier.or_else(|| own.clone());
            *self.earlier.lock().unwrap() = own;
        }
        (near, far)
    }
}

impl Transport for Twin {
    type Listener = TwinListener;
    type Sender = TwinSender;
    type Receiver = TwinReceiver;

    fn schemes(&self) -> &'static [&'static str] {
        if self.has(Bug::NamesNoScheme) { &[] } else { &["twin"] }
    }

    fn check(&self, endpoint: &Endpoint) -> Result<(), TransportError> {
        if self.has(Bug::ChecksNothing) { Ok(()) } else { self.check_scheme(endpoint) }
    }

    async fn connect(&self, endpoint: &Endpoint) -> Result<TwinConnection, TransportError> {
        self.check_scheme(endpoint)?;
        if self.has(Bug::ChecksTheSchemeAlone) && endpoint.as_str().contains('?') {
            return Err(TransportErrorKind::Endpoint.into());
        }
        let listener = self.listening.lock().unwrap().get(endpoint.authority()).cloned();
        let Some(listener) = listener.filter(|listener| !listener.is_closed()) else {
            if self.has(Bug::HangsOnNobody) {
                pending::<()>().await;
            }
            return Err(TransportErrorKind::Unreachable.into());
        };
        let (near, far) = self.pair();
        let arrival = Arrival::Connection(Box::new(far));
        listener.try_send(arrival).map_err(|_| TransportErrorKind::Unreachable)?;
        Ok(near)
    }

    async fn listen(&self, endpoint: &Endpoint) -> Result<TwinListener, TransportError> {
        self.check_scheme(endpoint)?;
        let picks = endpoint.authority() == ":0";
        let name = match picks {
            true if self.has(Bug::OnePlaceForAll) => "1".to_owned(),
            true => self.picked.fetch_add(1, SeqCst).to_string(),
            false => endpoint.authority().to_owned(),
        };
        let takes_over = self.has(Bug::SecondListenerTakesOver) || self.has(Bug::OnePlaceForAll);
        let mut listening = self.listening.lock().unwrap();
        if listening.contains_key(&name) && !takes_over {
            return Err(TransportErrorKind::InUse.into());
        }
        let backlog = if self.has(Bug::ShortBacklog) { 8 } else { 256 };
        let (sender, arrivals) = mpsc::channel(backlog);
        listening.insert(name.clone(), sender);
        Ok(TwinListener {
            transport: self.clone(),
            name,
            arrivals: Some(arrivals),
            accepted: Vec::new(),
        })
    }
}

pub(crate) struct TwinListener {
    transport: Twin,
    name: String,
    arrivals: Option<mpsc::Receiver<Arrival>>,
    accepted: Vec<Arc<Direction>>,
}

impl Listener for TwinListener {
    type Sender = TwinSender;
    type Receiver = TwinReceiver;

    async fn accept(&mut self) -> Result<TwinConnection, TransportError> {
        loop {
            let Some(arrivals) = &mut self.arrivals else {
                if self.transport.has(Bug::AcceptHangsAfterClose) {
                    pending::<()>().await;
                }
                return Err(TransportErrorKind::Closed.into());
            };
            let arrival = arrivals.recv().await;
            if self.transport.has(Bug::CancelledAcceptLosesConnection) {
                yield_now().await;
            }
            match arrival {
                Some(Arrival::Connection(connection)) => {
                    self.accepted.push(Arc::clone(&connection.receiver.into));
                    return Ok(*connection);
                }
                Some(Arrival::Stalled) if self.transport.has(Bug::HandshakeInsideAccept) => {
                    pending::<()>().await;
                }
                Some(Arrival::Stalled) => {}
                None => return Err(TransportErrorKind::Closed.into()),
            }
        }
    }

    fn local_endpoint(&self) -> Endpoint {
        format!("twin://{}", self.name).parse().unwrap()
    }

    async fn close(&mut self) -> Result<(), TransportError> {
        if self.arrivals.take().is_some() && !self.transport.has(Bug::CloseKeepsPlace) {
            self.transport.listening.lock().unwrap().remove(&self.name);
        }
        if self.transport.has(Bug::ListenerTakesConnectionsAlong) {
            self.accepted.iter().for_each(|direction| direction.reset.store(true, SeqCst));
        }
        Ok(())
    }
}

/// What both ends know of one direction.
#[derive(Default)]
struct Direction {
    closed: AtomicBool,
    dropped: AtomicBool,
    reset: AtomicBool,
}

pub(crate) struct TwinSender {
    bug: Option<Bug>,
    frames: Option<mpsc::Sender<Bytes>>,
    out: Arc<Direction>,
    into: Arc<Direction>,
    lock: Arc<AsyncMutex<()>>,
    held_back: Option<Bytes>,
    garbage: bool,
    sent: u64,
}

impl TwinSender {
    fn has(&self, bug: Bug) -> bool {
        self.bug == Some(bug)
    }
}

impl FrameSender for TwinSender {
    async fn send(&mut self, mut frame: Bytes) -> Result<(), TransportError> {
        let lost = || TransportError::from(TransportErrorKind::Lost);
        let Some(frames) = self.frames.clone() else {
            if self.has(Bug::SendsAfterClose) {
                return Ok(());
            }
            return Err(TransportErrorKind::Closed.into());
        };
        let limit = MAX_FRAME_BYTES - usize::from(self.has(Bug::LimitIsExclusive));
        if frame.len() > limit {
            if self.has(Bug::OversizedFrameEndsConnection) {
                self.frames = None;
            }
            return Err(TransportErrorKind::TooLarge.into());
        }
        let lock = Arc::clone(&self.lock);
        let _held = match self.bug {
            Some(Bug::OneLockAcrossAwaits | Bug::SendBlocksRecv) => Some(lock.lock().await),
            _ => None,
        };
        self.sent += 1;
        if self.has(Bug::LosesOneInThousands) && self.sent == 5000 {
            return Ok(());
        }
        if self.has(Bug::FlushesOnNextSend) {
            match self.held_back.replace(frame) {
                Some(before) => frame = before,
                None => return Ok(()),
            }
        }
        if self.has(Bug::LengthOf16Bits) {
            frame.truncate(frame.len() % (1 << 16));
        }
        if self.has(Bug::CancelledSendLeavesGarbage) {
            if self.garbage {
                frame = [b"half a frame", &frame[..]].concat().into();
            }
            self.garbage = true;
        }
        let sent = frames.send(frame).await;
        self.garbage = false;
        if sent.is_err() && self.has(Bug::SendHangsOnLostPeer) {
            pending::<()>().await;
        }
        if self.has(Bug::IgnoresLostPeer) { Ok(()) } else { sent.map_err(|_| lost()) }
    }

    async fn close(&mut self) -> Result<(), TransportError> {
        if self.has(Bug::SecondCloseFails) && self.frames.is_none() {
            return Err(TransportErrorKind::Closed.into());
        }
        if self.has(Bug::SecondOfTwoClosesFails) && self.into.closed.load(SeqCst) {
            return Err(TransportErrorKind::Lost.into());
        }
        if self.has(Bug::CloseEndsBothDirections) {
            self.into.reset.store(true, SeqCst);
        }
        self.out.closed.store(true, SeqCst);
        self.frames = None;
        Ok(())
    }
}

impl Drop for TwinSender {
    fn drop(&mut self) {
        self.out.dropped.store(true, SeqCst);
    }
}

pub(crate) struct TwinReceiver {
    bug: Option<Bug>,
    frames: mpsc::Receiver<Bytes>,
    out: Arc<Direction>,
    into: Arc<Direction>,
    lock: Arc<AsyncMutex<()>>,
    again: Option<Bytes>,
    received: u64,
    told: bool,
    _held: Option<mpsc::Sender<Bytes>>,
}

impl TwinReceiver {
    fn has(&self, bug: Bug) -> bool {
        self.bug == Some(bug)
    }

    fn discards(&self) -> bool {
        self.has(Bug::CloseDiscards) && self.into.closed.load(SeqCst)
            || self.has(Bug::DropDiscards) && self.into.dropped.load(SeqCst)
    }

    async fn next(&mut self) -> Option<Bytes> {
        if let Some(frame) = self.again.take() {
            return Some(frame);
        }
        let gone = self.frames.is_closed();
        loop {
            let frame = self.frames.recv().await;
            if self.has(Bug::CancelledRecvLosesFrame) {
                yield_now().await;
            }
            if frame.is_none() && !gone && self.has(Bug::WaitingRecvIsNotWoken) {
                pending::<()>().await;
            }
            match &frame {
                Some(bytes) if bytes.is_empty() && self.has(Bug::SkipsEmptyFrames) => {}
                _ => return frame,
            }
        }
    }
}

impl FrameReceiver for TwinReceiver {
    async fn recv(&mut self) -> Result<Option<Bytes>, TransportError> {
        let lock = Arc::clone(&self.lock);
        let held = match self.bug {
            Some(Bug::OneLockAcrossAwaits | Bug::SendBlocksRecv) => Some(lock.lock().await),
            _ => None,
        };
        let _held = held.filter(|_| self.has(Bug::OneLockAcrossAwaits));
        if self.into.reset.load(SeqCst) {
            return Err(TransportErrorKind::Lost.into());
        }
        let frame = if self.discards() { None } else { self.next().await };
        if let Some(frame) = frame {
            self.received += 1;
            if self.has(Bug::DeliversTwice) && self.received.is_multiple_of(10) {
                self.again = Some(frame.clone());
            }
            return Ok(Some(frame));
        }
        let clean = self.into.closed.load(SeqCst) || self.has(Bug::DropIsClean);
        if !clean || self.told && self.has(Bug::CleanEndIsToldOnce) {
            return Err(TransportErrorKind::Lost.into());
        }
        self.told = true;
        Ok(None)
    }
}

impl Drop for TwinReceiver {
    fn drop(&mut self) {
        if self.has(Bug::UnreadFramesReset) && !self.frames.is_empty() {
            self.out.reset.store(true, SeqCst);
        }
    }
}
