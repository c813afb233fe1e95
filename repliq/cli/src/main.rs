//! The command-line tool of Repliq.
//!
//! Each command is a module with its options and one function. A command that
//! fails prints one line that says what to do, and ends with exit status 1; it
//! never prints a backtrace for something the user can put right.

mod places;
mod serve;
mod signal;

use clap::{Parser, Subcommand};
use std::io::Write;
use std::process::ExitCode;

/// The command-line tool of Repliq, the local-first sync engine.
#[derive(Parser)]
#[command(name = "repliq", version, propagate_version = true)]
struct Options {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Serve(serve::Options),
}

#[tokio::main]
async fn main() -> ExitCode {
    let result = match Options::parse().command {
        Command::Serve(options) => serve::run(options).await,
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "repliq: {error}");
            ExitCode::FAILURE
        }
    }
}
