//! What the command line asks for.

use super::row::Effort;
use std::time::Duration;

/// What to measure, and how.
pub(crate) struct Arguments {
    /// Parts of the names of the rows to measure; none for all.
    rows: Vec<String>,
    /// The names of those who take part; none for all.
    peers: Vec<String>,
    pub(crate) effort: Effort,
    /// Whether everybody works in a process of its own.
    pub(crate) alone: bool,
    /// Whether this is such a process: it prints samples and no table.
    pub(crate) child: bool,
}

impl Arguments {
    /// Reads the command line.
    ///
    /// # Panics
    /// At an option that there is not.
    pub(crate) fn read() -> Self {
        let mut read = Self {
            rows: Vec::new(),
            peers: Vec::new(),
            effort: Effort { rounds: 9, patience: Duration::from_secs(5) },
            alone: false,
            child: false,
        };
        for argument in std::env::args().skip(1) {
            match argument.as_str() {
                // Cargo says this to every benchmark.
                "--bench" => {}
                "--quick" => read.effort = Effort { rounds: 3, patience: Duration::from_secs(1) },
                "--alone" => read.alone = true,
                "--child" => read.child = true,
                other => match other.strip_prefix("--peers=") {
                    Some(names) => read.peers.extend(names.split(',').map(str::to_owned)),
                    None if other.starts_with('-') => panic!("{other} is no option; {USAGE}"),
                    None => read.rows.push(argument),
                },
            }
        }
        read
    }

    pub(crate) fn wants_row(&self, name: &str) -> bool {
        let matches = |part: &String| if self.child { name == part } else { name.contains(part) };
        self.rows.is_empty() || self.rows.iter().any(matches)
    }

    pub(crate) fn wants_peer(&self, name: &str) -> bool {
        self.peers.is_empty() || self.peers.iter().any(|peer| peer == name)
    }

    /// The options that are passed on to a process of its own.
    pub(crate) fn passed_on(&self) -> Option<&'static str> {
        (self.effort.rounds < 9).then_some("--quick")
    }
}

const USAGE: &str = "there are --quick, --alone, --peers=NAME,NAME and parts of the names of rows";
