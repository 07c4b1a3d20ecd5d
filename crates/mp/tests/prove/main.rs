//! Stress tests of the `mp` binary: killed, out of quota, out of disk space, interrupted.
//!
//! `cargo xtask prove` runs them with the nextest profile `prove`; its quick form is one of the checks. `cargo xtask
//! test` skips them. They need the feature `kill-points`.
#![expect(clippy::print_stderr, reason = "they say what they did, between the panics of what failed")]

#[path = "../it/conservation.rs"]
mod conservation;
#[path = "../it/program.rs"]
mod program;
#[expect(dead_code, reason = "shared with the other tests, which use all of it")]
#[path = "../it/support.rs"]
mod support;
#[expect(dead_code, reason = "shared with the other tests, which use all of it")]
#[path = "../it/attacks/tools.rs"]
mod tools;

mod cases;
mod disks;
mod fetches;
mod injections;
mod instructions;
mod kills;
mod quota;
mod terminal;
mod terminals;
mod torn;
