//! Runs random histories in virtual time against a model of the server's window.
//!
//! The server uses the true time, while the limiters read a clock that is sometimes set back. The server counts a
//! request at a time between sending and answer that is unknown to the limiters.

use std::path::Path;
use std::time::Duration;

use proptest::prelude::*;

use super::testing::{Opening, Session, at_milliseconds};
use super::{Acquired, Permit, Pool, Quota, RateLimiter, RequestClass};
use crate::limits::WORKERS_MAX;

const WINDOW: i64 = 60_000;
/// How long the limiters wait for a request that was never answered.
const GRACE: i64 = WINDOW / 60;

#[derive(Debug, Clone)]
enum Step {
    Pass(i64),
    SetBack(i64),
    Take {
        by: usize,
        class: RequestClass,
    },
    Answer {
        which: usize,
        counted_at: f64,
    },
    Refund {
        which: usize,
    },
    /// The permit is dropped without an outcome.
    Abandon {
        which: usize,
        counted_at: f64,
    },
    /// A process with requests in flight is killed and restarted.
    Restart {
        who: usize,
        counted_at: f64,
    },
    /// Waits until the limiter expects room.
    Wait {
        by: usize,
    },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let fraction = 0.0..=1.0f64;
    let step = prop_oneof![
        4 => (0i64..3_000).prop_map(Step::Pass),
        1 => (0i64..2 * WINDOW).prop_map(Step::Pass),
        1 => prop_oneof![0i64..2_000, 0i64..10 * WINDOW].prop_map(Step::SetBack),
        8 => (0usize..2, prop_oneof![3 => Just(Opening), 1 => Just(Session)])
            .prop_map(|(by, class)| Step::Take { by, class }),
        5 => (any::<usize>(), fraction.clone())
            .prop_map(|(which, counted_at)| Step::Answer { which, counted_at }),
        1 => any::<usize>().prop_map(|which| Step::Refund { which }),
        1 => (any::<usize>(), fraction.clone())
            .prop_map(|(which, counted_at)| Step::Abandon { which, counted_at }),
        1 => (0usize..2, fraction).prop_map(|(who, counted_at)| Step::Restart { who, counted_at }),
        3 => (0usize..2).prop_map(|by| Step::Wait { by }),
    ];
    prop::collection::vec(step, 1..120)
}

/// A request in flight.
struct Flight {
    permit: Permit,
    owner: usize,
    counted: bool,
    sent: i64,
}

struct World<'a> {
    directory: &'a Path,
    quota: Quota,
    limiters: [RateLimiter; 2],
    flights: Vec<Flight>,
    /// The true time, in milliseconds.
    time: i64,
    /// How far the clock lags behind the true time, in milliseconds.
    behind: i64,
    /// When the server counted each request, in true time.
    counted: Vec<i64>,
    session_pages_count: bool,
}

impl<'a> World<'a> {
    fn new(directory: &'a Path, quota: Quota) -> Self {
        let limiters = [0; 2].map(|_| open(directory, quota));
        Self {
            directory,
            quota,
            limiters,
            flights: Vec::new(),
            time: 0,
            behind: 0,
            counted: Vec::new(),
            session_pages_count: false,
        }
    }

    fn now(&self) -> jiff::Timestamp {
        at_milliseconds(self.time - self.behind)
    }

    fn take(&mut self, by: usize, class: RequestClass) {
        match self.limiters[by].acquire(class, self.now()).unwrap() {
            Acquired::Granted(permit) => {
                let counted = class == Opening || self.session_pages_count;
                self.flights.push(Flight { permit, owner: by, counted, sent: self.time });
                assert!(self.flights.len() <= WORKERS_MAX as usize, "too many at once");
            }
            Acquired::NotBefore { at, used, limit, .. } => {
                assert!(at > self.now(), "a wait that is over");
                assert!(used >= limit && limit == self.quota.usable());
            }
            Acquired::TooSoon { .. } => panic!("the pool does not limit how fast requests follow each other"),
            Acquired::NoFreeSlot => assert_eq!(self.flights.len(), WORKERS_MAX as usize),
        }
    }

    fn pick(&mut self, which: usize) -> Option<Flight> {
        let count = self.flights.len();
        (count > 0).then(|| self.flights.swap_remove(which % count))
    }

    /// Counts a request on the server, at a fraction of its time in flight, which is limited to `longest`.
    fn count(&mut self, flight: &Flight, fraction: f64, longest: i64) {
        if flight.counted {
            let time = (self.time - flight.sent).min(longest);
            #[expect(clippy::cast_possible_truncation, clippy::cast_precision_loss, reason = "small numbers")]
            self.counted.push(flight.sent + (time as f64 * fraction) as i64);
        }
    }

    fn step(&mut self, step: &Step) {
        match *step {
            Step::Pass(time) => self.time += time,
            Step::SetBack(by) => self.behind += by,
            Step::Take { by, class } => self.take(by, class),
            Step::Answer { which, counted_at } => {
                if let Some(flight) = self.pick(which) {
                    self.count(&flight, counted_at, i64::MAX);
                    flight.permit.answered(self.now()).unwrap();
                }
            }
            Step::Refund { which } => {
                if let Some(flight) = self.pick(which) {
                    flight.permit.refunded(self.now()).unwrap();
                }
            }
            Step::Abandon { which, counted_at } => {
                if let Some(flight) = self.pick(which) {
                    self.count(&flight, counted_at, GRACE);
                }
            }
            Step::Restart { who, counted_at } => {
                let (dead, alive) = std::mem::take(&mut self.flights).into_iter().partition(|f| f.owner == who);
                self.flights = alive;
                let dead: Vec<Flight> = dead;
                dead.iter().for_each(|flight| self.count(flight, counted_at, GRACE));
                drop(dead);
                self.limiters[who] = open(self.directory, self.quota);
            }
            Step::Wait { by } => {
                if let Some(at) = self.limiters[by].usage(self.now()).unwrap().next_free_at {
                    let wait = at.as_millisecond() - self.now().as_millisecond();
                    // One grace for a request that was never answered, one for a clock that was set back unnoticed.
                    assert!(wait <= WINDOW + 2 * GRACE, "a wait of {wait} ms");
                    // One millisecond more, because the returned time is rounded down to milliseconds.
                    self.time += wait + 1;
                    // Room is certain only if no requests are in flight, since those may take any time.
                    let idle = self.flights.is_empty();
                    let next = self.limiters[by].usage(self.now()).unwrap().next_free_at;
                    assert!(!idle || next.is_none(), "the promised room is not there");
                }
            }
        }
    }

    /// Returns the greatest number of counted requests in any window.
    fn fullest_window(&self) -> usize {
        let inside = |start: i64| self.counted.iter().filter(|time| (start..start + WINDOW).contains(*time)).count();
        self.counted.iter().map(|start| inside(*start)).max().unwrap_or(0)
    }
}

fn open(directory: &Path, quota: Quota) -> RateLimiter {
    RateLimiter::open(Pool::QUERY, Some(directory), "127.0.0.1:8080", "1", quota).unwrap()
}

/// Reduces the number of cases, because each history writes many small files. `PROPTEST_CASES` raises it.
fn config(part: u32) -> ProptestConfig {
    let usual = ProptestConfig::default();
    ProptestConfig { cases: usual.cases / part, failure_persistence: None, ..usual }
}

proptest! {
    #![proptest_config(config(2))]

    /// The server never counts more than the quota minus the reserve, and never has more than five requests in flight.
    /// With nothing in flight, a caller that waits until the returned time finds room.
    #[test]
    fn no_sequence_of_requests_exceeds_a_limit(
        requests in 1u32..8,
        reserve in 0u32..3,
        pages_count in any::<bool>(),
        steps in steps(),
    ) {
        let reserve = reserve.min(requests - 1);
        let quota = Quota { requests, reserve, window: Duration::from_secs(60) };
        let directory = tempfile::tempdir().unwrap();
        let mut world = World::new(directory.path(), quota);
        if pages_count {
            // A single refused session page shows that session pages count. A successful probe ends the refusal.
            let permit = world.limiters[0].granted(Session, world.now());
            permit.refused_hourly(world.now(), None).unwrap();
            world.time += WINDOW / 6;
            world.limiters[1].granted(Session, world.now()).succeeded(world.now()).unwrap();
            world.counted.push(world.time);
            world.session_pages_count = true;
        }
        for step in &steps {
            world.step(step);
        }
        let (fullest, limit) = (world.fullest_window(), quota.usable() as usize);
        prop_assert!(fullest <= limit, "{fullest} of {limit} in one window: {:?}", world.counted);
    }

}

proptest! {
    #![proptest_config(config(8))]

    /// While other clients use up the window, at most one more request is refused within a window after the first
    /// refusal, no matter how often processes send requests or are killed.
    #[test]
    fn a_refusal_costs_at_most_one_more_refused_request(
        asks in prop::collection::vec((0usize..2, 0i64..5_000, any::<bool>()), 1..100),
        others_until in 0i64..200_000,
    ) {
        let quota = Quota { requests: 60, reserve: 0, window: Duration::from_secs(60) };
        let directory = tempfile::tempdir().unwrap();
        let mut world = World::new(directory.path(), quota);
        let mut refusals: Vec<i64> = Vec::new();
        for (by, pause, restart) in asks {
            world.time += pause;
            if restart {
                world.limiters[by] = open(directory.path(), quota);
            }
            if let Acquired::Granted(permit) = world.limiters[by].acquire(Opening, world.now()).unwrap() {
                if world.time < others_until {
                    refusals.push(world.time);
                    permit.refused_hourly(world.now(), None).unwrap();
                } else {
                    permit.succeeded(world.now()).unwrap();
                }
            }
        }
        // Refusals come in pairs: the first one, then that of its probe. Pairs are at least a full window apart.
        for (first, next) in refusals.iter().step_by(2).zip(refusals.iter().skip(2).step_by(2)) {
            prop_assert!(next - first >= WINDOW, "{refusals:?}");
        }
    }
}
