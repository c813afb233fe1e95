//! The storage thread: the one place that writes.
//!
//! It commits what is queued, one batch at a time, then tells in this order:
//! open documents, whoever follows the feed, whoever waits. It takes no lock
//! that user code runs under, so no closure of a user can hold it up.

use super::queue::{Job, Queue, Then, Work, post_entries};
use super::{Space, View};
use crate::document::{Item, OpenDocument};
use crate::error::CommitError;
use crate::store::{Outcome, Store, StoreError, Submission, Verdict};
use repliq_core::Millis;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// How often held changes are looked at again.
const RELEASE: Duration = Duration::from_secs(60);

pub(super) fn run(
    mut store: Store,
    queue: &Queue,
    wall: fn() -> Millis,
    spaces: &super::Spaces,
    seen: &AtomicU64,
) {
    let _abandon = Abandon(queue);
    let view = View::new(store.reader());
    loop {
        match queue.take(RELEASE) {
            Work::Commit(jobs) => {
                commit(&mut store, &view, queue, wall(), jobs);
                seen.fetch_max(store.last().0, Ordering::SeqCst);
            }
            Work::Idle => release(queue, spaces),
            Work::Closed => return,
        }
    }
}

/// However the thread ends, nobody waits for it for ever.
struct Abandon<'a>(&'a Queue);

impl Drop for Abandon<'_> {
    fn drop(&mut self) {
        self.0.abandon();
    }
}

fn release(queue: &Queue, spaces: &super::Spaces) {
    for space in spaces.alive() {
        if space.holds.load(Ordering::Relaxed) {
            super::push_release(queue, &space);
        }
    }
}

fn commit(store: &mut Store, view: &View, queue: &Queue, wall: Millis, jobs: Vec<Job>) {
    let mut submissions = Vec::with_capacity(jobs.len());
    let mut waiting = Vec::with_capacity(jobs.len());
    for job in jobs {
        submissions.push(job.submission);
        waiting.push((job.space, job.bytes, job.then));
    }
    // A backend that panics leaves open what is durable, as one that fails twice.
    let result = catch_unwind(AssertUnwindSafe(|| store.commit(&submissions, wall)));
    match result.unwrap_or(Err(StoreError::Broken)) {
        Ok(outcomes) => {
            let done = waiting.into_iter().zip(submissions).zip(outcomes);
            committed(view, queue, done.map(|(((space, _, then), s), o)| (space, then, s, o)));
        }
        Err(error) => {
            let failed = submissions.into_iter().zip(waiting);
            let failed = failed.map(|(submission, (space, bytes, then))| Job {
                space,
                submission,
                bytes,
                then,
            });
            fail(queue, failed.collect(), error);
        }
    }
}

fn committed(
    view: &View,
    queue: &Queue,
    done: impl Iterator<Item = (Arc<Space>, Then, Submission, Outcome)>,
) {
    let mut touched: Vec<Arc<dyn OpenDocument>> = Vec::new();
    let mut spaces: Vec<Arc<Space>> = Vec::new();
    let mut replies: Vec<Box<dyn FnOnce() + Send>> = Vec::new();
    let mut updates = 0;
    for (space, then, submission, outcome) in done {
        match (then, submission, outcome) {
            (Then::Local { document, id, done }, _, Outcome::Local(verdict)) => {
                updates += 1;
                let result = match verdict {
                    Verdict::Refused(refusal) => {
                        document.post(Item::Failed(id));
                        Err(CommitError::Refused(refusal.to_string()))
                    }
                    _ => {
                        document.post(Item::Committed(id));
                        Ok(())
                    }
                };
                if touched.last().is_none_or(|last| !Arc::ptr_eq(last, &document)) {
                    touched.push(document);
                }
                replies.push(Box::new(move || drop(done.send(result))));
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
                replies.push(Box::new(move || drop(done.send(Ok(verdicts)))));
            }
            (_, Submission::Release { .. }, Outcome::Released { changes, more }) => {
                if changes.is_empty() && !more {
                    space.holds.store(view.holds(&space.name), Ordering::Relaxed);
                }
                touched.extend(post_entries(&space, changes));
                if more {
                    super::push_release(queue, &space);
                }
            }
            (Then::Record { done: Some(done) }, _, Outcome::Recorded(result)) => {
                let result = result.map_err(|refusal| CommitError::Refused(refusal.to_string()));
                replies.push(Box::new(move || drop(done.send(result))));
            }
            _ => {}
        }
        if spaces.last().is_none_or(|last| !Arc::ptr_eq(last, &space)) {
            spaces.push(space);
        }
    }
    for space in spaces {
        space.publish_head(view);
    }
    for document in touched {
        document.settle();
    }
    queue.give_back(updates);
    for reply in replies {
        reply();
    }
}

/// Undoes everything that is not durable: the batch that failed, and what came
/// after it. Documents roll back as soon as nobody holds them.
fn fail(queue: &Queue, jobs: Vec<Job>, error: StoreError) {
    let error = Arc::new(error);
    let mut updates = 0;
    for job in queue.fail(jobs) {
        let error = CommitError::Store(Arc::clone(&error));
        match job.then {
            Then::Local { document, done, .. } => {
                updates += 1;
                document.settle();
                let _ = done.send(Err(error));
            }
            Then::Remote { done } => drop(done.send(Err(error))),
            Then::Record { done: Some(done) } => drop(done.send(Err(error))),
            Then::Record { done: None } => {}
        }
    }
    queue.give_back(updates);
}
