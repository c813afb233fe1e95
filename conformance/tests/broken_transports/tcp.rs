//! Broken transports: frames with a length before them over TCP, with one
//! mistake each.
//!
//! They were written from the contract alone, without a look at the cases.

use super::flaw::Flaw;
use bytes::{Buf, BufMut, Bytes, BytesMut};
use repliq_core::{
    Connection, Endpoint, FrameReceiver, FrameSender, Listener, MAX_FRAME_BYTES, Peer, Transport,
    TransportError, TransportErrorKind,
};
use std::collections::VecDeque;
use std::future::pending;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::timeout;

type Answer<T> = Result<T, TransportError>;
type Pipe = Connection<Sender, Receiver>;

fn error(kind: TransportErrorKind, source: io::Error) -> TransportError {
    TransportError::new(kind, source)
}

const END: u32 = u32::MAX;
pub(super) const HELLO: &[u8; 4] = b"BLND";
const SCHEMES: &[&str] = &["broken"];

pub(crate) struct Tcp(pub(crate) Flaw);

impl Transport for Tcp {
    type Listener = Bound;
    type Sender = Sender;
    type Receiver = Receiver;

    fn schemes(&self) -> &'static [&'static str] {
        SCHEMES
    }

    fn check(&self, endpoint: &Endpoint) -> Answer<()> {
        if self.0 == Flaw::ChecksNothing { Ok(()) } else { address(endpoint) }
    }

    async fn connect(&self, endpoint: &Endpoint) -> Answer<Pipe> {
        address(endpoint)?;
        let nobody = match self.0 {
            Flaw::NobodyIsLost => TransportErrorKind::Lost,
            _ => TransportErrorKind::Unreachable,
        };
        let open = async {
            let mut stream =
                TcpStream::connect(endpoint.authority()).await.map_err(|e| error(nobody, e))?;
            stream.write_all(HELLO).await.map_err(|e| error(TransportErrorKind::Handshake, e))?;
            let mut answer = [0; 4];
            stream
                .read_exact(&mut answer)
                .await
                .map_err(|e| error(TransportErrorKind::Handshake, e))?;
            Ok(pipe(stream, self.0))
        };
        match self.0 {
            Flaw::ConnectWaitsForEver => open.await,
            _ => timeout(Duration::from_secs(2), open).await.map_err(|_| nobody)?,
        }
    }

    async fn listen(&self, endpoint: &Endpoint) -> Answer<Bound> {
        address(endpoint)?;
        let in_use = match self.0 {
            Flaw::InUseIsIo => TransportErrorKind::Io,
            _ => TransportErrorKind::InUse,
        };
        let listener =
            TcpListener::bind(endpoint.authority()).await.map_err(|e| error(in_use, e))?;
        let local = listener.local_addr().map_err(|e| error(TransportErrorKind::Io, e))?;
        let (give, accepted) = mpsc::channel(128);
        let flaw = self.0;
        let ends = Arc::new(AtomicBool::new(false));
        if flaw == Flaw::HandshakeInAccept {
            return Ok(Bound {
                flaw,
                local,
                accepted,
                ends,
                task: None,
                inline: Some(listener),
                closed: false,
            });
        }
        let task = tokio::spawn(serve(listener, flaw, give, Arc::clone(&ends)));
        Ok(Bound { flaw, local, accepted, ends, task: Some(task), inline: None, closed: false })
    }
}

fn address(endpoint: &Endpoint) -> Answer<()> {
    if endpoint.scheme() != "broken" {
        return Err(TransportErrorKind::Endpoint.into());
    }
    endpoint.host_and_port(0).map(drop)
}

async fn serve(
    listener: TcpListener,
    flaw: Flaw,
    give: mpsc::Sender<Answer<Pipe>>,
    ends: Arc<AtomicBool>,
) {
    let mut shaking = JoinSet::new();
    let open =
        Arc::new(tokio::sync::Semaphore::new(if flaw == Flaw::FourAtMost { 4 } else { 100_000 }));
    loop {
        let Ok(seat) = Arc::clone(&open).acquire_owned().await else { return };
        let stream = tokio::select! {
            stream = listener.accept() => stream,
            Some(_) = shaking.join_next() => continue,
        };
        let Ok((stream, _)) = stream else { continue };
        let give = give.clone();
        let ends = Arc::clone(&ends);
        let shake = async move {
            match timeout(Duration::from_secs(10), shake(stream)).await {
                Ok(Ok(stream)) => {
                    let mut pipe = pipe(stream, flaw);
                    pipe.receiver.seat = Some(seat);
                    if flaw == Flaw::CloseEndsAccepted {
                        pipe.receiver.ends = Some(ends);
                    }
                    let _ = give.send(Ok(pipe)).await;
                }
                Ok(Err(e)) if flaw == Flaw::SpoiltHandshakeIsAnError => {
                    let _ = give.send(Err(error(TransportErrorKind::Handshake, e))).await;
                }
                Ok(Err(_)) => return flaw == Flaw::SpoiltHandshakeEndsIt,
                Err(_) => {}
            }
            false
        };
        if flaw == Flaw::SpoiltHandshakeEndsIt {
            // One at a time, or the loop would not learn of it.
            if shake.await {
                return;
            }
        } else {
            shaking.spawn(shake);
        }
    }
}

async fn shake(mut stream: TcpStream) -> io::Result<TcpStream> {
    let mut hello = [0; 4];
    stream.read_exact(&mut hello).await?;
    if &hello != HELLO {
        return Err(io::ErrorKind::InvalidData.into());
    }
    stream.write_all(HELLO).await?;
    Ok(stream)
}

pub(crate) struct Bound {
    flaw: Flaw,
    local: SocketAddr,
    accepted: mpsc::Receiver<Answer<Pipe>>,
    ends: Arc<AtomicBool>,
    task: Option<JoinHandle<()>>,
    inline: Option<TcpListener>,
    closed: bool,
}

impl Listener for Bound {
    type Sender = Sender;
    type Receiver = Receiver;

    async fn accept(&mut self) -> Answer<Pipe> {
        if let Some(listener) = &self.inline {
            loop {
                let (stream, _) =
                    listener.accept().await.map_err(|e| error(TransportErrorKind::Io, e))?;
                if let Ok(stream) = shake(stream).await {
                    return Ok(pipe(stream, self.flaw));
                }
            }
        }
        if self.closed && self.flaw == Flaw::AcceptHangsAfterClose {
            return pending().await;
        }
        if self.closed && self.flaw != Flaw::AcceptGoesOnAfterClose {
            return Err(TransportErrorKind::Closed.into());
        }
        self.accepted.recv().await.unwrap_or_else(|| Err(TransportErrorKind::Closed.into()))
    }

    fn local_endpoint(&self) -> Endpoint {
        match self.flaw {
            Flaw::SaysPortZero => "broken://127.0.0.1:0".to_owned(),
            _ => format!("broken://{}", self.local),
        }
        .parse()
        .unwrap()
    }

    async fn close(&mut self) -> Answer<()> {
        self.closed = true;
        self.inline = None;
        self.ends.store(true, Ordering::Relaxed);
        if let Some(task) = self.task.take().filter(|_| self.flaw != Flaw::PortStaysBound) {
            task.abort();
            let _ = task.await;
        }
        Ok(())
    }
}

enum Out {
    Frame(Bytes),
    Close(oneshot::Sender<()>),
}

fn pipe(stream: TcpStream, flaw: Flaw) -> Pipe {
    let (reader, writer) = stream.into_split();
    let bound = if flaw == Flaw::UnboundedQueue { 1 << 20 } else { 4 };
    let (queue, frames) = mpsc::channel(bound);
    let closed = Arc::new(AtomicBool::new(false));
    let gate = Arc::new(tokio::sync::Mutex::new(()));
    let direct = flaw == Flaw::SendWritesItself;
    let (task, socket) = if direct {
        (None, Some(writer))
    } else {
        (Some(tokio::spawn(write(writer, frames, flaw))), None)
    };
    let source = match flaw {
        Flaw::ReadsAhead => Source::Ahead(read_ahead(reader)),
        _ => Source::Socket(reader),
    };
    let peer = match flaw {
        Flaw::VerifiedByNobody => Peer::Verified(Vec::new()),
        _ => Peer::Anonymous,
    };
    Connection {
        sender: Sender {
            flaw,
            queue: Some(queue),
            task,
            socket,
            closed: Arc::clone(&closed),
            gate: Arc::clone(&gate),
        },
        receiver: Receiver {
            flaw,
            source: Some(source),
            buffer: BytesMut::new(),
            length: None,
            last: None,
            ended: false,
            closed,
            gate,
            seat: None,
            ends: None,
        },
        peer,
    }
}

async fn write(mut socket: OwnedWriteHalf, mut frames: mpsc::Receiver<Out>, flaw: Flaw) {
    let mut together = BytesMut::new();
    let mut last = None;
    let mut waiting = VecDeque::new();
    loop {
        let out = match waiting.pop_front() {
            Some(out) => Some(out),
            None => frames.recv().await,
        };
        match out {
            Some(Out::Frame(frame)) => {
                if flaw == Flaw::EqualFramesOnce && last.as_ref() == Some(&frame) {
                    continue;
                }
                if flaw == Flaw::EmptyIsSkipped && frame.is_empty() {
                    continue;
                }
                last = Some(frame.clone());
                if flaw == Flaw::ShortFramesOvertake
                    && frame.len() > 10_000
                    && let Ok(Out::Frame(next)) = frames.try_recv()
                {
                    together.put(encode(&next, flaw));
                }
                together.put(encode(&frame, flaw));
                if flaw == Flaw::LeavesWhenFull && together.len() < 8192 {
                    continue;
                }
                if socket.write_all_buf(&mut together).await.is_err() {
                    return;
                }
            }
            Some(Out::Close(done)) => {
                match flaw {
                    Flaw::EndIsALoss => {}
                    Flaw::GoodbyeIsAFrame => {
                        together.put(encode(&Bytes::from_static(b"close"), flaw))
                    }
                    Flaw::FramesAreLines => together.put_slice(b"\x04\r\n"),
                    _ => together.put_u32(END),
                }
                if socket.write_all_buf(&mut together).await.is_ok() {
                    let _ = socket.shutdown().await;
                    let _ = done.send(());
                }
                return;
            }
            None => {
                if flaw == Flaw::DropSaysGoodbye {
                    together.put_u32(END);
                    let _ = socket.write_all_buf(&mut together).await;
                }
                return;
            }
        }
    }
}

fn encode(frame: &Bytes, flaw: Flaw) -> Bytes {
    let mut out = BytesMut::with_capacity(frame.len() + 4);
    if flaw == Flaw::FramesAreLines {
        out.put_slice(frame);
        out.put_slice(b"\r\n");
        return out.freeze();
    }
    let frame = match flaw {
        Flaw::FullPacketIsLost if frame.len() > 1 << 16 && frame.len().is_multiple_of(1 << 16) => {
            frame.slice(..frame.len() - (1 << 16))
        }
        _ => frame.clone(),
    };
    out.put_u32(frame.len() as u32);
    out.put_slice(&frame);
    out.freeze()
}

pub(crate) struct Sender {
    flaw: Flaw,
    queue: Option<mpsc::Sender<Out>>,
    task: Option<JoinHandle<()>>,
    socket: Option<OwnedWriteHalf>,
    closed: Arc<AtomicBool>,
    gate: Arc<tokio::sync::Mutex<()>>,
}

impl Drop for Sender {
    fn drop(&mut self) {
        let closed = self.closed.load(Ordering::Relaxed);
        if let Some(task) =
            self.task.take().filter(|_| self.flaw == Flaw::CloseDoesNotWait && closed)
        {
            task.abort();
        }
    }
}

impl FrameSender for Sender {
    async fn send(&mut self, frame: Bytes) -> Answer<()> {
        let _gate = match self.flaw {
            Flaw::OneLockForBoth => Some(Arc::clone(&self.gate).lock_owned().await),
            _ => None,
        };
        let too_large = match self.flaw {
            Flaw::MaximumIsTooLarge => frame.len() >= MAX_FRAME_BYTES,
            Flaw::OversizedIsSent => false,
            _ => frame.len() > MAX_FRAME_BYTES,
        };
        if self.closed.load(Ordering::Relaxed) {
            return Err(TransportErrorKind::Closed.into());
        }
        if too_large {
            if self.flaw == Flaw::OversizedEndsIt {
                self.queue = None;
            }
            return Err(TransportErrorKind::TooLarge.into());
        }
        if let Some(socket) = &mut self.socket {
            let bytes = encode(&frame, self.flaw);
            return socket.write_all(&bytes).await.map_err(|e| error(TransportErrorKind::Lost, e));
        }
        let queue = self.queue.as_ref().ok_or(TransportErrorKind::Lost)?;
        if self.flaw == Flaw::SlowSendIsRepeated {
            let slow = queue.clone();
            let copy = frame.clone();
            let first = tokio::spawn(async move { slow.send(Out::Frame(copy)).await });
            return match timeout(Duration::from_millis(20), first).await {
                Ok(_) => Ok(()),
                Err(_) => {
                    queue.send(Out::Frame(frame)).await.map_err(|_| TransportErrorKind::Lost.into())
                }
            };
        }
        queue.send(Out::Frame(frame)).await.map_err(|_| TransportErrorKind::Lost.into())
    }

    async fn close(&mut self) -> Answer<()> {
        if self.closed.load(Ordering::Relaxed) && self.queue.is_none() {
            return Ok(());
        }
        self.closed.store(true, Ordering::Relaxed);
        if let Some(mut socket) = self.socket.take() {
            self.queue = None;
            socket.write_u32(END).await.map_err(|e| error(TransportErrorKind::Lost, e))?;
            return socket.shutdown().await.map_err(|e| error(TransportErrorKind::Lost, e));
        }
        if self.flaw == Flaw::CloseDropsTheQueue {
            if let Some(task) = self.task.take() {
                task.abort();
            }
            self.queue = None;
            return Ok(());
        }
        let Some(queue) = self.queue.clone() else { return Ok(()) };
        if self.flaw == Flaw::CancelledCloseIsDone {
            self.queue = None;
        }
        let (done, told) = oneshot::channel();
        queue.send(Out::Close(done)).await.map_err(|_| TransportErrorKind::Lost)?;
        if self.flaw != Flaw::CloseDoesNotWait {
            told.await.map_err(|_| TransportErrorKind::Lost)?;
        }
        self.queue = None;
        Ok(())
    }
}

enum Source {
    Socket(OwnedReadHalf),
    Ahead(mpsc::UnboundedReceiver<Bytes>),
}

/// Reads all there is, as fast as it comes.
fn read_ahead(mut reader: OwnedReadHalf) -> mpsc::UnboundedReceiver<Bytes> {
    let (give, pieces) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        loop {
            let mut piece = BytesMut::with_capacity(65536);
            match reader.read_buf(&mut piece).await {
                Ok(1..) if give.send(piece.freeze()).is_ok() => {}
                _ => return,
            }
        }
    });
    pieces
}

impl Source {
    /// The number of bytes added, 0 at the end.
    async fn fill(&mut self, buffer: &mut BytesMut) -> io::Result<usize> {
        match self {
            Self::Socket(socket) => socket.read_buf(buffer).await,
            Self::Ahead(pieces) => Ok(pieces.recv().await.map_or(0, |piece| {
                buffer.put(piece.clone());
                piece.len()
            })),
        }
    }
}

pub(crate) struct Receiver {
    flaw: Flaw,
    source: Option<Source>,
    buffer: BytesMut,
    length: Option<usize>,
    last: Option<Bytes>,
    ended: bool,
    closed: Arc<AtomicBool>,
    gate: Arc<tokio::sync::Mutex<()>>,
    seat: Option<tokio::sync::OwnedSemaphorePermit>,
    ends: Option<Arc<AtomicBool>>,
}

impl Drop for Receiver {
    /// A socket that is closed over unread bytes resets, and what was sent may be
    /// lost with it: so after a clean close the rest is read first.
    fn drop(&mut self) {
        if let Some(Source::Socket(mut socket)) = self.source.take()
            && self.closed.load(Ordering::Relaxed)
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            runtime.spawn(timeout(Duration::from_secs(5), async move {
                let mut rest = vec![0; 65536];
                while let Ok(1..) = socket.read(&mut rest).await {}
            }));
        }
    }
}

impl Receiver {
    /// A frame that is whole in the buffer, or `Some(None)` for the goodbye.
    fn parse(&mut self) -> Answer<Option<Option<Bytes>>> {
        if self.flaw == Flaw::FramesAreLines {
            let Some(end) = self.buffer.windows(2).position(|two| two == b"\r\n") else {
                return Ok(None);
            };
            let line = self.buffer.split_to(end).freeze();
            self.buffer.advance(2);
            return Ok(Some((line != b"\x04"[..]).then_some(line)));
        }
        if self.length.is_none() && self.buffer.len() >= 4 {
            let length = self.buffer.get_u32();
            if length == END {
                return Ok(Some(None));
            }
            if length as usize > MAX_FRAME_BYTES && self.flaw != Flaw::OversizedIsReceived {
                return Err(TransportErrorKind::TooLarge.into());
            }
            self.length = Some(length as usize);
        }
        let Some(length) = self.length.filter(|length| self.buffer.len() >= *length) else {
            return Ok(None);
        };
        self.length = None;
        let frame = self.buffer.split_to(length).freeze();
        let end = match self.flaw {
            Flaw::EmptyIsTheEnd => frame.is_empty(),
            Flaw::GoodbyeIsAFrame => frame == b"close"[..],
            _ => false,
        };
        Ok(Some((!end).then_some(frame)))
    }
}

impl FrameReceiver for Receiver {
    async fn recv(&mut self) -> Answer<Option<Bytes>> {
        if self.ended {
            return if self.flaw == Flaw::EndIsToldOnce { pending().await } else { Ok(None) };
        }
        let _gate = match self.flaw {
            Flaw::OneLockForBoth => Some(Arc::clone(&self.gate).lock_owned().await),
            _ => None,
        };
        if self.flaw == Flaw::ReadExactInRecv
            && let Some(Source::Socket(socket)) = &mut self.source
        {
            let length = socket.read_u32().await.map_err(|e| error(TransportErrorKind::Lost, e))?;
            if length == END {
                self.ended = true;
                return Ok(None);
            }
            let mut frame = vec![0; length as usize];
            socket.read_exact(&mut frame).await.map_err(|e| error(TransportErrorKind::Lost, e))?;
            return Ok(Some(frame.into()));
        }
        loop {
            if self.flaw == Flaw::CloseEndsBoth && self.closed.load(Ordering::Relaxed) {
                return Ok(None);
            }
            if self.ends.as_ref().is_some_and(|ends| ends.load(Ordering::Relaxed)) {
                return Err(TransportErrorKind::Lost.into());
            }
            match self.parse()? {
                Some(Some(frame)) => {
                    if self.flaw == Flaw::RecvYieldsBeforeItGives {
                        tokio::task::yield_now().await;
                    }
                    self.last = Some(frame.clone());
                    return Ok(Some(frame));
                }
                Some(None) => {
                    self.ended = true;
                    return Ok(None);
                }
                None => {}
            }
            let Some(source) = &mut self.source else {
                return Err(TransportErrorKind::Lost.into());
            };
            let read = source.fill(&mut self.buffer).await;
            if matches!(read, Ok(1..)) {
                continue;
            }
            return match self.flaw {
                Flaw::LostIsAnEnd => {
                    self.ended = true;
                    Ok(None)
                }
                Flaw::LossIsNotTold => pending().await,
                _ => Err(TransportErrorKind::Lost.into()),
            };
        }
    }
}
