//! What the suite cannot know of sockets that are files: what is left of a killed
//! process, paths that cannot be, strangers at the other end.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use custom_transport::UnixSocket;
use repliq_core::{Endpoint, FrameReceiver, Listener, Transport, TransportErrorKind as Kind};
use std::fs;
use std::io::Write;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use tempfile::tempdir;

fn at(path: &Path) -> Endpoint {
    format!("unix://{}", path.display()).parse().unwrap()
}

async fn refusal(path: &Path) -> Kind {
    UnixSocket.listen(&at(path)).await.map(drop).unwrap_err().kind
}

#[tokio::test]
async fn a_socket_left_by_a_killed_process_is_no_hindrance() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("relay.sock");
    drop(UnixListener::bind(&path).unwrap());
    assert!(path.exists());
    let nobody = UnixSocket.connect(&at(&path)).await.map(drop).unwrap_err();
    assert_eq!(nobody.kind, Kind::Unreachable);

    let mut listener = UnixSocket.listen(&at(&path)).await.unwrap();
    let _connected = UnixSocket.connect(&at(&path)).await.unwrap();
    let _accepted = listener.accept().await.unwrap();
    listener.close().await.unwrap();
    let left = fs::read_dir(directory.path()).unwrap().count();
    assert_eq!(left, 0, "a closed listener left a file");
}

#[tokio::test]
async fn nothing_but_a_stale_socket_is_removed() {
    let directory = tempdir().unwrap();
    let notes = directory.path().join("notes.txt");
    fs::write(&notes, "mine").unwrap();
    assert_eq!(refusal(&notes).await, Kind::InUse);
    assert_eq!(fs::read_to_string(&notes).unwrap(), "mine");

    let theirs = directory.path().join("theirs.sock");
    let _listener = UnixListener::bind(&theirs).unwrap();
    assert_eq!(refusal(&theirs).await, Kind::InUse);
    UnixStream::connect(&theirs).unwrap();
}

#[tokio::test]
async fn a_path_that_no_socket_can_have_is_a_wrong_endpoint() {
    let directory = tempdir().unwrap();
    let long = directory.path().join("x".repeat(120));
    assert_eq!(refusal(&long).await, Kind::Endpoint);
    let connected = UnixSocket.connect(&at(&long)).await.map(drop).unwrap_err();
    assert_eq!(connected.kind, Kind::Endpoint);
    // Told when a device asks to sync, not when it waits for that.
    assert_eq!(UnixSocket.check(&at(&long)).unwrap_err().kind, Kind::Endpoint);
    assert_eq!(refusal(&directory.path().join("no/such/place.sock")).await, Kind::Endpoint);
    for url in ["unix://", "unix://host/relay.sock"] {
        let error = UnixSocket.connect(&url.parse().unwrap()).await.map(drop).unwrap_err();
        assert_eq!(error.kind, Kind::Endpoint);
        assert!(error.to_string().contains("unix:///run/repliq.sock"), "{error}");
    }
}

#[tokio::test]
async fn a_space_in_a_path_is_written_as_in_any_url() {
    let directory = tempdir().unwrap();
    let url = format!("unix://{}/my%20relay.sock?space=team", directory.path().display());
    let listener = UnixSocket.listen(&url.parse().unwrap()).await.unwrap();
    assert!(directory.path().join("my relay.sock").exists());
    assert_eq!(listener.local_endpoint().as_str(), url);
}

/// What a peer that speaks by hand is told as.
async fn told(wire: &[u8]) -> Vec<Result<Option<usize>, Kind>> {
    let directory = tempdir().unwrap();
    let path = directory.path().join("relay.sock");
    let mut listener = UnixSocket.listen(&at(&path)).await.unwrap();
    let mut peer = UnixStream::connect(&path).unwrap();
    peer.write_all(wire).unwrap();
    drop(peer);
    let mut connection = listener.accept().await.unwrap();
    let mut told = Vec::new();
    for _ in 0..3 {
        let got = connection.receiver.recv().await;
        told.push(got.map(|frame| frame.map(|it| it.len())).map_err(|error| error.kind));
    }
    told
}

fn wire(parts: &[&[u8]]) -> Vec<u8> {
    [&[b"repliq\0\x01".as_slice()], parts].concat().concat()
}

#[tokio::test]
async fn what_peers_write_by_hand_is_told_as_what_it_is() {
    let whole = wire(&[&[2, 0, 0, 0], b"hi", &[0xff; 4]]);
    assert_eq!(told(&whole).await, [Ok(Some(2)), Ok(None), Ok(None)]);
    let killed = wire(&[&[2, 0, 0, 0], b"hi"]);
    assert_eq!(told(&killed).await, [Ok(Some(2)), Err(Kind::Lost), Err(Kind::Lost)]);
    for torn in [&whole[..4], &whole[..8], &whole[..10], &whole[..13], &whole[..16]] {
        assert!(told(torn).await.contains(&Err(Kind::Lost)), "{torn:?}");
        assert!(!told(torn).await.contains(&Ok(None)), "{torn:?}");
    }
    let oversized = wire(&[&(1_u32 << 20 | 1).to_le_bytes(), b"hi"]);
    assert_eq!(told(&oversized).await, [Err(Kind::TooLarge); 3]);
    assert_eq!(told(b"GET / HTTP/1.1\r\n\r\n").await, [Err(Kind::Protocol); 3]);
    assert_eq!(told(b"repliq\0\x02more").await, [Err(Kind::Protocol); 3]);
}
