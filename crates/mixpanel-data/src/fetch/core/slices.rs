//! Handles slices. Unlike a page, a slice is received, parsed and written in one go, so it arrives as a file.

use crate::error::Error;

use super::super::events::ReceivedSlice;
use super::super::part::{PartRequest, SliceSize};
use super::super::writer::{Message, Report};
use super::coordinator::PartDecision;
use super::{Action, Core, Now};

impl Core {
    /// Handles a complete slice, whose file does not count until the writer has committed it.
    pub(crate) fn slice_arrived(&mut self, request: &PartRequest, slice: ReceivedSlice, at: Now, fraction: f64) {
        if let Some(permit) = self.permit(request) {
            let told = permit.succeeded(at.wall);
            self.note(told);
        }
        self.coordinator.reply_received(request.part);
        let size = SliceSize::of(&slice.facts);
        let decision = self.coordinator.part_arrived(request.part, size, at.run, fraction);
        if decision == PartDecision::Store {
            self.unstored.add(&slice.unstored);
            self.actions.push_back(Action::Write(Message::Slice(Box::new(slice))));
        }
    }

    /// Handles a slice that could not be written, such as on a full disk. Nothing more can be stored.
    pub(crate) fn slice_not_stored(&mut self, request: &PartRequest, error: Error, at: Now) {
        if let Some(permit) = self.permit(request) {
            let told = permit.succeeded(at.wall);
            self.note(told);
        }
        self.writer_reported(Some(Report::Failed(error)));
    }
}
