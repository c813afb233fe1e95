//! Reads along on one direction of a connection, as PROTOCOL.md says frames are
//! read: knows which changes each frame carried.

use repliq_core::{Change, Dot, ReplicaId};
use repliq_sync::{Entry, Message, decode_frame};

#[derive(Default)]
pub(crate) struct Tap {
    documents: Vec<String>,
    replicas: Vec<ReplicaId>,
    previous: Option<(String, Dot)>,
    fragments: Vec<u8>,
    /// What each frame carried, once complete.
    pub(crate) changes: Vec<(u64, Vec<(String, Dot)>)>,
    pub(crate) forgets: usize,
    pub(crate) frames: usize,
    pub(crate) bytes: usize,
    pub(crate) largest: usize,
    /// The length of every frame that carried changes.
    pub(crate) change_frames: Vec<usize>,
    /// The length of every frame.
    pub(crate) lengths: Vec<usize>,
}

impl Tap {
    /// Reads a frame; gives the frame an ack in it acknowledges.
    pub(crate) fn read(&mut self, frame: &[u8]) -> Option<u64> {
        self.frames += 1;
        self.lengths.push(frame.len());
        self.bytes += frame.len();
        self.largest = self.largest.max(frame.len());
        if frame.starts_with(b"RPLQ") {
            return None;
        }
        let decoded = decode_frame(frame).expect("sessions send what decodes");
        if let Message::Fragment { last, bytes } = decoded.message {
            self.fragments.extend_from_slice(bytes);
            if !last {
                return None;
            }
            let mut whole = repliq_core::encode(&decoded.number);
            whole.append(&mut self.fragments);
            return self.message(&whole, frame.len());
        }
        self.message(frame, frame.len())
    }

    fn message(&mut self, frame: &[u8], len: usize) -> Option<u64> {
        let decoded = decode_frame(frame).unwrap();
        match decoded.message {
            Message::Ack { frame, .. } => return Some(frame),
            Message::Forget => {
                self.forgets += 1;
                self.documents.clear();
                self.replicas.clear();
                self.previous = None;
            }
            Message::Changes { documents, replicas, entries, .. } => {
                self.documents.extend(documents.iter().map(|(name, _)| (*name).to_owned()));
                self.replicas.extend(replicas);
                let dots: Vec<_> = entries.iter().map(|entry| self.entry(entry)).collect();
                if !dots.is_empty() {
                    self.changes.push((decoded.number, dots));
                    self.change_frames.push(len);
                }
            }
            _ => {}
        }
        None
    }

    fn entry(&mut self, entry: &Entry<'_>) -> (String, Dot) {
        let (document, dot, body) = match *entry {
            Entry::Next(body) => {
                let (document, due) = self.previous.take().unwrap();
                (document, due, body)
            }
            Entry::At(seq, body) => {
                let (document, due) = self.previous.take().unwrap();
                (document, Dot { seq, ..due }, body)
            }
            Entry::Any { document, replica, seq, body } => {
                let replica = self.replicas[replica as usize];
                (self.documents[document as usize].clone(), Dot { replica, seq }, body)
            }
        };
        let change = Change { dot, body: body.to_vec().into() };
        let seq = dot.seq + change.open().unwrap().0.slots;
        self.previous = Some((document.clone(), Dot { seq, ..dot }));
        (document, dot)
    }
}
