//! Selects the faults that apply to an export request.

use std::collections::HashMap;
use std::time::Duration;

use jiff::civil::Date;

use super::fault::{ExportFault, ExportFaultKind};
use crate::fault::{FaultKind, Times};

/// The configured faults, and how often each has occurred.
#[derive(Debug, Default)]
pub(super) struct ExportScript {
    faults: Vec<ExportFault>,
    /// By fault, in all.
    totals: HashMap<usize, u32>,
    /// By fault and slice.
    happened: HashMap<(usize, String), u32>,
    requests: u64,
}

/// The faults that apply to one request.
#[derive(Debug, Default)]
pub(super) struct Due {
    pub(super) delay: Duration,
    pub(super) kind: Option<ExportFaultKind>,
    /// The number of faults, including delays.
    pub(super) applied: u64,
}

impl ExportScript {
    pub(super) fn new(faults: Vec<ExportFault>) -> Self {
        Self { faults, ..Self::default() }
    }

    /// Returns the faults for a request: the first one due, and every delay before it. `slice` identifies what is
    /// requested, and `days` are the first and the last one.
    pub(super) fn next(&mut self, slice: &str, days: Option<(Date, Date)>) -> Due {
        let number = self.requests;
        self.requests += 1;
        let mut due = Due::default();
        for (place, fault) in self.faults.iter().enumerate() {
            if !fault.slices.iter().all(|selector| selector.chooses(number, days)) {
                continue;
            }
            let total = self.totals.entry(place).or_default();
            let times = self.happened.entry((place, slice.to_owned())).or_default();
            let is_over = |times: u32| matches!(fault.times, Times::PerPage(most) if times >= most);
            if fault.total.is_some_and(|most| *total >= most) || is_over(*times) {
                continue;
            }
            *total += 1;
            *times += 1;
            due.applied += 1;
            if let ExportFaultKind::Common(FaultKind::Delay(delay)) = fault.kind {
                due.delay += delay;
            } else {
                due.kind = Some(fault.kind.clone());
                break;
            }
        }
        due
    }
}
