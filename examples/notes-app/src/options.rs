//! The command line: what can be asked for, and what the help says about it.

use clap::{Parser, Subcommand};
use std::path::PathBuf;
use std::time::Duration;

/// Notes that work offline and sync
///
/// Notes have ids; wherever an ID is asked for, its first characters do, as long as no other note's id starts with them.
#[derive(Parser)]
#[command(version)]
pub(crate) struct Options {
    /// Where this device keeps its data; one process at a time uses it
    #[arg(long, global = true, value_name = "DIR", default_value = "./data")]
    pub(crate) data_dir: PathBuf,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Adds a note and prints its id
    Add {
        #[arg(allow_hyphen_values = true)]
        title: String,
        #[arg(allow_hyphen_values = true)]
        body: String,
    },
    /// Lists the notes, by title
    List,
    /// Prints a note
    Show { id: String },
    /// Changes a note
    Edit {
        id: String,
        /// The new title
        #[arg(long, allow_hyphen_values = true, required_unless_present = "body")]
        title: Option<String>,
        /// The new body
        #[arg(long, allow_hyphen_values = true)]
        body: Option<String>,
    },
    /// Removes a note
    Remove { id: String },
    /// Lists the notes that hold a text in title or body, whatever its case
    Search {
        #[arg(allow_hyphen_values = true)]
        text: String,
    },
    /// Imports the Markdown files of a folder and of the folders in it
    ///
    /// Files that end in .md or .markdown become notes, byte for byte; they have to be UTF-8. Hidden files and symbolic
    /// links are left out. A file that was imported from the same folder before updates its note if the file has changed
    /// since, and is skipped if not. Ctrl-C stops after the batch under way; run the command again for the rest.
    Import { dir: PathBuf },
    /// Writes the notes to Markdown files
    ///
    /// An imported note gets the file name it came with, any other one a name made of its title.
    Export {
        dir: PathBuf,
        /// Replaces files that are there already with other contents
        #[arg(long)]
        overwrite: bool,
    },
    /// Runs a relay that devices sync through, until Ctrl-C
    ///
    /// It first puts the notes of this data directory on the relay. Other commands can use the directory while the relay
    /// runs.
    Server {
        /// Where to listen; port 0 picks a free port
        #[arg(long, default_value = "127.0.0.1:8080")]
        addr: String,
    },
    /// Syncs once: returns when this device and the relay hold the same
    Sync {
        #[arg(long, default_value = "ws://127.0.0.1:8080")]
        url: String,
        /// How long to go on without a connection, in seconds
        #[arg(long, default_value = "10", value_name = "SECONDS", value_parser = seconds)]
        timeout: Duration,
    },
    /// Stays in sync and prints changes as they come, until Ctrl-C
    Watch {
        #[arg(long, default_value = "ws://127.0.0.1:8080")]
        url: String,
    },
    /// Shows two devices and a relay agree after everything went wrong
    ///
    /// Runs in a temporary directory with the Markdown files of DIR, or with a dozen notes of its own, and checks every
    /// outcome against the last-write-wins rule worked out by hand.
    Demo { dir: Option<PathBuf> },
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds = text.parse().map_err(|_| "give a number of seconds".to_owned())?;
    Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string())
}
