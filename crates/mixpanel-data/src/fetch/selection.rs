//! What a run into a table fetches, of either dataset.

use crate::api::ApiClient;
use crate::property_rules::PropertyRules;
use crate::stage::Stage;

use super::callbacks::Callbacks;
use super::driver::Run;
use super::events::ValidEvents;
use super::request::Control;
use super::source::PriorRun;
use super::validate::Validated;

/// What a run into a table fetches, validated.
pub(super) enum Selection {
    Profiles(Box<Validated>),
    Events(Box<ValidEvents>),
}

impl Selection {
    /// Returns whether it selects nothing, so that no request is needed.
    pub(super) fn is_empty(&self) -> bool {
        match self {
            Self::Profiles(valid) => valid.request.is_empty,
            Self::Events(_) => false,
        }
    }

    /// Returns the rules for properties as they are recorded.
    pub(super) fn recorded_rules(&self) -> PropertyRules {
        match self {
            Self::Profiles(valid) => valid.recorded_rules(),
            Self::Events(valid) => valid.recorded_rules(),
        }
    }

    /// Warns the caller if an argument was adjusted or the quota ledger is not shared.
    pub(super) fn announce(&self, client: &ApiClient, callbacks: &mut Callbacks) {
        match self {
            Self::Profiles(valid) => valid.announce(client, callbacks),
            Self::Events(valid) => valid.announce(client, callbacks),
        }
    }

    /// Creates a run that fetches all parts that an earlier process has not staged.
    pub(super) fn into_run(self, client: &ApiClient, control: &Control, earlier: PriorRun, stage: &Stage) -> Run {
        match self {
            Self::Profiles(valid) => valid.into_run(client, control, Some(earlier)),
            Self::Events(valid) => valid.into_run(client, control, earlier, stage.slice_directory()),
        }
    }
}
