//! A real ext4 on a loop device, shut down while a child writes: what its journal
//! had not committed and what was not written back is gone. It promises to
//! unmount what it mounted; a machine where it cannot mount skips the case.

use super::{Verify, after, child_in, cuts};
use crate::backend::child::{Writer, look};
use crate::backend::expect::require;
use crate::backend::{BackendHarness, Shows, Stores};
use crate::{CaseResult, Failure, Rng};
use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;
use tempfile::TempDir;

/// How large the file system is; its file holds only what is used of it.
const BYTES: u64 = 1 << 30;
/// How often one file system is cut before a fresh one is made.
const CUTS_OF_ONE: usize = 5;
/// Nothing is written back by itself while a child writes. The second gives up
/// what ext4 does beyond POSIX for programs that rename without a sync.
const OPTIONS: [&str; 2] = ["loop,commit=600", "loop,commit=600,data=writeback,noauto_da_alloc"];
/// Waits for a line, then shuts the file system down without its journal:
/// `EXT4_IOC_SHUTDOWN` with `EXT4_GOING_FLAGS_NOLOGFLUSH`. The crate forbids the
/// unsafe code that a call of `ioctl` from Rust would be.
const CUTTER: &str = r#"
open(my $disk, "<", $ARGV[0]) or die "open: $!";
my $flags = pack("L", 2);
<STDIN>;
defined(ioctl($disk, 0x8004587D, $flags)) or die "ioctl: $!";
"#;

pub(super) fn each_cut<H: BackendHarness>(
    stores: &Stores<H>,
    rng: &mut Rng,
    verify: Verify,
) -> CaseResult {
    require(stores, Shows::PowerCut)?;
    for first in (0..cuts()).step_by(CUTS_OF_ONE) {
        let options = OPTIONS.into_iter().cycle().nth(first / CUTS_OF_ONE).unwrap_or_default();
        let mut system = FileSystem::make(options)?;
        let mut known = 0;
        for cut in first..cuts().min(first + CUTS_OF_ONE) {
            let Acked { before, last } = write_until_cut(stores, &system, rng, known)?;
            system.unmount()?;
            system.mount()?;
            let what = || format!("cut {cut} of {}, {options}", cuts());
            let found = after(what, look(child_in(stores, &system.directory())?))?;
            after(what, verify(&found, before..=last))?;
            known = found.then();
        }
    }
    Ok(())
}

/// The last batch that was acknowledged before the power was cut, and at all.
///
/// A sync that is under way while ext4 shuts down can return without an error and
/// without effect: of 400 cuts on Linux 6.18, 13 showed it, and with a plain log
/// file too. Nobody sees that acknowledgement when the power really fails, so only
/// those count that were read before the cut began.
struct Acked {
    before: u64,
    last: u64,
}

fn write_until_cut<H: BackendHarness>(
    stores: &Stores<H>,
    system: &FileSystem,
    rng: &mut Rng,
    known: u64,
) -> Result<Acked, Failure> {
    let cutter = Cutter::start(&system.place)?;
    let mut writer = Writer::start(child_in(stores, &system.directory())?, known)?;
    // Not to wait for anything: a moment somewhere inside opening, or inside one of
    // the next commits.
    if rng.below(5) == 0 {
        thread::sleep(Duration::from_micros(rng.bits() % 60_000));
    } else {
        writer.await_batch(known + 1 + rng.bits() % 30)?;
        thread::sleep(Duration::from_micros(rng.bits() % 3000));
    }
    let before = writer.acked();
    let cut = cutter.cut();
    let last = writer.kill();
    cut.map(|()| Acked { before, last })
}

/// A file system in a file, mounted while it lives.
struct FileSystem {
    home: TempDir,
    place: PathBuf,
    options: &'static str,
    mounted: bool,
}

impl FileSystem {
    fn make(options: &'static str) -> Result<Self, Failure> {
        let home = TempDir::new()?;
        let place = home.path().join("mounted");
        fs::create_dir(&place)?;
        let image = home.path().join("image");
        File::create(&image)?.set_len(BYTES)?;
        let mut make = Command::new("mkfs.ext4");
        run(make.args(["-q", "-F", "-E", "lazy_itable_init=1,nodiscard"]).arg(&image))?;
        let mut system = Self { home, place, options, mounted: false };
        system.mount()?;
        fs::create_dir(system.directory())?;
        for synced in [system.directory(), system.place.clone()] {
            File::open(synced)?.sync_all()?;
        }
        Ok(system)
    }

    /// The empty directory that a store is made in.
    fn directory(&self) -> PathBuf {
        self.place.join("store")
    }

    /// Mounting replays the journal.
    fn mount(&mut self) -> CaseResult {
        let image = self.home.path().join("image");
        run(Command::new("mount").args(["-o", self.options]).arg(image).arg(&self.place))?;
        self.mounted = true;
        Ok(())
    }

    fn unmount(&mut self) -> CaseResult {
        run(Command::new("umount").arg(&self.place))?;
        self.mounted = false;
        Ok(())
    }
}

impl Drop for FileSystem {
    fn drop(&mut self) {
        if self.mounted {
            let _ = self.unmount();
        }
    }
}

/// Runs a tool of the system; a machine where it does not work lacks something.
fn run(tool: &mut Command) -> CaseResult {
    let name = tool.get_program().to_string_lossy().into_owned();
    let lacks = |why: &str| Failure::Skipped(format!("{name} does not work here: {why}"));
    let ended = tool.stdin(Stdio::null()).output().map_err(|error| lacks(&error.to_string()))?;
    let why = String::from_utf8_lossy(&ended.stderr);
    if ended.status.success() { Ok(()) } else { Err(lacks(why.trim())) }
}

/// The process that shuts a file system down; it waits until it is told.
struct Cutter(Child);

impl Cutter {
    fn start(place: &Path) -> Result<Self, Failure> {
        let mut perl = Command::new("perl");
        perl.args(["-e", CUTTER]).arg(place).stdin(Stdio::piped()).stderr(Stdio::piped());
        let started = perl.spawn();
        started.map(Self).map_err(|error| Failure::Skipped(format!("perl: {error}")))
    }

    fn cut(mut self) -> CaseResult {
        if let Some(mut told) = self.0.stdin.take() {
            told.write_all(b"\n")?;
        }
        if self.0.wait()?.success() {
            return Ok(());
        }
        Err(Failure::Skipped("ext4 refuses to be shut down here".to_owned()))
    }
}

impl Drop for Cutter {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
