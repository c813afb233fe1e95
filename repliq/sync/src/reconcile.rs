//! Finding out what a peer lacks when no cursor says so: the documents of a
//! space are ordered by the hash of their names, and ranges of that order are
//! compared by fingerprint, split where they differ, and listed where few are
//! left (after Meyer, "Range-Based Set Reconciliation", 2023).

use crate::message::at_most;
use repliq_core::{Chain, ReplicaId, Version};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A range with at most this many documents is listed, a larger one is split.
const LISTED: usize = 64;
/// A longer list than this makes no sense.
const LISTED_MOST: usize = 4096;
/// A range has at most this many parts.
const PARTS: usize = 256;
/// Replies are broken off past this many bytes; the rest is asked for again.
const REPLY_BYTES: usize = 1 << 20;
/// The length of a document's key.
const KEY_BYTES: usize = 16;

/// A range of documents: those whose keys start with these bytes.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Default, Serialize, Deserialize)]
pub struct Prefix(#[serde(deserialize_with = "at_most::<_, _, KEY_BYTES>")] pub Vec<u8>);

/// A sum over the documents of a range: equal sets have equal fingerprints.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
pub struct Fingerprint(pub [u8; 16]);

/// A document in a list: its name, what is held of it, and the chains as in
/// [`DocumentSummary::chains`].
pub type ListedDocument = (String, Version, Vec<Chain>);

/// What a peer holds in a range it was asked about.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub enum RangeReply {
    /// The same as the asker.
    Same,
    /// These documents, at these versions.
    Documents(#[serde(deserialize_with = "at_most::<_, _, LISTED_MOST>")] Vec<ListedDocument>),
    /// Too many to list: the fingerprints of the range's non-empty parts, by
    /// the next byte of the key.
    Parts(#[serde(deserialize_with = "at_most::<_, _, PARTS>")] Vec<(u8, Fingerprint)>),
    /// The reply got too long; ask again.
    Later,
}

/// A document and what is held of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DocumentSummary {
    /// The name of the document.
    pub name: Arc<str>,
    /// What is held of it.
    pub version: Version,
    /// The chain after the last change that is held of each replica, in the
    /// order of the version. Two stores that hold different changes under the
    /// same dots differ here only, so a store that leaves this empty does not
    /// see such a fork when it compares.
    pub chains: Vec<Chain>,
}

impl DocumentSummary {
    fn heads(&self) -> impl Iterator<Item = (ReplicaId, u64, Option<Chain>)> {
        let chains = self.chains.iter().copied().map(Some).chain(std::iter::repeat(None));
        self.version.iter().zip(chains).map(|((id, count), chain)| (id, count, chain))
    }

    /// What a peer lacks that holds `theirs`.
    fn lacking(&self, theirs: Option<&ListedDocument>) -> Option<Version> {
        let Some((_, version, chains)) = theirs else { return Some(Version::default()) };
        let theirs =
            Self { name: Arc::clone(&self.name), version: version.clone(), chains: chains.clone() };
        // What the peer claims beyond that is of no use, but large.
        let mut held = version.clone();
        held.meet(&self.version);
        let chains: BTreeMap<_, _> =
            theirs.heads().filter_map(|(id, count, chain)| Some((id, (count, chain?)))).collect();
        for (id, count, chain) in self.heads() {
            let parted = chains.get(&id).is_some_and(|(n, c)| *n == count && Some(*c) != chain);
            if parted && chain.is_some() {
                // The same dots, other changes: sent again, they show the fork.
                held.set(id, 0);
            }
        }
        (!held.covers(&self.version)).then_some(held)
    }
}

struct Item {
    key: [u8; KEY_BYTES],
    document: DocumentSummary,
}

impl Item {
    fn head(&self, len: usize) -> &[u8] {
        self.key.get(..len).unwrap_or(&self.key)
    }
}

/// What a store holds of every document of a space at one moment.
#[derive(Default)]
pub struct Summary {
    items: Vec<Item>,
    /// `sums[i]` is the sum over the first `i` items.
    sums: Vec<u128>,
}

impl Summary {
    /// Sorts and sums up the documents. O(n log n).
    #[must_use]
    pub fn new(documents: impl IntoIterator<Item = DocumentSummary>) -> Self {
        let item = |document: DocumentSummary| Item { key: key_of(&document.name), document };
        let mut items: Vec<Item> =
            documents.into_iter().filter(|d| !d.version.is_empty()).map(item).collect();
        items.sort_unstable_by_key(|item| item.key);
        let mut sum = 0_u128;
        let mut sums = Vec::with_capacity(items.len() + 1);
        sums.push(sum);
        for item in &items {
            sum = sum.wrapping_add(leaf(item));
            sums.push(sum);
        }
        Self { items, sums }
    }

    /// The fingerprint of a range. O(log n).
    #[must_use]
    pub fn fingerprint(&self, prefix: &Prefix) -> Fingerprint {
        let (from, to) = self.bounds(prefix);
        let at = |index: usize| self.sums.get(index).copied().unwrap_or_default();
        Fingerprint(at(to).wrapping_sub(at(from)).to_be_bytes())
    }

    /// The documents of a range.
    pub fn documents(&self, prefix: &Prefix) -> impl Iterator<Item = &DocumentSummary> {
        let (from, to) = self.bounds(prefix);
        self.items.get(from..to).unwrap_or_default().iter().map(|item| &item.document)
    }

    /// Answers the questions of a peer, one reply a range.
    #[must_use]
    pub fn answer(&self, ranges: &[(Prefix, Fingerprint)]) -> Vec<RangeReply> {
        let mut bytes = 0;
        let answer = |(prefix, theirs): &(Prefix, Fingerprint)| {
            if bytes > REPLY_BYTES {
                return RangeReply::Later;
            }
            let reply = self.answer_range(prefix, *theirs);
            bytes += match &reply {
                RangeReply::Documents(_) => self.documents(prefix).map(listed_bytes).sum(),
                RangeReply::Parts(parts) => parts.len() * 17,
                RangeReply::Same | RangeReply::Later => 1,
            };
            reply
        };
        ranges.iter().map(answer).collect()
    }

    fn answer_range(&self, prefix: &Prefix, theirs: Fingerprint) -> RangeReply {
        if self.fingerprint(prefix) == theirs {
            RangeReply::Same
        } else if prefix.0.len() >= KEY_BYTES || self.is_short(prefix) {
            let entry =
                |d: &DocumentSummary| (d.name.to_string(), d.version.clone(), d.chains.clone());
            RangeReply::Documents(self.documents(prefix).map(entry).collect())
        } else {
            RangeReply::Parts(self.parts(prefix).into_iter().collect())
        }
    }

    /// Whether a range has few documents, which few replicas wrote.
    fn is_short(&self, prefix: &Prefix) -> bool {
        let (from, to) = self.bounds(prefix);
        let bytes = || self.documents(prefix).map(listed_bytes).sum::<usize>();
        to - from <= 1 || (to - from <= LISTED && bytes() <= REPLY_BYTES)
    }

    /// The fingerprints of the non-empty parts of a range.
    fn parts(&self, prefix: &Prefix) -> BTreeMap<u8, Fingerprint> {
        (0..=u8::MAX)
            .filter_map(|byte| {
                let part = extend(prefix, byte);
                let (from, to) = self.bounds(&part);
                (from < to).then(|| (byte, self.fingerprint(&part)))
            })
            .collect()
    }

    /// Takes in a reply about a range: adds to `lacking` what the peer lacks,
    /// and to `ask` what has to be asked next. Returns whether it made sense.
    pub(crate) fn learn(
        &self,
        prefix: Prefix,
        reply: RangeReply,
        lacking: &mut Vec<(Arc<str>, Version)>,
        ask: &mut Vec<Prefix>,
    ) -> bool {
        match reply {
            RangeReply::Same => {}
            RangeReply::Later => ask.push(prefix),
            RangeReply::Documents(held) => {
                let held: BTreeMap<&str, &ListedDocument> =
                    held.iter().map(|listed| (&*listed.0, listed)).collect();
                for document in self.documents(&prefix) {
                    let theirs = held.get(&*document.name).copied();
                    if let Some(theirs) = document.lacking(theirs) {
                        lacking.push((Arc::clone(&document.name), theirs));
                    }
                }
            }
            RangeReply::Parts(_) if prefix.0.len() >= KEY_BYTES => return false,
            RangeReply::Parts(theirs) => {
                let theirs: BTreeMap<u8, Fingerprint> = theirs.into_iter().collect();
                for (byte, ours) in self.parts(&prefix) {
                    let part = extend(&prefix, byte);
                    match theirs.get(&byte) {
                        Some(fingerprint) if *fingerprint == ours => {}
                        Some(_) => ask.push(part),
                        None => lacking.extend(
                            self.documents(&part)
                                .map(|d| (Arc::clone(&d.name), Version::default())),
                        ),
                    }
                }
            }
        }
        true
    }

    fn bounds(&self, prefix: &Prefix) -> (usize, usize) {
        let prefix = prefix.0.as_slice();
        let from = self.items.partition_point(|item| item.head(prefix.len()) < prefix);
        let to = self.items.partition_point(|item| item.head(prefix.len()) <= prefix);
        (from, to)
    }
}

fn extend(prefix: &Prefix, byte: u8) -> Prefix {
    let mut bytes = prefix.0.clone();
    bytes.push(byte);
    Prefix(bytes)
}

/// About how many bytes a document takes in a list.
fn listed_bytes(document: &DocumentSummary) -> usize {
    document.name.len() + 34 * document.version.len()
}

fn key_of(name: &str) -> [u8; KEY_BYTES] {
    hash(name.as_bytes())
}

fn leaf(item: &Item) -> u128 {
    let mut bytes = item.key.to_vec();
    repliq_core::encode_into(&item.document.version, &mut bytes);
    repliq_core::encode_into(&item.document.chains, &mut bytes);
    u128::from_be_bytes(hash(&bytes))
}

fn hash(bytes: &[u8]) -> [u8; KEY_BYTES] {
    let mut out = [0; KEY_BYTES];
    blake3::Hasher::new().update(bytes).finalize_xof().fill(&mut out);
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn summary(documents: &BTreeMap<u16, u64>) -> Summary {
        Summary::new(documents.iter().map(|(name, count)| DocumentSummary {
            name: name.to_string().into(),
            version: [(ReplicaId::from_bytes([1; 16]), *count)].into_iter().collect(),
            chains: vec![Chain::START],
        }))
    }

    fn lacking(ours: &Summary, theirs: &Summary) -> (BTreeMap<u16, u64>, usize) {
        let (mut lacking, mut ask, mut asked) = (Vec::new(), vec![Prefix::default()], 0);
        while !ask.is_empty() {
            let ranges: Vec<_> = ask.drain(..).map(|p| (p.clone(), ours.fingerprint(&p))).collect();
            asked += 1;
            for ((prefix, _), reply) in ranges.iter().zip(theirs.answer(&ranges)) {
                assert!(ours.learn(prefix.clone(), reply, &mut lacking, &mut ask));
            }
        }
        let held = |v: &Version| v.get(ReplicaId::from_bytes([1; 16]));
        (lacking.iter().map(|(n, v)| (n.parse().unwrap(), held(v))).collect(), asked)
    }

    proptest! {
        #[test]
        fn what_a_peer_lacks_is_found_exactly(
            ours in prop::collection::btree_map(0_u16..2000, 1_u64..4, 0..600),
            change in prop::collection::btree_map(0_u16..2000, 0_u64..4, 0..200),
        ) {
            let mut theirs = ours.clone();
            for (name, count) in change {
                if count == 0 { theirs.remove(&name); } else { theirs.insert(name, count); }
            }
            let expected: BTreeMap<u16, u64> = ours
                .iter()
                .filter(|(name, count)| theirs.get(name).is_none_or(|held| held < count))
                .map(|(name, _)| (*name, theirs.get(name).copied().unwrap_or(0)))
                .collect();
            prop_assert_eq!(lacking(&summary(&ours), &summary(&theirs)).0, expected);
        }
    }

    #[test]
    fn one_difference_among_ten_thousand_documents_takes_three_questions_at_most() {
        let ours: BTreeMap<u16, u64> = (0..10_000).map(|name| (name, 2)).collect();
        let mut theirs = ours.clone();
        theirs.insert(4711, 1);
        let (found, asked) = lacking(&summary(&ours), &summary(&theirs));
        assert_eq!(found, BTreeMap::from([(4711, 1)]));
        assert!(asked <= 3, "{asked}");
    }
}
