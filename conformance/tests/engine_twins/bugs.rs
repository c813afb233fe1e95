//! What engines get wrong, and the case that has to find it.

/// A bug of the [model](crate::model).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Bug {
    /// The last change of a batch is counted as sent, but not in it.
    DropsTheLastOfABatch,
    /// After a reconnect it goes on one change behind what the peer holds.
    ResumesOneTooFar,
    /// Edits made while connected wait for the next connection.
    SendsOnlyWhenItConnects,
    /// Subscribers hear of own edits only.
    TellsNobodyOfRemoteChanges,
    /// What it sent comes back from the relay and is applied again.
    AppliesItsOwnEcho,
    /// Only edits made while linked are sent.
    DoesNotQueueOfflineEdits,
    /// A relay passes changes on to the devices of the same listener only.
    PassesOnWithinATransportOnly,
    /// All changes of a batch go to the document of the first.
    MixesUpDocuments,
    /// A link sends every space.
    MixesUpSpaces,
    /// How far a peer's feed is held is saved before the changes are.
    SavesTheCursorBeforeTheChanges,
    /// What was not acknowledged is gone after a restart.
    ForgetsTheUnsentAtRestart,
    /// Sequence numbers start again from nothing.
    CountsAnewAfterRestart,
    /// What was handed to the transport counts as delivered.
    TrustsWhatWasSent,
    /// What comes after a lost frame acknowledges the lost one as well.
    OverlooksAGap,
    /// A frame that comes twice is applied twice.
    TakesRepeatsForNew,
    /// It acknowledges changes whose commit failed.
    IgnoresFailedCommits,
    /// Subscribers hear of a change before it is committed.
    TellsBeforeItIsDurable,
    /// An update that failed stays visible.
    KeepsAFailedUpdate,
}

/// For each case at least one bug that this very case fails for, and what it says.
pub(crate) const TWINS: &[(&str, Bug, &str)] = &[
    ("bootstrap", Bug::DropsTheLastOfABatch, "b in default/notes: missing"),
    ("partition_heals", Bug::ResumesOneTooFar, "missing"),
    ("live", Bug::SendsOnlyWhenItConnects, "b waits for an event of default/notes"),
    ("live", Bug::TellsNobodyOfRemoteChanges, "b waits for an event of default/notes"),
    ("live", Bug::AppliesItsOwnEcho, "twice"),
    ("offline_edits_on_both", Bug::DoesNotQueueOfflineEdits, "missing"),
    ("mixed_pairs", Bug::PassesOnWithinATransportOnly, "missing"),
    ("documents_and_spaces_stay_apart", Bug::MixesUpDocuments, "from elsewhere"),
    ("documents_and_spaces_stay_apart", Bug::MixesUpSpaces, "b in team/notes: from elsewhere"),
    ("relay_restarts", Bug::SavesTheCursorBeforeTheChanges, "missing"),
    ("device_restarts", Bug::ForgetsTheUnsentAtRestart, "a in default/notes: missing"),
    ("device_restarts", Bug::CountsAnewAfterRestart, "b in default/notes: missing"),
    ("one_direction_loses", Bug::TrustsWhatWasSent, "missing"),
    ("one_direction_loses", Bug::OverlooksAGap, "missing"),
    ("a_fifth_comes_twice", Bug::TakesRepeatsForNew, "twice"),
    ("what_fails_to_be_durable_is_not_told", Bug::IgnoresFailedCommits, "said to be synced"),
    ("what_fails_to_be_durable_is_not_told", Bug::KeepsAFailedUpdate, "from elsewhere"),
    (
        "what_fails_to_be_durable_is_not_told",
        Bug::TellsBeforeItIsDurable,
        "a change that is not durable was told",
    ),
];
