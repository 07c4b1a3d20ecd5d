//! A local Mixpanel simulator: profiles, events, sessions, quotas and faults, over HTTP on loopback.
//!
//! It implements the Engage query API and the raw export to the extent that public sources document them. `docs/mixpanel-api.md` lists the sources
//! and names the [`SimulatorConfig`] option for each point on which they disagree. Where no source exists, a comment
//! on the option or the code states the assumption.
//!
//! - [`Simulator`] is the core: a function of the request and the time, with no I/O and no clock.
//! - [`Server`] is an HTTP server around the core.
//! - [`SimulatorConfig`] sets the profiles, the events, the limits and the response format; each [`Fault`] and each
//!   [`ExportFault`] injects one kind of failure.
//! - [`Events`] says which events a complete export contains.
//!
//! Endpoints: `/api/query/engage`, `/api/query/events`, `/api/query/events/names` (all also under `/api/2.0`),
//! `GET /api/2.0/export`, `GET /_sim/stats`, `POST /_sim/reset`, and `POST /_sim/revise`, which makes late rows
//! appear ([`EventOptions::late_rows`]).
//!
//! ```
//! use mixpanel_simulator::{Server, SimulatorConfig};
//!
//! # let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
//! # runtime.block_on(async {
//! let mut config = SimulatorConfig::unlimited().with_profiles(2_500);
//! config.faults.push("pages=1 status=503 times=1".parse()?);
//! let server = Server::start(config, ([127, 0, 0, 1], 0).into()).await?;
//! println!("{}/api/query/engage", server.base_url());
//! server.shutdown().await;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod auth;
mod body;
mod body_fault;
mod compress;
mod config;
mod duration;
mod engage;
mod event_counts;
mod event_options;
mod event_words;
mod events;
mod export;
mod fault;
mod filter;
mod hash;
mod limit_kind;
mod message;
mod params;
mod profiles;
mod project_profiles;
mod quota;
mod refusal;
mod select;
mod server;
mod session;
mod simulator;
mod stats;

pub use body_fault::{BodyFault, Framing};
pub use config::{
    AuthRefusal, Compression, PastEnd, ProfileSource, Quota, RateLimitStyle, RequestedPageSize, SessionIdMode,
    SessionPages, SimulatorConfig, TotalMode,
};
pub use event_options::{
    EventClock, EventOptions, ExportFraming, ExportLimitStyle, FinalNewline, Revision, RowOrder, TimeUnit,
};
pub use event_words::EventWords;
pub use events::{Events, OddEvent, OddVerdict};
pub use export::{ExportBody, ExportChunks, ExportFault, ExportFaultKind, SliceSelector};
pub use fault::{Fault, FaultKind, PageSelector, Times};
pub use limit_kind::LimitKind;
pub use message::{Reply, Request, Ticket};
pub use profiles::{CopyChange, OddProfile, ProfileCopy, Records, RecordsError};
pub use server::{Server, ServerError};
pub use simulator::Simulator;
pub use stats::{ExportStats, RequestRecord, SentPage, Stats, TooManyRequests};
