//! Talks HTTP to Mixpanel; knows nothing of storage.

mod body;
mod client;
mod endpoint;
mod engage;
mod failure;
#[cfg_attr(
    not(test),
    expect(dead_code, unused_imports, reason = "the fetch takes its permits from it as soon as it can resume")
)]
mod quota;
mod rate_limit;
mod retry;
mod transport;

pub use client::ApiClient;
pub(crate) use client::PageReply;
pub(crate) use endpoint::check_base_url;
pub use endpoint::{ApiOptions, Timeouts};
pub(crate) use engage::PageRequest;
pub(crate) use failure::{Failure, FailureKind};
pub use quota::Quota;
#[cfg(test)]
pub(crate) use rate_limit::RateLimitKind;
pub(crate) use retry::{Decision, decide};
