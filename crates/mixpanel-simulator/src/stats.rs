//! The statistics of the simulator.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use serde::Serialize;

/// Counts of requests and responses, as `GET /_sim/stats` returns them. Requests under `/_sim` are not counted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Stats {
    /// All requests.
    pub requests: u64,
    /// The requests that counted towards the hourly limit and were not refunded.
    pub counted_requests: u64,
    /// The maximum number of requests that counted towards the hourly limit within one window.
    pub greatest_counted_in_window: usize,
    /// The maximum number of requests that the hourly limit rejected within one window.
    pub greatest_refused_in_window: usize,
    /// The maximum number of concurrent requests, without rejected ones.
    pub greatest_concurrency: usize,
    /// The 429 responses by kind.
    pub too_many_requests: TooManyRequests,
    /// The Engage requests by page, whatever their outcome.
    pub hits_per_page: BTreeMap<u64, u64>,
    /// All responses by status. A response that was cut or never sent has its intended status.
    pub replies_by_status: BTreeMap<u16, u64>,
    /// The number of sessions created.
    pub sessions_made: u64,
    /// How often a fault of the script was applied.
    pub faults_applied: u64,
    /// The latest requests, oldest first.
    pub recent_requests: VecDeque<RequestRecord>,
}

impl Stats {
    pub(crate) fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("counts and texts are always JSON")
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
    /// The form of 2021, caused by a fault of the script.
    pub body_only: u64,
}

/// One request. The `Authorization` header is never kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct RequestRecord {
    /// The request number, from 1.
    pub number: u64,
    /// The method.
    pub method: String,
    /// The path.
    pub path: String,
    /// The `Content-Type`, if there was one.
    pub content_type: Option<String>,
    /// The parameters of the URL and the body together.
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
    /// The body before compression.
    pub body: Bytes,
}

impl SentPage {
    /// Creates a page, for tests of code that uses sent pages.
    pub fn new(page: u64, session_id: Option<String>, body: impl Into<Bytes>) -> Self {
        Self { page, session_id, body: body.into() }
    }
}
