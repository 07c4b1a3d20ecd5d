//! Users who are seen again while the server runs.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::hash::{below, mix2};

/// The maximum number of visits per minute.
const PER_MINUTE_MAX: u32 = 10_000;

/// The latest visit of each user since the start, a function of the seed and the time.
#[derive(Debug, Clone, Default)]
pub(crate) struct Visits {
    /// By the index of the user: seconds since the start.
    latest: BTreeMap<u64, u64>,
    /// The number of visits so far.
    count: u64,
}

impl Visits {
    /// Adds the visits up to `now`, the time since the start. Returns whether there were any.
    pub(crate) fn advance(&mut self, seed: u64, users: u64, per_minute: u32, now: Duration) -> bool {
        let per_minute = u64::from(per_minute.min(PER_MINUTE_MAX));
        let due = now.as_secs().saturating_mul(per_minute) / 60;
        if users == 0 || due <= self.count {
            return false;
        }
        for number in self.count..due {
            let user = below(mix2(seed ^ 0xAC71, number), users);
            self.latest.insert(user, (number + 1) * 60 / per_minute);
        }
        self.count = due;
        true
    }

    /// Returns the time of a user's latest visit, in seconds since the start.
    pub(crate) fn latest(&self, user: u64) -> Option<u64> {
        self.latest.get(&user).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn visits(users: u64, per_minute: u32, times: &[u64]) -> Visits {
        let mut visits = Visits::default();
        for seconds in times {
            visits.advance(1, users, per_minute, Duration::from_secs(*seconds));
        }
        visits
    }

    #[test]
    fn visits_do_not_depend_on_when_they_are_looked_up() {
        for per_minute in [1, 7, 60, 600] {
            let once = visits(50, per_minute, &[300]);
            assert_eq!(once.latest, visits(50, per_minute, &[1, 2, 59, 60, 299, 300, 300]).latest);
            assert_eq!(once.count, u64::from(per_minute) * 5);
            assert!(once.latest.values().all(|seconds| *seconds <= 300), "{once:?}");
            assert!(once.latest.keys().all(|user| *user < 50), "{once:?}");
        }
    }

    #[test]
    fn nobody_is_seen_without_users_or_visits() {
        for (users, per_minute, seconds) in [(0, 60, 300), (50, 0, 300), (50, 60, 0), (50, 1, 59)] {
            let visits = visits(users, per_minute, &[seconds]);
            assert!(visits.latest.is_empty(), "{visits:?}");
        }
    }
}
