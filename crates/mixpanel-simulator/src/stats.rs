//! What the simulator has seen.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use serde::Serialize;

/// Counts of what was asked and answered, as `GET /_sim/stats` returns them. Requests under `/_sim` are not counted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Stats {
    /// All requests.
    pub requests: u64,
    /// The requests that took a slot of the hourly limit and did not get it back.
    pub counted_requests: u64,
    /// The greatest number of requests that took a slot of the hourly limit within one window.
    pub greatest_counted_in_window: usize,
    /// The greatest number of requests that the hourly limit refused within one window.
    pub greatest_refused_in_window: usize,
    /// The greatest number of requests that were under way at once. Refused ones are not among them.
    pub greatest_concurrency: usize,
    /// The 429 replies by kind.
    pub too_many_requests: TooManyRequests,
    /// The Engage requests by page, whatever became of them.
    pub hits_per_page: BTreeMap<u64, u64>,
    /// All replies by status. A reply that was cut or never sent is here with the status it was to have.
    pub replies_by_status: BTreeMap<u16, u64>,
    /// The sessions made.
    pub sessions_made: u64,
    /// The times that a fault of the script was applied.
    pub faults_applied: u64,
    /// The latest requests, oldest first.
    pub recent_requests: VecDeque<RequestRecord>,
}

impl Stats {
    pub(crate) fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("counts and texts are always JSON")
    }
}

/// The 429 replies by kind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct TooManyRequests {
    /// Too many counted requests in the window.
    pub hourly: u64,
    /// Too many requests at once.
    pub concurrency: u64,
    /// The server was overloaded.
    pub load_shed: u64,
    /// The 2021 form, by a fault of the script.
    pub body_only: u64,
}

/// What one request looked like. The `Authorization` header is never kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct RequestRecord {
    /// The request's number, from 1.
    pub number: u64,
    /// The method.
    pub method: String,
    /// The path.
    pub path: String,
    /// The `Content-Type`, if there was one.
    pub content_type: Option<String>,
    /// The parameters of URL and body together.
    pub params: BTreeMap<String, String>,
    /// The status of the reply.
    pub status: u16,
}

/// A page as it was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SentPage {
    /// Which page was requested, counted from 0.
    pub page: u64,
    /// The session that the request named.
    pub session_id: Option<String>,
    /// The body before it was compressed.
    pub body: Bytes,
}

impl SentPage {
    /// Makes one, for tests of what is done with them.
    pub fn new(page: u64, session_id: Option<String>, body: impl Into<Bytes>) -> Self {
        Self { page, session_id, body: body.into() }
    }
}
