//! What a complete export contains, for tests of clients.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::civil::Date;

use super::calendar::{date_of, day_of};
use super::kind::NAMES;
use super::rows::{Copies, Rows, Selection, count};
use super::state::{DataState, Project};
use crate::config::SimulatorConfig;

/// The events of a simulated project, without a server: a pure function of the configuration, the day and the revision.
#[derive(Debug, Clone)]
pub struct Events {
    project: Arc<Project>,
    now_ms: u64,
}

impl Events {
    /// Returns the events of the project at the simulator's start.
    pub fn new(config: &SimulatorConfig) -> Self {
        let project = Arc::new(Project::new(config));
        let now_ms = project.now_ms(std::time::Duration::ZERO);
        Self { project, now_ms }
    }

    pub(crate) fn at(project: Arc<Project>, now_ms: u64) -> Self {
        Self { project, now_ms }
    }

    /// Returns the first day that can have events.
    pub fn first_day(&self) -> Date {
        date_of(self.project.first_day())
    }

    /// Returns the project's current day, whose events are still occurring.
    pub fn today(&self) -> Date {
        date_of(self.project.day_at(self.now_ms))
    }

    /// Returns the lines of a day in a revision, with the time in milliseconds and without line ends. Their order
    /// has no meaning.
    pub fn lines(&self, day: Date, revision: u32) -> Vec<Vec<u8>> {
        let Some(day) = self.known(day) else { return Vec::new() };
        let state = DataState { now_ms: self.now_ms, revision };
        let mut text = Vec::new();
        let has_more = Rows::new(Arc::clone(&self.project), vec![(day, state)], Selection::default(), None)
            .write(&mut text, usize::MAX);
        debug_assert!(!has_more, "there is no limit");
        text.split_inclusive(|byte| *byte == b'\n')
            .map(|line| line.strip_suffix(b"\n").unwrap_or(line).to_vec())
            .collect()
    }

    /// Returns the number of lines of a day in revision 0, without writing them.
    pub fn count(&self, day: Date) -> u64 {
        let Some(day) = self.known(day) else { return 0 };
        let state = DataState { now_ms: self.now_ms, revision: 0 };
        let odd = self.project.options.odd.iter().filter(|odd| self.project.has_odd(**odd, day, state)).count();
        count(&self.project, day, state, Copies::Counted).iter().sum::<u64>() + odd as u64
    }

    /// Returns the number of events of a day in revision 0 by name, as `/api/query/events` counts them: rows that are
    /// sent twice count once, and odd ones do not count.
    pub fn counts(&self, day: Date) -> BTreeMap<&'static str, u64> {
        let counts = self.counts_of(day, 0);
        NAMES.into_iter().zip(counts).filter(|(_, count)| *count > 0).collect()
    }

    pub(crate) fn counts_of(&self, day: Date, revision: u32) -> [u64; NAMES.len()] {
        let Some(day) = self.known(day) else { return [0; NAMES.len()] };
        count(&self.project, day, DataState { now_ms: self.now_ms, revision }, Copies::Ignored)
    }

    fn known(&self, day: Date) -> Option<u64> {
        let day = u64::try_from(day_of(day)).ok()?;
        (self.project.first_day()..=self.project.day_at(self.now_ms)).contains(&day).then_some(day)
    }
}
