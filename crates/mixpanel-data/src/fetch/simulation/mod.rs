//! Simulates whole fetches in virtual time: the coordinator, the quota, response parsing and real stage files run
//! against the simulator's own core, through random faults, stops, crashes and resumes. A seed determines the whole
//! run.
//!
//! `scenario` generates the world, `world` runs it, `oracle` computes the expected result, and `check` verifies the
//! invariants. `MP_SIM_SEEDS=FROM..TO` and `MP_SIM_DUCKDB_SEEDS=FROM..TO` select the seeds; `seeds.txt` lists seeds
//! that once failed and now always run.

#![expect(clippy::disallowed_methods, reason = "the environment names the seeds to replay")]

mod check;
mod model;
mod mutants_tests;
mod oracle;
mod scenario;
mod seeds;
mod seeds_tests;
mod slices;
mod world;
