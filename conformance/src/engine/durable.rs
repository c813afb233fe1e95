//! Nothing is acknowledged, shown or told before it is durable.

use super::story::{Story, bounded, synced};
use super::{Engine, NOTES, Party};
use crate::{CaseResult, Failure, Rng};

/// A relay that cannot commit acknowledges nothing; an update that cannot be made
/// durable fails and leaves no trace; a device that cannot commit what it receives
/// does not tell of it.
pub(super) async fn what_fails_to_be_durable_is_not_told(
    engine: &dyn Engine,
    _rng: &mut Rng,
) -> CaseResult {
    let mut story = Story::new(engine);
    let relay = story.relay(&[Party::A, Party::B]).await?;
    let (a, b) = (story.open(Party::A).await?, story.open(Party::B).await?);
    story.write(&a, 2).await?;
    let (link_a, link_b) = (a.link().await?, b.link().await?);
    synced(&[&*link_a, &*link_b]).await?;
    story.agree(&[&a, &b])?;

    // An ack that was sent arrives before the end of its session.
    let disk = engine.disk(Party::Relay);
    disk.fail_after(0);
    story.edit(&a, NOTES).await?;
    bounded("a hears of the relay's failure", async {
        tokio::select! {
            biased;
            synced = link_a.synced() => {
                synced?;
                Err(Failure::Broken("said to be synced, which the relay has not".into()))
            }
            offline = link_a.offline() => offline,
        }
    })
    .await?;
    disk.repair();
    synced(&[&*link_a, &*link_b]).await?;
    story.agree(&[&a, &b])?;

    let (disk, mut told) = (engine.disk(Party::A), a.device.follow(NOTES)?);
    disk.fail_after(0);
    if a.device.edit(NOTES, ANOTHER).await.is_ok() {
        return Err("an update that is not durable did not fail".into());
    }
    if told.is_told() {
        return Err("an update that failed was told to a subscriber".into());
    }
    story.agree(&[&a, &b])?;
    disk.repair();

    let (disk, mut told) = (engine.disk(Party::B), b.device.follow(NOTES)?);
    disk.fail_after(0);
    story.edit(&a, NOTES).await?;
    bounded("b commits what it receives", async {
        disk.failed().await;
        Ok(())
    })
    .await?;
    if told.is_told() {
        return Err("a change that is not durable was told to a subscriber".into());
    }
    disk.repair();
    synced(&[&*link_a, &*link_b]).await?;
    story.agree(&[&a, &b])?;
    if !told.is_told() {
        return Err("a change that became durable was never told".into());
    }
    a.close().await?;
    b.close().await?;
    bounded("closing the relay", relay.close()).await
}

/// The number of an edit that no other edit has.
const ANOTHER: usize = 500;
