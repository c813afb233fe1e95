//! Real editing histories (josephg/editing-traces) end in the text they are known
//! to end in. They are read from `../../shared/data/traces` beside the repository,
//! or from the folder that `REPLIQ_TRACES` names, and skipped where it is absent.

use crate::editing::{op_of, text_of};
use flate2::read::GzDecoder;
use repliq_core::{Crdt, Dot, Effects, Hlc, ReplicaId, Stamp, decode, encode};
use repliq_crdts::{Text, TextMut, TextOp};
use serde_json::Value;
use std::fs::File;
use std::path::PathBuf;

fn trace(name: &str) -> Option<Value> {
    let folder = std::env::var_os("REPLIQ_TRACES").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/data/traces")),
        PathBuf::from,
    );
    let file = folder.join(format!("{name}.json.gz"));
    match File::open(&file) {
        Ok(file) => Some(serde_json::from_reader(GzDecoder::new(file)).unwrap()),
        Err(_) => {
            println!("skipped: there is no {}", file.display());
            None
        }
    }
}

fn patches(txn: &Value) -> impl Iterator<Item = (usize, usize, &str)> {
    let number = |value: &Value| usize::try_from(value.as_u64().unwrap()).unwrap();
    txn["patches"]
        .as_array()
        .unwrap()
        .iter()
        .map(move |patch| (number(&patch[0]), number(&patch[1]), patch[2].as_str().unwrap()))
}

fn replay(name: &str) {
    let Some(trace) = trace(name) else { return };
    let mut text = text_of(1);
    text.insert(0, trace["startContent"].as_str().unwrap()).unwrap();
    for txn in trace["txns"].as_array().unwrap() {
        for (position, deleted, inserted) in patches(txn) {
            text.replace(position..position + deleted, inserted).unwrap();
        }
    }
    let expected = trace["endContent"].as_str().unwrap();
    assert_eq!(text.to_string(), expected);
    let bytes = encode(&*text);
    let read: Text = decode(&bytes).unwrap();
    assert_eq!(read.to_string(), expected);
    assert_eq!(encode(&read), bytes);
}

#[test]
fn a_paper_typed_in_181_thousand_edits_ends_as_it_was_printed() {
    replay("automerge-paper");
}

#[test]
fn a_program_ends_as_it_was_compiled() {
    replay("rustcode");
}

#[test]
fn a_blog_post_ends_as_it_was_published() {
    replay("json-crdt-blog-post");
}

#[test]
fn two_people_taking_turns_end_in_their_text() {
    replay("friendsforever_flat");
}

/// The history is a graph; a state of its own is kept for every branch.
#[test]
fn two_people_in_one_document_at_once_end_in_their_text() {
    let Some(trace) = trace("friendsforever") else { return };
    let txns = trace["txns"].as_array().unwrap();
    let agents = usize::try_from(trace["numAgents"].as_u64().unwrap()).unwrap();
    let mut said: Vec<Vec<(TextOp, Stamp)>> = Vec::new();
    let mut peers: Vec<Peer> = (0..agents).map(|_| Peer::default()).collect();
    for txn in txns {
        let parents = txn["parents"].as_array().unwrap();
        let parents: Vec<_> =
            parents.iter().map(|parent| parent.as_u64().unwrap() as usize).collect();
        let agent = txn["agent"].as_u64().unwrap() as usize;
        let peer = &mut peers[agent];
        peer.hear(&parents, txns, &said);
        let ops = patches(txn).flat_map(|(position, deleted, inserted)| {
            let one = op_of(&peer.text, |text| text.delete(position..position + deleted));
            let one = peer.say(agent, one);
            let other = op_of(&peer.text, |text| text.insert(position, inserted));
            one.into_iter().chain(peer.say(agent, other)).collect::<Vec<_>>()
        });
        let ops = ops.collect();
        peer.held.resize(said.len() + 1, false);
        peer.held[said.len()] = true;
        said.push(ops);
    }
    let expected = trace["endContent"].as_str().unwrap();
    for peer in &mut peers {
        peer.hear_all(&said);
        assert_eq!(peer.text.to_string(), expected);
    }
    assert!(peers.windows(2).all(|pair| encode(&pair[0].text) == encode(&pair[1].text)));
}

#[derive(Default)]
struct Peer {
    text: Text,
    held: Vec<bool>,
    slots: u64,
}

impl Peer {
    fn say(&mut self, agent: usize, op: Option<TextOp>) -> Option<(TextOp, Stamp)> {
        let op = op?;
        let replica = ReplicaId::from_bytes([u8::try_from(agent).unwrap(); 16]);
        let at = Stamp { hlc: Hlc(0), dot: Dot { replica, seq: self.slots } };
        self.slots += Text::slots(&op);
        self.text.apply(op.clone(), at, &mut Effects::silent()).unwrap();
        Some((op, at))
    }

    /// Hears of these transactions and of all they build on.
    fn hear(&mut self, parents: &[usize], txns: &[Value], said: &[Vec<(TextOp, Stamp)>]) {
        self.held.resize(said.len(), false);
        let mut wanted = parents.to_vec();
        let mut missing = Vec::new();
        while let Some(number) = wanted.pop() {
            if !std::mem::replace(&mut self.held[number], true) {
                missing.push(number);
                let parents = txns[number]["parents"].as_array().unwrap();
                wanted.extend(parents.iter().map(|parent| parent.as_u64().unwrap() as usize));
            }
        }
        missing.sort_unstable();
        missing.into_iter().for_each(|number| self.apply(&said[number]));
    }

    fn hear_all(&mut self, said: &[Vec<(TextOp, Stamp)>]) {
        self.held.resize(said.len(), false);
        for (number, ops) in said.iter().enumerate() {
            if !self.held[number] {
                self.apply(ops);
            }
        }
    }

    fn apply(&mut self, ops: &[(TextOp, Stamp)]) {
        for (op, at) in ops {
            self.text.apply(op.clone(), *at, &mut Effects::silent()).unwrap();
        }
    }
}
