//! Networks that lose and repeat frames.

use super::story::{Seat, Story, bounded, synced};
use super::{Direction, Engine, Link, Party, Relay};
use crate::{CaseResult, Failure, Rng};

/// How many frames each device's network loses.
const LOSSES: usize = 2;
/// How many frames of each direction come twice, at least.
const REPEATED: usize = 2;
/// More rounds than all planned faults take.
const ENOUGH: usize = 100;

/// One device's network loses what it sends, the other's what it receives: first a
/// change with others right behind it, then any frames. Every loss costs a retry
/// and no edit.
pub(super) async fn one_direction_loses(engine: &dyn Engine, rng: &mut Rng) -> CaseResult {
    let (sending, receiving) = (engine.network(Party::A), engine.network(Party::B));
    let mut pair = Pair::open(engine).await?;
    sending.lose_next(Direction::Sending);
    pair.round().await?;
    receiving.lose_next(Direction::Receiving);
    pair.round().await?;
    sending.lose(Direction::Sending, LOSSES, rng);
    receiving.lose(Direction::Receiving, LOSSES, rng);
    let to_come = || sending.to_lose(Direction::Sending) + receiving.to_lose(Direction::Receiving);
    pair.until_none(to_come).await
}

/// A fifth of all frames comes twice, in both directions.
pub(super) async fn a_fifth_comes_twice(engine: &dyn Engine, rng: &mut Rng) -> CaseResult {
    let networks = [engine.network(Party::A), engine.network(Party::B)];
    for network in networks {
        network.repeat(20, rng);
    }
    let to_come = || {
        let ways = networks.iter().flat_map(|network| {
            [Direction::Sending, Direction::Receiving].map(|way| network.repeated(way))
        });
        ways.map(|repeated| REPEATED.saturating_sub(repeated)).sum()
    };
    Pair::open(engine).await?.until_none(to_come).await
}

/// Two devices that are linked with a relay.
struct Pair<'a> {
    story: Story<'a>,
    relay: Box<dyn Relay>,
    a: Seat,
    b: Seat,
    links: [Box<dyn Link>; 2],
}

impl<'a> Pair<'a> {
    /// Two devices with edits of their own, in sync.
    async fn open(engine: &'a dyn Engine) -> Result<Self, Failure> {
        let mut story = Story::new(engine);
        let relay = story.relay(&[Party::A, Party::B]).await?;
        let (a, b) = (story.open(Party::A).await?, story.open(Party::B).await?);
        story.write(&a, 2).await?;
        story.write(&b, 2).await?;
        let links = [a.link().await?, b.link().await?];
        let pair = Self { story, relay, a, b, links };
        pair.agree().await?;
        Ok(pair)
    }

    async fn agree(&self) -> CaseResult {
        let [link_a, link_b] = &self.links;
        synced(&[&**link_a, &**link_b, &**link_a]).await?;
        self.story.agree(&[&self.a, &self.b])
    }

    /// Both edit, several times, so that frames follow the one that is lost.
    async fn round(&mut self) -> CaseResult {
        self.story.write(&self.a, 2).await?;
        self.story.write(&self.b, 2).await?;
        self.agree().await
    }

    /// Rounds until every fault that has to happen has happened, and one more.
    async fn until_none(mut self, to_come: impl Fn() -> usize) -> CaseResult {
        for _ in 0..ENOUGH {
            if to_come() == 0 {
                break;
            }
            self.round().await?;
        }
        if to_come() > 0 {
            return Err(format!("{} faults did not happen in {ENOUGH} rounds", to_come()).into());
        }
        self.round().await?;
        self.a.close().await?;
        self.b.close().await?;
        bounded("closing the relay", self.relay.close()).await
    }
}
