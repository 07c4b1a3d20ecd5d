//! Computes how long future requests wait for the quota. Pure: no I/O, and the time is an argument.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::time::Duration;

use jiff::Timestamp;

use super::pool::Pace;
use super::rate_limiter::Usage;

impl Usage {
    /// Returns how long `requests` counted requests wait for the quota in total, if they are sent as early as the quota
    /// and `pace` allow, and no other process sends any. Time that passes because of `pace` alone is not a wait.
    pub(crate) fn wait(&self, requests: u32, pace: Pace, now: Timestamp) -> Duration {
        let limit = usize::try_from(self.limit).unwrap_or(usize::MAX);
        // All times are relative to `now`.
        let until = |at: &Timestamp| Duration::try_from(at.duration_since(now)).unwrap_or_default();
        // After a refusal, the next request has to wait although the window has room.
        let blocked_until = self.next_free_at.as_ref().map_or(Duration::ZERO, until);
        let mut departures: BinaryHeap<_> = self.departures.iter().map(|at| Reverse(until(at))).collect();
        let mut starts = VecDeque::new();
        let (mut time, mut waited) = (Duration::ZERO, Duration::ZERO);
        for _ in 0..requests {
            let room_at = if departures.len() < limit { None } else { departures.pop() };
            let room_at = room_at.map_or(Duration::ZERO, |Reverse(at)| at).max(blocked_until);
            waited += room_at.saturating_sub(time);
            time = time.max(room_at);
            if starts.len() >= pace.starts
                && let Some(oldest) = starts.pop_front()
            {
                time = time.max(oldest + pace.within);
            }
            starts.push_back(time);
            departures.push(Reverse(time + self.counted_for));
        }
        waited
    }
}
