//! May this change be logged? Every change passes here, those of this store
//! too: decodable, of the document's kind, right after what is held of its
//! author, nothing missing before it, not from the future. It never looks into
//! a payload.

use super::key;
use super::record::{Head, MAX_NAME_BYTES};
use super::refusal::{Refusal, Verdict};
use super::stage::{Origin, Place, Stage, Stop};
use super::submission::{Arrival, Remote, Skew, last_stamp};
use repliq_core::{
    Chain, Change, ChangeHeader, DecodeError, Hlc, MAX_CLOCK_SKEW, ReplicaId, StorageError,
};

/// A change with what its checks need.
#[derive(Clone, Copy)]
struct Candidate<'c> {
    space: &'c str,
    document: &'c str,
    kind: &'c str,
    change: &'c Change,
    /// The chain after it, where that is known: of what is made here.
    chain: Option<Chain>,
    /// The peer it came from and how that peer's stamps are treated.
    peer: Option<(ReplicaId, Skew)>,
}

/// What the store has of one author in one document.
#[derive(Clone, Copy, Default)]
struct Line {
    /// What is logged.
    head: Head,
    /// The end of what is held after that, if something is.
    held: Option<Head>,
}

impl Line {
    fn end(&self) -> Head {
        self.held.unwrap_or(self.head)
    }
}

/// What to do with a change that is right in itself.
enum Judgement {
    Apply,
    Hold,
    Known(Verdict),
}

impl Stage<'_> {
    /// Takes a change that this store made.
    pub(super) fn local(
        &mut self,
        space: &str,
        document: &str,
        kind: &str,
        change: &Change,
        chain: Chain,
    ) -> Result<Verdict, StorageError> {
        self.verdict(Candidate { space, document, kind, change, chain: Some(chain), peer: None })
    }

    /// Takes what came from a peer, one after the other.
    pub(super) fn remote(&mut self, remote: &Remote) -> Result<Vec<Verdict>, StorageError> {
        let candidate = |arrival: &Arrival| -> Result<Verdict, StorageError> {
            self.verdict(Candidate {
                space: &remote.space,
                document: &arrival.document,
                kind: &arrival.kind,
                change: &arrival.change,
                chain: None,
                peer: Some((remote.from, remote.skew)),
            })
        };
        remote.arrivals.iter().map(candidate).collect()
    }

    fn verdict(&mut self, candidate: Candidate<'_>) -> Result<Verdict, StorageError> {
        self.take(candidate).or_else(|stop| stop.refusal().map(Verdict::Refused))
    }

    fn take(&mut self, candidate: Candidate<'_>) -> Result<Verdict, Stop> {
        let Candidate { space, document, kind, change, chain, peer } = candidate;
        check_names(space, document, kind)?;
        let (header, _) = change.open().map_err(Refusal::Malformed)?;
        if header.deps.get(change.replica()) > change.dot.seq {
            let text = "a change depends on itself or on a later one of its author";
            return Err(Refusal::Malformed(DecodeError::Invalid(text)).into());
        }
        let place = self.find(space, document)?;
        if let Some(place) = place {
            let held = self.document(place)?.state.info.kind.clone();
            if *held != *kind {
                return Err(Refusal::WrongKind { held }.into());
            }
        }
        match self.judge(place, change, &header, peer)? {
            Judgement::Known(verdict) => Ok(verdict),
            Judgement::Apply => {
                let place = match place {
                    Some(place) => place,
                    None => self.make(space, document, kind)?,
                };
                let origin = self.origin(peer.map(|(from, _)| from))?;
                let chain = chain.unwrap_or_else(|| change.chain_after());
                Ok(Verdict::Applied(self.apply(place, change, &header, chain, origin)?.n))
            }
            Judgement::Hold => {
                self.room_to_hold(space, change)?;
                let place = match place {
                    Some(place) => place,
                    None => self.make(space, document, kind)?,
                };
                let origin = self.origin(peer.map(|(from, _)| from))?;
                self.hold(place, change, &header, origin)?;
                Ok(Verdict::Held)
            }
        }
    }

    fn judge(
        &mut self,
        place: Option<Place>,
        change: &Change,
        header: &ChangeHeader,
        peer: Option<(ReplicaId, Skew)>,
    ) -> Result<Judgement, Stop> {
        let (author, seq) = (change.replica(), change.dot.seq);
        let line = self.line(place, author)?;
        let fork = Refusal::Fork { replica: author };
        if seq < line.head.next {
            let same = self.is_logged(place, change)?;
            return if same { Ok(Judgement::Known(Verdict::Duplicate)) } else { Err(fork.into()) };
        }
        let is_own = author == self.own_replica();
        if peer.is_some() && is_own {
            return Err(fork.into());
        }
        let end = line.end();
        if seq < end.next {
            let same = self.is_held(place, change)?;
            return if same { Ok(Judgement::Known(Verdict::Held)) } else { Err(fork.into()) };
        }
        if seq > end.next {
            return Err(Refusal::Gap { replica: author, expected: end.next }.into());
        }
        if header.chain != end.chain {
            return Err(fork.into());
        }
        let mut waits = line.held.is_some();
        for (replica, count) in header.deps.iter().filter(|(replica, _)| *replica != author) {
            let line = self.line(place, replica)?;
            if count > line.end().next {
                return Err(Refusal::Gap { replica, expected: line.end().next }.into());
            }
            waits |= count > line.head.next;
        }
        if let Some((_, skew)) = peer
            && self.is_ahead(header)
        {
            if skew == Skew::Refuse {
                return Err(Refusal::FutureStamp { now: self.wall }.into());
            }
            waits = true;
        }
        Ok(if waits { Judgement::Hold } else { Judgement::Apply })
    }

    fn line(&mut self, place: Option<Place>, replica: ReplicaId) -> Result<Line, Stop> {
        let Some(place) = place else { return Ok(Line::default()) };
        let head = self.head(place, replica)?;
        let held = self.held_end(place, replica)?;
        Ok(Line { head, held })
    }

    /// Whether the log holds the very same change under this dot.
    fn is_logged(&mut self, place: Option<Place>, change: &Change) -> Result<bool, Stop> {
        let Some((space, document)) = place else { return Ok(false) };
        let Some(replica) = self.replica_num(change.replica()) else { return Ok(false) };
        let key = key::log(space, document, replica, change.dot.seq);
        if let Some(body) = self.staged_value(&key) {
            return Ok(body == change.body);
        }
        Ok(self.shared.backend.get(&key)?.is_some_and(|body| body == change.body))
    }

    fn own_replica(&self) -> ReplicaId {
        self.shared.published.read().identity.replica
    }

    /// Whether a stamp of the change is too far ahead of the wall time.
    pub(super) fn is_ahead(&self, header: &ChangeHeader) -> bool {
        let limit = Hlc::from_millis(self.wall.saturating_add(MAX_CLOCK_SKEW));
        last_stamp(header.hlc, header.slots) > limit
    }

    /// The origin that a held change or a feed entry was written with.
    pub(super) fn origin_again(&self, num: u64) -> Result<Origin, Stop> {
        let published = self.shared.published.read();
        let replica = published.replicas.origin(key::Family::Held, num)?;
        Ok(Origin { num, replica })
    }
}

/// Refuses names that are too long, and a space without a name.
pub(super) fn check_names(space: &str, document: &str, kind: &str) -> Result<(), Refusal> {
    check_name("space", space.as_bytes(), 1)?;
    check_name("document", document.as_bytes(), 0)?;
    check_name("kind", kind.as_bytes(), 0)
}

/// Refuses a name that is shorter than `least` or too long.
pub(super) fn check_name(what: &'static str, name: &[u8], least: usize) -> Result<(), Refusal> {
    let bytes = name.len();
    if bytes < least || bytes > MAX_NAME_BYTES {
        return Err(Refusal::Name { what, bytes });
    }
    Ok(())
}
