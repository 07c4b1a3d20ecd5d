//! The commands below `mp fetch`.

use clap::Subcommand;

use super::fetch::{DiscardArgs, FetchProfilesArgs, ResumeArgs};
use super::fetch_events::FetchEventsArgs;

#[derive(Debug, Subcommand)]
pub(crate) enum FetchCommand {
    /// Fetch user profiles, or group profiles, into a table
    ///
    /// Pages are staged on disk as they arrive and loaded into the table at the end, in one transaction.
    Profiles(Box<FetchProfilesArgs>),
    /// Fetch the events of a range of days into a table
    ///
    /// The range is requested in batches of one or more days, which are staged on disk as they arrive and loaded into the
    /// table at the end, in one transaction. Times in the table are in UTC.
    Events(Box<FetchEventsArgs>),
    /// Resume an unfinished run
    ///
    /// The run keeps its filters, and only missing pages or batches are requested. Filters given here must be those of
    /// the run. If the server has forgotten the session of a fetch of profiles, the run restarts from page 0. A run also
    /// drops and hashes the same properties; if it hashes any, it needs the same key, in MP_HASH_KEY or the config file.
    Resume(Box<ResumeArgs>),
    /// List the unfinished runs of the database
    ///
    /// Shows the progress of each, why it stopped, and the command that resumes it. A run is superseded if its table
    /// was loaded after it began; the command then discards it.
    Status,
    /// Remove unfinished runs and their pages or batches
    ///
    /// Tables are not changed. A run that a process is working on cannot be discarded.
    Discard(DiscardArgs),
}

impl FetchCommand {
    /// Returns whether the command prints records instead of storing them.
    pub(crate) fn is_to_stdout(&self) -> bool {
        match self {
            Self::Profiles(arguments) => arguments.stdout,
            Self::Events(arguments) => arguments.stdout,
            Self::Resume(_) | Self::Status | Self::Discard(_) => false,
        }
    }
}
