//! A relay: keeps what devices send it, and serves it to devices that come later.
//!
//! It promises that what it has acknowledged is on its disk, also after `kill -9`.
//! It never looks into the data, so it needs no types and serves every app.

use clap::Parser;
use repliq::prelude::*;
use std::{error::Error, io::Write, path::PathBuf, process::ExitCode};

/// Runs a Repliq relay until Ctrl-C.
#[derive(Parser)]
struct Options {
    /// Where to listen: ws://, wss:// or quic://, several times for several places; port 0 picks a free one
    #[arg(long, default_value = "ws://127.0.0.1:8080")]
    listen: Vec<String>,
    /// Where the certificate for wss:// and quic:// is kept; it is made the first time
    #[arg(long, default_value = "./relay-certificate")]
    self_signed: PathBuf,
    /// The directory the relay keeps its data in
    #[arg(long, default_value = "./relay-data")]
    data: PathBuf,
}

async fn serve(options: Options) -> Result<(), Box<dyn Error>> {
    let stop = stop_signal()?;
    let relay = Relay::open(SledBackend::open(&options.data)?).await?;
    for url in &options.listen {
        let certificate = || TlsConfig::new().self_signed_in(&options.self_signed);
        let endpoint = match url.split_once(':') {
            Some(("quic", _)) => relay.listen(Quic::new(certificate()?), url).await?,
            Some(("wss", _)) => relay.listen(WebSocket::new().tls(certificate()?), url).await?,
            _ => relay.listen(WebSocket::new(), url).await?,
        };
        writeln!(std::io::stdout(), "Relay at {endpoint}, data in {}", options.data.display())?;
    }
    let ended = tokio::select! {
        () = stop => Ok(()),
        why = relay.failed() => Err(why.into()),
    };
    relay.close().await;
    ended
}

#[tokio::main]
async fn main() -> ExitCode {
    match serve(Options::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "relay: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Completes on Ctrl-C, and when the system asks the process to end. Listens for
/// both from the moment it is called.
#[cfg(unix)]
fn stop_signal() -> std::io::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let (mut interrupt, mut terminate) =
        (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    Ok(async move {
        tokio::select! { _ = interrupt.recv() => {} _ = terminate.recv() => {} }
    })
}

#[cfg(not(unix))]
fn stop_signal() -> std::io::Result<impl Future<Output = ()>> {
    Ok(async { drop(tokio::signal::ctrl_c().await) })
}
