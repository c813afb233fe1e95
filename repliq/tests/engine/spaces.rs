//! Spaces are kept, opened and synced apart, and a URL names one over there.

use crate::support::*;
use repliq::prelude::*;
use repliq::{Client, Message, Refusal, SyncError};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn documents_of_one_name_in_two_spaces_have_nothing_to_do_with_each_other() {
    let backend = Faulty::new();
    let device = alone(&backend).await;
    let here: Document<Notes> = device.document("one").await.unwrap();
    let team: Document<Tags> = device.space("team").document("one").await.unwrap();
    set(&here, "a", "1").await;
    team.update(|t| t.add("tag".into())).await.unwrap();
    assert_eq!(device.space("team").name(), "team");
    let default: Document<Notes> = device.space("default").document("one").await.unwrap();
    assert_eq!(view(&default), pairs(&[("a", "1")]));
    device.close().await;
    let device = alone(&backend).await;
    let team: Document<Tags> = device.space("team").document("one").await.unwrap();
    assert!(team.read(|t| t.contains("tag")).unwrap());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_path_of_a_url_names_the_space_over_there_and_spaces_never_mix() {
    let network = MemoryTransport::new();
    let (_relay, url) = relay(&network).await;
    let (here, there) = (on(&Faulty::new(), &network).await, on(&Faulty::new(), &network).await);
    set(&notes(&here, "private").await, "a", "of the default space").await;
    let team: Document<Notes> = here.space("team").document("shared").await.unwrap();
    set(&team, "b", "of the team").await;

    let link = here.space("team").sync(&format!("{url}/team")).await.unwrap();
    within(link.synced()).await.unwrap();
    // A client sees what a space of the relay holds.
    assert_eq!(documents(&network, &format!("{url}/team")).await, ["shared"]);
    assert_eq!(documents(&network, &url).await, Vec::<String>::new());

    // The default space here, another one over there.
    let link_there = there.sync(&format!("{url}/team")).await.unwrap();
    within(link_there.synced()).await.unwrap();
    let shared = notes(&there, "shared").await;
    assert_eq!(view(&shared), pairs(&[("b", "of the team")]));
    set(&shared, "c", "back").await;
    within(link_there.synced()).await.unwrap();
    within(link.synced()).await.unwrap();
    assert_eq!(view(&team), view(&shared));
    assert!(view(&notes(&here, "shared").await).is_empty());

    // The default space over there, a percent-encoded name, and a restart.
    let other = here.space("team").sync(&format!("{url}/caf%C3%A9")).await.unwrap();
    within(other.synced()).await.unwrap();
    assert_eq!(documents(&network, &format!("{url}/caf%C3%A9")).await, ["shared"]);
    let plain = here.sync(&url).await.unwrap();
    within(plain.synced()).await.unwrap();
    assert_eq!(documents(&network, &url).await, ["private"]);
    drop(link_there);
    let again = there.sync(&format!("{url}/team")).await.unwrap();
    within(again.synced()).await.unwrap();
    assert_eq!(view(&notes(&there, "private").await), pairs(&[]));
}

/// Changes are named by replica, document and number: two spaces of a device
/// poured into one are two histories under one name.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_spaces_here_poured_into_one_over_there_is_a_typed_refusal() {
    let network = MemoryTransport::new();
    let (_relay, url) = relay(&network).await;
    let device = on(&Faulty::new(), &network).await;
    let (one, two) = (device.space("one"), device.space("two"));
    set(&one.document("a").await.unwrap(), "a", "1").await;
    set(&two.document("b").await.unwrap(), "b", "2").await;
    let link = one.sync(&format!("{url}/all")).await.unwrap();
    within(link.synced()).await.unwrap();
    within(link.close()).await;
    let link = two.sync(&format!("{url}/all")).await.unwrap();
    match within(link.synced()).await {
        Err(SyncError::Refused { first, .. }) => assert_eq!(first.why, Refusal::Fork),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_url_whose_path_names_no_space_is_a_typed_error_at_once() {
    let network = MemoryTransport::new();
    let device = on(&Faulty::new(), &network).await;
    for url in [
        "memory://relay/%ff".to_owned(),
        "memory://relay/%2".into(),
        format!("memory://relay/{}", "x".repeat(256)),
    ] {
        let error = device.sync(&url).await.unwrap_err();
        assert!(matches!(error, repliq::Error::Transport(_) | repliq::Error::Name(_)), "{error:?}");
    }
}

/// The names of the documents that a client is told of.
async fn documents(network: &MemoryTransport, url: &str) -> Vec<String> {
    let mut client = Client::with_transport(ReplicaId::new(), network.clone());
    client.connect(url).await.unwrap();
    let mut names = Vec::new();
    let (live, is_live) = std::sync::mpsc::channel();
    let running = client.run(|message| match message {
        Message::Sync(sync) => names.push(sync.document.to_string()),
        Message::Live => drop(live.send(())),
        _ => {}
    });
    within(async {
        let ticking = async {
            while is_live.try_recv().is_err() {
                tokio::time::sleep(std::time::Duration::from_millis(1)).await;
            }
        };
        tokio::select! {
            ended = running => ended.unwrap(),
            () = ticking => {}
        }
    })
    .await;
    names.sort();
    names.dedup();
    names
}
