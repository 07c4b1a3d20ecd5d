//! The rows of a response: the events of several days, selected, in some order, written in pieces.

use std::sync::Arc;

use super::kind::{Kind, NAMES};
use super::line::LineWriter;
use super::session::DayPlan;
use super::state::{DataState, Project};
use super::written_time::WrittenTime;
use crate::filter::Filter;
use crate::hash::{Sequence, below, mix2};
use crate::profiles::pick_properties;

/// Which events a response contains.
#[derive(Debug, Clone)]
pub(crate) struct Selection {
    /// The names of the events; `None` means all.
    pub(crate) names: Option<Vec<String>>,
    pub(crate) filter: Option<Arc<Filter>>,
    pub(crate) limit: u64,
    pub(crate) time: WrittenTime,
}

impl Default for Selection {
    fn default() -> Self {
        Self { names: None, filter: None, limit: u64::MAX, time: WrittenTime::Milliseconds }
    }
}

impl Selection {
    fn has(&self, name: Option<&str>) -> bool {
        self.names.as_ref().is_none_or(|names| name.is_some_and(|name| names.iter().any(|other| other == name)))
    }

    fn accepts(&self, line: &[u8]) -> bool {
        #[derive(serde::Deserialize)]
        struct Line<'a> {
            #[serde(borrow)]
            properties: Option<&'a serde_json::value::RawValue>,
        }
        let Some(filter) = &self.filter else { return true };
        let properties = serde_json::from_slice::<Line<'_>>(line).ok().and_then(|line| line.properties);
        let values = pick_properties(properties, &filter.property_names());
        filter.matches(&crate::filter::Subject { values: &values, seed: 0, index: 0 })
    }
}

/// Writes rows in pieces. The rows of a day are the same in every response that contains it.
#[derive(Debug, Clone)]
pub(crate) struct Rows {
    project: Arc<Project>,
    /// The days that are left, the next one last.
    days: Vec<(u64, DataState)>,
    selection: Selection,
    /// The selected kinds, as bits.
    kinds: u32,
    /// The random order, if any.
    shuffle: Option<u64>,
    /// The number of users of the next day that are done.
    done: u64,
    rows: u64,
}

impl Rows {
    pub(crate) fn new(
        project: Arc<Project>,
        days: Vec<(u64, DataState)>,
        selection: Selection,
        shuffle: Option<u64>,
    ) -> Self {
        let chosen = |(_, name): &(usize, &&str)| selection.has(Some(**name));
        let kinds = NAMES.iter().enumerate().filter(chosen).fold(0, |bits, (number, _)| bits | 1 << number);
        let mut days = days;
        match shuffle {
            None => days.reverse(),
            Some(seed) => shuffle_all(&mut days, &mut Sequence::new(seed, 1)),
        }
        Self { project, days, selection, kinds, shuffle, done: 0, rows: 0 }
    }

    /// Returns the number of rows written so far.
    pub(crate) fn written(&self) -> u64 {
        self.rows
    }

    /// Appends whole lines until `out` has at least `size` bytes. Returns whether there may be more.
    pub(crate) fn write(&mut self, out: &mut Vec<u8>, size: usize) -> bool {
        let start = out.len();
        let has_more = self.write_in_order(out, size);
        if let Some(seed) = self.shuffle {
            shuffle_lines(out, start, mix2(seed, self.rows));
        }
        has_more
    }

    fn write_in_order(&mut self, out: &mut Vec<u8>, size: usize) -> bool {
        let project = Arc::clone(&self.project);
        let mut writer = LineWriter::new(&project.people, self.selection.time);
        let people = project.people.len();
        while let Some((day, state)) = self.days.last().copied() {
            let mut plan = DayPlan::new(&project, day, state);
            let walk = self.shuffle.map(|seed| Walk::new(mix2(seed, day), people));
            while self.done < people {
                if self.rows >= self.selection.limit {
                    return false;
                }
                if out.len() >= size {
                    return true;
                }
                let index = walk.as_ref().map_or(self.done, |walk| walk.index(self.done));
                self.done += 1;
                let (kinds, selection, rows) = (self.kinds, &self.selection, &mut self.rows);
                plan.visit(index, |session| {
                    writer.begin();
                    for (number, step) in session.steps.iter().enumerate() {
                        if kinds & 1 << step.kind as u32 == 0 || *rows >= selection.limit {
                            continue;
                        }
                        let start = out.len();
                        writer.push(out, session, number);
                        if selection.filter.is_none() || selection.accepts(&out[start..]) {
                            *rows += 1;
                        } else {
                            out.truncate(start);
                        }
                    }
                });
            }
            self.write_odd(out, day, state);
            self.days.pop();
            self.done = 0;
        }
        false
    }

    fn write_odd(&mut self, out: &mut Vec<u8>, day: u64, state: DataState) {
        for odd in &self.project.options.odd {
            let is_selected = self.rows < self.selection.limit && self.selection.has(odd.event());
            if !is_selected || !self.project.has_odd(*odd, day, state) {
                continue;
            }
            let start = out.len();
            let zone = &self.project.options.timezone;
            odd.push(out, self.project.seed, zone, day, self.selection.time);
            if self.selection.accepts(&out[start..]) {
                self.rows += 1;
            } else {
                out.truncate(start);
            }
        }
    }
}

/// Counts the rows of a day by kind without writing them; `copies` says whether second transmissions count.
pub(super) fn count(project: &Project, day: u64, state: DataState, copies: Copies) -> [u64; NAMES.len()] {
    let mut counts = [0; NAMES.len()];
    let mut plan = DayPlan::new(project, day, state);
    for index in 0..project.people.len() {
        plan.visit(index, |session| {
            if copies == Copies::Counted || session.sending == super::session::Sending::First {
                session.steps.iter().for_each(|step: &super::session::Step| counts[step.kind as usize] += 1);
            }
        });
    }
    counts
}

/// Whether rows that are sent twice count twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Copies {
    Counted,
    Ignored,
}

fn shuffle_all<T>(items: &mut [T], random: &mut Sequence) {
    for last in (1..items.len()).rev() {
        let other = usize::try_from(random.below(last as u64 + 1)).unwrap_or(last);
        items.swap(last, other);
    }
}

/// A random order of users, without a list of them: steps that have no factor in common with their number visit each of
/// them once.
struct Walk {
    people: u64,
    step: u64,
    start: u64,
}

impl Walk {
    fn new(random: u64, people: u64) -> Self {
        let start = below(random.rotate_left(32), people);
        let mut step = 1;
        if people > 2 {
            step += below(random, people - 1);
            while common_divisor(step, people) != 1 {
                step = 1 + step % (people - 1);
            }
        }
        Self { people, step, start }
    }

    fn index(&self, number: u64) -> u64 {
        let index = u128::from(number) * u128::from(self.step) + u128::from(self.start);
        u64::try_from(index % u128::from(self.people)).expect("a remainder is less than its divisor")
    }
}

fn common_divisor(mut a: u64, mut b: u64) -> u64 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

/// Shuffles the lines of `out` from `start` on.
fn shuffle_lines(out: &mut Vec<u8>, start: usize, seed: u64) {
    let text = out.split_off(start);
    let mut lines: Vec<&[u8]> = text.split_inclusive(|byte| *byte == b'\n').collect();
    shuffle_all(&mut lines, &mut Sequence::new(seed, 2));
    lines.iter().for_each(|line| out.extend_from_slice(line));
}

const _: () = assert!(NAMES.len() <= 32 && Kind::SizeChanged as usize + 1 == NAMES.len());
