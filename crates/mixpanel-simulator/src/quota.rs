//! The hourly limit and the concurrency limit (`docs/mixpanel-api.md#quotas`).

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use crate::config::{Quota, SimulatorConfig};
use crate::limit_kind::LimitKind;
use crate::message::Ticket;
use crate::stats::TooManyRequests;

/// Whether a request counts towards the hourly limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Counting {
    Counted,
    Free,
}

/// The limits of a pool; `None` means no limit.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PoolLimits {
    pub(crate) quota: Option<Quota>,
    pub(crate) per_second: Option<u32>,
    pub(crate) concurrency: Option<u32>,
}

impl PoolLimits {
    /// Returns the limits of the Query API.
    pub(crate) fn of_queries(config: &SimulatorConfig) -> Self {
        Self { quota: config.quota, per_second: None, concurrency: config.concurrency }
    }

    /// Returns the limits of the export endpoint.
    pub(crate) fn of_exports(config: &SimulatorConfig) -> Self {
        Self {
            quota: config.export_quota,
            per_second: config.export_per_second,
            concurrency: config.export_concurrency,
        }
    }
}

/// The requests of a pool that are in flight, and those in the rolling window.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    window: VecDeque<(Ticket, Duration)>,
    /// The times at which the hourly limit rejected requests, within the window.
    refused: VecDeque<Duration>,
    in_flight: BTreeSet<Ticket>,
}

impl Ledger {
    /// Admits a request, or returns the limit that it exceeds. The hourly limit is checked first, because clients
    /// treat a 429 that reports both limits as hourly.
    pub(crate) fn admit(
        &mut self,
        limits: PoolLimits,
        ticket: Ticket,
        counting: Counting,
        now: Duration,
    ) -> Result<(), LimitKind> {
        // Maintain the window even without a limit, so that 429 responses caused by a fault contain true numbers.
        let quota = limits.quota.unwrap_or_default();
        while self.window.front().is_some_and(|(_, taken)| now >= *taken + quota.window) {
            self.window.pop_front();
        }
        while self.refused.front().is_some_and(|refused| now >= *refused + quota.window) {
            self.refused.pop_front();
        }
        let counted = counting == Counting::Counted;
        if counted && limits.quota.is_some_and(|quota| self.window.len() >= quota.requests as usize) {
            self.refused.push_back(now);
            return Err(LimitKind::Hourly);
        }
        if counted && limits.per_second.is_some_and(|limit| self.in_last_second(now) >= limit as usize) {
            return Err(LimitKind::PerSecond);
        }
        if limits.concurrency.is_some_and(|limit| self.in_flight.len() >= limit as usize) {
            return Err(LimitKind::Concurrency);
        }
        if counted {
            self.window.push_back((ticket, now));
        }
        self.in_flight.insert(ticket);
        Ok(())
    }

    /// Removes a request from the window because its response does not count.
    pub(crate) fn refund(&mut self, ticket: Ticket) {
        self.window.retain(|(taken_by, _)| *taken_by != ticket);
    }

    pub(crate) fn finish(&mut self, ticket: Ticket) {
        self.in_flight.remove(&ticket);
    }

    pub(crate) fn in_flight(&self) -> usize {
        self.in_flight.len()
    }

    /// Returns the number of requests in the window.
    pub(crate) fn used(&self) -> usize {
        self.window.len()
    }

    /// Returns the number of requests in the window that are less than a second old.
    pub(crate) fn in_last_second(&self, now: Duration) -> usize {
        self.window.iter().rev().take_while(|(_, taken)| now < *taken + Duration::from_secs(1)).count()
    }

    /// Returns how long it takes until the window has room for a request, if it is full.
    pub(crate) fn wait(&self, quota: Option<Quota>, now: Duration) -> Duration {
        let quota = quota.unwrap_or_default();
        self.window.front().map_or(Duration::ZERO, |(_, taken)| (*taken + quota.window).saturating_sub(now))
    }

    /// Returns the number of requests that the hourly limit rejected within the window.
    pub(crate) fn refused(&self) -> usize {
        self.refused.len()
    }
}

/// Counts a 429 response in the statistics.
pub(crate) fn count(kind: LimitKind, stats: &mut TooManyRequests) {
    match kind {
        LimitKind::Hourly => stats.hourly += 1,
        LimitKind::Concurrency => stats.concurrency += 1,
        LimitKind::LoadShed | LimitKind::PerSecond => stats.load_shed += 1,
        LimitKind::BodyOnly => stats.body_only += 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Quota;

    #[test]
    fn a_slot_is_freed_exactly_when_its_window_ends() {
        let quota = Some(Quota { requests: 2, window: Duration::from_secs(60) });
        let config = SimulatorConfig { quota, ..SimulatorConfig::unlimited() };
        let mut ledger = Ledger::default();
        let mut ask = |ticket, second| {
            ledger.admit(
                PoolLimits::of_queries(&config),
                Ticket(ticket),
                Counting::Counted,
                Duration::from_secs(second),
            )
        };
        assert_eq!(ask(1, 0), Ok(()));
        assert_eq!(ask(2, 30), Ok(()));
        assert_eq!(ask(3, 59), Err(LimitKind::Hourly));
        assert_eq!(ask(4, 60), Ok(()));
        assert_eq!(ask(5, 89), Err(LimitKind::Hourly));
        assert_eq!(ask(6, 90), Ok(()));
        assert_eq!(ledger.refused(), 2, "the one of second 59 and the one of second 89");
    }

    #[test]
    fn a_second_rolls_like_the_window() {
        let limits = PoolLimits { quota: Some(Quota::default()), per_second: Some(3), concurrency: None };
        let mut ledger = Ledger::default();
        let mut ask = |ms| ledger.admit(limits, Ticket(ms), Counting::Counted, Duration::from_millis(ms));
        for (ms, expected) in [
            (0, Ok(())),
            (10, Ok(())),
            (500, Ok(())),
            (999, Err(LimitKind::PerSecond)),
            (1_000, Ok(())),
            (1_009, Err(LimitKind::PerSecond)),
            (1_010, Ok(())),
        ] {
            assert_eq!(ask(ms), expected, "{ms}");
        }
        assert_eq!(ledger.wait(limits.quota, Duration::from_secs(10)), Duration::from_secs(3_590));
    }

    #[test]
    fn a_refund_frees_the_slot_and_a_refusal_takes_none() {
        let config =
            SimulatorConfig { quota: Some(Quota { requests: 1, ..Quota::default() }), ..SimulatorConfig::default() };
        let mut ledger = Ledger::default();
        assert_eq!(ledger.admit(PoolLimits::of_queries(&config), Ticket(1), Counting::Counted, Duration::ZERO), Ok(()));
        assert_eq!(
            ledger.admit(PoolLimits::of_queries(&config), Ticket(2), Counting::Counted, Duration::ZERO),
            Err(LimitKind::Hourly)
        );
        ledger.refund(Ticket(1));
        assert_eq!(ledger.admit(PoolLimits::of_queries(&config), Ticket(3), Counting::Counted, Duration::ZERO), Ok(()));
        assert_eq!((ledger.used(), ledger.in_flight()), (1, 2));
    }
}
