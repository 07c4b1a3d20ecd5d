//! Counts what happened in the simulated worlds, so that a test can require that each of it is common.

use std::collections::BTreeMap;

use serde_json::Value;

use super::table::Days;

/// What happened in one world, or the totals of several.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Happened(BTreeMap<&'static str, u64>);

impl Happened {
    pub(super) fn add(&mut self, what: &'static str, count: u64) {
        *self.0.entry(what).or_default() += count;
    }

    /// Adds the differences between the old and the new lines of replaced days. A line is identified by its
    /// `$insert_id`, which a change of its `distinct_id` keeps.
    pub(super) fn add_replaced(&mut self, old: &Days, new: &Days) {
        let by_id = |days: &Days| -> BTreeMap<String, String> {
            let ids = |line: &String| {
                let value: Value = serde_json::from_str(line).unwrap();
                Some((value["properties"]["$insert_id"].as_str()?.to_owned(), line.clone()))
            };
            days.values().flatten().filter_map(ids).collect()
        };
        let (old, new) = (by_id(old), by_id(new));
        let missing_in = |other: &BTreeMap<String, String>, id: &&String| !other.contains_key(*id);
        self.add("late rows", new.keys().filter(|id| missing_in(&old, id)).count() as u64);
        self.add("deleted rows", old.keys().filter(|id| missing_in(&new, id)).count() as u64);
        let is_changed = |(id, line): &(&String, &String)| new.get(*id).is_some_and(|other| other != *line);
        self.add("changed rows", old.iter().filter(is_changed).count() as u64);
    }
}

/// What happened in many worlds.
#[derive(Debug, Default)]
pub(super) struct Tally {
    /// Number of occurrences.
    total: Happened,
    /// Number of seeds with at least one occurrence.
    seeds: Happened,
}

impl Tally {
    pub(super) fn add(&mut self, happened: &Happened) {
        for (what, count) in &happened.0 {
            self.total.add(what, *count);
            self.seeds.add(what, u64::from(*count > 0));
        }
    }

    /// Returns the number of seeds in which this happened.
    pub(super) fn seeds_with(&self, what: &str) -> u64 {
        self.seeds.0.get(what).copied().unwrap_or(0)
    }

    /// Returns a line for each kind of occurrence.
    pub(super) fn summary(&self) -> String {
        let lines =
            self.total.0.iter().map(|(what, count)| format!("  {what}: {count} in {} seeds\n", self.seeds.0[what]));
        lines.collect()
    }
}
