//! The simulator's core: a function of the request and the time.

use std::collections::BTreeMap;
use std::time::Duration;

use http::{Method, StatusCode};
use jiff::civil::Date;

use crate::auth;
use crate::compress::compress;
use crate::config::{SessionPages, SimulatorConfig};
use crate::engage::Engage;
use crate::event_counts::{self, KnownCounts};
use crate::events::Events;
use crate::export::{Export, slice_name, too_many_exports};
use crate::fault::{FaultKind, Script};
use crate::hash::{below, mix2};
use crate::limit_kind::LimitKind;
use crate::message::{Reply, Request, Ticket};
use crate::params::Params;
use crate::quota::{self, Counting, Ledger, PoolLimits};
use crate::refusal::too_many_requests;
use crate::stats::{RequestRecord, SentPage, Stats};

/// A simulated Mixpanel without any I/O.
///
/// It has no clock: the caller passes the time since an arbitrary fixed start. It never waits: each response states its
/// delay, after which the caller calls [`finish`](Self::finish). The same configuration and the same calls produce the
/// same responses, byte for byte.
#[derive(Debug)]
pub struct Simulator {
    config: SimulatorConfig,
    engage: Engage,
    export: Export,
    event_counts: KnownCounts,
    ledger: Ledger,
    export_ledger: Ledger,
    script: Script,
    stats: Stats,
    sent: Vec<SentPage>,
    /// The number of requests so far; unlike the statistics, never reset.
    requests: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Endpoint {
    Engage,
    EventNames,
    EventCounts,
    Export,
    Stats,
    Reset,
    Revise,
}

impl Endpoint {
    /// Returns whether this is an endpoint of the simulator and not of Mixpanel.
    fn is_own(self) -> bool {
        matches!(self, Self::Stats | Self::Reset | Self::Revise)
    }
}

impl Simulator {
    /// Creates a simulated project.
    pub fn new(config: SimulatorConfig) -> Self {
        let (engage, script) = (Engage::new(&config), Script::new(config.faults.clone()));
        let export = Export::new(&config);
        Self {
            config,
            engage,
            export,
            event_counts: KnownCounts::default(),
            ledger: Ledger::default(),
            export_ledger: Ledger::default(),
            script,
            stats: Stats::default(),
            sent: Vec::new(),
            requests: 0,
        }
    }

    /// Handles a request that arrives at `now`, the time since a fixed start. `now` must not go backwards.
    ///
    /// The request counts towards the concurrency limit until [`finish`](Self::finish) is called with the response's
    /// ticket.
    pub fn handle(&mut self, request: &Request, now: Duration) -> Reply {
        self.requests += 1;
        let ticket = Ticket(self.requests);
        let mut reply = match endpoint(&request.path) {
            None => {
                let reply = Reply::error(StatusCode::NOT_FOUND, &format!("no such endpoint: {}", request.path));
                self.record(request, BTreeMap::new(), &reply);
                reply
            }
            Some(endpoint) if !allows(endpoint, &request.method) => {
                let message = format!("{} is not allowed here", request.method);
                let reply = Reply::error(StatusCode::METHOD_NOT_ALLOWED, &message);
                if !endpoint.is_own() {
                    self.record(request, BTreeMap::new(), &reply);
                }
                reply
            }
            Some(Endpoint::Stats) => Reply::json(self.stats.to_json()),
            Some(Endpoint::Reset) => {
                self.reset_stats();
                Reply::json(r#"{"status": "ok"}"#)
            }
            Some(Endpoint::Revise) => {
                self.revise();
                Reply::json(r#"{"status": "ok"}"#)
            }
            Some(Endpoint::Export) => self.export(request, ticket, now),
            Some(endpoint) => self.query(endpoint, request, ticket, now),
        };
        reply.ticket = ticket;
        reply
    }

    /// Frees the concurrency slot of a request: after its delay, or for an export after its body. Unknown tickets have
    /// no effect.
    pub fn finish(&mut self, ticket: Ticket) {
        self.ledger.finish(ticket);
        self.export_ledger.finish(ticket);
    }

    /// Returns the events as they are at `now`, the time since the start.
    pub fn events(&self, now: Duration) -> Events {
        self.export.events(now)
    }

    /// Returns the revision of a day in the latest complete response that contained it, whatever events the request was
    /// limited to. A response is complete unless a fault prevents that, even if the client does not read it.
    pub fn sent_revision(&self, day: Date) -> Option<u32> {
        self.export.sent_revision(day)
    }

    /// Adds 1 to the revision of every day: late rows appear, others disappear or change their `distinct_id`, as
    /// [`EventOptions`](crate::EventOptions) says.
    pub fn revise(&mut self) {
        self.export.revise();
    }

    /// Returns the statistics so far.
    pub fn stats(&self) -> &Stats {
        &self.stats
    }

    /// Returns the pages sent with status 200, in order; empty unless [`SimulatorConfig::keep_sent`] is set.
    pub fn sent_pages(&self) -> &[SentPage] {
        &self.sent
    }

    /// Resets the statistics to zero. Sessions, the quota and the counts of the fault script are kept.
    pub fn reset_stats(&mut self) {
        self.stats = Stats::default();
    }

    fn query(&mut self, endpoint: Endpoint, request: &Request, ticket: Ticket, now: Duration) -> Reply {
        let params = Params::read(request);
        let page = params.page();
        if let (Endpoint::Engage, Ok(page)) = (endpoint, &page) {
            *self.stats.hits_per_page.entry(*page).or_default() += 1;
        }
        let counting = self.counting(endpoint, &params);
        let reply = match auth::check(&self.config, request, &params) {
            Some(refusal) => refusal,
            None => match self.ledger.admit(PoolLimits::of_queries(&self.config), ticket, counting, now) {
                Err(limit) => self.limited(limit, request),
                Ok(()) => {
                    let running = self.ledger.in_flight();
                    self.stats.max_concurrency = self.stats.max_concurrency.max(running);
                    let reply = self.admitted(endpoint, request, &params, page, now);
                    if matches!(reply.status.as_u16(), 401 | 402 | 429) {
                        self.ledger.refund(ticket);
                    } else if counting == Counting::Counted {
                        self.stats.counted_requests += 1;
                    }
                    reply
                }
            },
        };
        self.stats.max_counted_in_window = self.stats.max_counted_in_window.max(self.ledger.used());
        self.stats.max_refused_in_window = self.stats.max_refused_in_window.max(self.ledger.refused());
        self.record(request, params.into_map(), &reply);
        reply
    }

    fn counting(&self, endpoint: Endpoint, params: &Params) -> Counting {
        let has_session = endpoint == Endpoint::Engage && params.get("session_id").is_some();
        match self.config.session_pages {
            SessionPages::Free if has_session => Counting::Free,
            _ => Counting::Counted,
        }
    }

    fn admitted(
        &mut self,
        endpoint: Endpoint,
        request: &Request,
        params: &Params,
        page: Result<u64, String>,
        now: Duration,
    ) -> Reply {
        let mut reply = match (endpoint, page) {
            (Endpoint::Engage, Ok(page)) => self.engage_page(request, params, page, now),
            (Endpoint::Engage, Err(message)) => Reply::error(StatusCode::BAD_REQUEST, &message),
            (Endpoint::EventCounts, _) => {
                let export = &self.export;
                let revision = |day| export.revision(day);
                let mut reply = event_counts::reply(params, &export.events(now), &mut self.event_counts, revision);
                compress(&self.config, request, &mut reply);
                reply
            }
            // `type` is documented as required; the error text is an assumption.
            (Endpoint::EventNames, _) if params.get("type").is_none() => {
                Reply::error(StatusCode::BAD_REQUEST, "type is a required parameter")
            }
            _ => {
                let names = serde_json::to_vec(&self.config.event_names).expect("names are plain data");
                let mut reply = Reply::json(names);
                compress(&self.config, request, &mut reply);
                reply
            }
        };
        reply.delay += self.latency();
        reply
    }

    fn engage_page(&mut self, request: &Request, params: &Params, page: u64, now: Duration) -> Reply {
        let due = self.script.next(page);
        self.stats.faults_applied += due.applied;
        let mut reply = match &due.kind {
            Some(FaultKind::Limit(limit)) => self.limited(*limit, request),
            Some(fault) => match fault.reply_instead() {
                Some(reply) => reply,
                None => self.engage.reply(&self.config, params, page, Some(fault), now),
            },
            None => self.engage.reply(&self.config, params, page, None, now),
        };
        self.stats.sessions_created += std::mem::take(&mut self.engage.sessions_created);
        if let Some(fault) = &due.kind {
            fault.corrupt_content(&mut reply);
        }
        self.keep(page, params, &reply);
        compress(&self.config, request, &mut reply);
        if let Some(fault) = &due.kind {
            fault.apply_delivery_fault(&mut reply);
        }
        reply.delay += due.delay;
        reply
    }

    fn export(&mut self, request: &Request, ticket: Ticket, now: Duration) -> Reply {
        let params = Params::read(request);
        *self.stats.export.hits_per_slice.entry(slice_name(&params)).or_default() += 1;
        self.stats.export.requests += 1;
        let (limits, ledger) = (PoolLimits::of_exports(&self.config), &mut self.export_ledger);
        let reply = match auth::check(&self.config, request, &params) {
            Some(refusal) => refusal,
            None => match ledger.admit(limits, ticket, Counting::Counted, now) {
                Err(limit) => {
                    let wait = match limit {
                        LimitKind::Hourly => ledger.wait(limits.quota, now),
                        LimitKind::PerSecond => Duration::from_secs(1),
                        _ => Duration::from_secs(10),
                    };
                    self.stats.export.count_refusal(limit);
                    too_many_exports(self.config.events.limit_style, wait)
                }
                Ok(()) => {
                    let stats = &mut self.stats.export;
                    stats.max_concurrency = stats.max_concurrency.max(ledger.in_flight());
                    stats.max_counted_in_window = stats.max_counted_in_window.max(ledger.used());
                    stats.max_counted_in_second = stats.max_counted_in_second.max(ledger.in_last_second(now));
                    let mut reply = self.export.reply(request, &params, now);
                    if let Some(limit) = self.export.pretended_limit {
                        stats.count_refusal(limit);
                    }
                    if matches!(reply.status.as_u16(), 401 | 402 | 429) {
                        ledger.refund(ticket);
                    } else {
                        stats.counted_requests += 1;
                    }
                    reply.delay += self.latency();
                    reply
                }
            },
        };
        self.stats.faults_applied += std::mem::take(&mut self.export.faults_applied);
        self.record(request, params.into_map(), &reply);
        reply
    }

    /// Keeps the body of a page for [`sent_pages`](Self::sent_pages), even if a fault cuts or damages it in transit.
    fn keep(&mut self, page: u64, params: &Params, reply: &Reply) {
        if self.config.keep_sent && reply.status == StatusCode::OK {
            let session_id = params.get("session_id").map(str::to_owned);
            self.sent.push(SentPage { page, session_id, body: reply.body.clone() });
        }
    }

    fn limited(&mut self, limit: LimitKind, request: &Request) -> Reply {
        quota::count(limit, &mut self.stats.too_many_requests);
        too_many_requests(&self.config, &self.ledger, limit, request)
    }

    fn latency(&self) -> Duration {
        let most = u64::try_from(self.config.jitter.as_micros()).unwrap_or(u64::MAX);
        let jitter = below(mix2(self.config.seed ^ 0x1A7E, self.requests), most);
        self.config.latency + Duration::from_micros(jitter)
    }

    fn record(&mut self, request: &Request, params: BTreeMap<String, String>, reply: &Reply) {
        self.stats.requests += 1;
        *self.stats.replies_by_status.entry(reply.status.as_u16()).or_default() += 1;
        if self.config.recent_requests == 0 {
            return;
        }
        if self.stats.recent_requests.len() >= self.config.recent_requests {
            self.stats.recent_requests.pop_front();
        }
        self.stats.recent_requests.push_back(RequestRecord {
            number: self.stats.requests,
            method: request.method.to_string(),
            path: request.path.clone(),
            content_type: request.content_type.clone(),
            params,
            status: reply.status.as_u16(),
        });
    }
}

fn endpoint(path: &str) -> Option<Endpoint> {
    match path {
        "/api/query/engage" | "/api/2.0/engage" => Some(Endpoint::Engage),
        "/api/query/events/names" | "/api/2.0/events/names" => Some(Endpoint::EventNames),
        "/api/query/events" | "/api/2.0/events" => Some(Endpoint::EventCounts),
        "/api/2.0/export" => Some(Endpoint::Export),
        "/_sim/stats" => Some(Endpoint::Stats),
        "/_sim/reset" => Some(Endpoint::Reset),
        "/_sim/revise" => Some(Endpoint::Revise),
        _ => None,
    }
}

fn allows(endpoint: Endpoint, method: &Method) -> bool {
    match endpoint {
        Endpoint::Engage | Endpoint::EventNames | Endpoint::EventCounts => {
            *method == Method::GET || *method == Method::POST
        }
        Endpoint::Stats | Endpoint::Export => *method == Method::GET,
        Endpoint::Reset | Endpoint::Revise => *method == Method::POST,
    }
}

#[cfg(test)]
mod tests;
