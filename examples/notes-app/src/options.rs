//! The command line: what can be asked for, and what the help says about it.

use clap::{ArgGroup, Parser, Subcommand};
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
        /// A line of text; titles may repeat
        #[arg(allow_hyphen_values = true)]
        title: String,
        /// The text of the note
        #[arg(allow_hyphen_values = true)]
        body: String,
        /// A tag, a word; may be given several times
        #[arg(long, value_parser = tag)]
        tag: Vec<String>,
    },
    /// Lists the notes, by title
    List {
        /// Only those with this tag; given several times, with all of them
        #[arg(long, value_parser = tag)]
        tag: Vec<String>,
    },
    /// Prints a note
    Show {
        /// The id of the note, or its first characters
        id: String,
    },
    /// Changes a note
    ///
    /// Only what is new in the body is written, word by word: what somebody else writes there at the same time stays.
    #[command(group = ArgGroup::new("changes").required(true).multiple(true).args(["title", "body", "tag", "untag"]))]
    Edit {
        /// The id of the note, or its first characters
        id: String,
        /// The new title
        #[arg(long, allow_hyphen_values = true)]
        title: Option<String>,
        /// The new body
        #[arg(long, allow_hyphen_values = true)]
        body: Option<String>,
        /// A tag to add; may be given several times
        #[arg(long, value_parser = tag)]
        tag: Vec<String>,
        /// A tag to take away; may be given several times
        #[arg(long, value_parser = tag, value_name = "TAG")]
        untag: Vec<String>,
    },
    /// Removes a note
    Remove {
        /// The id of the note, or its first characters
        id: String,
    },
    /// Lists the notes that hold a text in title, body or a tag, whatever its case
    Search {
        /// What to look for
        #[arg(allow_hyphen_values = true)]
        text: String,
    },
    /// Imports the Markdown files of a folder and of the folders in it
    ///
    /// Files that end in .md or .markdown become notes, byte for byte; they have to be UTF-8. Hidden files and symbolic
    /// links are left out. A file that was imported from the same folder before updates its note if the file has changed
    /// since, and is skipped if not. Ctrl-C stops after the batch under way; run the command again for the rest.
    Import {
        /// The folder to import
        dir: PathBuf,
    },
    /// Writes the notes to Markdown files
    ///
    /// An imported note gets the file name it came with, any other one a name made of its title.
    Export {
        /// The folder to write to; it is made if it is not there
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
        /// Where the relay is
        #[arg(long, default_value = "ws://127.0.0.1:8080")]
        url: String,
        /// How long to go on without a connection, in seconds
        #[arg(long, default_value = "10", value_name = "SECONDS", value_parser = seconds)]
        timeout: Duration,
    },
    /// Stays in sync and prints changes as they come, until Ctrl-C
    Watch {
        /// Where the relay is
        #[arg(long, default_value = "ws://127.0.0.1:8080")]
        url: String,
    },
    /// Shows two devices and a relay agree after everything went wrong
    ///
    /// Runs in a temporary directory with the Markdown files of DIR, or with a dozen notes of its own, and checks every
    /// outcome against the rules worked out by hand.
    Demo {
        /// A folder of Markdown files
        dir: Option<PathBuf>,
    },
}

fn tag(text: &str) -> Result<String, String> {
    let tag = text.strip_prefix('#').unwrap_or(text);
    let is_word = !tag.is_empty() && !tag.contains(|c: char| c.is_whitespace() || c.is_control());
    if is_word { Ok(tag.to_owned()) } else { Err("a tag is a word".to_owned()) }
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds = text.parse().map_err(|_| "give a number of seconds".to_owned())?;
    Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string())
}
