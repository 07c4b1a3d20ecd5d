//! Simulates fetches of events in virtual time: the core with its slices, the quota, the reader and real stage files
//! against the simulator's own core, through cut responses, refusals, stops, crashes and resumes, and a second fetch
//! that replaces days whose events have changed since.
//!
//! `MP_SIM_SLICES_SEEDS=FROM..TO` selects the seeds; `seeds.txt` lists seeds that once failed and now always run.

mod mutants_tests;
mod scenario;
mod seeds_tests;
mod table;
mod tally;
mod world;
