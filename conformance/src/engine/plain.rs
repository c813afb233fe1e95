//! Devices and a relay on a sound network.

use super::story::{Story, bounded, synced};
use super::{Engine, NOTES, Party, TAGS};
use crate::{CaseResult, Rng};

/// A device with data syncs with an empty relay; a new, empty device gets it all
/// from the relay, while the first is gone, and has it after it was reopened.
pub(super) async fn bootstrap(engine: &dyn Engine, _rng: &mut Rng) -> CaseResult {
    let mut story = Story::new(engine);
    let relay = story.relay(&[Party::A, Party::B]).await?;
    let a = story.open(Party::A).await?;
    story.write(&a, 8).await?;
    let link = a.link().await?;
    synced(&[&*link]).await?;
    link.close().await?;
    story.agree(&[&a])?;
    a.close().await?;

    let b = story.open(Party::B).await?;
    let link = b.link().await?;
    synced(&[&*link]).await?;
    story.agree(&[&b])?;
    drop(link);
    b.close().await?;

    let b = story.open(Party::B).await?;
    story.agree(&[&b])?;
    b.close().await?;
    bounded("closing the relay", relay.close()).await
}

/// Two devices in sync lose the relay, edit the same places, get it back, and
/// hold the same again.
pub(super) async fn partition_heals(engine: &dyn Engine, _rng: &mut Rng) -> CaseResult {
    let mut story = Story::new(engine);
    let (a, b) = (story.open(Party::A).await?, story.open(Party::B).await?);
    let relay = story.relay(&[Party::A, Party::B]).await?;
    story.write(&a, 3).await?;
    let (link_a, link_b) = (a.link().await?, b.link().await?);
    synced(&[&*link_a, &*link_b]).await?;
    story.agree(&[&a, &b])?;

    bounded("closing the relay", relay.close()).await?;
    story.write(&a, 5).await?;
    story.write(&b, 5).await?;

    let relay = story.relay(&[Party::A, Party::B]).await?;
    synced(&[&*link_a, &*link_b, &*link_a]).await?;
    story.agree(&[&a, &b])?;
    a.close().await?;
    b.close().await?;
    bounded("closing the relay", relay.close()).await
}

/// Edits flow both ways while both are connected, and are seen through events.
pub(super) async fn live(engine: &dyn Engine, _rng: &mut Rng) -> CaseResult {
    flows_both_ways(engine, Party::B).await
}

/// A relay listens on several transports at once; devices on different ones, and
/// on different backends, see each other's edits and agree, also after both
/// edited without a connection.
pub(super) async fn mixed_pairs(engine: &dyn Engine, _rng: &mut Rng) -> CaseResult {
    flows_both_ways(engine, Party::C).await
}

async fn flows_both_ways(engine: &dyn Engine, other: Party) -> CaseResult {
    let mut story = Story::new(engine);
    let relay = story.relay(&[Party::A, other]).await?;
    let (a, b) = (story.open(Party::A).await?, story.open(other).await?);
    story.write(&a, 1).await?;
    let (mut notes_a, mut notes_b) = (a.device.follow(NOTES)?, b.device.follow(NOTES)?);
    let (mut tags_a, mut tags_b) = (a.device.follow(TAGS)?, b.device.follow(TAGS)?);
    let (link_a, link_b) = (a.link().await?, b.link().await?);
    synced(&[&*link_a, &*link_b]).await?;
    story.agree(&[&a, &b])?;

    // In turns, each on top of what came from the other.
    for _ in 0..3 {
        story.edit(&a, NOTES).await?;
        story.sees(&b, NOTES, &mut *notes_b).await?;
        story.edit(&b, NOTES).await?;
        story.sees(&a, NOTES, &mut *notes_a).await?;
    }
    // Both at once.
    for _ in 0..4 {
        for at in [NOTES, TAGS] {
            story.edit(&a, at).await?;
            story.edit(&b, at).await?;
        }
    }
    story.sees(&a, NOTES, &mut *notes_a).await?;
    story.sees(&b, NOTES, &mut *notes_b).await?;
    story.sees(&a, TAGS, &mut *tags_a).await?;
    story.sees(&b, TAGS, &mut *tags_b).await?;
    synced(&[&*link_a, &*link_b, &*link_a]).await?;
    story.agree(&[&a, &b])?;
    a.close().await?;
    b.close().await?;
    bounded("closing the relay", relay.close()).await
}

/// Two devices that are in sync edit without any connection, then link again.
pub(super) async fn offline_edits_on_both(engine: &dyn Engine, _rng: &mut Rng) -> CaseResult {
    let mut story = Story::new(engine);
    let relay = story.relay(&[Party::A, Party::B]).await?;
    let (a, b) = (story.open(Party::A).await?, story.open(Party::B).await?);
    story.write(&a, 2).await?;
    let (link_a, link_b) = (a.link().await?, b.link().await?);
    synced(&[&*link_a, &*link_b]).await?;
    bounded("closing a's link", link_a.close()).await?;
    bounded("closing b's link", link_b.close()).await?;
    story.agree(&[&a, &b])?;

    let shared = story.edits.clone();
    story.write(&a, 5).await?;
    story.holds(&b, &shared)?;
    story.write(&b, 5).await?;

    let (link_a, link_b) = (a.link().await?, b.link().await?);
    synced(&[&*link_a, &*link_b, &*link_a]).await?;
    story.agree(&[&a, &b])?;
    drop((link_a, link_b));
    a.close().await?;
    b.close().await?;
    bounded("closing the relay", relay.close()).await
}
