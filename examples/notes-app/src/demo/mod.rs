//! `demo`: two devices and a relay, and everything that goes wrong between them.
//!
//! It promises to succeed only if both devices hold the same in the end, and that
//! it is what the rules give by hand. It never touches anything
//! outside its temporary directory, which it removes when every check held.

mod by_hand;
mod device;
mod killed;
mod shipped;
mod table;
mod wire;

use crate::check;
use crate::commands::{count, progress_bar, say};
use crate::error::AppError;
use crate::import::import;
use by_hand::{ByHand, Edit};
use device::Device;
use indicatif::BinaryBytes;
use repliq::prelude::*;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::time::Duration;
use table::{Table, disk_bytes};
use tokio::time::timeout;
use wire::Wire;

/// How many notes the edits need, beside new ones.
const NEEDED: usize = 7;
/// How long anything may take that should take no time.
const PATIENCE: Duration = Duration::from_secs(120);

/// Runs the demo in a temporary directory, which stays if something is wrong.
pub(crate) async fn run(folder: Option<&Path>) -> Result<(), AppError> {
    let place = tempfile::Builder::new().prefix("repliq-demo-").tempdir()?;
    let told = Box::pin(tell(place.path(), folder)).await;
    told.map_err(|error| AppError::Demo { error: Box::new(error), place: place.keep() })
}

/// The demo as it goes on.
struct Demo {
    a: Device,
    b: Device,
    relay: Relay,
    relay_data: PathBuf,
    url: String,
    by_hand: ByHand,
    /// The note whose body both edit.
    one_body: String,
    table: Table,
}

async fn tell(place: &Path, folder: Option<&Path>) -> Result<(), AppError> {
    let own_notes = place.join("notes");
    let folder = match folder {
        Some(folder) => folder,
        None => {
            shipped::write_to(&own_notes)?;
            &own_notes
        }
    };
    let mut demo = Demo::start(place).await?;
    demo.import_into_a(folder).await?;
    demo.sync("A to the relay, the relay to B").await?;
    demo.edit_apart().await?;
    demo.stop_the_relay_mid_sync().await?;
    demo.sync("connected again, durable everywhere").await?;
    let demo = Box::pin(demo.kill_and_reopen()).await?;
    demo.sum_up(place).await
}

impl Demo {
    async fn start(place: &Path) -> Result<Self, AppError> {
        let (by_hand, mut table) = (ByHand::default(), Table::new());
        let relay_data = place.join("relay");
        let (relay, url) = open_relay(&relay_data, "ws://127.0.0.1:0").await?;
        let a = Device::open("A", place.join("A"), Wire::new()).await?;
        let b = Device::open("B", place.join("B"), Wire::new()).await?;
        say(&format!(
            "Device A  {}\nDevice B  {}\nRelay     {} at {url}\n",
            a.data_dir.display(),
            b.data_dir.display(),
            relay_data.display()
        ))?;
        table.end("stores opened, relay started", 0, 0);
        Ok(Self { a, b, relay, relay_data, url, by_hand, one_body: String::new(), table })
    }

    async fn import_into_a(&mut self, folder: &Path) -> Result<(), AppError> {
        let (a, bar) = (&self.a, progress_bar());
        let at = self.by_hand.next_time().await?;
        let imported = import(&a.book, folder, &AtomicBool::new(false), |done, total| {
            bar.set_length(total as u64);
            bar.set_position(done as u64);
            Ok(())
        })
        .await?;
        bar.finish_and_clear();
        if let Some(problem) = imported.problems.into_iter().next() {
            return Err(problem);
        }
        for (id, note) in a.book.all()? {
            self.by_hand.did(at, a.book.replica.id(), id, Edit::Made(note));
        }
        let mut changes = imported.changes;
        for number in imported.added..NEEDED {
            a.add(&format!("Filler {number}"), &mut self.by_hand).await?;
            changes += 1;
        }
        for id in a.book.all()?.keys().take(NEEDED) {
            a.tag(id, "todo", &mut self.by_hand).await?;
            changes += 1;
        }
        let files = count(imported.added, "Markdown file");
        self.end(format!("{files} imported into A"), changes)
    }

    /// Has both devices online until they hold the same, checks it, and takes them
    /// offline again. A device whose connection was lost connects by itself.
    async fn sync(&mut self, phase: &str) -> Result<(), AppError> {
        let Self { a, b, url, .. } = self;
        a.go_online(url).await?;
        b.go_online(url).await?;
        // What A gets from B has to be on the relay first, and the other way.
        a.synced(url).await?;
        b.synced(url).await?;
        a.synced(url).await?;
        a.go_offline().await;
        b.go_offline().await;
        self.by_hand.met();
        self.end(phase, 0)?;
        self.check(phase)
    }

    /// Edits on both devices while neither knows of the other.
    async fn edit_apart(&mut self) -> Result<(), AppError> {
        let (a, b, by_hand) = (&self.a, &self.b, &mut self.by_hand);
        let ids: Vec<String> = a.book.all()?.into_keys().take(NEEDED).collect();
        let [only_a, only_b, one_body, one_title, removed_first, removed_last, both_remove] =
            ids.as_slice()
        else {
            return Err(AppError::Check(format!("{NEEDED} notes are needed")));
        };
        // Different notes.
        a.edit(only_a, by_hand).await?;
        b.edit(only_b, by_hand).await?;
        // One body: both lines stay.
        a.edit(one_body, by_hand).await?;
        b.edit(one_body, by_hand).await?;
        self.one_body.clone_from(one_body);
        // One title: the later one stays.
        b.rename(one_title, by_hand).await?;
        a.rename(one_title, by_hand).await?;
        // Tags: what somebody adds stays, whoever removes it at the same time.
        a.tag(one_title, "home", by_hand).await?;
        b.tag(one_title, "work", by_hand).await?;
        a.tag(one_body, "todo", by_hand).await?;
        b.untag(one_body, "todo", by_hand).await?;
        b.untag(one_title, "todo", by_hand).await?;
        // An edit here, a removal there: the note stays.
        a.remove(removed_first, by_hand).await?;
        b.edit(removed_first, by_hand).await?;
        a.edit(removed_last, by_hand).await?;
        b.remove(removed_last, by_hand).await?;
        b.remove(both_remove, by_hand).await?;
        a.remove(both_remove, by_hand).await?;
        // New notes with one title.
        a.add("Shopping", by_hand).await?;
        b.add("Shopping", by_hand).await?;
        // A new note, edited on.
        let new = a.add("Only on A", by_hand).await?;
        a.edit(&new, by_hand).await?;
        self.end("edits on both, each offline", 21)
    }

    /// The relay stops when A has sent what it has, and B is about to. Both go on
    /// trying to connect.
    async fn stop_the_relay_mid_sync(&mut self) -> Result<(), AppError> {
        let Self { a, b, relay, url, .. } = self;
        b.wire.hold_after(1);
        a.go_online(url).await?;
        b.go_online(url).await?;
        a.synced(url).await?;
        in_time("B did not start to sync", b.wire.holding()).await?;
        if a.book.all()? == self.by_hand.outcome() {
            return Err(AppError::Check("the relay was not stopped mid-sync".to_owned()));
        }
        in_time("the relay does not stop", relay.close()).await?;
        // What B was about to say goes to a connection that is no more.
        b.wire.release();
        let same_port = self.url.clone();
        (self.relay, self.url) = open_relay(&self.relay_data, &same_port).await?;
        self.end("relay stopped mid-sync and started again", 0)
    }

    /// Both stores are closed, opened by processes that are killed, and opened again.
    async fn kill_and_reopen(self) -> Result<Self, AppError> {
        let Self { a, b, relay, relay_data, url, by_hand, one_body, table } = self;
        let (in_a, wire_a) = a.close().await;
        let (in_b, wire_b) = b.close().await;
        killed::run_and_kill(&in_a, &url).await?;
        killed::run_and_kill(&in_b, &url).await?;
        let a = Device::open("A", in_a, wire_a).await?;
        let b = Device::open("B", in_b, wire_b).await?;
        let mut demo = Self { a, b, relay, relay_data, url, by_hand, one_body, table };
        demo.end("both killed (kill -9) and opened again", 0)?;
        demo.check("after both were killed")?;
        Ok(demo)
    }

    async fn sum_up(self, place: &Path) -> Result<(), AppError> {
        let Self { a, b, relay, relay_data, by_hand, one_body, table, .. } = self;
        let (_, edited) = b.book.find(&one_body)?;
        let (in_a, _) = a.close().await;
        let (in_b, _) = b.close().await;
        relay.close().await;
        let on_disk = |directory: &Path| disk_bytes(directory).map(BinaryBytes);
        say(&table.text())?;
        say(&format!("notes      {} on each device", by_hand.outcome().len()))?;
        say(&format!(
            "on disk    A {}, B {}, relay {}",
            on_disk(&in_a)?,
            on_disk(&in_b)?,
            on_disk(&relay_data)?
        ))?;
        let added = edited.body.lines().filter(|line| line.starts_with("Edited on"));
        say(&format!("one body   has both edits: {}", added.collect::<Vec<_>>().join(" ")))?;
        say("converged  A and B hold the same, and what the rules give by hand")?;
        std::fs::remove_dir_all(place).map_err(AppError::file(place))
    }

    fn end(&mut self, phase: impl Into<String>, changes: usize) -> Result<(), AppError> {
        let phase = phase.into();
        self.table.end(phase, changes, self.a.wire.bytes() + self.b.wire.bytes());
        Ok(())
    }

    /// Both devices hold the same, and what the rule gives.
    fn check(&self, when: &str) -> Result<(), AppError> {
        let (expected, on_a, on_b) =
            (self.by_hand.outcome(), self.a.book.all()?, self.b.book.all()?);
        check::same(&format!("{when}: A and B"), &on_a, &on_b)?;
        check::same(&format!("{when}: by hand and A"), &expected, &on_a)
    }
}

async fn open_relay(data: &Path, url: &str) -> Result<(Relay, String), AppError> {
    let backend = SledBackend::open(data).map_err(repliq::Error::from)?;
    let relay = Relay::open(backend).await?;
    let endpoint = relay.listen(WebSocket::new(), url).await?;
    Ok((relay, endpoint.to_string()))
}

async fn in_time(what: &str, work: impl Future<Output = ()>) -> Result<(), AppError> {
    timeout(PATIENCE, work).await.map_err(|_| AppError::Check(what.to_owned()))
}
