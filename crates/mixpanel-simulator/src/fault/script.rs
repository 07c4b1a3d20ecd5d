//! Selects the faults that apply to a request.

use std::collections::HashMap;
use std::time::Duration;

use super::model::{Fault, FaultKind, Times};

/// The configured faults, and how often each has occurred.
#[derive(Debug, Default)]
pub(crate) struct Script {
    faults: Vec<Fault>,
    happened: HashMap<(usize, u64), u32>,
    attempts: HashMap<u64, u64>,
}

/// The faults that apply to one request.
#[derive(Debug, Default)]
pub(crate) struct Due {
    pub(crate) delay: Duration,
    pub(crate) kind: Option<FaultKind>,
    /// The number of faults, including delays.
    pub(crate) applied: u64,
}

impl Script {
    pub(crate) fn new(faults: Vec<Fault>) -> Self {
        Self { faults, ..Self::default() }
    }

    /// Returns the faults for a page request: the first one due, and every delay before it.
    pub(crate) fn next(&mut self, page: u64) -> Due {
        let mut due = Due::default();
        if self.faults.is_empty() {
            return due;
        }
        let attempt = self.attempts.entry(page).or_default();
        let this_attempt = *attempt;
        *attempt += 1;
        for (number, fault) in self.faults.iter().enumerate() {
            if !fault.pages.chooses(page, this_attempt) {
                continue;
            }
            if let Times::PerPage(most) = fault.times {
                let happened = self.happened.entry((number, page)).or_default();
                if *happened >= most {
                    continue;
                }
                *happened += 1;
            }
            due.applied += 1;
            if let FaultKind::Delay(delay) = fault.kind {
                due.delay += delay;
            } else {
                due.kind = Some(fault.kind.clone());
                break;
            }
        }
        due
    }
}
