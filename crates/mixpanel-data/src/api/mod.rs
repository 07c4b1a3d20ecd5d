//! The HTTP client for Mixpanel's API. Independent of storage.

mod body;
mod classify;
mod client;
mod connection;
mod discovery;
mod endpoint;
mod engage;
mod export;
mod export_quota;
mod failure;
mod inflate;
mod network;
mod profiles;
mod proxy;
mod rate_limit;
mod redact;
mod retry;
mod shared_client;
mod transport;
mod trust;

pub use client::ApiClient;
pub(crate) use endpoint::check_base_url;
pub use endpoint::{ApiOptions, Timeouts};
pub(crate) use engage::EngageForm;
pub(crate) use export::{ExportBody, ExportHead, ExportRequest};
pub(crate) use failure::{Failure, FailureKind};
pub(crate) use inflate::{Inflated, TrailingData};
pub use network::NetworkVariables;
pub(crate) use profiles::PageReply;
pub(crate) use rate_limit::RateLimitKind;
pub(crate) use retry::{Decision, backoff, decide};
pub(crate) use shared_client::SharedClient;
