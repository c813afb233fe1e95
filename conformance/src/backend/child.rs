//! The other processes of a case: one that writes batch after batch and says
//! which were committed, and one that opens what is left and says what it finds.
//! A child that panics, aborts or hangs breaks its case and nothing else; none
//! outlives its case.

use super::expect::{all, check, expect_pairs, expect_value};
use super::numbered::{batch, large_batch, large_batch_in, last_batch, state_after};
use crate::{CaseResult, Failure};
use repliq_core::{StorageBackend, StorageError};
use std::env;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// What a line that acknowledges a batch begins with.
const ACK: &str = "repliq committed ";
/// What a line begins with that says that a batch is about to be committed.
const BEGUN: &str = "repliq commits ";
/// What the line of a child that looks begins with.
const FOUND: &str = "repliq found ";
const WHOLE: &str = "whole";
/// Tells a child its errand.
const ERRAND: &str = "REPLIQ_CONFORMANCE_CHILD";
const LOOK: &str = "look";
const LARGE: &str = "large";
/// How long a child may take to commit one batch, or to look.
const PATIENCE: Duration = Duration::from_secs(60);
/// How much of what a child says about its end is shown.
const LAST_WORDS: usize = 800;

/// What a process started by [`BackendHarness::child`](super::BackendHarness::child)
/// or [`child_in`](super::BackendHarness::child_in) does. Usually it commits
/// batches until it is killed, and writes a line to the standard output for each;
/// it ends by itself when nobody reads that output any more. After a power cut it
/// looks at what is left instead, says what it found, and commits one batch more.
///
/// # Errors
/// The first error of the backend.
pub fn sigkill_child(store: &impl StorageBackend) -> Result<(), StorageError> {
    match env::var(ERRAND).as_deref() {
        Ok(LOOK) => say_what_is_found(store),
        Ok(LARGE) => write_large_batches(store),
        Ok(most) => write_batches(store, most.parse().unwrap_or(u64::MAX)),
        Err(_) => write_batches(store, u64::MAX),
    }
}

fn write_batches(store: &impl StorageBackend, most: u64) -> Result<(), StorageError> {
    let last = last_batch(&store.scan(b"slot", None, 1)?);
    for number in last + 1..=last.saturating_add(most) {
        store.commit(batch(number))?;
        if say(&format!("{ACK}{number}")).is_err() {
            break;
        }
    }
    Ok(())
}

/// Says before each batch that it is about to come, so that it can be killed on the
/// way.
fn write_large_batches(store: &impl StorageBackend) -> Result<(), StorageError> {
    let last = large_batch_in(&all(store)?).unwrap_or_default();
    for number in last + 1.. {
        let batch = large_batch(number);
        if say(&format!("{BEGUN}{number}")).is_err() {
            break;
        }
        store.commit(batch)?;
        if say(&format!("{ACK}{number}")).is_err() {
            break;
        }
    }
    Ok(())
}

fn say_what_is_found(store: &impl StorageBackend) -> Result<(), StorageError> {
    let pairs = all(store)?;
    let found = last_batch(&pairs);
    let verdict = match goes_on_after(store, found) {
        Ok(()) => WHOLE.to_owned(),
        Err(Failure::Broken(why) | Failure::Skipped(why)) => why.replace('\n', " "),
    };
    let _ = say(&format!("{FOUND}{found} {verdict}"));
    Ok(())
}

/// Expects exactly the state after a batch, by both ways of reading, and that the
/// store takes the next one.
fn goes_on_after(store: &impl StorageBackend, number: u64) -> CaseResult {
    let expected = state_after(number);
    expect_pairs(&format!("after batch {number}"), &all(store)?, &expected)?;
    for (key, value) in &expected {
        expect_value(store, key, Some(value))?;
    }
    store.commit(batch(number + 1))?;
    let what = format!("after one batch more than {number}");
    expect_pairs(&what, &all(store)?, &state_after(number + 1))
}

/// Not `println!`: a test runner captures that. The empty line before it ends
/// what the test runner has begun.
fn say(line: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(format!("\n{line}\n").as_bytes())?;
    out.flush()
}

/// The batch that a line of a child acknowledges.
pub(crate) fn acknowledged(line: &str) -> Option<u64> {
    line.strip_prefix(ACK)?.parse().ok()
}

/// Expects a child to go on after the batch that was the last: one that begins
/// anew or repeats a batch has lost it since.
pub(crate) fn goes_on(last: u64, acked: u64) -> CaseResult {
    let lost = || format!("batch {last} was the last, and the store went on with batch {acked}");
    check(acked == last + 1, lost)
}

/// Has a child write large batches.
pub(crate) fn write_large(command: &mut Command) {
    command.env(ERRAND, LARGE);
}

/// Has a child write at most so many batches.
pub(crate) fn write_at_most(command: &mut Command, batches: u64) {
    command.env(ERRAND, batches.to_string());
}

/// A child that does not outlive the case.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What a child says of a batch.
enum Said {
    Begun(u64),
    Committed(u64),
}

fn said(line: &str) -> Option<Said> {
    let begun = || Some(Said::Begun(line.strip_prefix(BEGUN)?.parse().ok()?));
    acknowledged(line).map(Said::Committed).or_else(begun)
}

/// A child that writes.
pub(crate) struct Writer {
    child: Killed,
    told: Receiver<Said>,
    reader: JoinHandle<()>,
    acked: u64,
}

impl Writer {
    /// Starts a child on a store of which this batch is the last.
    pub(crate) fn start(mut command: Command, last: u64) -> Result<Self, Failure> {
        let spawned = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
        let mut child = Killed(spawned);
        let Some(output) = child.0.stdout.take() else {
            return Err(Failure::Broken("the child has no standard output".to_owned()));
        };
        let (tell, told) = mpsc::sync_channel(64);
        let reader = thread::spawn(move || {
            let lines = BufReader::new(output).lines().map_while(Result::ok);
            let mut lines = lines.filter_map(|line| said(&line));
            let _ = lines.try_for_each(|said| tell.send(said));
        });
        Ok(Self { child, told, reader, acked: last })
    }

    /// Takes in what the child says next; gives the batch that it begins, if it
    /// begins one.
    fn hear(&mut self) -> Result<Option<u64>, Failure> {
        let said = self.told.recv_timeout(PATIENCE).map_err(|_| {
            let acked = self.acked;
            Failure::Broken(format!("the child stopped after batch {acked}: see its output"))
        })?;
        match said {
            Said::Begun(number) => Ok(Some(number)),
            Said::Committed(number) => {
                goes_on(self.acked, number)?;
                self.acked = number;
                Ok(None)
            }
        }
    }

    /// Waits until this batch is acknowledged.
    pub(crate) fn await_batch(&mut self, number: u64) -> CaseResult {
        while self.acked < number {
            self.hear()?;
        }
        Ok(())
    }

    /// Waits until a large batch is about to be committed.
    pub(crate) fn await_begin_of(&mut self, number: u64) -> CaseResult {
        while self.hear()? != Some(number) {}
        Ok(())
    }

    /// The last batch that it acknowledged, as far as is known now.
    pub(crate) fn acked(&mut self) -> u64 {
        self.acked = self.told.try_iter().filter_map(committed).last().unwrap_or(self.acked);
        self.acked
    }

    /// Kills the child; gives the last batch that it acknowledged.
    pub(crate) fn kill(self) -> u64 {
        drop(self.child);
        let last = self.told.iter().filter_map(committed).last().unwrap_or(self.acked);
        let _ = self.reader.join();
        last
    }
}

fn committed(said: Said) -> Option<u64> {
    match said {
        Said::Committed(number) => Some(number),
        Said::Begun(_) => None,
    }
}

/// What a child found that looked at a store.
pub(crate) struct Found {
    /// The last batch it saw anything of.
    pub(crate) batch: u64,
    /// Why the store is not exactly in the state after that batch, or does not go
    /// on from it.
    pub(crate) torn: Option<String>,
}

impl Found {
    /// What the store holds after the child committed one batch more.
    pub(crate) fn then(&self) -> u64 {
        if self.torn.is_none() { self.batch + 1 } else { self.batch }
    }
}

/// Has a child open a store and look.
pub(crate) fn look(mut command: Command) -> Result<Found, Failure> {
    command.env(ERRAND, LOOK).stdin(Stdio::null());
    let mut child = Killed(command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?);
    let (Some(output), Some(errors)) = (child.0.stdout.take(), child.0.stderr.take()) else {
        return Err(Failure::Broken("the child has no output".to_owned()));
    };
    let errors = thread::spawn(|| text_of(errors));
    let (tell, told) = mpsc::sync_channel(1);
    let reader = thread::spawn(move || tell.send(text_of(output)));
    let Ok(output) = told.recv_timeout(PATIENCE) else {
        let seconds = PATIENCE.as_secs();
        return Err(Failure::Broken(format!("the store does not open in {seconds} seconds")));
    };
    let ended = child.0.wait()?;
    let _ = reader.join();
    let errors = errors.join().unwrap_or_default();
    let found = output.lines().rev().find_map(found);
    let went = if found.is_some() { "close after" } else { "open for" };
    // A test runner says in the standard output what a test said before it failed.
    let said = || format!("{} {}", last_words(&output), last_words(&errors));
    check(ended.success(), || format!("the store does not {went} a look, {ended}: {}", said()))?;
    found.ok_or_else(|| Failure::Broken(format!("the child found nothing: {}", said())))
}

fn found(line: &str) -> Option<Found> {
    let (batch, verdict) = line.strip_prefix(FOUND)?.split_once(' ')?;
    let torn = (verdict != WHOLE).then(|| verdict.to_owned());
    Some(Found { batch: batch.parse().ok()?, torn })
}

fn text_of(mut output: impl Read) -> String {
    let mut bytes = Vec::new();
    let _ = output.read_to_end(&mut bytes);
    String::from_utf8_lossy(&bytes).into_owned()
}

fn last_words(said: &str) -> &str {
    let start = said.floor_char_boundary(said.len().saturating_sub(LAST_WORDS));
    said.get(start..).unwrap_or_default().trim()
}
