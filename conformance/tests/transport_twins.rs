//! The transport suite tests itself: a small correct transport passes every case,
//! and for each case a copy of it with one bug fails that very case.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod broken_transports;
mod twin_transport;

use repliq_conformance::transport::{TransportHarness, cases, run};
use repliq_conformance::{CaseReport, Outcome, Verdict, run_case};
use repliq_core::Endpoint;
use std::any::Any;
use std::collections::BTreeSet;
use std::sync::Mutex;
use std::time::Duration;
use twin_transport::{Bug, Twin};

struct Harness {
    transport: Twin,
    patience: Duration,
}

impl Harness {
    fn sound() -> Self {
        Self { transport: Twin::new(None), patience: Duration::from_secs(20) }
    }

    fn broken(bug: Bug) -> Self {
        Self { transport: Twin::new(Some(bug)), patience: Duration::from_secs(1) }
    }
}

impl TransportHarness for Harness {
    type Transport = Twin;

    fn transport(&self) -> Twin {
        self.transport.clone()
    }

    fn endpoint(&self) -> Endpoint {
        "twin://:0".parse().unwrap()
    }

    fn stall(&self, at: &Endpoint) -> Option<Box<dyn Any + Send>> {
        self.transport.stall(at);
        Some(Box::new(()))
    }

    fn patience(&self) -> Duration {
        self.patience
    }
}

const TWINS: &[(&str, Bug)] = &[
    ("frames_arrive_whole_in_order_unchanged_and_once", Bug::DeliversTwice),
    ("an_empty_frame_arrives", Bug::SkipsEmptyFrames),
    ("frames_of_every_size_arrive", Bug::LengthOf16Bits),
    ("a_frame_of_the_maximum_size_arrives", Bug::LimitIsExclusive),
    (
        "an_oversized_frame_is_refused_and_the_connection_stays_usable",
        Bug::OversizedFrameEndsConnection,
    ),
    ("many_small_frames_arrive", Bug::LosesOneInThousands),
    ("a_frame_leaves_without_another_call", Bug::FlushesOnNextSend),
    ("both_directions_carry_frames_at_once", Bug::OneLockAcrossAwaits),
    ("send_waits_while_the_peer_is_slow", Bug::UnboundedQueue),
    ("receiving_goes_on_while_a_send_waits", Bug::SendBlocksRecv),
    ("a_waiting_send_fails_when_the_peer_is_lost", Bug::SendHangsOnLostPeer),
    ("recv_is_cancel_safe", Bug::CancelledRecvLosesFrame),
    ("accept_is_cancel_safe", Bug::CancelledAcceptLosesConnection),
    ("a_dropped_send_leaves_only_whole_frames", Bug::CancelledSendLeavesGarbage),
    ("a_clean_end_is_told_and_stays", Bug::CleanEndIsToldOnce),
    ("close_delivers_what_was_sent", Bug::CloseDiscards),
    ("what_was_closed_outlives_its_sender", Bug::DropDiscards),
    ("close_delivers_past_unread_frames", Bug::UnreadFramesReset),
    ("a_peer_gone_without_close_is_lost", Bug::DropIsClean),
    ("a_sender_dropped_without_close_is_lost", Bug::DroppedSenderGoesUnnoticed),
    ("a_waiting_recv_learns_of_a_lost_peer", Bug::WaitingRecvIsNotWoken),
    ("sending_after_own_close_is_refused", Bug::SendsAfterClose),
    ("closing_twice_is_fine", Bug::SecondCloseFails),
    ("own_close_leaves_receiving_what_was_sent", Bug::CloseEndsBothDirections),
    ("closing_from_both_ends_is_clean", Bug::SecondOfTwoClosesFails),
    ("sending_to_a_lost_peer_fails", Bug::IgnoresLostPeer),
    ("connections_do_not_mix", Bug::MixesConnections),
    ("many_connections_at_once_are_accepted", Bug::ShortBacklog),
    ("accepted_connections_outlive_their_listener", Bug::ListenerTakesConnectionsAlong),
    ("it_serves_the_schemes_it_names", Bug::NamesNoScheme),
    ("another_scheme_is_refused", Bug::IgnoresScheme),
    ("an_endpoint_is_checked_without_connecting", Bug::ChecksNothing),
    ("each_listener_has_a_place_of_its_own", Bug::OnePlaceForAll),
    ("a_place_in_use_is_refused", Bug::SecondListenerTakesOver),
    ("nobody_there_is_unreachable", Bug::HangsOnNobody),
    ("closing_a_listener_frees_its_place", Bug::CloseKeepsPlace),
    ("accepting_after_close_is_refused", Bug::AcceptHangsAfterClose),
    ("a_stalled_handshake_delays_nobody", Bug::HandshakeInsideAccept),
];

#[test]
fn a_sound_transport_passes_every_case() {
    let report = run(Harness::sound);
    assert_eq!(report.verdict(), Verdict::Conformant, "{report}");
    // What speaks below a transport is in `broken_transports`, where there is a socket.
    let elsewhere = ["a_silent_listener_is_given_up", "an_oversized_frame_of_a_peer_is_refused"];
    let passed =
        |case: &CaseReport| case.outcome == Outcome::Passed || elsewhere.contains(&case.name);
    assert!(report.cases.iter().all(passed), "{report}");
}

#[test]
fn every_case_has_a_twin_and_every_twin_a_case() {
    let names: BTreeSet<_> = cases::<Harness>().iter().map(|case| case.name).collect();
    let broken = broken_transports::BROKEN.iter().map(|broken| broken.caught_by);
    let twins: BTreeSet<_> = TWINS.iter().map(|(name, _)| *name).chain(broken).collect();
    assert_eq!(names, twins);
    assert_eq!(cases::<Harness>().len(), names.len(), "two cases have one name");
}

/// As the Unix sockets of the examples once did.
#[test]
fn a_check_that_lets_through_what_connect_refuses_is_seen() {
    let name = "an_endpoint_is_checked_without_connecting";
    let case = cases::<Harness>().into_iter().find(|case| case.name == name).unwrap();
    let report = run_case(&case, Harness::broken(Bug::ChecksTheSchemeAlone), 1);
    assert!(matches!(report.outcome, Outcome::Failed(_)), "{:?}", report.outcome);
}

/// On a busy machine a bug that needs two tasks to meet may hide in a run or two.
const TRIES: u64 = 8;

#[test]
fn each_twin_fails_its_case() {
    let cases = cases::<Harness>();
    let todo = Mutex::new(TWINS.iter());
    let next = || todo.lock().unwrap().next();
    let passed = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        // Most of them only wait, for what their bug prevents.
        for _ in 0..6 {
            scope.spawn(|| {
                while let Some((name, bug)) = next() {
                    let case = cases.iter().find(|case| case.name == *name).unwrap();
                    let fails = |seed| {
                        let report = run_case(case, Harness::broken(*bug), seed);
                        matches!(report.outcome, Outcome::Failed(_))
                    };
                    if !(1..=TRIES).any(fails) {
                        passed.lock().unwrap().push((*name, *bug));
                    }
                }
            });
        }
    });
    assert_eq!(passed.into_inner().unwrap(), [], "these cases did not see their bug");
}
