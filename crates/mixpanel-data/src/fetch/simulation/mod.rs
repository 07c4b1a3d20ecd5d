//! Whole fetches in virtual time: the coordinator, the quota, the reading of replies and real stage files, against the
//! simulator's own core, through random faults, stops, crashes and resumes. Everything follows from a seed.
//!
//! `scenario` draws what the world is like, `world` lets it happen, `oracle` knows what must come of it, `check` compares.
//! `MP_SIM_SEEDS=FROM..TO` and `MP_SIM_DUCKDB_SEEDS=FROM..TO` choose the seeds; `seeds.txt` lists those that failed once.

#![expect(clippy::disallowed_methods, reason = "whoever replays a seed says so in the environment")]

mod check;
mod model;
mod mutants_test;
mod oracle;
mod scenario;
mod seeds_tests;
mod world;
