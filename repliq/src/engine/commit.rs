//! What commits: everything that is queued as one batch, then it tells, in this
//! order, open documents, whoever follows the feed, whoever waits. It takes no
//! lock that user code runs under, so no closure of a user can hold it up. A store
//! that lost track of a commit it asks again until it knows.

use super::queue::{Committing, Job, Queue, Then, Waiting, post_entries, tell};
use super::watch::Watch;
use super::{Space, StoreStatus, View};
use crate::document::{Item, OpenDocument};
use crate::error::CommitError;
use crate::store::{Outcome, Refusal, Store, StoreError, Submission, Verdict};
use repliq_core::{Millis, StorageError, StorageErrorKind};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The store's only writer, with all it works on.
pub(super) struct Committer {
    pub(super) store: Store,
    pub(super) view: View,
    pub(super) queue: Arc<Queue>,
    pub(super) watch: Arc<Watch>,
    pub(super) wall: fn() -> Millis,
    pub(super) spaces: Arc<super::Spaces>,
    pub(super) seen: Arc<AtomicU64>,
    pub(super) status: tokio::sync::watch::Sender<StoreStatus>,
}

impl Committer {
    /// Commits what is queued, as far as it fits into one batch.
    pub(super) fn commit_queued(&mut self) {
        let jobs = self.queue.drain();
        if !jobs.is_empty() {
            self.commit(jobs);
            self.seen.fetch_max(self.store.last().0, Ordering::SeqCst);
        }
    }

    /// Whether it is unknown what became of the last commit.
    pub(super) const fn is_unsettled(&self) -> bool {
        self.store.is_unsettled()
    }

    /// Asks a store that lost track, if it did.
    pub(super) fn settle_if_unsettled(&mut self) {
        if self.is_unsettled() && self.settle() == Ok(true) {
            self.go_on(Vec::new());
        }
    }

    fn commit(&mut self, jobs: Vec<Job>) {
        if self.store.is_unsettled() {
            match self.settle() {
                Ok(false) => {}
                Ok(true) => return self.go_on(jobs),
                Err(()) => {
                    let error = Arc::new(StoreError::Broken);
                    return fail(&self.queue, jobs, &[], |_| {
                        CommitError::Store(Arc::clone(&error))
                    });
                }
            }
        }
        let mut submissions = Vec::with_capacity(jobs.len());
        let mut committing = Vec::with_capacity(jobs.len());
        for job in jobs {
            submissions.push(job.submission);
            committing.push((job.space, job.bytes, job.then));
        }
        self.queue.begin(committing);
        // A backend that panics leaves open what is durable, as one that fails twice.
        let work =
            || catch_unwind(AssertUnwindSafe(|| self.store.commit(&submissions, (self.wall)())));
        let result = self.watch.over(&self.queue, work).unwrap_or(Err(StoreError::Broken));
        let committing = self.queue.finish();
        match result {
            Ok(outcomes) => {
                let done = committing.into_iter().zip(submissions).zip(outcomes);
                let done = done.map(|(((space, _, then), s), o)| (space, then, s, o));
                self.committed(done);
                self.tell_status(|| StoreStatus::Working);
            }
            Err(error) => self.failed(committing, submissions, error),
        }
    }

    fn failed(&self, committing: Vec<Committing>, submissions: Vec<Submission>, error: StoreError) {
        let error = Arc::new(error);
        let in_doubt = matches!(*error, StoreError::Broken).then_some(committing.len());
        let jobs = submissions.into_iter().zip(committing);
        let jobs =
            jobs.map(|(submission, (space, bytes, then))| Job { space, submission, bytes, then });
        fail(&self.queue, jobs.collect(), &[], |at| match in_doubt {
            Some(count) if at < count => CommitError::Unknown(Arc::clone(&error)),
            _ => CommitError::Store(Arc::clone(&error)),
        });
        let is_lasting = matches!(&*error, StoreError::Storage(why) if is_lasting(why));
        self.tell_status(|| match is_lasting {
            true => StoreStatus::Failed(error),
            false => StoreStatus::Failing(error),
        });
    }

    /// Asks a store that lost track. `Ok(true)`: its last commit is durable after
    /// all.
    fn settle(&mut self) -> Result<bool, ()> {
        let work = || catch_unwind(AssertUnwindSafe(|| self.store.settle()));
        match self.watch.over(&self.queue, work) {
            Ok(Ok(is_durable)) => {
                self.tell_status(|| StoreStatus::Working);
                Ok(is_durable)
            }
            Ok(Err(error)) => {
                let is_lasting = is_lasting(&error);
                let error = Arc::new(StoreError::Storage(error));
                self.tell_status(|| match is_lasting {
                    true => StoreStatus::Failed(error),
                    false => StoreStatus::Failing(error),
                });
                Err(())
            }
            Err(_panic) => Err(()),
        }
    }

    /// The log went on without the documents that are open. What was made since
    /// was made without knowing of it, and is given up.
    fn go_on(&self, jobs: Vec<Job>) {
        let spaces = self.spaces.alive();
        let documents: Vec<_> = spaces.iter().flat_map(|space| space.open_documents()).collect();
        fail(&self.queue, jobs, &documents, |_| CommitError::Earlier);
        self.seen.fetch_max(self.store.last().0, Ordering::SeqCst);
        spaces.iter().for_each(|space| space.publish_head(&self.view));
        documents.iter().for_each(|document| document.settle());
    }

    fn tell_status(&self, status: impl FnOnce() -> StoreStatus) {
        self.status.send_if_modified(|now| {
            let next = status();
            let is_new = std::mem::discriminant(now) != std::mem::discriminant(&next);
            *now = next;
            is_new
        });
    }

    fn committed(&self, done: impl Iterator<Item = (Arc<Space>, Then, Submission, Outcome)>) {
        let mut touched: Vec<Arc<dyn OpenDocument>> = Vec::new();
        let mut spaces: Vec<Arc<Space>> = Vec::new();
        let mut replies: Vec<Reply> = Vec::new();
        let mut updates = 0;
        for (space, then, submission, outcome) in done {
            match (then, submission, outcome) {
                (Then::Local { document, id, done }, _, Outcome::Local(verdict)) => {
                    updates += 1;
                    let result = match verdict {
                        Verdict::Refused(refusal) => {
                            document.post(Item::Failed(id));
                            Err(refused(&refusal))
                        }
                        _ => {
                            document.post(Item::Committed(id));
                            Ok(())
                        }
                    };
                    if touched.last().is_none_or(|last| !Arc::ptr_eq(last, &document)) {
                        touched.push(document);
                    }
                    replies.push(Reply::Done(done, result));
                }
                (
                    Then::Remote { done },
                    Submission::Remote(remote),
                    Outcome::Remote { verdicts, .. },
                ) => {
                    for (arrival, verdict) in remote.arrivals.into_iter().zip(&verdicts) {
                        match verdict {
                            Verdict::Applied(_) => {
                                if let Some(document) = space.open_document(&arrival.document) {
                                    document.post(Item::Remote {
                                        kind: arrival.kind,
                                        change: arrival.change,
                                    });
                                    touched.push(document);
                                }
                            }
                            Verdict::Held => space.holds.store(true, Ordering::Relaxed),
                            _ => {}
                        }
                    }
                    replies.push(Reply::Verdicts(done, verdicts));
                }
                (_, Submission::Release { .. }, Outcome::Released { changes, more }) => {
                    if changes.is_empty() && !more {
                        space.holds.store(self.view.holds(&space.name), Ordering::Relaxed);
                    }
                    touched.extend(post_entries(&space, changes));
                    if more {
                        super::push_release(&self.queue, &space);
                    }
                }
                (Then::Record { done }, _, Outcome::Recorded(result)) => {
                    replies.push(Reply::Done(done, result.map_err(|refusal| refused(&refusal))));
                }
                _ => {}
            }
            if spaces.last().is_none_or(|last| !Arc::ptr_eq(last, &space)) {
                spaces.push(space);
            }
        }
        for space in spaces {
            space.publish_head(&self.view);
        }
        for document in touched {
            document.settle();
        }
        self.queue.give_back(updates);
        replies.into_iter().for_each(Reply::send);
    }
}

/// What is told once everything else has happened.
enum Reply {
    Done(Waiting<()>, Result<(), CommitError>),
    Verdicts(Waiting<Vec<Verdict>>, Vec<Verdict>),
}

impl Reply {
    fn send(self) {
        match self {
            Self::Done(waiting, result) => tell(waiting, result),
            Self::Verdicts(waiting, verdicts) => tell(waiting, Ok(verdicts)),
        }
    }
}

fn refused(refusal: &Refusal) -> CommitError {
    CommitError::Refused(refusal.to_string())
}

/// Whether a failure does not end by itself, nor by freeing some space.
fn is_lasting(error: &StorageError) -> bool {
    matches!(error.kind, StorageErrorKind::Corrupt | StorageErrorKind::Closed)
}

/// Undoes everything that is not durable: the batch that failed, and what came
/// after it. Documents roll back as soon as nobody holds them. `error` is asked
/// with the position of each, those that came after it included.
fn fail(
    queue: &Queue,
    jobs: Vec<Job>,
    behind: &[Arc<dyn OpenDocument>],
    error: impl Fn(usize) -> CommitError,
) {
    let mut updates = 0;
    for (at, mut job) in queue.fail(jobs, behind).into_iter().enumerate() {
        if let Then::Local { document, .. } = &job.then {
            updates += 1;
            document.settle();
        }
        let error = error(at);
        match job.then {
            Then::Local { document, done, .. } => {
                // It may be the last handle: the store is free when the update returns.
                drop(document);
                tell(done, Err(error));
            }
            ref mut other => other.give_up(error),
        }
    }
    queue.give_back(updates);
}
