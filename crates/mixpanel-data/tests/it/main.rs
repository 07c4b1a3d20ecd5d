//! The library through its public surface: real HTTP on loopback, real files, the real engine.
#![expect(clippy::disallowed_methods, reason = "tests time what they wait for")]

mod attacks;
mod client;
mod failures;
mod fetch;
mod harness;
mod resume;
mod store;
mod stream;
mod tidy;
mod types;
