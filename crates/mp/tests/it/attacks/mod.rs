//! The list of attacks that a security review would try, A1 to A25, each with its test. The names of the tests begin with
//! the numbers.
//!
//! | attack | where |
//! |---|---|
//! | A1 secret as an argument, A2 logs, A3 memory, A4 process table | `secrets` |
//! | A2 servers that send back what they were sent | `echoes` |
//! | A5 what the config file may be, A6 races, A7 files of the current directory, A8 precedence | `config` |
//! | A9 redirects, A11 proxies, and that nothing else is ever connected to | `network` |
//! | A10 certificates and protocols | `tls` |
//! | A12 bombs, A13 hostile JSON | `attacks.rs` among the tests of the library |
//! | A14 table names, A15 hostile profiles | `names` |
//! | A16 hostile SQL, A17 hostile paths | `queries` |
//! | A18 hostile database files, and that each condition of a file has its name | `databases` |
//! | A19 escape sequences, A20 formulas in CSV, A23 forged lines | `display` |
//! | A21 output files, A24 supply chain, A25 what is left on disk | `files` |
//! | A22 two fetches into one table, A25 what is left of runs | `stages`, `races` |
//! | A18 databases that a killed process left | `logs` |
//! | A26 disks that fail, A27 file systems that lack something | `disks` |

mod config;
mod databases;
#[cfg(target_os = "linux")]
mod disks;
#[cfg(target_os = "linux")]
mod display;
mod echoes;
mod files;
mod logs;
mod names;
mod network;
mod proxies;
mod queries;
mod races;
mod secrets;
mod stages;
mod tls;
pub(crate) mod tools;

pub(crate) use tools::Running;
