//! Frames arrive whole, in order, unchanged and once, whatever their size.

use super::TransportHarness;
use super::ends::{Patience, expect_error, in_both_roles, listen, numbered};
use crate::{CaseResult, Failure, Rng};
use bytes::Bytes;
use repliq_core::{FrameReceiver, FrameSender, Listener, MAX_FRAME_BYTES, TransportErrorKind};

pub(super) async fn frames_arrive_whole_in_order_unchanged_and_once<H: TransportHarness>(
    harness: &H,
    rng: &mut Rng,
) -> CaseResult {
    in_both_roles(harness, async |mut ends| {
        let frames: Vec<Bytes> = (0..300)
            .map(|_| {
                let len = rng.below(2000);
                rng.bytes(len).into()
            })
            .collect();
        carry(ends.patience, &mut ends.near.sender, &mut ends.far.receiver, &frames).await?;
        ends.patience.close(&mut ends.near.sender).await?;
        ends.patience.expect_clean_end(&mut ends.far.receiver).await
    })
    .await
}

pub(super) async fn an_empty_frame_arrives<H: TransportHarness>(
    harness: &H,
    _rng: &mut Rng,
) -> CaseResult {
    in_both_roles(harness, async |mut ends| {
        let frames = [Bytes::new(), "between".into(), Bytes::new(), Bytes::new(), "last".into()];
        carry(ends.patience, &mut ends.near.sender, &mut ends.far.receiver, &frames).await
    })
    .await
}

/// Length prefixes change their form at powers of two.
pub(super) async fn frames_of_every_size_arrive<H: TransportHarness>(
    harness: &H,
    _rng: &mut Rng,
) -> CaseResult {
    in_both_roles(harness, async |mut ends| {
        let small = 0..=260;
        let around = (9..=17).flat_map(|power| (1usize << power) - 1..=(1 << power) + 1);
        let frames: Vec<Bytes> = small.chain(around).map(filled).collect();
        carry(ends.patience, &mut ends.near.sender, &mut ends.far.receiver, &frames).await
    })
    .await
}

pub(super) async fn a_frame_of_the_maximum_size_arrives<H: TransportHarness>(
    harness: &H,
    rng: &mut Rng,
) -> CaseResult {
    let frames = [Bytes::from(rng.bytes(MAX_FRAME_BYTES)), "after".into()];
    in_both_roles(harness, async |mut ends| {
        carry(ends.patience, &mut ends.near.sender, &mut ends.far.receiver, &frames).await
    })
    .await
}

pub(super) async fn an_oversized_frame_is_refused_and_the_connection_stays_usable<
    H: TransportHarness,
>(
    harness: &H,
    _rng: &mut Rng,
) -> CaseResult {
    in_both_roles(harness, async |mut ends| {
        let oversized = filled(MAX_FRAME_BYTES + 1);
        let sent = ends.near.sender.send(oversized);
        let sent = ends.patience.within("sending an oversized frame", sent).await?;
        expect_error(sent, TransportErrorKind::TooLarge, "sending an oversized frame")?;
        let (near, far) = (&mut ends.near, &mut ends.far);
        let frames = ["after".into(), Bytes::new(), filled(70_000)];
        carry(ends.patience, &mut near.sender, &mut far.receiver, &frames).await?;
        carry(ends.patience, &mut far.sender, &mut near.receiver, &frames).await
    })
    .await
}

pub(super) async fn many_small_frames_arrive<H: TransportHarness>(
    harness: &H,
    _rng: &mut Rng,
) -> CaseResult {
    in_both_roles(harness, async |mut ends| {
        let frames: Vec<Bytes> = (0..10_000).map(|number| numbered(number, 20)).collect();
        carry(ends.patience, &mut ends.near.sender, &mut ends.far.receiver, &frames).await
    })
    .await
}

pub(super) async fn a_frame_leaves_without_another_call<H: TransportHarness>(
    harness: &H,
    _rng: &mut Rng,
) -> CaseResult {
    in_both_roles(harness, async |mut ends| {
        for burst in [1, 3, 2, 1] {
            for number in 0..burst {
                ends.patience.send(&mut ends.near.sender, numbered(number, 30)).await?;
            }
            for number in 0..burst {
                ends.patience.expect(&mut ends.far.receiver, &numbered(number, 30)).await?;
            }
        }
        Ok(())
    })
    .await
}

pub(super) async fn both_directions_carry_frames_at_once<H: TransportHarness>(
    harness: &H,
    _rng: &mut Rng,
) -> CaseResult {
    in_both_roles(harness, async |mut ends| {
        let patience = ends.patience;
        let (near, far) = (&mut ends.near, &mut ends.far);
        tokio::try_join!(
            receive_many(patience, &mut near.receiver),
            receive_many(patience, &mut far.receiver),
            send_many(patience, &mut near.sender),
            send_many(patience, &mut far.sender),
        )?;
        Ok(())
    })
    .await
}

const MANY: u64 = 150;

async fn send_many(patience: Patience, sender: &mut impl FrameSender) -> CaseResult {
    for number in 0..MANY {
        patience.send(sender, numbered(number, 64 << 10)).await?;
    }
    Ok(())
}

async fn receive_many(patience: Patience, receiver: &mut impl FrameReceiver) -> CaseResult {
    for number in 0..MANY {
        patience.expect(receiver, &numbered(number, 64 << 10)).await?;
    }
    Ok(())
}

/// Sends and receives at the same time, and compares.
async fn carry(
    patience: Patience,
    sender: &mut impl FrameSender,
    receiver: &mut impl FrameReceiver,
    frames: &[Bytes],
) -> CaseResult {
    let sending = async {
        for frame in frames {
            patience.send(sender, frame.clone()).await?;
        }
        Ok(())
    };
    let receiving = async {
        for frame in frames {
            patience.expect(receiver, frame).await?;
        }
        Ok(())
    };
    tokio::try_join!(sending, receiving).map(|_: ((), ())| ())
}

fn filled(len: usize) -> Bytes {
    (0u8..=250).cycle().take(len).collect::<Vec<_>>().into()
}

/// A transport may end its connections, or keep them alive, with messages of its
/// own: none of them looks like a frame.
pub(super) async fn no_frame_is_taken_for_a_signal<H: TransportHarness>(
    harness: &H,
    _rng: &mut Rng,
) -> CaseResult {
    const WORDS: [&[u8]; 24] = [
        b"close",
        b"CLOSE",
        b"closed",
        b"end",
        b"END",
        b"eof",
        b"EOF",
        b"bye",
        b"goodbye",
        b"quit",
        b"exit",
        b"stop",
        b"fin",
        b"ping",
        b"pong",
        b"PING",
        b"PONG",
        b"hello",
        b"ack",
        b"ok",
        b"\n",
        b"\r\n",
        b"\r\n\r\n",
        b"\0\0\0\0",
    ];
    let bytes = (0..=u8::MAX).flat_map(|byte| [1, 2, 4, 8].map(|len| vec![byte; len]));
    let lengths = [0_u32, 1, 5, 1 << 20, u32::MAX].map(|length| length.to_be_bytes().to_vec());
    let words = WORDS.iter().map(|word| word.to_vec());
    let frames: Vec<Bytes> = words.chain(lengths).chain(bytes).map(Bytes::from).collect();
    in_both_roles(harness, async |mut ends| {
        carry(ends.patience, &mut ends.near.sender, &mut ends.far.receiver, &frames).await?;
        ends.patience.close(&mut ends.near.sender).await?;
        ends.patience.expect_clean_end(&mut ends.far.receiver).await
    })
    .await
}

/// Equal frames are as many frames.
pub(super) async fn equal_frames_all_arrive<H: TransportHarness>(
    harness: &H,
    _rng: &mut Rng,
) -> CaseResult {
    in_both_roles(harness, async |mut ends| {
        let frames = vec![Bytes::from_static(b"again and again"); 20];
        carry(ends.patience, &mut ends.near.sender, &mut ends.far.receiver, &frames).await?;
        ends.patience.close(&mut ends.near.sender).await?;
        ends.patience.expect_clean_end(&mut ends.far.receiver).await
    })
    .await
}

/// A peer that does not keep to the maximum.
pub(super) async fn an_oversized_frame_of_a_peer_is_refused<H: TransportHarness>(
    harness: &H,
    _rng: &mut Rng,
) -> CaseResult {
    let patience = Patience(harness.patience());
    let (mut listener, at) = listen(harness).await?;
    let Some(rogue) = harness.oversize(&at) else {
        return Err(Failure::Skipped("the harness has no oversize()".to_owned()));
    };
    let accepted = patience.within("accepting", listener.accept()).await?;
    let mut accepted = accepted?;
    let received = patience.within("refusing an oversized frame", accepted.receiver.recv()).await?;
    expect_error(received, TransportErrorKind::TooLarge, "an oversized frame of a peer")?;
    drop(rogue);
    Ok(())
}
