//! What happens in a cell. Every wait is bounded, and every check says what it
//! compared.

use crate::parts::{Net, Store};
use crate::types::Type;
use repliq::prelude::*;
use std::error::Error;
use std::future::Future;
use std::time::Duration;

type Outcome = Result<(), Box<dyn Error + Send + Sync>>;

/// How long a scenario may take. It ends in a fraction of a second when all is
/// well.
const LIMIT: Duration = Duration::from_secs(60);

/// One device of a scenario.
struct Device<S: Store, N: Net, K: Type> {
    replica: Replica<S::Backend, N::Transport>,
    document: Document<K::Crdt>,
}

impl<S: Store, N: Net, K: Type> Device<S, N, K> {
    async fn open(store: &S, net: &N) -> Result<Self, Box<dyn Error + Send + Sync>> {
        let builder = Replica::builder().storage(store.open()?).transport(net.transport());
        let replica = builder.build().await?;
        let document = replica.document("shared").await?;
        Ok(Self { replica, document })
    }

    async fn edit(&self, who: &str, from: usize, to: usize) -> Outcome {
        for n in from..to {
            self.document.update(move |tx| K::edit(tx, who, n)).await?;
        }
        Ok(())
    }

    fn view(&self) -> Result<Vec<String>, Box<dyn Error + Send + Sync>> {
        Ok(self.document.read(|value| K::view(value))?)
    }
}

fn same<S: Store, N: Net, K: Type>(a: &Device<S, N, K>, b: &Device<S, N, K>) -> Outcome {
    let (a, b) = (a.view()?, b.view()?);
    if a.is_empty() {
        return Err("nothing arrived at all".into());
    }
    if a == b { Ok(()) } else { Err(format!("A holds {a:?}\nB holds {b:?}").into()) }
}

async fn bounded(scenario: impl Future<Output = Outcome>) -> Outcome {
    let timed = tokio::time::timeout(LIMIT, scenario).await;
    timed.unwrap_or_else(|_| Err("no end after 60 seconds".into()))
}

/// A device with data syncs with an empty relay; a new, empty device gets it all
/// from the relay, while the first is gone, and has it after it was reopened.
///
/// # Errors
/// What did not go as it should.
pub async fn bootstrap<S: Store, N: Net, K: Type>() -> Outcome {
    bounded(async {
        let (net, on_a, on_b) = (N::fresh(), S::fresh(), S::fresh());
        let on_relay = S::fresh();
        let relay = Relay::open(on_relay.open()?).await?;
        let url = relay.listen(net.transport(), N::ANY).await?.to_string();

        let a = Device::<S, N, K>::open(&on_a, &net).await?;
        a.edit("a", 0, 20).await?;
        let link = a.replica.sync(&url).await?;
        link.synced().await?;
        link.close().await;

        let b = Device::<S, N, K>::open(&on_b, &net).await?;
        let link = b.replica.sync(&url).await?;
        link.synced().await?;
        same(&a, &b)?;
        b.replica.close().await;
        drop(link);

        let b = Device::<S, N, K>::open(&on_b, &net).await?;
        same(&a, &b)?;
        a.replica.close().await;
        b.replica.close().await;
        relay.close().await;
        Ok(())
    })
    .await
}

/// Two devices in sync lose the relay, edit the same places, get it back, and
/// hold the same again.
///
/// # Errors
/// What did not go as it should.
pub async fn partition_heals<S: Store, N: Net, K: Type>() -> Outcome {
    bounded(async {
        let (net, on_a, on_b) = (N::fresh(), S::fresh(), S::fresh());
        let on_relay = S::fresh();
        let relay = Relay::open(on_relay.open()?).await?;
        let url = relay.listen(net.transport(), N::ANY).await?.to_string();
        let a = Device::<S, N, K>::open(&on_a, &net).await?;
        let b = Device::<S, N, K>::open(&on_b, &net).await?;
        a.edit("a", 0, 5).await?;
        let (link_a, link_b) = (a.replica.sync(&url).await?, b.replica.sync(&url).await?);
        link_a.synced().await?;
        link_b.synced().await?;
        same(&a, &b)?;

        relay.close().await;
        a.edit("a", 5, 15).await?;
        b.edit("b", 0, 15).await?;

        let relay = Relay::open(on_relay.open()?).await?;
        relay.listen(net.transport(), &url).await?;
        link_a.synced().await?;
        link_b.synced().await?;
        link_a.synced().await?;
        same(&a, &b)?;
        a.replica.close().await;
        b.replica.close().await;
        relay.close().await;
        Ok(())
    })
    .await
}
