//! Both ends of a connection, and what cases ask of them.
//!
//! Every wait is bounded by the harness's patience and says what it waited for.

use super::TransportHarness;
use crate::{CaseResult, Failure};
use bytes::Bytes;
use repliq_core::{
    Connection, Endpoint, FrameReceiver, FrameSender, Listener, Transport, TransportError,
    TransportErrorKind,
};
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;
use tokio::time::timeout;

pub(super) type SenderOf<H> = <<H as TransportHarness>::Transport as Transport>::Sender;
pub(super) type ReceiverOf<H> = <<H as TransportHarness>::Transport as Transport>::Receiver;
pub(super) type ListenerOf<H> = <<H as TransportHarness>::Transport as Transport>::Listener;
pub(super) type ConnectionOf<H> = Connection<SenderOf<H>, ReceiverOf<H>>;

/// A connection with both its ends.
pub(super) struct Ends<H: TransportHarness> {
    pub(super) near: ConnectionOf<H>,
    pub(super) far: ConnectionOf<H>,
    /// Where they met.
    pub(super) listener: ListenerOf<H>,
    pub(super) patience: Patience,
}

/// Runs a check twice: the near end is once the one that connected, once the one
/// that accepted.
pub(super) async fn in_both_roles<H: TransportHarness>(
    harness: &H,
    mut check: impl AsyncFnMut(Ends<H>) -> CaseResult,
) -> CaseResult {
    for (role, connects) in [("connecting", true), ("accepting", false)] {
        let patience = Patience(harness.patience());
        let (mut listener, at) = listen(harness).await?;
        let (connected, accepted) = meet(harness, &mut listener, &at).await?;
        let (near, far) = if connects { (connected, accepted) } else { (accepted, connected) };
        check(Ends { near, far, listener, patience }).await.map_err(|failure| match failure {
            Failure::Broken(why) => Failure::Broken(format!("{why} (near is the {role} end)")),
            skipped @ Failure::Skipped(_) => skipped,
        })?;
    }
    Ok(())
}

/// A listener and where it can be connected to.
pub(super) async fn listen<H: TransportHarness>(
    harness: &H,
) -> Result<(ListenerOf<H>, Endpoint), Failure> {
    let patience = Patience(harness.patience());
    let (transport, endpoint) = (harness.transport(), harness.endpoint());
    let listener = patience.within("listening", transport.listen(&endpoint)).await??;
    let at = listener.local_endpoint();
    Ok((listener, at))
}

/// One connection: the connecting end, then the accepting one.
pub(super) async fn meet<H: TransportHarness>(
    harness: &H,
    listener: &mut ListenerOf<H>,
    at: &Endpoint,
) -> Result<(ConnectionOf<H>, ConnectionOf<H>), Failure> {
    let patience = Patience(harness.patience());
    let connector = harness.connector();
    let both = async { tokio::join!(connector.connect(at), listener.accept()) };
    let (connected, accepted) = patience.within("connecting and accepting", both).await?;
    let told = |what, error: TransportError| Failure::Broken(format!("{what}: {error}"));
    Ok((
        connected.map_err(|error| told("connecting", error))?,
        accepted.map_err(|error| told("accepting", error))?,
    ))
}

/// How long a step may take.
#[derive(Clone, Copy)]
pub(super) struct Patience(pub(super) Duration);

impl Patience {
    pub(super) async fn within<T>(
        self,
        what: &str,
        step: impl Future<Output = T>,
    ) -> Result<T, Failure> {
        timeout(self.0, step)
            .await
            .map_err(|_| Failure::Broken(format!("{what}: no end after {:?}", self.0)))
    }

    pub(super) async fn send(self, sender: &mut impl FrameSender, frame: Bytes) -> CaseResult {
        let len = frame.len();
        self.within("sending a frame", sender.send(frame))
            .await?
            .map_err(|error| Failure::Broken(format!("sending {len} bytes: {error}")))
    }

    pub(super) async fn close(self, sender: &mut impl FrameSender) -> CaseResult {
        self.within("closing", sender.close())
            .await?
            .map_err(|error| Failure::Broken(format!("closing: {error}")))
    }

    pub(super) async fn recv(
        self,
        receiver: &mut impl FrameReceiver,
    ) -> Result<Result<Option<Bytes>, TransportError>, Failure> {
        self.within("receiving", receiver.recv()).await
    }

    /// The next frame, or a broken promise.
    pub(super) async fn frame(self, receiver: &mut impl FrameReceiver) -> Result<Bytes, Failure> {
        match self.recv(receiver).await? {
            Ok(Some(frame)) => Ok(frame),
            Ok(None) => broken("a clean end stands where a frame should"),
            Err(error) => broken(format!("receiving a frame: {error}")),
        }
    }

    /// Expects exactly this frame next.
    pub(super) async fn expect(
        self,
        receiver: &mut impl FrameReceiver,
        frame: &[u8],
    ) -> CaseResult {
        let got = self.frame(receiver).await?;
        if got == frame {
            return Ok(());
        }
        let differ = got.iter().zip(frame).position(|(got, sent)| got != sent);
        broken(format!(
            "a frame of {} bytes arrived as one of {}, different from byte {differ:?} on",
            frame.len(),
            got.len(),
        ))
    }

    pub(super) async fn expect_clean_end(self, receiver: &mut impl FrameReceiver) -> CaseResult {
        match self.recv(receiver).await? {
            Ok(None) => Ok(()),
            Ok(Some(frame)) => broken(format!("a frame of {} bytes too many arrived", frame.len())),
            Err(error) => broken(format!("a clean end is told as an error: {error}")),
        }
    }

    pub(super) async fn expect_lost(self, receiver: &mut impl FrameReceiver) -> CaseResult {
        match self.recv(receiver).await? {
            Ok(Some(frame)) => broken(format!("a frame of {} bytes too many arrived", frame.len())),
            Ok(None) => broken("a peer gone without a close is told as a clean end"),
            Err(error) => expect_kind(error.kind, TransportErrorKind::Lost, "receiving"),
        }
    }
}

pub(super) fn broken<T>(why: impl Into<String>) -> Result<T, Failure> {
    Err(Failure::Broken(why.into()))
}

pub(super) fn expect_kind(
    got: TransportErrorKind,
    expected: TransportErrorKind,
    what: &str,
) -> CaseResult {
    if got == expected { Ok(()) } else { broken(format!("{what} gives {got:?}, not {expected:?}")) }
}

/// Expects an error of this kind.
pub(super) fn expect_error<T>(
    result: Result<T, TransportError>,
    kind: TransportErrorKind,
    what: &str,
) -> CaseResult {
    match result {
        Ok(_) => broken(format!("{what} succeeds, where {kind:?} is due")),
        Err(error) => expect_kind(error.kind, kind, what),
    }
}

/// A frame that tells its number and fills its length with bytes that follow
/// from it.
pub(super) fn numbered(number: u64, len: usize) -> Bytes {
    let mut frame = number.to_le_bytes().to_vec();
    let [low, ..] = number.to_le_bytes();
    frame.extend((0u8..=250).cycle().map(|byte| byte ^ low).take(len.saturating_sub(8)));
    frame.into()
}

/// The number in a frame of [`numbered`], once all of it is checked.
pub(super) fn number_in(frame: &[u8]) -> Result<u64, Failure> {
    let number = frame.first_chunk().map(|bytes| u64::from_le_bytes(*bytes));
    match number {
        Some(number) if numbered(number, frame.len()) == frame => Ok(number),
        _ => broken(format!("a frame of {} bytes is not as it was sent", frame.len())),
    }
}

/// Polls a future `turns` times at most, other tasks in between, then drops it.
pub(super) async fn attempt<T>(turns: usize, future: impl Future<Output = T>) -> Option<T> {
    let mut future = pin!(future);
    for _ in 0..turns {
        let polled = poll_fn(|context| Poll::Ready(future.as_mut().poll(context))).await;
        if let Poll::Ready(value) = polled {
            return Some(value);
        }
        tokio::task::yield_now().await;
    }
    None
}
