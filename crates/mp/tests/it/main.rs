//! The command as its users meet it: the real binary, with an environment and a home of its own.

mod attacks;
mod auth;
mod config_file;
mod demo;
mod fetch;
mod formats;
mod identity;
mod query;
mod signals;
mod simulate;
mod stream;
mod support;
#[cfg(target_os = "linux")]
mod terminal;
mod usage;
