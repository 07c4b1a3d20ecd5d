//! Tests of the library's public API, with real HTTP on loopback, real files and DuckDB.
#![expect(clippy::disallowed_methods, reason = "tests time what they wait for")]

mod attacks;
mod audit;
mod client;
mod connections;
#[expect(dead_code, reason = "the tests of the command use all of it")]
#[path = "../../../mp/tests/it/conservation.rs"]
mod conservation;
mod edges;
mod events;
mod examples;
mod failures;
mod fetch;
mod harness;
mod ledger;
mod refresh;
mod resume;
mod sql_arrow;
mod sql_exact;
mod store;
mod stream;
mod tidy;
mod two_engines;
mod types;
