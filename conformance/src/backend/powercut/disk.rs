//! What a disk holds of a directory: which names and bytes are safe, and which
//! are not yet, while recorded calls are carried out one after the other. It
//! makes what a power cut leaves at any point. A name is safe only when its
//! directory was synced; a rename is whole or not at all.

use super::call::{Call, Place};
use super::file::{Change, FileState, Luck};
use crate::{CaseResult, Failure};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs;
use std::path::Path;

/// The largest file that is kept.
const MOST_BYTES: usize = 1 << 30;
const ROOT: usize = 0;

type Names = BTreeMap<String, usize>;

enum Node {
    File(FileState),
    Directory(Names),
}

/// A name in a directory: the node of the directory, and the name.
type Entry = (usize, String);

/// A change of names, and what was named before it.
enum NameChange {
    Set { entry: Entry, node: usize },
    Remove { entry: Entry },
    Move { from: Entry, to: Entry, node: usize },
}

impl NameChange {
    fn is_in(&self, directory: usize) -> bool {
        match self {
            Self::Set { entry, .. } | Self::Remove { entry } => entry.0 == directory,
            Self::Move { from, to, .. } => from.0 == directory || to.0 == directory,
        }
    }
}

/// An open file: what it is, and where the next write goes.
struct OpenFile {
    node: usize,
    position: usize,
    append: bool,
}

/// A directory and all below it, as a process sees it and as a disk holds it.
pub(super) struct Disk {
    nodes: Vec<Node>,
    /// The names that are safe, of each directory.
    synced: HashMap<usize, Names>,
    unsynced: Vec<(usize, NameChange)>,
    /// By descriptor; duplicates share one open file.
    open: HashMap<i64, usize>,
    files: Vec<OpenFile>,
    returned: HashSet<usize>,
    /// The node that a sync which has begun will make safe, and the calls it covers.
    syncing: HashMap<usize, (usize, Vec<usize>)>,
    /// Nodes that a process writes through memory, which no record shows.
    mapped: HashSet<usize>,
}

impl Disk {
    /// The disk with what is in a directory now, all of it safe.
    pub(super) fn holding(directory: &Path) -> Result<Self, Failure> {
        let mut disk = Self {
            nodes: Vec::new(),
            synced: HashMap::new(),
            unsynced: Vec::new(),
            open: HashMap::new(),
            files: Vec::new(),
            returned: HashSet::new(),
            syncing: HashMap::new(),
            mapped: HashSet::new(),
        };
        disk.load(directory)?;
        Ok(disk)
    }

    fn load(&mut self, path: &Path) -> Result<usize, Failure> {
        let node = self.nodes.len();
        self.nodes.push(Node::File(FileState::default()));
        let loaded = if path.is_dir() {
            let mut names = Names::new();
            for entry in fs::read_dir(path)? {
                let entry = entry?;
                let name = entry.file_name().to_string_lossy().into_owned();
                names.insert(name, self.load(&entry.path())?);
            }
            self.synced.insert(node, names.clone());
            Node::Directory(names)
        } else {
            Node::File(FileState::synced(fs::read(path)?))
        };
        if let Some(place) = self.nodes.get_mut(node) {
            *place = loaded;
        }
        Ok(node)
    }

    /// The process has ended; what it had open is closed.
    pub(super) fn process_ended(&mut self) {
        self.open.clear();
        self.mapped.clear();
    }

    /// A call has begun that will succeed: from now on what it does may be on the
    /// disk.
    pub(super) fn begin(&mut self, number: usize, call: &Call) -> CaseResult {
        match call {
            Call::Open { path, create, truncate, append, result } => {
                let node = match (self.find(path), create) {
                    (Some(node), _) => node,
                    (None, true) => self.make(number, path, Node::File(FileState::default()))?,
                    (None, false) => return Err(unknown(path)),
                };
                if *truncate && self.file(node)?.length() > 0 {
                    self.change(number, node, Change::SetLength(0))?;
                }
                self.files.push(OpenFile { node, position: 0, append: *append });
                self.open.insert(*result, self.files.len() - 1);
            }
            Call::Duplicate { descriptor, result } => {
                if let Some(file) = self.open.get(descriptor).copied() {
                    self.open.insert(*result, file);
                }
            }
            Call::Close { descriptor } => drop(self.open.remove(descriptor)),
            Call::Write { descriptor, at, bytes } => self.write(number, *descriptor, *at, bytes)?,
            Call::Read { descriptor, bytes } => self.opened(*descriptor)?.position += bytes,
            Call::Seek { descriptor, to } => self.opened(*descriptor)?.position = *to,
            Call::SetLength { place, length } => {
                let node = self.place(place)?;
                self.change(number, node, Change::SetLength(*length))?;
            }
            Call::Allocate { descriptor, to } => {
                let node = self.opened(*descriptor)?.node;
                if self.file(node)?.length() < *to {
                    self.change(number, node, Change::SetLength(*to))?;
                }
            }
            Call::Zero { descriptor, from, to } => {
                let node = self.opened(*descriptor)?.node;
                self.change(number, node, Change::Zero { from: *from, to: *to })?;
            }
            Call::Map { descriptor } => {
                let node = self.opened(*descriptor)?.node;
                self.mapped.insert(node);
            }
            Call::MakeDirectory { path } => {
                let node = self.make(number, path, Node::Directory(Names::new()))?;
                self.synced.insert(node, Names::new());
            }
            Call::Remove { path } => {
                let entry = self.entry(path)?;
                self.names(entry.0)?.remove(&entry.1);
                self.unsynced.push((number, NameChange::Remove { entry }));
            }
            Call::Rename { from, to } => {
                let node = self.find(from).ok_or_else(|| unknown(from))?;
                let (from, to) = (self.entry(from)?, self.entry(to)?);
                self.names(from.0)?.remove(&from.1);
                self.names(to.0)?.insert(to.1.clone(), node);
                self.unsynced.push((number, NameChange::Move { from, to, node }));
            }
            Call::Link { from, to } => {
                let node = self.find(from).ok_or_else(|| unknown(from))?;
                self.name(number, to, node)?;
            }
            Call::Sync { descriptor } => {
                let node = self.opened(*descriptor)?.node;
                if self.mapped.contains(&node) {
                    return Err(Failure::Skipped(
                        "a mapped file is synced: what was written through memory is in no record"
                            .to_owned(),
                    ));
                }
                let covered = self.returned_of(node);
                self.syncing.insert(number, (node, covered));
            }
            // Not a matter of the disk.
            Call::Acknowledge(_) => {}
        }
        Ok(())
    }

    /// A call has returned.
    pub(super) fn end(&mut self, number: usize) {
        self.returned.insert(number);
        let Some((node, calls)) = self.syncing.remove(&number) else { return };
        if let Some(Node::File(file)) = self.nodes.get_mut(node) {
            file.sync(&calls);
            return;
        }
        let all = std::mem::take(&mut self.unsynced);
        for (call, change) in all {
            if change.is_in(node) && calls.binary_search(&call).is_ok() {
                apply(&change, &mut self.synced);
            } else {
                self.unsynced.push((call, change));
            }
        }
    }

    /// The changes of a node that have returned and are not safe.
    fn returned_of(&self, node: usize) -> Vec<usize> {
        let returned = |call: &usize| self.returned.contains(call);
        match self.nodes.get(node) {
            Some(Node::File(file)) => file.unsynced().filter(returned).collect(),
            _ => {
                let names = self.unsynced.iter().filter(|(_, change)| change.is_in(node));
                names.map(|(call, _)| *call).filter(returned).collect()
            }
        }
    }

    /// Makes what a power cut leaves now, in an empty directory.
    pub(super) fn make_survivor(&self, luck: &mut Luck<'_>, place: &Path) -> CaseResult {
        let mut names = self.synced.clone();
        let kept = luck.kept_names(self.unsynced.len());
        for ((_, change), kept) in self.unsynced.iter().zip(kept) {
            if kept {
                apply(change, &mut names);
            }
        }
        self.write_survivor(ROOT, &names, luck, place)
    }

    fn write_survivor(
        &self,
        directory: usize,
        names: &HashMap<usize, Names>,
        luck: &mut Luck<'_>,
        place: &Path,
    ) -> CaseResult {
        for (name, node) in names.get(&directory).into_iter().flatten() {
            let place = place.join(name);
            match self.nodes.get(*node) {
                Some(Node::File(file)) => fs::write(&place, file.survivor(luck))?,
                Some(Node::Directory(_)) => {
                    fs::create_dir(&place)?;
                    self.write_survivor(*node, names, luck, &place)?;
                }
                None => {}
            }
        }
        Ok(())
    }

    fn write(
        &mut self,
        number: usize,
        descriptor: i64,
        at: Option<usize>,
        bytes: &[u8],
    ) -> CaseResult {
        let file = self.opened(descriptor)?;
        let (node, position, append) = (file.node, file.position, file.append);
        let at = match at {
            // Linux appends even when it is told where to write.
            _ if append => self.file(node)?.length(),
            Some(at) => at,
            None => {
                self.opened(descriptor)?.position += bytes.len();
                position
            }
        };
        self.change(number, node, Change::Write { at, bytes: bytes.to_vec() })
    }

    fn change(&mut self, number: usize, node: usize, change: Change) -> CaseResult {
        let file = self.file(node)?;
        file.change(number, change);
        if file.length() > MOST_BYTES {
            return Err(Failure::Skipped("a file of more than 1 GiB is not recorded".to_owned()));
        }
        Ok(())
    }

    fn opened(&mut self, descriptor: i64) -> Result<&mut OpenFile, Failure> {
        let file = self.open.get(&descriptor).and_then(|file| self.files.get_mut(*file));
        file.ok_or_else(|| {
            Failure::Skipped(format!(
                "the record shows descriptor {descriptor}, but not its opening"
            ))
        })
    }

    fn place(&mut self, place: &Place) -> Result<usize, Failure> {
        match place {
            Place::Descriptor(descriptor) => Ok(self.opened(*descriptor)?.node),
            Place::Path(path) => self.find(path).ok_or_else(|| unknown(path)),
        }
    }

    fn file(&mut self, node: usize) -> Result<&mut FileState, Failure> {
        match self.nodes.get_mut(node) {
            Some(Node::File(file)) => Ok(file),
            _ => Err(Failure::Skipped("the record writes to a directory".to_owned())),
        }
    }

    fn names(&mut self, node: usize) -> Result<&mut Names, Failure> {
        match self.nodes.get_mut(node) {
            Some(Node::Directory(now)) => Ok(now),
            _ => Err(Failure::Skipped("the record names something in a file".to_owned())),
        }
    }

    fn find(&self, path: &str) -> Option<usize> {
        let mut node = ROOT;
        for name in path.split('/').filter(|name| !name.is_empty()) {
            let Some(Node::Directory(now)) = self.nodes.get(node) else { return None };
            node = *now.get(name)?;
        }
        Some(node)
    }

    fn entry(&self, path: &str) -> Result<Entry, Failure> {
        let (directory, name) = path.rsplit_once('/').unwrap_or(("", path));
        let directory = self.find(directory).ok_or_else(|| unknown(path))?;
        Ok((directory, name.to_owned()))
    }

    fn make(&mut self, number: usize, path: &str, node: Node) -> Result<usize, Failure> {
        self.nodes.push(node);
        let node = self.nodes.len() - 1;
        self.name(number, path, node)?;
        Ok(node)
    }

    fn name(&mut self, number: usize, path: &str, node: usize) -> CaseResult {
        let entry = self.entry(path)?;
        self.names(entry.0)?.insert(entry.1.clone(), node);
        self.unsynced.push((number, NameChange::Set { entry, node }));
        Ok(())
    }
}

fn unknown(path: &str) -> Failure {
    Failure::Skipped(format!("the record uses {path}, but does not show where it came from"))
}

fn apply(change: &NameChange, names: &mut HashMap<usize, Names>) {
    let mut set = |(directory, name): &Entry, node: Option<usize>| {
        let Some(names) = names.get_mut(directory) else { return };
        match node {
            Some(node) => drop(names.insert(name.clone(), node)),
            None => drop(names.remove(name)),
        }
    };
    match change {
        NameChange::Set { entry, node } => set(entry, Some(*node)),
        NameChange::Remove { entry } => set(entry, None),
        NameChange::Move { from, to, node } => {
            set(from, None);
            set(to, Some(*node));
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::Rng;
    use std::collections::BTreeSet;
    use tempfile::TempDir;

    /// A disk to which things are done, one after the other.
    struct Doing {
        disk: Disk,
        calls: usize,
    }

    impl Doing {
        fn on_an_empty_disk() -> Self {
            let disk = Disk::holding(TempDir::new().unwrap().path()).unwrap();
            Self { disk, calls: 0 }
        }

        fn call(&mut self, call: &Call) {
            self.disk.begin(self.calls, call).unwrap();
            self.disk.end(self.calls);
            self.calls += 1;
        }

        fn open(&mut self, path: &str, result: i64) {
            let path = path.to_owned();
            self.call(&Call::Open { path, create: true, truncate: false, append: false, result });
        }

        fn write(&mut self, descriptor: i64, text: &str) {
            self.call(&Call::Write { descriptor, at: None, bytes: text.into() });
        }

        fn sync(&mut self, descriptor: i64) {
            self.call(&Call::Sync { descriptor });
        }

        fn rename(&mut self, from: &str, to: &str) {
            self.call(&Call::Rename { from: from.to_owned(), to: to.to_owned() });
        }

        /// What power cuts leave: each file as `path=content`.
        fn survivors(&self) -> BTreeSet<String> {
            let mut rng = Rng::new(3);
            let one = |_| {
                let place = TempDir::new().unwrap();
                self.disk.make_survivor(&mut Luck::new(&mut rng), place.path()).unwrap();
                let mut found = files(place.path(), "");
                found.sort();
                found.join(" ")
            };
            (0..300).map(one).collect()
        }
    }

    fn files(place: &Path, below: &str) -> Vec<String> {
        let mut found = Vec::new();
        for entry in fs::read_dir(place).unwrap() {
            let entry = entry.unwrap();
            let name = format!("{below}{}", entry.file_name().to_str().unwrap());
            if entry.path().is_dir() {
                found.extend(files(&entry.path(), &format!("{name}/")));
            } else {
                found.push(format!("{name}={}", fs::read_to_string(entry.path()).unwrap()));
            }
        }
        found
    }

    fn all(survivors: &[&str]) -> BTreeSet<String> {
        survivors.iter().map(|survivor| (*survivor).to_owned()).collect()
    }

    #[test]
    fn a_synced_file_has_no_name_before_its_directory_is_synced() {
        let mut doing = Doing::on_an_empty_disk();
        doing.open("file", 3);
        doing.write(3, "text");
        doing.sync(3);
        assert_eq!(doing.survivors(), all(&["", "file=text"]));
        doing.open("", 4);
        doing.sync(4);
        assert_eq!(doing.survivors(), all(&["file=text"]));
    }

    #[test]
    fn a_new_directory_is_lost_with_all_that_is_in_it() {
        let mut doing = Doing::on_an_empty_disk();
        doing.call(&Call::MakeDirectory { path: "new".to_owned() });
        doing.open("new/file", 3);
        doing.write(3, "text");
        doing.sync(3);
        doing.open("new", 4);
        doing.sync(4);
        assert_eq!(doing.survivors(), all(&["", "new/file=text"]));
    }

    #[test]
    fn a_rename_is_whole_and_of_a_file_that_was_not_synced_leaves_nothing_certain() {
        let mut doing = Doing::on_an_empty_disk();
        doing.open("", 4);
        for (text, synced) in [("old", true), ("new", true), ("!!!", false)] {
            doing.open("next", 3);
            doing.write(3, text);
            if synced {
                doing.sync(3);
            }
            doing.sync(4);
            doing.rename("next", "file");
            match text {
                "old" => doing.sync(4),
                "new" => {
                    assert_eq!(doing.survivors(), all(&["file=new", "file=old next=new"]));
                    doing.sync(4);
                }
                _ => {
                    let found = doing.survivors();
                    assert!(found.contains("file="), "{found:?}");
                    assert!(found.contains("file=new next="), "{found:?}");
                    assert!(found.contains("file=!!!"), "{found:?}");
                }
            }
        }
    }

    #[test]
    fn a_sync_covers_what_had_returned_when_it_began() {
        let mut doing = Doing::on_an_empty_disk();
        doing.open("file", 3);
        doing.open("", 4);
        doing.sync(4);
        let write = Call::Write { descriptor: 3, at: Some(0), bytes: b"text".to_vec() };
        doing.disk.begin(100, &write).unwrap();
        doing.sync(3);
        doing.disk.end(100);
        assert!(doing.survivors().contains("file="));
        doing.sync(3);
        assert_eq!(doing.survivors(), all(&["file=text"]));
    }

    #[test]
    fn a_mapped_file_is_refused_only_when_it_is_synced() {
        let mut doing = Doing::on_an_empty_disk();
        doing.open("file", 3);
        doing.call(&Call::Map { descriptor: 3 });
        let refused = doing.disk.begin(9, &Call::Sync { descriptor: 3 });
        assert!(matches!(refused, Err(Failure::Skipped(_))), "{refused:?}");
    }
}
