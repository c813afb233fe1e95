//! Where one listens, connects, and is refused.

use super::TransportHarness;
use super::ends::{Patience, broken, expect_error, listen, meet};
use crate::{CaseResult, Failure, Rng};
use repliq_core::{Endpoint, Listener, Peer, Transport, TransportErrorKind};
use std::time::Duration;
use tokio::time::timeout;

pub(super) async fn it_serves_the_schemes_it_names<H: TransportHarness>(
    harness: &H,
    _rng: &mut Rng,
) -> CaseResult {
    let schemes = harness.transport().schemes();
    if schemes.is_empty() {
        return broken("it names no scheme");
    }
    let (mut listener, at) = listen(harness).await?;
    for endpoint in [&at, &harness.endpoint()] {
        if !schemes.contains(&endpoint.scheme()) {
            return broken(format!("{endpoint} is of no scheme in {schemes:?}"));
        }
    }
    let (mut connected, mut accepted) = meet(harness, &mut listener, &at).await?;
    let patience = Patience(harness.patience());
    patience.send(&mut connected.sender, "hello".into()).await?;
    patience.expect(&mut accepted.receiver, b"hello").await
}

pub(super) async fn another_scheme_is_refused<H: TransportHarness>(
    harness: &H,
    _rng: &mut Rng,
) -> CaseResult {
    let patience = Patience(harness.patience());
    let elsewhere: Endpoint = "repliq-no-such-scheme://127.0.0.1:1".parse()?;
    let connected = harness.connector();
    let connected = patience.within("connecting", connected.connect(&elsewhere)).await?;
    expect_error(connected, TransportErrorKind::Endpoint, "connecting to another scheme")?;
    let listening = harness.transport();
    let listening = patience.within("listening", listening.listen(&elsewhere)).await?;
    expect_error(listening, TransportErrorKind::Endpoint, "listening at another scheme")
}

pub(super) async fn an_endpoint_is_checked_without_connecting<H: TransportHarness>(
    harness: &H,
    _rng: &mut Rng,
) -> CaseResult {
    let (mut listener, at) = listen(harness).await?;
    let connector = harness.connector();
    connector.check(&at)?;
    let elsewhere: Endpoint = "repliq-no-such-scheme://127.0.0.1:1".parse()?;
    expect_error(connector.check(&elsewhere), TransportErrorKind::Endpoint, "checking a scheme")?;
    // Whether anybody is there is no part of it.
    listener.close().await?;
    connector.check(&at)?;
    let (sign, authority) = (if at.as_str().contains('?') { '&' } else { '?' }, at.authority());
    let scheme = at.scheme();
    for doubtful in [
        format!("{at}{sign}repliq-no-such-parameter=1"),
        format!("{scheme}://somebody@{authority}{}", at.path()),
        format!("{scheme}://{authority}/{}", "x".repeat(5_000)),
        format!("{scheme}://{authority}/%FF"),
    ] {
        let Ok(doubtful) = doubtful.parse::<Endpoint>() else { continue };
        if connector.check(&doubtful).is_err() {
            continue;
        }
        // Refused by its URL is refused at once; whoever tries for long does not refuse it.
        let connected = timeout(Duration::from_secs(1), connector.connect(&doubtful)).await;
        if let Ok(Err(refused)) = connected
            && refused.kind == TransportErrorKind::Endpoint
        {
            return broken(format!("check takes what connect refuses: {refused}"));
        }
    }
    Ok(())
}

pub(super) async fn each_listener_has_a_place_of_its_own<H: TransportHarness>(
    harness: &H,
    _rng: &mut Rng,
) -> CaseResult {
    let patience = Patience(harness.patience());
    let (mut one, at_one) = listen(harness).await?;
    let (mut other, at_other) = listen(harness).await?;
    if at_one == at_other {
        return broken(format!("two listeners are both at {at_one}"));
    }
    let (mut to_one, mut in_one) = meet(harness, &mut one, &at_one).await?;
    let (mut to_other, mut in_other) = meet(harness, &mut other, &at_other).await?;
    patience.send(&mut to_one.sender, "one".into()).await?;
    patience.send(&mut to_other.sender, "other".into()).await?;
    patience.expect(&mut in_one.receiver, b"one").await?;
    patience.expect(&mut in_other.receiver, b"other").await
}

pub(super) async fn a_place_in_use_is_refused<H: TransportHarness>(
    harness: &H,
    _rng: &mut Rng,
) -> CaseResult {
    let patience = Patience(harness.patience());
    let (mut listener, at) = listen(harness).await?;
    let second = harness.transport();
    let second = patience.within("listening", second.listen(&at)).await?;
    expect_error(second, TransportErrorKind::InUse, "listening where another listens")?;
    meet(harness, &mut listener, &at).await.map(drop)
}

pub(super) async fn nobody_there_is_unreachable<H: TransportHarness>(
    harness: &H,
    _rng: &mut Rng,
) -> CaseResult {
    let patience = Patience(harness.patience());
    let (mut listener, at) = listen(harness).await?;
    patience.within("closing the listener", listener.close()).await??;
    drop(listener);
    let connector = harness.connector();
    let connected = patience.within("connecting to nobody", connector.connect(&at)).await?;
    expect_error(connected, TransportErrorKind::Unreachable, "connecting to nobody")
}

pub(super) async fn closing_a_listener_frees_its_place<H: TransportHarness>(
    harness: &H,
    _rng: &mut Rng,
) -> CaseResult {
    let patience = Patience(harness.patience());
    let (mut listener, at) = listen(harness).await?;
    // An accepted connection does not hold the place.
    let accepted = meet(harness, &mut listener, &at).await?;
    patience.within("closing the listener", listener.close()).await??;
    let again = harness.transport();
    let again = patience.within("listening again", again.listen(&at)).await?;
    let mut again = again.map_err(|error| {
        Failure::Broken(format!("listening again where a listener was closed: {error}"))
    })?;
    meet(harness, &mut again, &at).await?;
    drop((listener, accepted));
    meet(harness, &mut again, &at).await.map(drop)
}

pub(super) async fn accepting_after_close_is_refused<H: TransportHarness>(
    harness: &H,
    _rng: &mut Rng,
) -> CaseResult {
    let patience = Patience(harness.patience());
    let (mut listener, _) = listen(harness).await?;
    for _ in 0..2 {
        patience.within("closing the listener", listener.close()).await??;
        let accepted = patience.within("accepting after close", listener.accept()).await?;
        expect_error(accepted, TransportErrorKind::Closed, "accepting after close")?;
    }
    Ok(())
}

/// Below the timeouts of three handshakes, after which even a blocked listener goes on.
const SOON: Duration = Duration::from_secs(8);

pub(super) async fn a_stalled_handshake_delays_nobody<H: TransportHarness>(
    harness: &H,
    _rng: &mut Rng,
) -> CaseResult {
    let soon = Patience(harness.patience().min(SOON));
    let (mut listener, at) = listen(harness).await?;
    let mut stalled = Vec::new();
    for _ in 0..3 {
        let Some(connection) = harness.stall(&at) else {
            return Err(Failure::Skipped("the harness has no stall()".to_owned()));
        };
        stalled.push(connection);
    }
    for _ in 0..3 {
        let met = soon.within("accepting beside a stalled handshake", async {
            meet(harness, &mut listener, &at).await
        });
        met.await??;
    }
    Ok(())
}

/// Who comes late to a listener that is closed is not let in.
pub(super) async fn nobody_is_accepted_after_close<H: TransportHarness>(
    harness: &H,
    _rng: &mut Rng,
) -> CaseResult {
    let patience = Patience(harness.patience());
    let (mut listener, at) = listen(harness).await?;
    let connector = harness.connector();
    let waiting = tokio::spawn(async move {
        // One of them at least is in time to wait.
        let mut waiting = Vec::new();
        while let Ok(connection) = connector.connect(&at).await {
            waiting.push(connection);
            if waiting.len() == 2 {
                break;
            }
        }
        waiting
    });
    // Some transports connect only to who accepts.
    let waiting = tokio::time::timeout(Duration::from_millis(500), waiting).await;
    patience.within("closing the listener", listener.close()).await??;
    for _ in 0..2 {
        let accepted = patience.within("accepting after close", listener.accept()).await?;
        expect_error(accepted, TransportErrorKind::Closed, "accepting after close")?;
    }
    drop(waiting);
    Ok(())
}

pub(super) async fn a_spoilt_handshake_is_no_error<H: TransportHarness>(
    harness: &H,
    _rng: &mut Rng,
) -> CaseResult {
    let soon = Patience(harness.patience().min(SOON));
    let (mut listener, at) = listen(harness).await?;
    for _ in 0..3 {
        let Some(connection) = harness.stall(&at) else {
            return Err(Failure::Skipped("the harness has no stall()".to_owned()));
        };
        drop(connection);
        let met = soon.within("accepting after a spoilt handshake", async {
            meet(harness, &mut listener, &at).await
        });
        met.await??;
    }
    Ok(())
}

/// Something answers there, but it is no listener of this transport.
pub(super) async fn a_silent_listener_is_given_up<H: TransportHarness>(
    harness: &H,
    _rng: &mut Rng,
) -> CaseResult {
    let patience = Patience(harness.patience());
    let Some((at, silent)) = harness.silence() else {
        return Err(Failure::Skipped("the harness has no silence()".to_owned()));
    };
    let connector = harness.connector();
    let connected =
        patience.within("connecting to who says nothing", connector.connect(&at)).await?;
    drop(silent);
    match connected {
        Ok(_) => broken("connected to who says nothing"),
        Err(error) => match error.kind {
            TransportErrorKind::Unreachable | TransportErrorKind::Handshake => Ok(()),
            _ => broken(format!("connecting to who says nothing: {error}")),
        },
    }
}

/// What nobody checked is anonymous; a key is a key, and the same each time.
pub(super) async fn a_verified_peer_has_one_key<H: TransportHarness>(
    harness: &H,
    _rng: &mut Rng,
) -> CaseResult {
    let (mut listener, at) = listen(harness).await?;
    let mut peers = Vec::new();
    for _ in 0..2 {
        let (connected, accepted) = meet(harness, &mut listener, &at).await?;
        if connected.peer == Peer::Verified(Vec::new())
            || accepted.peer == Peer::Verified(Vec::new())
        {
            return broken("a peer was verified to hold an empty key");
        }
        peers.push(connected.peer);
    }
    match peers.as_slice() {
        [first, second] if first != second => {
            broken(format!("one listener was {first:?}, then {second:?}"))
        }
        _ => Ok(()),
    }
}
