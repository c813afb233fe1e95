//! The receiving direction: the peer's feed on its way to our store.
//!
//! Frames are counted, names are looked up, changes are gathered into one
//! commit at a time, and acks go out once a commit is durable.

use crate::contract::{Arrival, DocumentName};
use crate::error::SessionError;
use crate::message::{Entry, MAX_ENTRIES, MAX_MESSAGE_BYTES, Position};
use crate::outgoing::{FILL_BYTES, TABLE, TABLE_BYTES, WINDOW_BYTES};
use bytes::Bytes;
use repliq_core::{Change, Dot, ReplicaId};

/// Changes of messages up to this size are copied out of them.
const COPIED: usize = 4 << 10;

/// What was received and is not durable yet.
#[derive(Default)]
pub(crate) struct Gathered {
    pub(crate) arrivals: Vec<Arrival>,
    pub(crate) cursor: Option<Position>,
    /// The last frame whose changes are among the arrivals.
    pub(crate) frame: u64,
    pub(crate) bytes: usize,
}

/// The peer does not know the cursor we have of its feed: it was restored from a
/// backup, and lacks changes that came from it. No new cursor is saved until it
/// has them back and its feed has passed them. Otherwise the new cursor would
/// vouch, in a later session, for changes that the peer never got.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Doubt {
    /// Until the peer has acknowledged our feed up to this number.
    Acked(u64),
    /// Until it has replied after that.
    Replied,
}

pub(crate) struct Incoming {
    /// The number the next frame must have.
    next_frame: u64,
    documents: Vec<DocumentName>,
    /// Bytes of the names in the table of documents.
    table_bytes: usize,
    replicas: Vec<ReplicaId>,
    previous: Option<(DocumentName, Dot)>,
    /// Where the peer's feed stands, once that is sure.
    pub(crate) position: Option<Position>,
    /// How far the peer's feed is durable here.
    pub(crate) durable: Option<Position>,
    pub(crate) gathered: Gathered,
    pub(crate) committing: Option<Gathered>,
    /// The last frame with changes, and the last whose changes are durable.
    pub(crate) last_frame: u64,
    pub(crate) durable_frame: u64,
    /// A frame to acknowledge.
    pub(crate) ack: Option<u64>,
    /// A change was refused: the cursor must not pass it.
    pub(crate) stuck: bool,
    /// The peer may have lost what it gave us; see [`Doubt`].
    pub(crate) doubt: Option<Doubt>,
    fragments: Vec<u8>,
}

impl Incoming {
    pub(crate) fn new() -> Self {
        Self {
            next_frame: 1,
            documents: Vec::new(),
            table_bytes: 0,
            replicas: Vec::new(),
            previous: None,
            position: None,
            durable: None,
            gathered: Gathered::default(),
            committing: None,
            last_frame: 0,
            durable_frame: 0,
            ack: None,
            stuck: false,
            doubt: None,
            fragments: Vec::new(),
        }
    }

    /// Checks a frame's number. `false` for one that was here already.
    pub(crate) fn count(&mut self, number: u64) -> Result<bool, SessionError> {
        if number > self.next_frame {
            return Err(SessionError::Gap { expected: self.next_frame, found: number });
        }
        let new = number == self.next_frame;
        if new {
            self.next_frame += 1;
        }
        Ok(new)
    }

    /// Adds a part of a large message; gives the whole once the last part is in.
    pub(crate) fn fragment(
        &mut self,
        last: bool,
        bytes: &[u8],
    ) -> Result<Option<Bytes>, SessionError> {
        if self.fragments.len() + bytes.len() > MAX_MESSAGE_BYTES {
            return Err(SessionError::Malformed("a message over its limit"));
        }
        if bytes.is_empty() {
            return Err(SessionError::Malformed("an empty fragment"));
        }
        self.fragments.extend_from_slice(bytes);
        if !last {
            // Says that we are still listening; a large change takes its time.
            self.ack.get_or_insert(self.durable_frame);
        }
        Ok(last.then(|| std::mem::take(&mut self.fragments).into()))
    }

    /// Whether a large message has begun and not ended.
    pub(crate) fn in_fragments(&self) -> bool {
        !self.fragments.is_empty()
    }

    pub(crate) fn forget(&mut self) {
        self.documents.clear();
        self.table_bytes = 0;
        self.replicas.clear();
        self.previous = None;
    }

    /// Takes note of names mentioned for the first time.
    pub(crate) fn name(
        &mut self,
        documents: &[(&str, &str)],
        replicas: &[ReplicaId],
    ) -> Result<(), SessionError> {
        // A sender starts its tables anew past TABLE, but may fill one message more.
        let room = TABLE + MAX_ENTRIES;
        self.table_bytes += documents.iter().map(|(n, kind)| n.len() + kind.len()).sum::<usize>();
        if self.documents.len() + documents.len() > room
            || self.replicas.len() + replicas.len() > room
            || self.table_bytes > TABLE_BYTES + 2 * FILL_BYTES
        {
            return Err(SessionError::Malformed("more names than the tables hold"));
        }
        let named = |(name, kind): &(&str, &str)| DocumentName {
            name: (*name).into(),
            kind: (*kind).into(),
        };
        self.documents.extend(documents.iter().map(named));
        self.replicas.extend_from_slice(replicas);
        Ok(())
    }

    /// Adds the changes of one frame to what is gathered.
    pub(crate) fn gather(
        &mut self,
        frame: u64,
        message: &Bytes,
        entries: &[Entry<'_>],
        advance: u64,
    ) -> Result<(), SessionError> {
        for entry in entries {
            let arrival = self.arrival(message, entry)?;
            self.gathered.bytes += arrival.change.body.len() + 32;
            self.gathered.arrivals.push(arrival);
        }
        let waiting = self.committing.as_ref().map_or(0, |committing| committing.bytes);
        if self.gathered.bytes + waiting > 2 * WINDOW_BYTES + MAX_MESSAGE_BYTES {
            return Err(SessionError::Malformed("more changes under way than the window allows"));
        }
        if advance > 0 {
            let place = self.position.as_mut();
            let place = place.ok_or(SessionError::Malformed("a feed that never started"))?;
            place.number = place
                .number
                .checked_add(advance)
                .ok_or(SessionError::Malformed("a feed number over its limit"))?;
            self.gathered.cursor = Some(*place);
        }
        if !entries.is_empty() {
            self.gathered.frame = frame;
            self.last_frame = frame;
        }
        Ok(())
    }

    fn arrival(&mut self, message: &Bytes, entry: &Entry<'_>) -> Result<Arrival, SessionError> {
        let previous = || SessionError::Malformed("a first change without a document");
        let (document, dot, body) = match *entry {
            Entry::Next(body) => {
                let (document, due) = self.previous.take().ok_or_else(previous)?;
                (document, due, body)
            }
            Entry::At(seq, body) => {
                let (document, due) = self.previous.take().ok_or_else(previous)?;
                (document, Dot { seq, ..due }, body)
            }
            Entry::Any { document, replica, seq, body } => {
                let document = usize::try_from(document).ok().and_then(|i| self.documents.get(i));
                let replica = usize::try_from(replica).ok().and_then(|i| self.replicas.get(i));
                let (Some(document), Some(replica)) = (document, replica) else {
                    return Err(SessionError::Malformed("a change of a document never named"));
                };
                (document.clone(), Dot { replica: *replica, seq }, body)
            }
        };
        // A transport may hand out small frames as parts of a large buffer, which
        // would live as long as the change does.
        let body = if message.len() <= COPIED {
            Bytes::copy_from_slice(body)
        } else {
            message.slice_ref(body)
        };
        let change = Change { dot, body };
        let (header, _) =
            change.open().map_err(|_| SessionError::Malformed("a change that does not decode"))?;
        let due = Dot { replica: dot.replica, seq: dot.seq + header.slots };
        self.previous = Some((document.clone(), due));
        Ok(Arrival { document, change })
    }
}
