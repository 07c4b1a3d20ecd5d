//! `mp demo` and `mp simulate` as typed.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use mixpanel_simulator::{Fault, Quota};

use super::duration::parse_duration;

/// Starts a simulated Mixpanel that takes 400 ms for a page, fetches 25,000 profiles one page after the other and five
/// pages at a time, and runs some queries. It uses no account and no network, and leaves nothing behind.
#[derive(Debug, Args)]
pub(crate) struct DemoArgs {
    /// Keep the database in this folder, to go on with
    #[arg(long, value_name = "DIR")]
    pub(crate) keep: Option<PathBuf>,

    /// Fewer profiles and a faster server
    #[arg(long)]
    pub(crate) fast: bool,

    /// Show no progress
    #[arg(long)]
    pub(crate) no_progress: bool,
}

/// Runs until it is interrupted. Give the address to other commands with --base-url or MP_BASE_URL.
#[derive(Debug, Args)]
pub(crate) struct SimulateArgs {
    /// Listen at this address of the loopback interface; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8080")]
    pub(crate) addr: SocketAddr,

    /// Serve N made-up profiles
    #[arg(long, value_name = "N", default_value_t = 10_000, conflicts_with = "file")]
    pub(crate) profiles: u64,

    /// Serve the records of this JSON lines file, such as `mp fetch profiles --stdout` prints; `-` is standard input
    #[arg(long, value_name = "PATH")]
    pub(crate) file: Option<PathBuf>,

    /// Make up other profiles, faults and delays; the same number gives the same ones
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) seed: u64,

    /// Take this long for a reply, such as 400ms or 2s
    #[arg(long, value_name = "TIME", default_value = "0", value_parser = parse_duration)]
    pub(crate) latency: Duration,

    /// Take up to this much longer, at random
    #[arg(long, value_name = "TIME", default_value = "0", value_parser = parse_duration)]
    pub(crate) jitter: Duration,

    /// Put N profiles on a page
    #[arg(long, value_name = "N", default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..=40_000))]
    pub(crate) page_size: u32,

    /// Allow so many counted requests in a rolling window, such as 60/h or 60/90s; `off` allows any number
    #[arg(long, value_name = "QUOTA", default_value = "60/h", value_parser = parse_quota)]
    pub(crate) quota: QuotaChoice,

    /// Count the pages after the first, too
    #[arg(long)]
    pub(crate) count_session_pages: bool,

    /// Let something go wrong, such as "pages=3,7 status=500 times=2" (can be repeated)
    #[arg(long, value_name = "FAULT")]
    pub(crate) fault: Vec<Fault>,

    /// Read faults from this file, a JSON array such as [{"pages": "3,7", "status": 500, "times": 2}]
    #[arg(long, value_name = "PATH")]
    pub(crate) faults: Option<PathBuf>,
}

/// The hourly limit, or none.
#[derive(Debug, Clone, Copy)]
pub(crate) struct QuotaChoice(pub(crate) Option<Quota>);

fn parse_quota(text: &str) -> Result<QuotaChoice, String> {
    if text.eq_ignore_ascii_case("off") {
        return Ok(QuotaChoice(None));
    }
    text.parse().map(|quota| QuotaChoice(Some(quota)))
}
