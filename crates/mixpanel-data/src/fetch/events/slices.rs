//! Decides which slice of events to request next, and how to handle those that arrived or failed.
//!
//! Parts are numbered in the order in which they are planned. The number of a part never changes its meaning, because
//! the files of the stage bear it: a slice that is divided is marked as replaced, and the new ones come at the end.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::civil::Date;

use crate::api::{Failure, FailureKind};
use crate::limits::{CONSECUTIVE_FAILURES_MAX, SLICE_SPLIT_ATTEMPTS};
use crate::mutant::{Mutant, is_active};
use crate::note::Note;
use crate::slice::Slice;
use crate::stage::{SlicePlan, SliceRecord, SliceState, StagedPage};
use crate::types::BatchProgress;

use super::super::arrival::{Arrival, KeptPart, Loss, Meaning, Replacement, Resumed};
use super::super::core::{PartState, Parts};
use super::super::part::{PartRequest, Requested, SliceSize};
use super::super::progress::FetchEvent;
use super::super::rules::Rules;
use super::planner::{LearnedSize, divide_again};

/// After this many rejections and no accepted request, a fetch of one request at a time ends. A single rejection does not
/// tell whether the fetch or its days are at fault.
const REJECTIONS_MIN: u32 = 2;

/// The slices of a fetch of events.
#[derive(Debug)]
pub(crate) struct Slices {
    plan: SlicePlan,
    /// Whether the plan was changed and not yet passed on.
    is_changed: bool,
    /// Parts that were replaced and not yet passed on.
    replaced: Vec<u32>,
    /// Whether the server has accepted a request.
    has_begun: bool,
    /// How many slices the server has rejected.
    rejections: u32,
    /// How many it must reject before it accepts one for the fetch to end.
    rejections_max: u32,
    sizes: BTreeMap<u32, SliceSize>,
    learned: LearnedSize,
}

impl Slices {
    /// Creates the source of a run whose plan is in its manifest.
    pub(crate) fn resume(rules: Rules, plan: &SlicePlan, staged: &[StagedPage]) -> (Self, Resumed) {
        let replaced = (0..).zip(&plan.records).filter(|(_, record)| record.state == SliceState::Replaced);
        let slices = Self {
            replaced: replaced.map(|(part, _)| part).collect(),
            plan: plan.clone(),
            is_changed: false,
            has_begun: !staged.is_empty(),
            rejections: 0,
            rejections_max: rules.workers.clamp(REJECTIONS_MIN, CONSECUTIVE_FAILURES_MAX),
            sizes: BTreeMap::new(),
            learned: LearnedSize::default(),
        };
        let planned = slices.planned(&rules, u32::try_from(staged.len()).unwrap_or(u32::MAX));
        let kept =
            staged.iter().map(|staged| KeptPart { part: staged.page, rows: staged.rows, rejected: staged.rejected });
        (slices, Resumed { epoch: 0, kept: kept.collect(), event: planned })
    }

    fn planned(&self, rules: &Rules, staged_batches: u32) -> Option<FetchEvent> {
        let from = self.active().map(|(_, slice)| slice.from).min()?;
        let to = self.active().map(|(_, slice)| slice.to).max()?;
        Some(FetchEvent::BatchesPlanned {
            from_date: from.to_string(),
            to_date: to.to_string(),
            total_batches: self.count(),
            staged_batches,
            workers: rules.workers,
        })
    }

    /// Returns the slices that no others replace, with their part numbers.
    fn active(&self) -> impl Iterator<Item = (u32, &Slice)> {
        self.plan.active()
    }

    fn slice(&self, part: u32) -> &Slice {
        &self.plan.records[part as usize].slice
    }

    /// Returns the number of slices that no others replace.
    pub(crate) fn count(&self) -> u32 {
        u32::try_from(self.active().count()).unwrap_or(u32::MAX)
    }

    /// Returns the number of parts, including those that others replace.
    pub(crate) fn count_parts(&self) -> u32 {
        u32::try_from(self.plan.records.len()).unwrap_or(u32::MAX)
    }

    /// Returns the next slice that has not been requested.
    pub(crate) fn next(&self, parts: &Parts) -> Option<u32> {
        Some(parts.next_pending()).filter(|part| *part < self.count_parts())
    }

    /// Returns the request for a slice.
    pub(crate) fn request(&self, part: u32) -> PartRequest {
        PartRequest { epoch: 0, part, what: Requested::Slice(self.slice(part).clone()) }
    }

    /// Returns whether the server has accepted a request.
    pub(crate) fn has_begun(&self) -> bool {
        self.has_begun
    }

    /// Handles a complete slice. The slices that have not been requested may be divided again, now that its size is
    /// known.
    pub(crate) fn accept(&mut self, part: u32, size: SliceSize, parts: &Parts) -> Arrival {
        self.has_begun = true;
        self.sizes.insert(part, size);
        let slice = self.slice(part);
        if slice.events == self.plan.events {
            self.learned.add(slice.days(), size.received, size.bytes);
            self.divide_pending(parts);
        }
        Arrival::of(Meaning::Store { lacks: None })
    }

    /// Divides the slices that have not been requested again, if that is worthwhile.
    fn divide_pending(&mut self, parts: &Parts) {
        if self.plan.is_fixed {
            return;
        }
        let is_pending = |part: u32| part >= parts.next_pending() && parts.state(part) == PartState::Pending;
        let pending = self.active().filter(|(part, slice)| is_pending(*part) && slice.events == self.plan.events);
        let mut pending: Vec<(u32, Slice)> = pending.map(|(part, slice)| (part, slice.clone())).collect();
        pending.sort_by_key(|(_, slice)| slice.from);
        let (numbers, slices): (Vec<u32>, Vec<Slice>) = pending.into_iter().unzip();
        let Some(again) = divide_again(&slices, self.learned, self.plan.requests) else { return };
        numbers.iter().for_each(|part| self.mark_replaced(*part));
        self.append(again);
        if !is_active(Mutant::ReplacedSliceFetched) {
            self.replaced.extend(numbers);
        }
    }

    fn mark_replaced(&mut self, part: u32) {
        if is_active(Mutant::ReplacedSliceFetched) {
            return;
        }
        self.plan.records[part as usize].state = SliceState::Replaced;
        self.is_changed = true;
    }

    fn append(&mut self, slices: impl IntoIterator<Item = Slice>) {
        let planned = |slice| SliceRecord { slice, state: SliceState::Planned };
        self.plan.records.extend(slices.into_iter().map(planned));
        self.is_changed = true;
    }

    /// Returns the slices that take the place of one whose request has failed `attempts` times, after marking it.
    pub(crate) fn replace(&mut self, part: u32, failure: &Failure, attempts: u32) -> Option<Replacement> {
        let slice = self.slice(part).clone();
        if failure.kind == FailureKind::FutureDate && self.may_have_not_begun(slice.to) {
            return Some(self.shorten(part, slice));
        }
        if self.plan.is_sample || attempts < SLICE_SPLIT_ATTEMPTS || !is_cut(failure.kind) {
            return None;
        }
        let (first, second) = slice.halves()?;
        self.mark_replaced(part);
        self.append([first, second]);
        let (from_date, to_date) = (slice.from.to_string(), slice.to.to_string());
        let event = FetchEvent::BatchSplit { from_date, to_date, into: 2, reason: failure.message.clone() };
        Some(Replacement { event, is_fault: true })
    }

    /// Returns whether a day may not have begun for the server. That can be so for one day only, the last one of the
    /// fetch, and only if it is today or yesterday: the local clock or the time zone may be off by a day. A fetch of that
    /// day alone has nothing left without it, so it fails.
    fn may_have_not_begun(&self, day: Date) -> bool {
        // What was replaced counts too, so that a resumed run does not leave out another day.
        let days = || self.plan.records.iter().map(|record| &record.slice);
        let (first, last) = (days().map(|slice| slice.from).min(), days().map(|slice| slice.to).max());
        let is_last = last == Some(day) && first < last;
        is_last && day.tomorrow().is_ok_and(|next| next >= self.plan.today)
    }

    /// Leaves the last day of a slice out.
    fn shorten(&mut self, part: u32, slice: Slice) -> Replacement {
        self.mark_replaced(part);
        let event = FetchEvent::Note(Note::DayNotBegun { day: slice.to.to_string() });
        let rest = slice.to.yesterday().ok().filter(|last| slice.from <= *last);
        self.append(rest.map(|to| Slice { to, ..slice }));
        Replacement { event, is_fault: false }
    }

    /// Decides what the permanent failure of a slice means for the fetch. If the server rejects as many as are requested
    /// at a time and accepts none, something is wrong that all of them have in common, such as the filter. A single one
    /// may be at fault itself, whether it is the first or not.
    pub(crate) fn failed(&mut self, failure: &Failure) -> Loss {
        let concerns_all = match failure.kind {
            FailureKind::NotFound | FailureKind::WrongRegion { .. } | FailureKind::Untrusted => true,
            FailureKind::Rejected(_) => {
                self.rejections += 1;
                self.rejections >= self.rejections_max.min(self.count())
            }
            _ => false,
        };
        if concerns_all && !self.has_begun { Loss::Everything } else { Loss::Part }
    }

    /// Returns the plan if it has changed since the last call.
    pub(crate) fn changed_plan(&mut self) -> Option<Vec<SliceRecord>> {
        std::mem::take(&mut self.is_changed).then(|| self.plan.records.clone())
    }

    /// Returns the parts that were replaced since the last call, other than those that [`replace`](Self::replace) was
    /// called for.
    pub(crate) fn replaced_parts(&mut self) -> Vec<u32> {
        std::mem::take(&mut self.replaced)
    }

    /// Returns the event that reports a slice.
    pub(crate) fn progress(&self, part: u32, result: Result<u64, String>, cumulative_rows: u64) -> FetchEvent {
        let slice = self.slice(part);
        let is_before = |other: &Slice| (other.from, &other.events) < (slice.from, &slice.events);
        let batch_index = self.active().filter(|(_, other)| is_before(other)).count();
        FetchEvent::Batch(BatchProgress {
            from_date: slice.from.to_string(),
            to_date: slice.to.to_string(),
            batch_index: u32::try_from(batch_index).unwrap_or(u32::MAX),
            total_batches: self.count(),
            rows: *result.as_ref().unwrap_or(&0),
            success: result.is_ok(),
            error: result.err(),
            cumulative_rows,
            bytes: self.sizes.get(&part).map_or(0, |size| size.bytes),
            events: if slice.events == self.plan.events { Vec::new() } else { slice.events.clone() },
        })
    }

    /// Returns the event that reports a retry.
    pub(crate) fn retry(&self, part: u32, attempt: u32, reason: String, pause: Duration) -> FetchEvent {
        let slice = self.slice(part);
        let (from_date, to_date) = (slice.from.to_string(), slice.to.to_string());
        FetchEvent::BatchRetry { from_date, to_date, attempt, reason, pause }
    }
}

/// Returns whether a failure may be due to the size of the slice.
fn is_cut(kind: FailureKind) -> bool {
    matches!(kind, FailureKind::Incomplete | FailureKind::TerminatedEarly | FailureKind::Timeout)
}
