//! Networks that lose and repeat frames.

use super::story::{Seat, Story, bounded, synced};
use super::{Direction, Engine, Link, Party};
use crate::{CaseResult, Rng};

/// How many frames each device's network loses.
const LOSSES: usize = 3;
/// How many frames of each direction come twice, at least.
const REPEATED: usize = 2;
/// More rounds than all planned faults take.
const ENOUGH: usize = 100;

/// One device's network loses what it sends, the other's what it receives; every
/// loss costs a retry and no edit.
pub(super) async fn one_direction_loses(engine: &dyn Engine, rng: &mut Rng) -> CaseResult {
    let (sending, receiving) = (engine.network(Party::A), engine.network(Party::B));
    sending.lose(Direction::Sending, LOSSES, rng);
    receiving.lose(Direction::Receiving, LOSSES, rng);
    on_bad_networks(engine, || {
        sending.to_lose(Direction::Sending) + receiving.to_lose(Direction::Receiving)
    })
    .await
}

/// A fifth of all frames comes twice, in both directions.
pub(super) async fn a_fifth_comes_twice(engine: &dyn Engine, rng: &mut Rng) -> CaseResult {
    let networks = [engine.network(Party::A), engine.network(Party::B)];
    for network in networks {
        network.repeat(20, rng);
    }
    on_bad_networks(engine, || {
        let ways = networks.iter().flat_map(|network| {
            [Direction::Sending, Direction::Receiving].map(|way| network.repeated(way))
        });
        ways.map(|repeated| REPEATED.saturating_sub(repeated)).sum()
    })
    .await
}

/// Two devices edit and sync until every fault that has to happen has happened.
async fn on_bad_networks(engine: &dyn Engine, to_come: impl Fn() -> usize) -> CaseResult {
    let mut story = Story::new(engine);
    let relay = story.relay(&[Party::A, Party::B]).await?;
    let (a, b) = (story.open(Party::A).await?, story.open(Party::B).await?);
    story.write(&a, 2).await?;
    story.write(&b, 2).await?;
    let (link_a, link_b) = (a.link().await?, b.link().await?);
    round(&story, (&a, &*link_a), (&b, &*link_b)).await?;
    for _ in 0..ENOUGH {
        if to_come() == 0 {
            break;
        }
        story.write(&a, 1).await?;
        story.write(&b, 1).await?;
        round(&story, (&a, &*link_a), (&b, &*link_b)).await?;
    }
    if to_come() > 0 {
        return Err(format!("{} faults did not happen in {ENOUGH} rounds", to_come()).into());
    }
    story.write(&a, 1).await?;
    round(&story, (&a, &*link_a), (&b, &*link_b)).await?;
    a.close().await?;
    b.close().await?;
    bounded("closing the relay", relay.close()).await
}

async fn round(
    story: &Story<'_>,
    (a, link_a): (&Seat, &dyn Link),
    (b, link_b): (&Seat, &dyn Link),
) -> CaseResult {
    synced(&[link_a, link_b, link_a]).await?;
    story.agree(&[a, b])
}
