//! Notes that are kept on the device, work offline, and sync through a relay.
//!
//! A note is a struct of CRDTs in a `CrdtMap` keyed by UUID; everything else here is
//! an ordinary command-line program. It promises that what a command reports is
//! durable, and that a command that fails says in one line what to do.

mod check;
mod commands;
mod demo;
mod error;
mod export;
mod folder;
mod import;
mod note;
mod notebook;
mod options;
mod server;
mod signal;
mod sync;

use clap::Parser;
use error::AppError;
use std::io::{ErrorKind, Write};
use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    match Box::pin(commands::run(options::Options::parse())).await {
        Ok(()) => ExitCode::SUCCESS,
        // Whoever read our output has seen enough: `notes-app list | head`.
        Err(AppError::Io(error)) if error.kind() == ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "notes-app: {error}");
            match error {
                AppError::Interrupted { .. } => ExitCode::from(130),
                _ => ExitCode::FAILURE,
            }
        }
    }
}
