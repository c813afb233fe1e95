//! One leaderboard on two devices, over a relay, with its events.

use custom_crdt::{Leaderboard, LeaderboardMut};
use repliq::prelude::*;
use std::error::Error;

type Board = Leaderboard<3>;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let directory = tempfile::tempdir()?;
    let relay = Relay::open(SledBackend::open(directory.path().join("relay"))?).await?;
    let url = relay.listen(WebSocket::default(), "ws://127.0.0.1:0").await?.to_string();
    let hall = Replica::open(directory.path().join("hall")).await?;
    let home = Replica::open(directory.path().join("home")).await?;
    let on_wall: Document<Board> = hall.document("scores").await?;
    let at_home: Document<Board> = home.document("scores").await?;
    let mut events = on_wall.subscribe();

    for (player, score) in [("ada", 90), ("bob", 40), ("cy", 70)] {
        on_wall.update(move |board| board.submit(player, score)).await??;
    }
    at_home.update(|board| board.submit("dee", 80)).await??;
    at_home.update(|board| board.disqualify("cy")).await??;

    let (from_hall, from_home) = (hall.sync(&url).await?, home.sync(&url).await?);
    from_hall.synced().await?;
    from_home.synced().await?;
    from_hall.synced().await?;
    println!("on the wall it was told: {:?}", events.next().await);
    for (name, board) in [("on the wall", &on_wall), ("at home", &at_home)] {
        let lines: Vec<_> = board.read(|board| board.standings().collect())?;
        println!("{name}:");
        for (place, line) in lines.iter().enumerate() {
            println!("  {}. {} {}", place + 1, line.player, line.score);
        }
        let players: Vec<_> = lines.iter().map(|line| line.player.as_str()).collect();
        if players != ["ada", "dee", "bob"] {
            return Err(format!("{name} it should be ada, dee, bob").into());
        }
    }
    hall.close().await;
    home.close().await;
    relay.close().await;
    Ok(())
}
