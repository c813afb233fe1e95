//! A store that stops in the middle, as if its process had died between two
//! commits, and is opened again.

use super::story::{Story, bounded, synced};
use super::{Engine, NOTES, Party};
use crate::{CaseResult, Rng};

/// More edits than pass while a disk takes none any more.
const ENOUGH: usize = 200;

/// The relay stops while two devices send to it, with part of it durable.
pub(super) async fn relay_restarts(engine: &dyn Engine, rng: &mut Rng) -> CaseResult {
    let mut story = Story::new(engine);
    let reached_by = [Party::A, Party::B];
    let relay = story.relay(&reached_by).await?;
    let (a, b) = (story.open(Party::A).await?, story.open(Party::B).await?);
    story.write(&a, 2).await?;
    let (link_a, link_b) = (a.link().await?, b.link().await?);
    synced(&[&*link_a, &*link_b]).await?;

    let disk = engine.disk(Party::Relay);
    disk.fail_after(rng.below(3));
    for _ in 0..ENOUGH {
        story.edit(&a, NOTES).await?;
        story.edit(&b, NOTES).await?;
        if disk.has_failed() {
            break;
        }
    }
    bounded("the relay commits what it is sent", async {
        disk.failed().await;
        Ok(())
    })
    .await?;
    bounded("closing the relay", relay.close()).await?;
    disk.repair();
    story.write(&b, 1).await?;

    let relay = story.relay(&reached_by).await?;
    synced(&[&*link_a, &*link_b, &*link_a]).await?;
    story.agree(&[&a, &b])?;
    a.close().await?;
    b.close().await?;
    bounded("closing the relay", relay.close()).await
}

/// A device stops with changes that were never sent, then while it sends, then
/// while it receives; each time it has its own edits and goes on editing.
pub(super) async fn device_restarts(engine: &dyn Engine, _rng: &mut Rng) -> CaseResult {
    let mut story = Story::new(engine);
    let relay = story.relay(&[Party::A, Party::B]).await?;
    let (a, b) = (story.open(Party::A).await?, story.open(Party::B).await?);
    story.write(&a, 2).await?;
    let (link_a, link_b) = (a.link().await?, b.link().await?);
    synced(&[&*link_a, &*link_b]).await?;
    bounded("closing a's link", link_a.close()).await?;

    // Never sent.
    story.write(&a, 3).await?;
    a.close().await?;
    let a = story.open(Party::A).await?;
    story.agree(&[&a])?;
    story.write(&a, 1).await?;

    // In the middle of sending: the relay gets none of it.
    let disk = engine.disk(Party::Relay);
    disk.fail_after(0);
    let link_a = a.link().await?;
    bounded("the relay commits what a sends", async {
        disk.failed().await;
        Ok(())
    })
    .await?;
    a.close().await?;
    drop(link_a);
    disk.repair();
    let a = story.open(Party::A).await?;
    story.agree(&[&a])?;
    story.write(&a, 1).await?;

    // In the middle of receiving.
    let held = story.edits.clone();
    story.write(&b, 3).await?;
    synced(&[&*link_b]).await?;
    let disk = engine.disk(Party::A);
    disk.fail_after(0);
    let link_a = a.link().await?;
    bounded("a commits what it receives", async {
        disk.failed().await;
        Ok(())
    })
    .await?;
    a.close().await?;
    drop(link_a);
    disk.repair();
    let a = story.open(Party::A).await?;
    story.holds(&a, &held)?;
    story.write(&a, 1).await?;

    let link_a = a.link().await?;
    synced(&[&*link_a, &*link_b, &*link_a]).await?;
    story.agree(&[&a, &b])?;
    a.close().await?;
    b.close().await?;
    bounded("closing the relay", relay.close()).await
}
