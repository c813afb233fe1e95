//! What the two halves and the keeper of one connection share.
//!
//! The socket stands behind a lock that is held for one poll and never across an
//! await. It promises that a frame is taken whole or not at all, that an end is
//! told the same on every later call, and that nobody's wakeup is lost: sender
//! and keeper both write, and tokio remembers one writer only, so both are woken.

use crate::COPIED;
use crate::error::End;
use crate::wire::Wire;
use bytes::Bytes;
use futures_util::task::AtomicWaker;
use futures_util::{Sink, Stream};
use repliq_core::{TransportError, TransportErrorKind};
use std::mem;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker, ready};
use tokio::io::AsyncWrite;
use tokio::task::coop::poll_proceed;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::{Error, Message};

/// How many messages without a frame are taken before other tasks get a turn.
const MESSAGES_PER_TURN: usize = 32;

/// How many frames pass for one unit of tokio's budget. With one each, a burst of small
/// frames would be cut, and written, every 128 frames.
const FRAMES_A_UNIT: u32 = 8;

/// Gives other tasks their turn while frames pass.
#[derive(Default, Debug)]
struct Pace {
    paid: u32,
}

impl Pace {
    fn poll_proceed(&mut self, context: &mut Context<'_>) -> Poll<()> {
        if self.paid == 0 {
            ready!(poll_proceed(context)).made_progress();
            self.paid = FRAMES_A_UNIT;
        }
        Poll::Ready(())
    }

    const fn frame_passed(&mut self) {
        self.paid = self.paid.saturating_sub(1);
    }
}

/// A half of a connection.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Half {
    Sender,
    Receiver,
}

#[derive(Debug)]
pub(crate) struct Link {
    state: Mutex<State>,
    wakers: Arc<Wakers>,
    /// Wakes whoever writes.
    writers: Waker,
    receiver: AtomicWaker,
}

#[derive(Default, Debug)]
struct Wakers {
    sender: AtomicWaker,
    keeper: AtomicWaker,
}

impl Wake for Wakers {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.sender.wake();
        self.keeper.wake();
    }
}

/// How far closing this end has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Closing {
    No,
    Asked,
    Done,
}

#[derive(Debug)]
struct State {
    socket: WebSocketStream<Wire>,
    sending: Pace,
    receiving: Pace,
    /// How receiving ended.
    received: Option<End>,
    /// Why sending failed. Receiving goes on: the peer's last frames may wait.
    unsendable: Option<End>,
    closing: Closing,
    /// Something waits to be written.
    unflushed: bool,
    /// The socket refused a frame until it is flushed.
    full: bool,
    /// The keeper was woken and has not looked yet.
    keeper_called: bool,
    /// The next frame is written at once.
    eager: bool,
    /// Frames that were left to the keeper since it last looked.
    left: u32,
    /// This direction was ended without a close.
    shut: bool,
    sender_dropped: bool,
    receiver_dropped: bool,
    silent_looks: u32,
    stuck_looks: u32,
}

impl Link {
    pub(crate) fn new(socket: WebSocketStream<Wire>) -> Self {
        let wakers = Arc::new(Wakers::default());
        let state = State {
            socket,
            sending: Pace::default(),
            receiving: Pace::default(),
            received: None,
            unsendable: None,
            closing: Closing::No,
            unflushed: false,
            full: false,
            keeper_called: false,
            eager: true,
            left: 0,
            shut: false,
            sender_dropped: false,
            receiver_dropped: false,
            silent_looks: 0,
            stuck_looks: 0,
        };
        Self {
            state: Mutex::new(state),
            writers: Waker::from(Arc::clone(&wakers)),
            wakers,
            receiver: AtomicWaker::new(),
        }
    }

    /// Takes `frame` and sees to it that it leaves.
    pub(crate) fn poll_send(
        &self,
        context: &mut Context<'_>,
        frame: &mut Option<Bytes>,
    ) -> Poll<Result<(), TransportError>> {
        let mut state = self.state();
        ready!(state.sending.poll_proceed(context));
        let writing = &mut Context::from_waker(&self.writers);
        while let Some(taken) = frame.take() {
            if let Some(refusal) = state.refuses_sending() {
                return Poll::Ready(Err(refusal));
            }
            let mut ready = state.poll_room(writing);
            if ready.is_pending() {
                // Registered before the last look, or a wakeup between is lost.
                self.wakers.sender.register(context.waker());
                ready = state.poll_room(writing);
            }
            if ready.is_pending() {
                *frame = Some(taken);
                return Poll::Pending;
            }
            *frame = state.take(taken);
        }
        state.sending.frame_passed();
        self.see_off(&mut state);
        Poll::Ready(match &state.unsendable {
            Some(end) => Err(end.on_sending()),
            None => Ok(()),
        })
    }

    /// A lone frame is written at once, for its latency. In a burst the frames are
    /// left to the keeper's next turn, and leave in one write.
    fn see_off(&self, state: &mut State) {
        state.unflushed = true;
        // No waker: reading would wake the writers too, on every frame. When this
        // has to wait, the keeper tries again and waits.
        let unwoken = &mut Context::from_waker(Waker::noop());
        if mem::take(&mut state.eager) && state.poll_flush(unwoken).is_ready() {
            return;
        }
        state.left = state.left.saturating_add(1);
        if !mem::replace(&mut state.keeper_called, true) {
            self.wakers.keeper.wake();
        }
    }

    /// Asks the keeper to close and waits until it has.
    pub(crate) fn poll_close(&self, context: &mut Context<'_>) -> Poll<Result<(), TransportError>> {
        self.wakers.sender.register(context.waker());
        let mut state = self.state();
        if state.closing == Closing::No {
            state.closing = Closing::Asked;
            self.wakers.keeper.wake();
        }
        match (&state.unsendable, state.closing) {
            (_, Closing::Done) => Poll::Ready(Ok(())),
            (Some(end), _) => Poll::Ready(Err(end.on_sending())),
            (None, _) => Poll::Pending,
        }
    }

    pub(crate) fn poll_recv(
        &self,
        context: &mut Context<'_>,
    ) -> Poll<Result<Option<Bytes>, TransportError>> {
        let mut state = self.state();
        ready!(state.receiving.poll_proceed(context));
        // Whoever waits for an answer wants the next question to leave at once.
        state.eager = true;
        for _ in 0..MESSAGES_PER_TURN {
            if let Some(end) = &state.received {
                return Poll::Ready(end.on_receiving());
            }
            let Poll::Ready(frame) = state.poll_message(context) else {
                self.receiver.register(context.waker());
                return Poll::Pending;
            };
            if let Some(frame) = frame {
                state.receiving.frame_passed();
                return Poll::Ready(Ok(Some(frame)));
            }
            if state.received.is_some() {
                self.wakers.keeper.wake();
            }
        }
        context.waker().wake_by_ref();
        Poll::Pending
    }

    pub(crate) fn drop_half(&self, half: Half) {
        let mut state = self.state();
        match half {
            Half::Sender => state.sender_dropped = true,
            Half::Receiver => state.receiver_dropped = true,
        }
        self.wakers.keeper.wake();
    }

    /// The keeper's turn: writes what waits, closes when asked to, and reads when
    /// no receiver does.
    pub(crate) fn poll_keep(&self, context: &mut Context<'_>) -> Kept {
        self.wakers.keeper.register(context.waker());
        let mut state = self.state();
        state.keeper_called = false;
        if mem::take(&mut state.left) == 1 {
            state.eager = true;
        }
        let before = (state.closing, state.unsendable.is_some());
        state.keep_writing(&mut Context::from_waker(&self.writers));
        if state.receiver_dropped {
            state.discard(context);
        }
        if before != (state.closing, state.unsendable.is_some()) {
            self.wakers.sender.wake();
        }
        state.kept()
    }

    /// Looks for silence, at regular intervals: pings after an own one, gives the
    /// connection up after `patience` looks in a row at the peer's.
    pub(crate) fn look(&self, patience: u32) {
        let mut state = self.state();
        state.look(patience, &mut Context::from_waker(&self.writers));
        if state.unsendable.is_some() {
            self.wakers.sender.wake();
            self.receiver.wake();
        }
    }

    /// A panic elsewhere cannot leave the state half changed, so it is used on.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the keeper still has to stay for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kept {
    /// A half is in use.
    InUse,
    /// Nobody uses it, but something sent is not delivered.
    Lingering,
    /// Nothing.
    Settled,
}

impl State {
    fn refuses_sending(&self) -> Option<TransportError> {
        if self.closing != Closing::No {
            return Some(TransportErrorKind::Closed.into());
        }
        self.unsendable.as_ref().or(self.received.as_ref()).map(End::on_sending)
    }

    /// Ready when the socket takes another frame, or never will.
    fn poll_room(&mut self, writing: &mut Context<'_>) -> Poll<()> {
        if self.full {
            ready!(self.poll_flush(writing));
            self.full = false;
        }
        let ready = ready!(Pin::new(&mut self.socket).poll_ready(writing));
        self.note_writing(ready);
        Poll::Ready(())
    }

    /// Hands a frame to the socket, or back when pongs have filled its buffer.
    fn take(&mut self, frame: Bytes) -> Option<Bytes> {
        match Pin::new(&mut self.socket).start_send(Message::Binary(frame)) {
            Err(Error::WriteBufferFull(frame)) => {
                self.full = true;
                return Some(frame.into_data());
            }
            result => self.note_writing(result),
        }
        None
    }

    fn poll_flush(&mut self, writing: &mut Context<'_>) -> Poll<()> {
        let flushed = ready!(Pin::new(&mut self.socket).poll_flush(writing));
        self.unflushed = false;
        self.note_writing(flushed);
        Poll::Ready(())
    }

    fn note_writing(&mut self, result: Result<(), Error>) {
        if let Err(error) = result {
            self.unflushed = false;
            // A peer that has closed needs no answer any more.
            if self.received != Some(End::Closed) {
                self.unsendable.get_or_insert_with(|| End::lost(error));
            }
        }
    }

    /// One message: a frame, or nothing when it was for the protocol underneath
    /// or the last one.
    fn poll_message(&mut self, context: &mut Context<'_>) -> Poll<Option<Bytes>> {
        let end = match ready!(Pin::new(&mut self.socket).poll_next(context)) {
            Some(Ok(Message::Binary(frame))) if frame.len() <= COPIED => {
                return Poll::Ready(Some(Bytes::copy_from_slice(&frame)));
            }
            Some(Ok(Message::Binary(frame))) => return Poll::Ready(Some(frame)),
            Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => {
                return Poll::Ready(None);
            }
            Some(Ok(Message::Close(_))) | None => End::Closed,
            Some(Ok(Message::Text(_))) => {
                End::protocol("a text message; only binary ones are sent here")
            }
            Some(Err(error)) => End::of_reading(&error),
        };
        // The answer to a close waits in the socket.
        self.unflushed = true;
        if let Some(code) = end.close_code() {
            let reason = CloseFrame { code, reason: "".into() };
            let _ = Pin::new(&mut self.socket).start_send(Message::Close(Some(reason)));
        }
        self.received = Some(end);
        Poll::Ready(None)
    }

    fn keep_writing(&mut self, writing: &mut Context<'_>) {
        let waits = self.unflushed || self.closing == Closing::Asked;
        if waits && self.poll_flush(writing).is_pending() {
            return;
        }
        if self.closing == Closing::Asked && self.unsendable.is_none() {
            let Poll::Ready(closed) = Pin::new(&mut self.socket).poll_close(writing) else {
                return;
            };
            self.note_writing(closed);
            if self.unsendable.is_none() {
                self.closing = Closing::Done;
            }
        }
        if self.sender_dropped && self.closing == Closing::No && !self.shut {
            self.shut = Pin::new(self.socket.get_mut()).poll_shutdown(writing).is_ready();
        }
    }

    /// Reads on behalf of a dropped receiver, so that the peer's end is noticed.
    fn discard(&mut self, context: &mut Context<'_>) {
        for _ in 0..MESSAGES_PER_TURN {
            if self.received.is_some() || self.poll_message(context).is_pending() {
                return;
            }
        }
        context.waker().wake_by_ref();
    }

    fn kept(&self) -> Kept {
        if !(self.sender_dropped && self.receiver_dropped) {
            return Kept::InUse;
        }
        let delivered = match self.closing {
            Closing::No => self.shut,
            Closing::Asked => false,
            Closing::Done => self.received.is_some(),
        };
        if delivered || self.unsendable.is_some() { Kept::Settled } else { Kept::Lingering }
    }

    fn look(&mut self, patience: u32, writing: &mut Context<'_>) {
        let heard = self.socket.get_mut().take_heard();
        let spoke = self.socket.get_mut().take_spoke();
        let count = |looks: u32, quiet: bool| if quiet { looks.saturating_add(1) } else { 0 };
        self.silent_looks = count(self.silent_looks, !heard && self.received.is_none());
        self.stuck_looks = count(self.stuck_looks, !spoke && self.closing == Closing::Asked);
        if self.silent_looks >= patience {
            let silent = End::lost("nothing was heard from the peer for too long");
            self.received.get_or_insert_with(|| silent.clone());
            self.unsendable.get_or_insert(silent);
        } else if self.stuck_looks >= patience {
            let stuck = End::lost("the peer took nothing for too long");
            self.unsendable.get_or_insert(stuck);
        } else if !spoke && self.refuses_sending().is_none() && self.poll_room(writing).is_ready() {
            let ping = Pin::new(&mut self.socket).start_send(Message::Ping(Bytes::new()));
            self.unflushed = true;
            match ping {
                // Whatever fills the buffer will do for a sign of life.
                Err(Error::WriteBufferFull(_)) => {}
                result => self.note_writing(result),
            }
        }
    }
}
