//! Transports written from the contract alone, without a look at the cases, each
//! with one mistake as authors make it; and the case that must catch it. Those
//! that passed the suite as it was then are the reason for the case beside them.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]
#![allow(clippy::cast_possible_truncation, reason = "no frame here has 4 GiB")]

mod flaw;
mod tcp;

use crate::TRIES;
use flaw::Flaw;
use repliq_conformance::transport::{TransportHarness, cases, run};
use repliq_conformance::{Outcome, Verdict, run_case, run_seed};
use repliq_core::Endpoint;
use std::any::Any;
use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Mutex;
use std::time::Duration;
use tcp::{HELLO, Tcp};

pub(crate) struct Loopback {
    flaw: Flaw,
    patience: Duration,
}

impl TransportHarness for Loopback {
    type Transport = Tcp;

    fn transport(&self) -> Tcp {
        Tcp(self.flaw)
    }

    fn endpoint(&self) -> Endpoint {
        "broken://127.0.0.1:0".parse().unwrap()
    }

    fn stall(&self, at: &Endpoint) -> Option<Box<dyn Any + Send>> {
        Some(Box::new(TcpStream::connect(at.authority()).unwrap()))
    }

    fn silence(&self) -> Option<(Endpoint, Box<dyn Any + Send>)> {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let at = format!("broken://{}", listener.local_addr().unwrap()).parse().unwrap();
        Some((at, Box::new(listener)))
    }

    fn oversize(&self, at: &Endpoint) -> Option<Box<dyn Any + Send>> {
        let mut stream = TcpStream::connect(at.authority()).unwrap();
        stream.write_all(HELLO).unwrap();
        stream.read_exact(&mut [0; 4]).unwrap();
        stream.write_all(&(2_u32 << 20).to_be_bytes()).unwrap();
        Some(Box::new(stream))
    }

    fn patience(&self) -> Duration {
        self.patience
    }
}

/// A broken transport: what is broken, and the case that catches it.
pub(crate) struct Broken {
    flaw: Flaw,
    what: &'static str,
    pub(crate) caught_by: &'static str,
}

macro_rules! table {
    ($($flaw:ident: $what:literal => $case:ident,)*) => {
        pub(crate) const BROKEN: &[Broken] = &[$(Broken {
            flaw: Flaw::$flaw,
            what: $what,
            caught_by: stringify!($case),
        },)*];
    };
}

table! {
    ReadExactInRecv: "a recv that is dropped after the length loses it" => recv_is_cancel_safe,
    RecvYieldsBeforeItGives: "a recv that is dropped after the frame loses it" => recv_is_cancel_safe,
    SendWritesItself: "a send that is dropped leaves half a frame" => a_dropped_send_leaves_only_whole_frames,
    SlowSendIsRepeated: "a send that waits is tried again, and both arrive" => send_waits_while_the_peer_is_slow,
    CloseDropsTheQueue: "close throws away what waits" => close_delivers_what_was_sent,
    CloseDoesNotWait: "what waits goes with the sender" => what_was_closed_outlives_its_sender,
    EndIsToldOnce: "the second recv after the end waits for ever" => a_clean_end_is_told_and_stays,
    LostIsAnEnd: "the end of the socket is taken for a clean end" => a_peer_gone_without_close_is_lost,
    EndIsALoss: "a clean end is told as a loss" => a_clean_end_is_told_and_stays,
    EmptyIsTheEnd: "an empty frame is taken for the end" => an_empty_frame_arrives,
    EmptyIsSkipped: "an empty frame is left out" => an_empty_frame_arrives,
    MaximumIsTooLarge: "a frame of the maximum is refused" => a_frame_of_the_maximum_size_arrives,
    OversizedIsSent: "an oversized frame is sent" => an_oversized_frame_is_refused_and_the_connection_stays_usable,
    OversizedIsReceived: "the maximum is the sender's business" => an_oversized_frame_of_a_peer_is_refused,
    OversizedEndsIt: "an oversized frame ends the connection" => an_oversized_frame_is_refused_and_the_connection_stays_usable,
    UnboundedQueue: "what waits to be written has no bound" => send_waits_while_the_peer_is_slow,
    ReadsAhead: "what waits to be received has no bound" => send_waits_while_the_peer_is_slow,
    HandshakeInAccept: "a handshake is waited for in accept" => a_stalled_handshake_delays_nobody,
    SpoiltHandshakeIsAnError: "accept fails when somebody breaks off" => a_spoilt_handshake_is_no_error,
    SpoiltHandshakeEndsIt: "who breaks off a handshake ends the listener" => a_spoilt_handshake_is_no_error,
    AcceptHangsAfterClose: "accept waits for ever after close" => accepting_after_close_is_refused,
    AcceptGoesOnAfterClose: "who waited is accepted after close" => nobody_is_accepted_after_close,
    PortStaysBound: "the port stays bound after close" => closing_a_listener_frees_its_place,
    CloseEndsAccepted: "closing the listener ends what it accepted" => accepted_connections_outlive_their_listener,
    CloseEndsBoth: "closing one direction ends the other" => own_close_leaves_receiving_what_was_sent,
    SaysPortZero: "the listener says that it is at port 0" => each_listener_has_a_place_of_its_own,
    VerifiedByNobody: "everybody is verified, with an empty key" => a_verified_peer_has_one_key,
    LeavesWhenFull: "frames leave when 8 KiB are together" => a_frame_leaves_without_another_call,
    OneLockForBoth: "recv and send share a lock" => receiving_goes_on_while_a_send_waits,
    DropSaysGoodbye: "a sender that is dropped says goodbye" => a_sender_dropped_without_close_is_lost,
    ConnectWaitsForEver: "connect has no time limit" => a_silent_listener_is_given_up,
    ShortFramesOvertake: "short frames overtake long ones" => frames_of_every_size_arrive,
    EqualFramesOnce: "an equal frame is taken for a repetition" => equal_frames_all_arrive,
    GoodbyeIsAFrame: "a frame that says close is taken for the goodbye" => no_frame_is_taken_for_a_signal,
    FramesAreLines: "a frame ends at its first line break" => no_frame_is_taken_for_a_signal,
    FullPacketIsLost: "the last of several full packets is lost" => frames_of_every_size_arrive,
    CancelledCloseIsDone: "close remembers that it was called, not that it was done" => a_dropped_close_can_be_said_again,
    ChecksNothing: "every endpoint looks right" => an_endpoint_is_checked_without_connecting,
    FourAtMost: "a listener serves four at once" => connections_do_not_mix,
    NobodyIsLost: "nobody there is a lost connection" => nobody_there_is_unreachable,
    InUseIsIo: "a place in use is any error of the system" => a_place_in_use_is_refused,
    LossIsNotTold: "a recv whose peer vanished waits for ever" => a_peer_gone_without_close_is_lost,
}

#[test]
fn there_are_at_least_16_broken_transports() {
    let flaws: BTreeSet<_> = BROKEN.iter().map(|broken| format!("{:?}", broken.flaw)).collect();
    assert_eq!(flaws.len(), BROKEN.len(), "one is listed twice");
    assert!(flaws.len() >= 16, "{} broken transports", flaws.len());
}

#[test]
fn each_mistake_is_caught_by_the_case_that_names_its_promise() {
    let seed = run_seed();
    let cases = cases::<Loopback>();
    let todo = Mutex::new(BROKEN.iter());
    let next = || todo.lock().unwrap().next();
    let missed = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        // Most of them only wait, for what their flaw prevents.
        for _ in 0..6 {
            scope.spawn(|| {
                while let Some(Broken { flaw, what, caught_by }) = next() {
                    let case = cases.iter().find(|case| case.name == *caught_by).unwrap();
                    let patience = Duration::from_secs(3);
                    let fails = |add: u64| {
                        let seed = seed.wrapping_add(add);
                        let report = run_case(case, Loopback { flaw: *flaw, patience }, seed);
                        matches!(report.outcome, Outcome::Failed(_))
                    };
                    if !(0..TRIES).any(fails) {
                        missed.lock().unwrap().push(format!("{flaw:?} ({what}): {caught_by}"));
                    }
                }
            });
        }
    });
    let missed = missed.into_inner().unwrap();
    assert!(missed.is_empty(), "seed {seed}\n{}", missed.join("\n"));
}

#[test]
fn without_a_mistake_it_passes() {
    let report = run(|| Loopback { flaw: Flaw::None, patience: Duration::from_secs(20) });
    assert_eq!(report.verdict(), Verdict::Conformant, "{report}");
    assert!(report.cases.iter().all(|case| case.outcome == Outcome::Passed), "{report}");
}
