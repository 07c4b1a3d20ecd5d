//! The attacks that a security review tries, A1 to A27, each with its tests. The names of the tests begin with the
//! numbers.
//!
//! | attack | where |
//! |---|---|
//! | A1 secret as an argument, A2 logs, A3 memory, A4 process table | `secrets` |
//! | A2 servers that echo requests | `echoes` |
//! | A5 hostile config files, A6 races, A7 files in the current directory, A8 precedence | `config` |
//! | A9 redirects, A11 proxies, and connections to other hosts | `network` |
//! | A10 certificates and protocols | `tls` |
//! | A12 bombs, A13 hostile JSON | `attacks.rs` among the tests of the library |
//! | A14 table names, A15 hostile profiles | `names` |
//! | A16 hostile SQL, A17 hostile paths | `queries` |
//! | A18 hostile and unusable database files | `databases` |
//! | A19 escape sequences, A20 formulas in CSV, A23 forged lines | `display` |
//! | A21 output files, A24 supply chain, A25 files left on disk | `files` |
//! | A22 two fetches into one table, A25 files left by runs | `stages`, `races` |
//! | A18 databases left by a killed process | `logs` |
//! | A26 failing disks, A27 file systems that lack features | `disks` |

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
