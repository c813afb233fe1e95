//! What can be wrong with the transport of [`tcp`](super::tcp).

/// The one thing that is wrong with a transport.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Flaw {
    /// Nothing.
    None,
    /// recv takes the length, then waits for the rest: cancelling loses the length.
    ReadExactInRecv,
    /// recv drops a frame when cancelled between reading and giving it.
    RecvYieldsBeforeItGives,
    /// send writes to the socket itself: cancelling leaves half a frame.
    SendWritesItself,
    /// A send that waits is tried again after a while, and both succeed.
    SlowSendIsRepeated,
    /// close throws away what waits to be written.
    CloseDropsTheQueue,
    /// close says that it has delivered and lets the queue go with the sender.
    CloseDoesNotWait,
    /// The second recv after the end waits for ever.
    EndIsToldOnce,
    /// The end of the socket is taken for a clean end.
    LostIsAnEnd,
    /// There is no way to say goodbye: a clean end is a loss.
    EndIsALoss,
    /// An empty frame is taken for the end.
    EmptyIsTheEnd,
    /// An empty frame is left out.
    EmptyIsSkipped,
    /// A frame of exactly the maximum is refused.
    MaximumIsTooLarge,
    /// An oversized frame goes out.
    OversizedIsSent,
    /// The receiver trusts the sender to keep to the maximum.
    OversizedIsReceived,
    /// An oversized frame ends the connection.
    OversizedEndsIt,
    /// What waits to be written has no bound.
    UnboundedQueue,
    /// A task reads ahead without a bound.
    ReadsAhead,
    /// Each handshake is waited for in accept, one after the other.
    HandshakeInAccept,
    /// A spoilt handshake is an error of accept.
    SpoiltHandshakeIsAnError,
    /// A spoilt handshake ends the listener.
    SpoiltHandshakeEndsIt,
    /// accept waits for ever after close.
    AcceptHangsAfterClose,
    /// accept still gives out what waited when the listener was closed.
    AcceptGoesOnAfterClose,
    /// The port stays bound after close.
    PortStaysBound,
    /// Closing the listener ends what it accepted.
    CloseEndsAccepted,
    /// Closing one direction ends the other too.
    CloseEndsBoth,
    /// The listener says that it listens at port 0.
    SaysPortZero,
    /// Everybody is verified, with an empty key.
    VerifiedByNobody,
    /// Frames leave when eight kilobytes are together.
    LeavesWhenFull,
    /// recv and send share a lock.
    OneLockForBoth,
    /// A sender that is dropped says goodbye.
    DropSaysGoodbye,
    /// connect has no time limit.
    ConnectWaitsForEver,
    /// Short frames overtake long ones.
    ShortFramesOvertake,
    /// A frame equal to the one before is taken for a repetition.
    EqualFramesOnce,
    /// The goodbye is a frame with these bytes: "close".
    GoodbyeIsAFrame,
    /// Frames end at a line.
    FramesAreLines,
    /// The last of several full packets is left out.
    FullPacketIsLost,
    /// close remembers that it was called, not that it was done.
    CancelledCloseIsDone,
    /// check says yes to every scheme.
    ChecksNothing,
    /// A listener serves four connections at once.
    FourAtMost,
    /// Nobody there is a lost connection.
    NobodyIsLost,
    /// A place in use is an error of the operating system.
    InUseIsIo,
    /// A peer that vanishes leaves the receiver waiting.
    LossIsNotTold,
}
