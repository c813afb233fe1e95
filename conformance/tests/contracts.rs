//! The contracts on the traits and the cases of the suite say the same: every sentence
//! of a contract names the cases that hold it, every case named there exists, and no
//! core case holds a sentence that nobody wrote down.

#![allow(clippy::unwrap_used)]

use bytes::Bytes;
use repliq_conformance::backend::{self, BackendHarness};
use repliq_conformance::crdt::{self, CrdtHarness, History};
use repliq_conformance::transport::{self, TransportHarness};
use repliq_conformance::{Case, Level, Rng};
use repliq_core::{
    Batch, Connection, Crdt, CrdtError, Effects, Endpoint, FrameReceiver, FrameSender, Listener,
    Pair, Stamp, StorageBackend, StorageError, Transport, TransportError, Version,
};
use std::collections::BTreeSet;
use std::path::Path;

/// The sentences under "# Contract" in the documentation of a source file.
fn sentences(file: &str) -> Vec<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../repliq/core/src").join(file);
    let source = std::fs::read_to_string(path).unwrap();
    let mut sentences: Vec<String> = Vec::new();
    let mut inside = false;
    for line in source.lines() {
        let text = line.strip_prefix("///").map(str::trim);
        inside = match text {
            Some(heading) if heading.starts_with("# ") => heading == "# Contract",
            Some(_) => inside,
            None => false,
        };
        match text.filter(|_| inside) {
            Some(text) if text.starts_with("- ") => sentences.push(text.to_owned()),
            Some(text) => {
                if let Some(last) = sentences.last_mut() {
                    last.push(' ');
                    last.push_str(text);
                }
            }
            None => {}
        }
    }
    sentences
}

/// The cases that a sentence names: what is in code and has three words at least.
fn named(sentence: &str) -> Vec<&str> {
    let codes = sentence.split('`').skip(1).step_by(2);
    let is_case = |code: &&str| code.matches('_').count() >= 2 && **code == code.to_lowercase();
    codes.filter(is_case).collect()
}

fn agrees<H>(file: &str, cases: &[Case<H>]) {
    let sentences = sentences(file);
    assert!(sentences.len() > 10, "{file} has {} sentences", sentences.len());
    let mut held = BTreeSet::new();
    for sentence in &sentences {
        let names = named(sentence);
        assert!(!names.is_empty(), "{file}: no case holds {sentence:?}");
        for name in names {
            let exists = cases.iter().any(|case| case.name == name);
            assert!(exists, "{file} names the case {name}, which is not in the suite");
            held.insert(name);
        }
    }
    for case in cases.iter().filter(|case| case.level == Level::Core) {
        assert!(held.contains(case.name), "{file} has no sentence for the case {}", case.name);
    }
}

#[test]
fn the_contract_of_a_backend_and_its_cases_say_the_same() {
    agrees("backend.rs", &backend::cases::<Nothing>());
}

#[test]
fn the_contract_of_a_transport_and_its_cases_say_the_same() {
    agrees("transport.rs", &transport::cases::<Nothing>());
}

#[test]
fn the_contract_of_a_data_type_and_its_cases_say_the_same() {
    agrees("crdt.rs", &crdt::cases::<Nothing>());
}

/// A harness that there is not: the cases are listed, and none is run.
enum Nothing {}

impl BackendHarness for Nothing {
    type Backend = Self;

    fn open(&self) -> Result<Self, StorageError> {
        match *self {}
    }
}

impl StorageBackend for Nothing {
    fn get(&self, _: &[u8]) -> Result<Option<Vec<u8>>, StorageError> {
        match *self {}
    }

    fn scan(&self, _: &[u8], _: Option<&[u8]>, _: usize) -> Result<Vec<Pair>, StorageError> {
        match *self {}
    }

    fn commit(&self, _: Batch) -> Result<(), StorageError> {
        match *self {}
    }
}

impl TransportHarness for Nothing {
    type Transport = Self;

    fn transport(&self) -> Self {
        match *self {}
    }

    fn endpoint(&self) -> Endpoint {
        match *self {}
    }
}

impl Transport for Nothing {
    type Listener = Self;
    type Sender = Self;
    type Receiver = Self;

    fn schemes(&self) -> &'static [&'static str] {
        match *self {}
    }

    async fn connect(&self, _: &Endpoint) -> Result<Connection<Self, Self>, TransportError> {
        match *self {}
    }

    async fn listen(&self, _: &Endpoint) -> Result<Self, TransportError> {
        match *self {}
    }
}

impl Listener for Nothing {
    type Sender = Self;
    type Receiver = Self;

    async fn accept(&mut self) -> Result<Connection<Self, Self>, TransportError> {
        match *self {}
    }

    fn local_endpoint(&self) -> Endpoint {
        match *self {}
    }

    async fn close(&mut self) -> Result<(), TransportError> {
        match *self {}
    }
}

impl FrameSender for Nothing {
    async fn send(&mut self, _: Bytes) -> Result<(), TransportError> {
        match *self {}
    }

    async fn close(&mut self) -> Result<(), TransportError> {
        match *self {}
    }
}

impl FrameReceiver for Nothing {
    async fn recv(&mut self) -> Result<Option<Bytes>, TransportError> {
        match *self {}
    }
}

impl CrdtHarness for Nothing {
    type Crdt = Unit;
    type View = ();

    fn edit(&self, _: &mut Rng, _: &Unit) -> Option<()> {
        match *self {}
    }

    fn view(&self, _: &Unit) {
        match *self {}
    }

    fn patch(&self, (): &mut (), (): ()) {
        match *self {}
    }

    fn expected(&self, _: &History<()>) {
        match *self {}
    }

    fn refused(&self, _: &mut Rng, _: &Unit) -> Option<()> {
        match *self {}
    }
}

#[derive(Default, serde::Serialize, serde::Deserialize)]
struct Unit;

impl Crdt for Unit {
    const KIND: &'static str = "unit/1";
    type Op = ();
    type Event = ();
    type Undo = ();

    fn apply(&mut self, (): (), _: Stamp, _: &mut Effects<Self>) -> Result<(), CrdtError> {
        Ok(())
    }

    fn join(&mut self, _: &Version, _: Self, _: &Version, _: &mut Effects<Self>) {}

    fn rollback(&mut self, (): ()) {}
}
