//! A program under test: started, listened to, signalled, killed.
//!
//! Every wait is bounded, and what is still running at the end of a test is killed.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread::{JoinHandle, spawn};
use std::time::{Duration, Instant};

/// How long anything may take on a loaded machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

/// A running program.
pub(crate) struct Process {
    child: Child,
    lines: Receiver<String>,
    said: Vec<String>,
    errors: Option<JoinHandle<String>>,
}

/// A program that has ended.
#[derive(Debug)]
pub(crate) struct Ended {
    /// The exit status; none if a signal ended it.
    pub(crate) code: Option<i32>,
    pub(crate) output: String,
    pub(crate) errors: String,
}

impl Process {
    pub(crate) fn start(command: &mut Command) -> Self {
        let pipes = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = pipes.spawn().unwrap();
        let (output, mut stderr) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
        let (line, lines) = channel();
        spawn(move || {
            for text in BufReader::new(output).lines() {
                let _ = line.send(text.unwrap());
            }
        });
        let errors = spawn(move || {
            let mut text = String::new();
            stderr.read_to_string(&mut text).unwrap();
            text
        });
        Self { child, lines, said: Vec::new(), errors: Some(errors) }
    }

    /// The next line of the output that holds this text.
    pub(crate) fn line_with(&mut self, text: &str) -> String {
        while let Ok(line) = self.lines.recv_timeout(PATIENCE) {
            self.said.push(line.clone());
            if line.contains(text) {
                return line;
            }
        }
        panic!("no line with {text:?}, but {:#?}", self.said);
    }

    /// The next endpoint of this scheme that a relay says it listens at.
    pub(crate) fn endpoint(&mut self, scheme: &str) -> String {
        let at = format!(" {scheme}://");
        let line = self.line_with(&at);
        let from = line.find(&at).unwrap() + 1;
        line[from..].split([' ', ',']).next().unwrap().to_owned()
    }

    /// A relay where one was, once it listens. Somebody else may have got its port
    /// meanwhile, and gives it back soon.
    pub(crate) fn start_again(mut relay: impl FnMut() -> Command, url: &str) -> Self {
        let begun = Instant::now();
        loop {
            let again = Self::start(&mut relay());
            match again.lines.recv_timeout(PATIENCE) {
                Ok(line) => {
                    assert!(line.contains(url), "{line}");
                    return again;
                }
                Err(_) => {
                    let complaint = again.ended().complaint();
                    let taken = complaint.contains("another port") && begun.elapsed() < PATIENCE;
                    assert!(taken, "{complaint}");
                }
            }
        }
    }

    /// Sends a signal, such as `"INT"`.
    pub(crate) fn signal(&self, name: &str) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-s", name, &id]).status().unwrap().success());
    }

    /// Waits until it has ended by itself.
    pub(crate) fn ended(mut self) -> Ended {
        loop {
            match self.lines.recv_timeout(PATIENCE) {
                Ok(line) => self.said.push(line),
                Err(std::sync::mpsc::RecvTimeoutError::Disconnected) => break,
                Err(_) => panic!("it does not end; it said {:#?}", self.said),
            }
        }
        let code = self.child.wait().unwrap().code();
        let errors = self.errors.take().unwrap().join().unwrap();
        let output = self.said.iter().map(|line| format!("{line}\n")).collect();
        Ended { code, output, errors }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Ended {
    /// What it said, if it went well.
    #[track_caller]
    pub(crate) fn went_well(self) -> String {
        assert_eq!(self.code, Some(0), "{self:?}");
        assert_eq!(self.errors, "", "{self:?}");
        self.output
    }

    /// The one line it complained with, if that is how it ended.
    #[track_caller]
    pub(crate) fn complaint(self) -> String {
        assert_eq!(self.code, Some(1), "{self:?}");
        assert_eq!(self.errors.lines().count(), 1, "{self:?}");
        self.errors
    }
}
