//! What is of one document or space stays there.

use super::story::{Story, bounded, synced};
use super::{Engine, NOTES, Party, TAGS, TEAM};
use crate::{CaseResult, Rng};

/// Each edit shows in its document only, on both devices, and nothing of a space
/// leaves the device before that space is linked.
pub(super) async fn documents_and_spaces_stay_apart(
    engine: &dyn Engine,
    _rng: &mut Rng,
) -> CaseResult {
    let mut story = Story::new(engine);
    let relay = story.relay(&[Party::A, Party::B]).await?;
    let (a, b) = (story.open(Party::A).await?, story.open(Party::B).await?);
    for (at, times) in [(NOTES, 3), (TAGS, 2)] {
        for _ in 0..times {
            story.edit(&a, at).await?;
        }
    }
    let of_default = story.edits.clone();
    for _ in 0..5 {
        story.edit(&a, TEAM).await?;
    }
    let (link_a, link_b) = (a.link().await?, b.link().await?);
    let team_b = b.link_space(TEAM.space).await?;
    synced(&[&*link_a, &*link_b, &*team_b]).await?;
    story.agree(&[&a])?;
    story.holds(&b, &of_default)?;

    let team_a = a.link_space(TEAM.space).await?;
    synced(&[&*team_a, &*team_b]).await?;
    story.agree(&[&a, &b])?;
    for at in [TEAM, NOTES, TAGS] {
        story.edit(&b, at).await?;
    }
    synced(&[&*link_b, &*team_b, &*link_a, &*team_a]).await?;
    story.agree(&[&a, &b])?;
    drop((link_a, link_b, team_a, team_b));
    a.close().await?;
    b.close().await?;
    bounded("closing the relay", relay.close()).await
}
