//! The statistics of the simulator.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use serde::Serialize;

use crate::limit_kind::LimitKind;

/// Counts of requests and responses, as `GET /_sim/stats` returns them. Requests under `/_sim` are not counted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Stats {
    /// All requests.
    pub requests: u64,
    /// The requests that counted towards the hourly limit, without refunded ones.
    pub counted_requests: u64,
    /// The maximum number of counted requests within one window.
    pub max_counted_in_window: usize,
    /// The maximum number of requests rejected by the hourly limit within one window.
    pub max_refused_in_window: usize,
    /// The maximum number of concurrent requests, excluding rejected ones.
    pub max_concurrency: usize,
    /// The 429 responses by kind.
    pub too_many_requests: TooManyRequests,
    /// The Engage requests by page, including failed ones.
    pub hits_per_page: BTreeMap<u64, u64>,
    /// All responses by status. A response that was cut or never sent counts under its intended status.
    pub replies_by_status: BTreeMap<u16, u64>,
    /// The number of sessions created.
    pub sessions_created: u64,
    /// The number of faults applied.
    pub faults_applied: u64,
    /// The export requests, which are part of the numbers of requests, responses and faults above, but of no other.
    pub export: ExportStats,
    /// The latest requests, oldest first.
    pub recent_requests: VecDeque<RequestRecord>,
}

impl Stats {
    pub(crate) fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("counts and texts are always JSON")
    }
}

/// Counts of export requests.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ExportStats {
    /// All requests.
    pub requests: u64,
    /// The requests that counted towards the hourly limit, without refunded ones.
    pub counted_requests: u64,
    /// The maximum number of counted requests within one window.
    pub max_counted_in_window: usize,
    /// The maximum number of counted requests within a second.
    pub max_counted_in_second: usize,
    /// The maximum number of concurrent requests, excluding rejected ones.
    pub max_concurrency: usize,
    /// The 429 responses because of the hourly limit.
    pub refused_hourly: u64,
    /// The 429 responses because of the limit per second.
    pub refused_per_second: u64,
    /// The 429 responses because of too many concurrent requests.
    pub refused_concurrency: u64,
    /// The requests by their dates, such as `2026-01-01..2026-01-07`, including failed ones.
    pub hits_per_slice: BTreeMap<String, u64>,
}

impl ExportStats {
    pub(crate) fn count_refusal(&mut self, limit: LimitKind) {
        match limit {
            LimitKind::Hourly => self.refused_hourly += 1,
            LimitKind::PerSecond => self.refused_per_second += 1,
            _ => self.refused_concurrency += 1,
        }
    }
}

/// The 429 responses by kind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct TooManyRequests {
    /// Too many counted requests in the window.
    pub hourly: u64,
    /// Too many concurrent requests.
    pub concurrency: u64,
    /// The server was overloaded.
    pub load_shed: u64,
    /// The format of 2021, requested by a fault.
    pub body_only: u64,
}

/// A recorded request, without its `Authorization` header.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct RequestRecord {
    /// The request number, counted from 1.
    pub number: u64,
    /// The method.
    pub method: String,
    /// The path.
    pub path: String,
    /// The `Content-Type` header, if any.
    pub content_type: Option<String>,
    /// The parameters from the URL and the body combined.
    pub params: BTreeMap<String, String>,
    /// The status of the response.
    pub status: u16,
}

/// A page as it was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SentPage {
    /// The requested page, counted from 0.
    pub page: u64,
    /// The session that the request named.
    pub session_id: Option<String>,
    /// The body, uncompressed.
    pub body: Bytes,
}

impl SentPage {
    /// Creates a page, for testing code that uses sent pages.
    pub fn new(page: u64, session_id: Option<String>, body: impl Into<Bytes>) -> Self {
        Self { page, session_id, body: body.into() }
    }
}
