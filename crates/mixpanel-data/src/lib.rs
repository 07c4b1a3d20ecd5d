//! Fetches user profiles from Mixpanel into DuckDB, quickly and completely.
//!
//! A [`Workspace`] combines one Mixpanel project with one database file. [`Workspace::fetch_profiles`] fetches up to
//! five pages of profiles at a time, stages each page on disk as it arrives, and loads them all into a table in one
//! transaction. [`Workspace::sql`] queries the table, as can any other DuckDB client.
//!
//! ```
//! use mixpanel_data::{Credentials, ProfileFetch, Region, Secret, Workspace};
//! # use mixpanel_simulator::{Server, SimulatorConfig};
//! # let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
//! # runtime.block_on(async {
//! # let server = Server::start(SimulatorConfig::default().with_profiles(2_500), ([127, 0, 0, 1], 0).into()).await?;
//! # let directory = tempfile::tempdir()?;
//! # let database = directory.path().join("project.db");
//!
//! let credentials = Credentials::new("simulator", Secret::new("simulator-secret"), "12345", Region::Us)?;
//! let workspace = Workspace::new(credentials, &database);
//! # let workspace = workspace.with_base_url(&server.base_url())?;
//! let fetch = ProfileFetch::new("profiles")
//!     .parallel()
//!     .on_page_complete(|page| println!("page {} of {:?}", page.page_index, page.total_pages));
//! let result = workspace.fetch_profiles(fetch).await?;
//! assert_eq!(result.rows(), 2_500);
//!
//! let plans = workspace.sql("select properties->>'plan' as plan, count(*) from profiles group by all")?;
//! assert_eq!(plans.columns[0], "plan");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Next steps: see [`ProfileFetch`] and [`ProfileQuery`] for the available options, [`ProfileFetchResult`] for the
//! result, [`Error`] and [`ErrorKind`] for what can go wrong, and [`limits`] for limits and defaults. [`ApiClient`]
//! fetches single pages without storing them. The `async` methods need a Tokio runtime. The library never prints, and
//! reads neither the environment nor the home directory: pass proxy and certificate settings in [`NetworkVariables`].

mod api;
#[cfg(feature = "benchmarks")]
#[doc(hidden)]
pub mod benchmarks;
mod blocking;
mod clock;
mod counts;
pub mod credentials;
mod dataset;
mod drift;
mod durable;
pub mod error;
mod event_query;
mod fetch;
mod hash_key;
mod kill_point;
pub mod limits;
mod load;
mod memory;
mod mutant;
mod note;
mod overlap;
mod parse;
mod profile_query;
mod project_time_zone;
mod properties;
mod property_rules;
mod quota;
mod row_sum;
mod slice;
mod sql_value;
mod stage;
mod statistics;
mod store;
pub mod text;
mod types;
mod warning;
mod workspace;

pub use api::{ApiClient, ApiOptions, NetworkVariables, Timeouts};
pub use counts::FetchCounts;
pub use credentials::{Credentials, ProjectId, Region, Secret};
pub use error::{Error, ErrorKind, Fault, Result};
pub use event_query::{Day, Dedupe};
pub use fetch::{
    EVENT_TARGET, FetchEvent, FetcherService, ParallelProfileFetcherService, ProfileFetch, ResumeFetch, RunKind,
    RunOptions, RunState, UnfinishedRun,
};
pub use hash_key::HashKey;
pub use note::Note;
pub use parse::{ProfileRow, ProfileRows, RecordForm, Reject, Unstored};
pub use profile_query::{FetchMode, IfExists, IncludeUsers, ProfileQuery};
pub use project_time_zone::ProjectTimeZone;
pub use properties::{FrequentValue, PropertyInfo};
pub use quota::Quota;
pub use sql_value::{SqlPart, SqlValue};
pub use statistics::{
    ColumnStatsResult, ColumnSummary, ColumnValue, CountType, DailyCount, DailyCountsResult, DayRange,
    EngagementBucket, EngagementDistributionResult, EventBreakdownResult, EventStats, NumericPropertySummaryResult,
    PropertyCoverage, PropertyCoverageResult, PropertyDistributionResult, PropertyValueCount, SummaryResult, TopEvent,
};
pub use store::QueryStop;
pub use types::{
    AuditedDay, BatchProgress, ColumnInfo, EventAudit, EventCounts, EventEstimate, EventFetchResult, EventStreamResult,
    FetchEstimate, FetchResult, LoadedTable, ObjectInfo, ParallelFetchResult, ParallelProfileResult,
    ProfileFetchResult, ProfilePageResult, ProfileProgress, ProfileStreamResult, ProfileWriteTask, QuotaUsage,
    SqlResult, TableInfo, TableSchema, VerifyReport,
};
pub use warning::Warning;
pub use workspace::{EventFetch, Workspace};

/// The Arrow types in the results of [`Workspace::sql_arrow`].
pub use arrow;
/// A point in time, for [`ProfileFetch::since`].
pub use jiff::Timestamp;
/// A date, for [`Day::Date`] and [`DayRange`].
pub use jiff::civil::Date;
/// Compiles the example in the README.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;

/// A JSON value, as used for SQL results and error details.
pub use serde_json::Value;
/// Stops a fetch; see [`ProfileFetch::cancel_with`].
pub use tokio_util::sync::CancellationToken;
