//! A network between two ends, which does what networks do.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;
use tokio::net::UdpSocket;
use tokio::sync::Notify;
use tokio::time::sleep;

/// When a late packet comes if nothing overtakes it. Without this a packet at the end
/// of a flight is late by as much as its sender waits before it says something else,
/// which then waits longer each time.
const LATE: Duration = Duration::from_millis(5);

#[derive(Default)]
pub(crate) struct Weather {
    /// Nothing passes.
    pub(crate) cut: AtomicBool,
    /// One of so many packets is lost, another one late; 0 for none.
    pub(crate) spoils: AtomicU32,
    /// The next packet comes from another address.
    pub(crate) moves: Notify,
}

/// Passes packets between one client and a server; gives where the client finds it.
pub(crate) async fn proxy(server: SocketAddr, weather: Arc<Weather>) -> SocketAddr {
    let inside = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let at = inside.local_addr().unwrap();
    tokio::spawn(async move {
        let mut outside = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let mut client = None;
        let (mut up, mut down) = (vec![0; 65_536], vec![0; 65_536]);
        let (mut count, mut late) = (0_u32, None);
        loop {
            let (packet, to) = tokio::select! {
                () = weather.moves.notified() => {
                    outside = UdpSocket::bind("127.0.0.1:0").await.unwrap();
                    continue;
                }
                Ok((length, from)) = inside.recv_from(&mut up) => {
                    client = Some(from);
                    (up[..length].to_vec(), None)
                }
                Ok((length, _)) = outside.recv_from(&mut down) => (down[..length].to_vec(), client),
                () = sleep(LATE), if late.is_some() => {
                    pass(&inside, &outside, server, late.take()).await;
                    continue;
                }
            };
            if weather.cut.load(Ordering::SeqCst) {
                continue;
            }
            count += 1;
            let spoils = weather.spoils.load(Ordering::SeqCst);
            let mut passing: Vec<Packet> = vec![(packet, to)];
            if spoils > 0 && count % spoils == 0 {
                passing.clear();
            } else if spoils > 0 && count % spoils == 3 {
                late.replace(passing.remove(0)).into_iter().for_each(|one| passing.push(one));
            } else {
                passing.extend(late.take());
            }
            pass(&inside, &outside, server, passing).await;
        }
    });
    at
}

type Packet = (Vec<u8>, Option<SocketAddr>);

/// Passes packets on: to the client, where one is named, or to the server.
async fn pass(
    inside: &UdpSocket,
    outside: &UdpSocket,
    server: SocketAddr,
    packets: impl IntoIterator<Item = Packet>,
) {
    for (packet, to) in packets {
        let _ = match to {
            Some(client) => inside.send_to(&packet, client).await,
            None => outside.send_to(&packet, server).await,
        };
    }
}
