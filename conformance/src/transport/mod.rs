//! Cases for transports.
//!
//! Write a [`TransportHarness`], name it in [`transport_conformance!`], and each
//! promise of the contract becomes a `#[test]`; [`run`] gives a [`Report`]
//! instead. Every case runs in a tokio runtime of its own, takes both roles where
//! that makes a difference, and never needs a fixed address.
//!
//! ```
//! use repliq_conformance::transport::TransportHarness;
//! use repliq_core::{Endpoint, Transport};
//!
//! struct Mine<MyTransport>(MyTransport);
//!
//! impl<MyTransport: Transport + Clone> TransportHarness for Mine<MyTransport> {
//!     type Transport = MyTransport;
//!     fn transport(&self) -> MyTransport {
//!         self.0.clone()
//!     }
//!     fn endpoint(&self) -> Endpoint {
//!         "mine://127.0.0.1:0".parse().expect("a valid URL")
//!     }
//! }
//! ```
//!
//! and in `tests/conformance.rs`:
//!
//! ```text
//! repliq_conformance::transport_conformance!(|| Mine(MyTransport::new()));
//! ```
//!
//! [`transport_conformance!`]: crate::transport_conformance

mod cancelling;
mod closing;
mod ends;
mod frames;
mod lasting;
mod listening;
mod pressure;

use crate::case::run_all;
use crate::{Case, Failure, Level, Outcome, Report, run_case, run_seed};
use repliq_core::{Endpoint, Transport};
use std::any::Any;
use std::future::Future;
use std::time::Duration;

/// How the suite gets at a transport.
pub trait TransportHarness: Send + Sync + 'static {
    /// The transport under test.
    type Transport: Transport;

    /// A transport that listens, and reaches what the others of this harness
    /// listen at. Called inside a tokio runtime.
    fn transport(&self) -> Self::Transport;

    /// Where to listen; every listener there gets a place of its own, as with
    /// port 0.
    fn endpoint(&self) -> Endpoint;

    /// The transport that connects, when it is configured otherwise.
    fn connector(&self) -> Self::Transport {
        self.transport()
    }

    /// Opens a connection below the transport that never finishes its handshake;
    /// it lasts as long as what is returned. `None` skips the case that needs it.
    fn stall(&self, _at: &Endpoint) -> Option<Box<dyn Any + Send>> {
        None
    }

    /// A place where something answers below the transport and then never says a
    /// word; it lasts as long as what is returned. `None` skips the case that needs
    /// it.
    fn silence(&self) -> Option<(Endpoint, Box<dyn Any + Send>)> {
        None
    }

    /// Opens a connection below the transport, finishes its handshake and announces
    /// a frame of more than [`MAX_FRAME_BYTES`](repliq_core::MAX_FRAME_BYTES); it
    /// lasts as long as what is returned. `None` skips the case that needs it.
    fn oversize(&self, _at: &Endpoint) -> Option<Box<dyn Any + Send>> {
        None
    }

    /// How long a single step, such as one frame's arrival, may take.
    fn patience(&self) -> Duration {
        Duration::from_secs(20)
    }
}

/// Hands the list of cases to a macro, after its own arguments. The only list:
/// tests and reports come from it.
#[doc(hidden)]
#[macro_export]
macro_rules! __transport_cases {
    ({ $($then:tt)* } $($arguments:tt)*) => {
        $($then)*! { $($arguments)*
            frames: Core frames_arrive_whole_in_order_unchanged_and_once;
            frames: Core an_empty_frame_arrives;
            frames: Core equal_frames_all_arrive;
            frames: Core no_frame_is_taken_for_a_signal;
            frames: Core frames_of_every_size_arrive;
            frames: Core a_frame_of_the_maximum_size_arrives;
            frames: Core an_oversized_frame_is_refused_and_the_connection_stays_usable;
            frames: Core many_small_frames_arrive;
            frames: Core a_frame_leaves_without_another_call;
            frames: Core both_directions_carry_frames_at_once;
            pressure: Core send_waits_while_the_peer_is_slow;
            pressure: Core receiving_goes_on_while_a_send_waits;
            pressure: Core a_waiting_send_fails_when_the_peer_is_lost;
            cancelling: Core recv_is_cancel_safe;
            cancelling: Core accept_is_cancel_safe;
            cancelling: Core a_dropped_send_leaves_only_whole_frames;
            closing: Core a_clean_end_is_told_and_stays;
            closing: Core close_delivers_what_was_sent;
            closing: Core what_was_closed_outlives_its_sender;
            closing: Core close_delivers_past_unread_frames;
            closing: Core a_peer_gone_without_close_is_lost;
            closing: Core a_sender_dropped_without_close_is_lost;
            closing: Core a_waiting_recv_learns_of_a_lost_peer;
            closing: Core sending_after_own_close_is_refused;
            closing: Core closing_twice_is_fine;
            closing: Core a_dropped_close_can_be_said_again;
            closing: Core own_close_leaves_receiving_what_was_sent;
            closing: Core closing_from_both_ends_is_clean;
            closing: Core sending_to_a_lost_peer_fails;
            lasting: Core connections_do_not_mix;
            lasting: Core many_connections_at_once_are_accepted;
            lasting: Core accepted_connections_outlive_their_listener;
            listening: Core it_serves_the_schemes_it_names;
            listening: Core another_scheme_is_refused;
            listening: Core an_endpoint_is_checked_without_connecting;
            listening: Core each_listener_has_a_place_of_its_own;
            listening: Core a_place_in_use_is_refused;
            listening: Core nobody_there_is_unreachable;
            listening: Core closing_a_listener_frees_its_place;
            listening: Core accepting_after_close_is_refused;
            listening: Core nobody_is_accepted_after_close;
            listening: Core a_verified_peer_has_one_key;
            listening: Extended a_stalled_handshake_delays_nobody;
            listening: Extended a_spoilt_handshake_is_no_error;
            listening: Extended a_silent_listener_is_given_up;
            frames: Extended an_oversized_frame_of_a_peer_is_refused;
        }
    };
}

macro_rules! registry {
    ($harness:ident $($module:ident: $level:ident $name:ident;)*) => {
        vec![$(Case {
            name: stringify!($name),
            level: Level::$level,
            run: |harness: &$harness, rng| in_runtime($module::$name(harness, rng)),
        }),*]
    };
}

/// Every case, in the order they run.
#[must_use]
pub fn cases<H: TransportHarness>() -> Vec<Case<H>> {
    __transport_cases!({ registry } H)
}

/// Runs every case, each on a fresh harness; the standard error shows meanwhile how it
/// goes. The seed is random unless the environment variable `REPLIQ_SEED` gives one.
pub fn run<H: TransportHarness>(make: impl Fn() -> H) -> Report {
    run_all("transport", &cases(), make)
}

/// Runs the case of this name as a test.
///
/// # Panics
/// When the case fails; the message names the seed.
#[doc(hidden)]
#[allow(clippy::panic)]
pub fn check<H: TransportHarness>(name: &str, make: impl FnOnce() -> H) {
    let cases = cases();
    let Some(case) = cases.iter().find(|case| case.name == name) else {
        panic!("there is no case {name}");
    };
    let report = run_case(case, make(), run_seed());
    match report.outcome {
        Outcome::Passed => {}
        Outcome::Skipped(why) => println!("{name} was skipped: {why}"),
        Outcome::Failed(why) => panic!("{name}: {why} (REPLIQ_SEED={})", report.seed),
    }
}

/// One `#[test]` per case of the transport suite.
///
/// Takes what makes a fresh [`TransportHarness`]. What the tests begin with, if it is
/// not `#[test] fn`, goes before it, as in
/// `transport_conformance!(#[tokio::test] async fn, || Mine)`. `REPLIQ_SEED` fixes
/// the seed, which a failure prints.
#[macro_export]
macro_rules! transport_conformance {
    ($(#[$attribute:meta])+ $($word:ident)+, $make:expr $(,)?) => {
        $crate::__transport_cases!({ $crate::__transport_tests } { $(#[$attribute])+ $($word)+ } { $make });
    };
    ($make:expr $(,)?) => {
        $crate::transport_conformance!(#[test] fn, $make);
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __transport_tests {
    ($head:tt $make:tt $($module:ident: $level:ident $name:ident;)*) => {
        $($crate::__conformance_test! { $head $name {
            $crate::transport::check(stringify!($name), $make);
        } })*
    };
}

/// A runtime per case: what a case leaves behind ends with it.
fn in_runtime(case: impl Future<Output = Result<(), Failure>>) -> Result<(), Failure> {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let result = runtime.block_on(case);
    runtime.shutdown_background();
    result
}
