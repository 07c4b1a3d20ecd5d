//! Which kills there are.

use std::fmt;

use super::options::Length;
use super::random::Random;

/// How often one run is killed at most before it is left alone.
const NESTED: u64 = 3;

/// Going on takes less time than the whole, so its random instants are drawn from this part of them.
const SHORTER: f64 = 0.5;

/// A random instant is at most this part of the usual duration, so that some come after the end.
const LATEST: f64 = 1.1;

/// What the fetch finds in the table, and does to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// There is no table.
    New,
    Replace,
    Append,
    Upsert,
}

impl Kind {
    pub(super) const ALL: [Self; 4] = [Self::New, Self::Replace, Self::Append, Self::Upsert];

    /// The option of `mp fetch profiles`.
    pub(super) fn option(self) -> Option<&'static str> {
        match self {
            Self::New => None,
            Self::Replace => Some("--replace"),
            Self::Append => Some("--append"),
            Self::Upsert => Some("--upsert"),
        }
    }
}

/// Which table a kill at a place leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Leaves {
    Old,
    New,
}

/// When a process is killed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Kill {
    /// At this part of the time that a whole fetch takes.
    At(f64),
    /// At a named place, when it is reached for the nth time, counted from 0.
    Place { name: &'static str, passed: u32, leaves: Leaves },
}

impl fmt::Display for Kill {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::At(part) => write!(f, "at {:.0} % of the time", part * 100.0),
            Self::Place { name, passed, .. } => write!(f, "at {name}:{passed}"),
        }
    }
}

/// The places, with what a kill there leaves and the counts at which they are tried. A fetch stages 24 pages and writes
/// its manifest at the beginning, after page 0, when all pages are there and before the load.
const PLACES: [(&str, Leaves, &[u32]); 11] = [
    ("load-begin", Leaves::Old, &[0]),
    ("load-filled", Leaves::Old, &[0]),
    ("load-commit", Leaves::Old, &[0]),
    ("load-committed", Leaves::New, &[0]),
    ("load-checkpointed", Leaves::New, &[0]),
    ("load-done", Leaves::New, &[0]),
    ("stage-renamed", Leaves::New, &[0]),
    ("page-staged", Leaves::Old, &[1, 0, 5, 22, 23]),
    ("file-written", Leaves::Old, &[1, 0, 2, 3, 12, 25, 26, 27]),
    ("file-synced", Leaves::Old, &[1, 0, 2, 3, 12, 25, 26, 27]),
    ("file-renamed", Leaves::Old, &[1, 0, 2, 3, 12, 25, 26, 27]),
];

/// A fetch that is killed, gone on with, and killed again.
#[derive(Clone, Debug)]
pub(super) struct Case {
    pub(super) number: u64,
    pub(super) kind: Kind,
    pub(super) kills: Vec<Kill>,
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kills: Vec<String> = self.kills.iter().map(Kill::to_string).collect();
        write!(f, "case {}, {:?}, killed {}", self.number, self.kind, kills.join(", then "))
    }
}

/// The places that are tried, each with one count. The load is tried with every kind of fetch in the long form.
fn places(length: Length) -> Vec<(Kind, Kill)> {
    let mut cases = Vec::new();
    for (at, (name, leaves, counts)) in PLACES.into_iter().enumerate() {
        let kinds = if name.starts_with("load") { length.pick(4, 1) } else { 1 };
        for passed in &counts[..length.pick(counts.len(), 1)] {
            for kind in 0..kinds {
                let kind = Kind::ALL[(at + kind + *passed as usize) % Kind::ALL.len()];
                cases.push((kind, Kill::Place { name, passed: *passed, leaves }));
            }
        }
    }
    cases
}

/// Returns a case by its number: first every place, then random instants. There is no end to them.
pub(super) fn case(number: u64, seed: u64, length: Length) -> Case {
    let places = places(length);
    let mut random = Random::new(seed ^ number.wrapping_mul(0x2545_F491_4F6C_DD1D));
    let index = usize::try_from(number).unwrap_or(usize::MAX);
    let (kind, first) = places.get(index).copied().unwrap_or_else(|| {
        let kind = Kind::ALL[index % Kind::ALL.len()];
        (kind, Kill::At(random.part() * LATEST))
    });
    let mut kills = vec![first];
    // In the short form every kill has to be a place.
    let more = length.pick(random.below(NESTED), 0);
    for _ in 0..more {
        let place = places[usize::try_from(random.below(places.len() as u64)).unwrap_or(0)].1;
        kills.push(if random.below(2) == 0 { place } else { Kill::At(random.part() * LATEST * SHORTER) });
    }
    Case { number, kind, kills }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_place_is_tried_in_both_forms_and_the_load_with_every_kind() {
        for (length, at_least) in [(Length::Quick, 11), (Length::Long, 11 + 18 + 4 + 21)] {
            let cases: Vec<Case> = (0..200).map(|number| case(number, 1, length)).collect();
            for (name, ..) in PLACES {
                let is_there = |kill: &Kill| matches!(kill, Kill::Place { name: found, .. } if *found == name);
                assert!(cases.iter().any(|case| is_there(&case.kills[0])), "{name} in {length:?}");
            }
            let places = cases.iter().filter(|case| matches!(case.kills[0], Kill::Place { .. })).count();
            assert!(places >= at_least, "{places} in {length:?}");
            assert!(cases.iter().all(|case| case.kills.len() <= 3));
        }
        let loads = (0..60).map(|number| case(number, 1, Length::Long));
        let replaced = loads.filter(|case| case.kills[0].to_string().contains("load-committed")).map(|case| case.kind);
        assert_eq!(replaced.collect::<Vec<_>>().len(), 4);
    }

    #[test]
    fn a_number_and_a_seed_say_the_case() {
        let shown = |seed| (0..100).map(|number| case(number, seed, Length::Long).to_string()).collect::<Vec<_>>();
        assert_eq!(shown(3), shown(3));
        assert_ne!(shown(3), shown(4));
        assert!(shown(3).iter().any(|text| text.contains("% of the time, then at ")));
    }
}
