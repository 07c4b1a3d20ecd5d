//! The list of records that queries select from.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::activity::Visits;
use super::copies::{CopyChange, LATER, ProfileCopy, set_last_seen};
use super::jsonl::Records;
use super::odd::OddProfile;
use super::record::{RecordView, id_text};
use super::{group, person};
use crate::hash::{below, chance, mix_text, mix2};

/// The source of the records.
#[derive(Debug, Clone)]
enum Kind {
    People(u64),
    Groups(u64),
    Records(Arc<Records>),
}

/// A list of records, each a pure function of its index.
#[derive(Debug, Clone)]
pub(crate) struct Population {
    kind: Kind,
    seed: u64,
    /// The latest time in generated records, in seconds since the epoch.
    reference: u64,
    visits: Arc<Visits>,
    odd: BTreeMap<u64, OddProfile>,
    copies: BTreeMap<u64, (u64, CopyChange)>,
    copy_rate: f64,
}

impl Population {
    /// Creates users. `reference` is the latest time in them, in seconds since the epoch.
    pub(crate) fn people(seed: u64, reference: u64, count: u64) -> Self {
        Self {
            kind: Kind::People(count),
            seed,
            reference,
            visits: Arc::default(),
            odd: BTreeMap::new(),
            copies: BTreeMap::new(),
            copy_rate: 0.0,
        }
    }

    pub(crate) fn records(seed: u64, reference: u64, records: Arc<Records>) -> Self {
        Self { kind: Kind::Records(records), ..Self::people(seed, reference, 0) }
    }

    /// Creates the groups of a `data_group_id`. Their number depends on the ID: from half of `limit` to `limit`, and at
    /// least one.
    pub(crate) fn groups(seed: u64, reference: u64, data_group_id: &str, limit: u64) -> Self {
        let seed = mix_text(seed, data_group_id);
        let count = 1 + limit / 2 + below(mix2(seed, 1), limit / 2);
        Self { kind: Kind::Groups(count), ..Self::people(seed, reference, 0) }
    }

    pub(crate) fn with_odd(mut self, odd: &[(u64, OddProfile)]) -> Self {
        self.odd = odd.iter().copied().collect();
        self
    }

    pub(crate) fn with_copies(mut self, copies: &[ProfileCopy], rate: f64) -> Self {
        let len = self.len();
        let inside = |copy: &&ProfileCopy| copy.from < len && copy.to < len;
        self.copies = copies.iter().filter(inside).map(|copy| (copy.to, (copy.from, copy.change))).collect();
        self.copy_rate = rate;
        self
    }

    /// Replaces the visits since the start, which only generated users have.
    pub(crate) fn set_visits(&mut self, visits: Arc<Visits>) {
        self.visits = visits;
    }

    /// Returns the number of profiles that can be seen again while the server runs.
    pub(crate) fn visitors(&self) -> u64 {
        if matches!(self.kind, Kind::People(_)) { self.len() } else { 0 }
    }

    pub(crate) fn len(&self) -> u64 {
        match &self.kind {
            Kind::People(count) | Kind::Groups(count) => *count,
            Kind::Records(records) => records.len() as u64,
        }
    }

    /// Writes the record at an index, which must be below [`len`](Self::len).
    pub(crate) fn push_record(&self, out: &mut Vec<u8>, index: u64) {
        let (original, change) = self.original(index);
        let start = out.len();
        if let Some(odd) = self.odd.get(&original) {
            odd.push_record(out, self.seed, original);
        } else {
            match &self.kind {
                Kind::People(_) => person::push_record(out, self.seed, self.reference, original),
                Kind::Groups(_) => group::push_record(out, self.seed, self.reference, original),
                Kind::Records(records) => {
                    let index = usize::try_from(original).expect("an index below a length fits usize");
                    out.extend_from_slice(records.get(index));
                }
            }
        }
        if change == CopyChange::LaterLastSeen {
            set_last_seen(out, start, self.reference + LATER);
        } else if let Some(seconds) = self.visits.latest(original) {
            set_last_seen(out, start, self.reference + seconds);
        }
    }

    /// Returns the ID of the record at an index as text; `None` if it has none.
    pub(crate) fn distinct_id(&self, index: u64) -> Option<String> {
        let (original, _) = self.original(index);
        let mut out = Vec::new();
        if !self.odd.contains_key(&original) {
            match self.kind {
                Kind::People(_) => person::push_distinct_id(&mut out, self.seed, original),
                Kind::Groups(_) => group::push_distinct_id(&mut out, self.seed, original),
                Kind::Records(_) => {}
            }
        }
        if out.is_empty() {
            self.push_record(&mut out, index);
            return id_text(RecordView::read(&out).id);
        }
        String::from_utf8(out).ok()
    }

    /// Returns the index of the record to send for an index: the same index, unless it holds a copy.
    pub(crate) fn original(&self, index: u64) -> (u64, CopyChange) {
        if let Some((from, change)) = self.copies.get(&index) {
            return (*from, *change);
        }
        if self.copy_rate <= 0.0 {
            return (index, CopyChange::Identical);
        }
        let mut original = index;
        // A copy always refers to an earlier record, so this loop terminates.
        while original > 0 && chance(mix2(self.seed ^ 0xC0B1, original), self.copy_rate) {
            original = below(mix2(self.seed ^ 0xC0B2, original), original);
        }
        let change = if original != index && mix2(self.seed ^ 0xC0B3, index).is_multiple_of(2) {
            CopyChange::LaterLastSeen
        } else {
            CopyChange::Identical
        };
        (original, change)
    }
}
